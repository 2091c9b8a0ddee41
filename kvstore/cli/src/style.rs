//! Colours, on terminals only.

use std::fmt::Display;
use std::io::{self, IsTerminal};

/// Whether and how to colour what goes to one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

/// For standard output.
pub fn for_stdout() -> Paint {
    Paint::if_terminal(io::stdout().is_terminal())
}

/// For standard error.
pub fn for_stderr() -> Paint {
    Paint::if_terminal(io::stderr().is_terminal())
}

impl Paint {
    /// No colours, so that tests see the bare text.
    #[cfg(test)]
    pub const PLAIN: Paint = Paint { on: false };

    /// Colours on a terminal, unless the environment forbids them (no-color.org) or the terminal has none.
    fn if_terminal(terminal: bool) -> Paint {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Paint { on: terminal && !forbidden && !dumb }
    }

    /// Whether there are colours.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// Something went well.
    pub fn good(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    /// Something went wrong.
    pub fn bad(self, text: impl Display) -> String {
        self.paint("1;31", text)
    }

    /// Stands out.
    pub fn strong(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_only() {
        assert_eq!(Paint::if_terminal(false), Paint::PLAIN);
        assert_eq!(Paint::PLAIN.bad("error"), "error");
        assert_eq!(Paint { on: true }.good("ok"), "\x1b[32mok\x1b[0m");
    }
}
