//! Shows the progress of a long command in one line that refreshes in place. Only people need it, so nothing
//! is shown unless standard error is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is refreshed.
const REFRESH: Duration = Duration::from_millis(200);

/// The line. Dropping this removes it, so that the next output takes its place.
pub struct Progress {
    terminal: bool,
    next: Instant,
    shown: bool,
}

impl Progress {
    pub fn new() -> Progress {
        Progress { terminal: io::stderr().is_terminal(), next: Instant::now(), shown: false }
    }

    /// Replaces the line, unless it is too new. Errors of the terminal are ignored.
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
