//! Where the demo prints: a terminal of any width, or a pipe that nobody may read. Ending the demo waits for
//! neither.

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use niagara_logging::write_all;
use rustix::termios::tcgetwinsize;

/// How long a signal may go unnoticed while nobody reads.
const LOOK: Duration = Duration::from_millis(100);
/// The width if the output is not a terminal.
const DEFAULT_COLUMNS: usize = 100;

/// Standard output, or standard error.
#[derive(Clone)]
pub struct Screen {
    aside: bool,
    stop: Arc<AtomicBool>,
}

impl Screen {
    /// Standard output, or standard error if `aside`. The flag ends all waiting.
    pub fn new(aside: bool, stop: Arc<AtomicBool>) -> Screen {
        Screen { aside, stop }
    }

    pub fn columns(&self) -> usize {
        let size = if self.aside { tcgetwinsize(io::stderr()) } else { tcgetwinsize(io::stdout()) };
        let columns = size.map_or(0, |size| usize::from(size.ws_col));
        if columns == 0 { DEFAULT_COLUMNS } else { columns }
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let fd = if self.aside { stderr.as_fd() } else { stdout.as_fd() };
        let mut written = 0;
        loop {
            let Err(incomplete) = write_all(fd, &bytes[written..], Some(LOOK)) else {
                return Ok(bytes.len());
            };
            written += incomplete.written;
            if incomplete.error.kind() != ErrorKind::TimedOut || self.stop.load(Ordering::SeqCst) {
                return Err(incomplete.error);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
