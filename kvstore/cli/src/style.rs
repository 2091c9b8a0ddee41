//! Colours, on terminals only.

use std::fmt::Display;
use std::io;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// Whether to colour what goes to one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

pub fn for_stdout() -> Paint {
    Paint::of(&io::stdout())
}

pub fn for_stderr() -> Paint {
    Paint::of(&io::stderr())
}

impl Paint {
    /// No colours, so that tests see plain text.
    #[cfg(test)]
    pub const PLAIN: Paint = Paint { on: false };

    /// Colours on a terminal, unless the environment forbids them (no-color.org) or the terminal has none.
    fn of(stream: &impl RawStream) -> Paint {
        Paint { on: AutoStream::choice(stream) != ColorChoice::Never }
    }

    pub fn is_on(self) -> bool {
        self.on
    }

    /// Good news.
    pub fn good(self, text: impl Display) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// Bad news.
    pub fn bad(self, text: impl Display) -> String {
        self.paint(AnsiColor::Red.on_default().bold(), text)
    }

    pub fn strong(self, text: impl Display) -> String {
        self.paint(Style::new().bold(), text)
    }

    fn paint(self, style: Style, text: impl Display) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_only() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Paint::of(&file), Paint::PLAIN);
        assert_eq!(Paint::PLAIN.bad("error"), "error");
        assert_eq!(Paint { on: true }.good("ok"), "\x1b[32mok\x1b[0m");
    }
}
