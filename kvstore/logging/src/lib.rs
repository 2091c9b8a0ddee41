//! The logs of the servers in this process, on standard error. No thread that logs ever waits, whatever
//! happens to what is written there.
//!
//! | file | holds |
//! |---|---|
//! | `sink.rs` | the lines that wait, bounded in bytes, and the thread that writes them |
//! | `repeats.rs` | limits lines that repeat |
//! | `metrics.rs` | how many lines were dropped |
//! | `outlet.rs` | writes to a descriptor within a time limit |

mod metrics;
mod outlet;
mod repeats;
mod sink;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use metrics::register;
pub use outlet::{Incomplete, write_all};
use repeats::Repeats;
use sink::{Lines, Sink};

/// How long the end of a process waits until its last lines are read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where this process's lines go, once it has logs.
static SINK: OnceLock<Arc<Sink>> = OnceLock::new();

/// Sends all logs that pass the filter to standard error. Call it once, before servers start.
///
/// # Errors
/// If its thread cannot be started.
pub fn start(filter: EnvFilter) -> io::Result<()> {
    let sink = Arc::new(Sink::default());
    let repeats = Repeats::new(Arc::clone(&sink));
    let alarm = repeats.clone();
    sink.start_writer(move || alarm.report())?;
    let format = tracing_subscriber::fmt::layer()
        .with_writer(Lines(Arc::clone(&sink)))
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false);
    SINK.get_or_init(|| sink);
    tracing_subscriber::registry().with(filter).with(repeats).with(format).init();
    Ok(())
}

/// Waits until everything logged is written, for at most a second. Call it at the end of a process.
pub fn flush() {
    if let Some(sink) = SINK.get() {
        sink.flush(LAST_WORDS);
    }
}

/// Lines that standard error did not take, since the process started.
pub fn lines_lost() -> u64 {
    SINK.get().map_or(0, |sink| sink.lost())
}

/// Prints to standard error, after everything logged. Gives up after a second if nobody reads.
pub fn say(text: &str) {
    match SINK.get() {
        Some(sink) => {
            sink.push_last_words(text.as_bytes(), LAST_WORDS);
            sink.flush(LAST_WORDS);
        }
        // There is nowhere to report that this cannot be printed.
        None => drop(write_all(io::stderr().as_fd(), text.as_bytes(), Some(LAST_WORDS))),
    }
}

/// Ends the process on a panic in any thread (see ARCHITECTURE.md, "Threads"): a half-dead server would give
/// wrong answers. The engine's own threads do this themselves; this covers all others. It prints what
/// happened, but a reader that does not read cannot keep the process alive.
pub fn end_on_any_panic() {
    std::panic::set_hook(Box::new(|panicked| {
        let thread = std::thread::current();
        let mut text = format!("thread '{}' {panicked}\n", thread.name().unwrap_or("?"));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            text.push_str(&format!("{backtrace}\n"));
        }
        text.push_str("a server cannot continue after that, so the process exits\n");
        say(&text);
        std::process::abort();
    }));
}
