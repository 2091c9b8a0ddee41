//! Lines of the log wait here until standard error takes them. They are bounded in bytes, so a reader that
//! does not read costs lines and nothing else.
//!
//! `tracing-appender` does not fit: it bounds lines, not bytes, and does not report how many it dropped.

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::outlet;

/// Most bytes that wait, including those being written.
const MOST_BYTES: usize = 1 << 20;

/// The lines that wait. A thread that logs only ever copies a line in here.
#[derive(Debug, Default)]
pub struct Sink {
    state: Mutex<State>,
    /// Tells the writer that there is something to do.
    work: Condvar,
    /// Tells those who wait until everything is written.
    written: Condvar,
    /// Lines that were never written, since the start.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<u8>,
    in_flight: usize,
    /// Lines that found no room since the writer last took what was waiting.
    dropped: u64,
    /// When the writer has something else to do, even if no line comes.
    alarm: Option<Instant>,
}

/// What the writer has to do.
struct Work {
    lines: Vec<u8>,
    dropped: u64,
    alarm: bool,
}

impl Sink {
    /// Takes a line, if there is room for it.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.state.lock();
        if state.pending.len() + state.in_flight + line.len() > MOST_BYTES {
            state.dropped += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.pending.extend_from_slice(line);
        drop(state);
        self.work.notify_one();
    }

    /// Takes a process's last words, even without room. The thread may have panicked while it held the lock:
    /// then they are lost.
    pub fn push_last_words(&self, words: &[u8], limit: Duration) {
        let Some(mut state) = self.state.try_lock_for(limit) else { return };
        state.pending.extend_from_slice(words);
        drop(state);
        self.work.notify_one();
    }

    /// Lines that were never written, since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Makes the writer check its alarms at this moment, or earlier.
    pub fn alarm_at(&self, at: Instant) {
        let mut state = self.state.lock();
        state.alarm = Some(state.alarm.map_or(at, |earlier| earlier.min(at)));
        drop(state);
        self.work.notify_one();
    }

    /// Waits until all lines are written, at most for `limit`: a reader that does not read delays nobody's
    /// end.
    pub fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let Some(mut state) = self.state.try_lock_until(deadline) else { return };
        while !state.pending.is_empty() || state.in_flight > 0 {
            if self.written.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }

    /// All lines that wait.
    #[cfg(test)]
    pub fn waiting(&self) -> Vec<u8> {
        self.state.lock().pending.clone()
    }

    /// Starts the thread that writes to standard error. It calls `alarm` when an alarm is due.
    pub fn start_writer(self: &Arc<Self>, alarm: impl FnMut() + Send + 'static) -> io::Result<()> {
        let sink = Arc::clone(self);
        let run = move || {
            let stderr = io::stderr();
            sink.write_to(stderr.as_fd(), alarm, || true);
        };
        thread::Builder::new().name("log-writer".into()).spawn(run).map(drop)
    }

    /// Writes what comes, until it is told to end.
    fn write_to(&self, fd: BorrowedFd<'_>, mut alarm: impl FnMut(), goes_on: impl Fn() -> bool) {
        let mut owed = 0;
        let mut spare = Vec::new();
        while goes_on() {
            let Work { lines, dropped, alarm: due } = self.take(spare);
            if due {
                alarm();
            }
            let lost = write_lines(fd, &lines);
            self.lost.fetch_add(lost, Ordering::Relaxed);
            owed = tell_missing(fd, owed + dropped + lost, lost == 0);
            self.state.lock().in_flight = 0;
            self.written.notify_all();
            spare = lines;
        }
    }

    /// Waits for something to do. The buffer is reused for what comes next.
    fn take(&self, mut spare: Vec<u8>) -> Work {
        spare.clear();
        let mut state = self.state.lock();
        loop {
            let alarm = state.alarm.is_some_and(|at| at <= Instant::now());
            if alarm {
                state.alarm = None;
            }
            if alarm || !state.pending.is_empty() || state.dropped > 0 {
                let lines = std::mem::replace(&mut state.pending, spare);
                state.in_flight = lines.len();
                return Work { lines, dropped: std::mem::take(&mut state.dropped), alarm };
            }
            match state.alarm {
                None => self.work.wait(&mut state),
                Some(at) => {
                    self.work.wait_until(&mut state, at);
                }
            }
        }
    }
}

/// Writes lines. Returns how many were not written, in whole or in part.
fn write_lines(fd: BorrowedFd<'_>, lines: &[u8]) -> u64 {
    match outlet::write_all(fd, lines, None) {
        Ok(()) => 0,
        Err(incomplete) => lines[incomplete.written..].iter().filter(|byte| **byte == b'\n').count() as u64,
    }
}

