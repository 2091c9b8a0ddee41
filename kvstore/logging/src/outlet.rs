//! Writes to a descriptor that may be a pipe nobody reads, within a time limit.
//!
//! The standard library's `stderr` would not do: every printer waits for its lock while one of them is stuck
//! in a full pipe, and `eprintln!` panics when the pipe's reader has gone.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that is ready for writing takes this many bytes without blocking, even if it takes no more.
const PIECE_BYTES: usize = 4096;

/// A write that ended early.
#[derive(Debug)]
pub struct Incomplete {
    /// Bytes written before.
    pub written: usize,
    /// Why it ended; `TimedOut` if nobody took the bytes in time.
    pub error: io::Error,
}

/// Writes all bytes, and waits for the reader, at most for `limit` if there is one. Blocking and non-blocking
/// descriptors behave alike.
pub fn write_all(fd: BorrowedFd<'_>, bytes: &[u8], limit: Option<Duration>) -> Result<(), Incomplete> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let (mut written, mut waits) = (0, false);
    while written < bytes.len() {
        let end = if limit.is_some() { written + PIECE_BYTES } else { usize::MAX };
        let piece = &bytes[written..bytes.len().min(end)];
        let ready = if limit.is_some() || waits { until_ready(fd, deadline) } else { Ok(()) };
        waits = false;
        match ready.and_then(|()| Ok(rustix::io::write(fd, piece)?)) {
            Ok(0) => return Err(Incomplete { written, error: ErrorKind::WriteZero.into() }),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => waits = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Incomplete { written, error }),
        }
    }
    Ok(())
}

/// Waits until a write would not block. A write that would fail does not block, either.
fn until_ready(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<()> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout = left.map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    match poll(&mut fds, timeout.as_ref())? {
        0 => Err(ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    const SHORT: Option<Duration> = Some(Duration::from_millis(10));

    #[test]
    fn a_pipe_that_nobody_reads_is_given_up() {
        let (mut reader, writer) = io::pipe().unwrap();
        let incomplete = write_all(writer.as_fd(), &vec![b'x'; 1 << 20], SHORT).unwrap_err();
        assert_eq!(incomplete.error.kind(), ErrorKind::TimedOut);
        assert!(incomplete.written >= PIECE_BYTES);
        drop(writer);
        assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), incomplete.written);
    }

    #[test]
    fn one_that_never_blocks_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let bytes = vec![b'x'; 1 << 20];
        std::thread::scope(|scope| {
            scope.spawn(|| reader.read_exact(&mut vec![0; 1 << 20]).unwrap());
            write_all(writer.as_fd(), &bytes, None).unwrap();
        });
    }

    #[test]
    fn a_reader_that_has_gone_is_an_error_and_no_signal() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let incomplete = write_all(writer.as_fd(), b"text", None).unwrap_err();
        assert_eq!((incomplete.written, incomplete.error.kind()), (0, ErrorKind::BrokenPipe));
    }
}
