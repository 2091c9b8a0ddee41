//! What happened, in words: kept only if somebody is going to read it.

use std::fmt::Write;

/// The lines of a simulation. Off, it costs nothing.
#[derive(Debug, Default)]
pub struct Trace {
    on: bool,
    now: u64,
    text: String,
}

impl Trace {
    /// A trace that keeps all lines, or none.
    pub fn new(on: bool) -> Trace {
        Trace { on, ..Trace::default() }
    }

    /// Sets the virtual time of the next lines, in microseconds.
    pub fn at(&mut self, now: u64) {
        self.now = now;
    }

    /// Adds a line, if the trace is on.
    pub fn line(&mut self, what: impl FnOnce() -> String) {
        if self.on {
            let (seconds, micros) = (self.now / 1_000_000, self.now % 1_000_000);
            writeln!(self.text, "{seconds}.{micros:06}  {}", what()).expect("strings grow");
        }
    }

    /// All lines.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The last lines, at most so many.
    pub fn last(&self, lines: usize) -> String {
        let all: Vec<&str> = self.text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}