/// Reports how many lines were dropped, if lines are being taken. Returns the number still to be reported.
fn tell_missing(fd: BorrowedFd<'_>, missing: u64, is_taken: bool) -> u64 {
    let told = missing == 0 || is_taken && outlet::write_all(fd, notice(missing).as_bytes(), None).is_ok();
    if told { 0 } else { missing }
}

/// The line that says how many were dropped.
fn notice(missing: u64) -> String {
    line(
        "WARN",
        &format!("{missing} lines of this log were dropped before this one: standard error was blocked"),
    )
}

/// A line of the log's own, in the form of all others.
pub fn line(level: &str, text: &str) -> String {
    let mut line = String::new();
    // Writing into a string never fails; a clock that cannot be read would only leave the time out.
    let _ = SystemTime.format_time(&mut Writer::new(&mut line));
    let _ = writeln!(line, " {level:>5} niagara: {text}");
    line
}

/// The subscriber's writers: each event is one write of a whole line.
#[derive(Clone, Debug)]
pub struct Lines(pub Arc<Sink>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl io::Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::sync::atomic::AtomicBool;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Ends a sink's writer after the test, even a failed one: the scope waits for it.
    struct Ends<'a>(&'a AtomicBool, &'a Sink);

    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
            self.1.alarm_at(Instant::now());
        }
    }

    /// A running writer that ends with the test.
    fn with_writer(writer: &io::PipeWriter, test: impl FnOnce(&Sink)) {
        let (sink, ends) = (Sink::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| sink.write_to(writer.as_fd(), || (), || !ends.load(Ordering::SeqCst)));
            let _ends = Ends(&ends, &sink);
            test(&sink);
        });
    }

    /// How many lines were dropped, if this line says so.
    fn missing(line: &str) -> Option<usize> {
        let (_, words) = line.split_once(" niagara: ")?;
        words.split_once(" lines of this log were dropped")?.0.parse().ok()
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_missing_is_told() {
        let (reader, writer) = io::pipe().unwrap();
        with_writer(&writer, |sink| {
            let line = [&[b'x'; 9_999][..], b"\n"].concat();
            let pushed = 1_000;
            (0..pushed).for_each(|_| sink.push(&line));
            let state = sink.state.lock();
            assert!(state.pending.len() + state.in_flight <= MOST_BYTES && state.dropped > 0);
            drop(state);
            sink.flush(Duration::from_millis(10));
            // Now somebody reads: the lines that were kept, and how many were dropped.
            let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
            // That is reported once, or twice if the writer began while lines were still being dropped.
            let (mut kept, mut told) = (0, 0);
            while kept + told < pushed {
                match missing(&lines.next().unwrap()) {
                    Some(lines) => told += lines,
                    None => kept += 1,
                }
            }
            assert_eq!(kept + told, pushed);
            assert!((100..pushed).contains(&kept), "{kept}");
            sink.push(b"the next one\n");
            sink.flush(LONG);
            assert_eq!(lines.next().as_deref(), Some("the next one"));
        });
    }

    #[test]
    fn the_notice_counts_every_line() {
        let (reader, writer) = io::pipe().unwrap();
        assert_eq!(tell_missing(writer.as_fd(), 0, true), 0);
        assert_eq!(tell_missing(writer.as_fd(), 7, false), 7, "not now");
        assert_eq!((write_lines(writer.as_fd(), b"a\nb\n"), tell_missing(writer.as_fd(), 7, true)), (0, 0));
        drop(writer);
        let lines: Vec<_> = BufReader::new(reader).lines().map(Result::unwrap).collect();
        assert_eq!(lines[..2], ["a", "b"]);
        assert!(lines[2].contains(" WARN niagara: 7 lines of this log were dropped"), "{lines:?}");

        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert_eq!((write_lines(writer.as_fd(), b"a\nb\n"), tell_missing(writer.as_fd(), 7, true)), (2, 7));
    }

    #[test]
    fn nobody_waits_for_a_reader_that_has_gone() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        with_writer(&writer, |sink| {
            (0..10_000).for_each(|_| sink.push(&[b'x'; 1_000]));
            sink.flush(LONG);
            assert_eq!(sink.state.lock().pending.len(), 0);
        });
    }

    #[test]
    fn last_words_find_room_where_no_line_does() {
        let sink = Sink::default();
        sink.push(&vec![b'x'; MOST_BYTES]);
        sink.push(b"a line");
        assert_eq!(sink.state.lock().dropped, 1);
        sink.push_last_words(b"panicked", LONG);
        assert!(sink.state.lock().pending.ends_with(b"panicked"));
        let locked = sink.state.lock();
        sink.push_last_words(b"never a deadlock", Duration::ZERO);
        drop(locked);
    }
}
