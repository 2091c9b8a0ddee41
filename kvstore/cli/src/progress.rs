//! How far a long command is, in one line that renews itself, for people only: nothing is shown unless standard error is a
//! terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is renewed.
const REFRESH: Duration = Duration::from_millis(200);

/// The line. It goes when this is dropped, so that what comes next stands in its place.
pub struct Progress {
    terminal: bool,
    next: Instant,
    shown: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new() -> Progress {
        Progress { terminal: io::stderr().is_terminal(), next: Instant::now(), shown: false }
    }

    /// Shows a text in the place of the last one, unless that is too new. Errors of the terminal harm nobody.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        if !self.terminal || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + REFRESH;
        self.shown = true;
        let _ = write!(io::stderr(), "\r\x1b[K{}", text());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
