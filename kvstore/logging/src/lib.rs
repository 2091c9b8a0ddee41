//! The logs of the servers in this process, on standard error: nobody who logs ever waits, whatever becomes of what is written there.
//!
//! | file | holds |
//! |---|---|
//! | `sink.rs` | the lines that wait, bounded in bytes, and the thread that writes them |
//! | `repeats.rs` | lines that repeat themselves are told in moderation |
//! | `metrics.rs` | how many lines are missing |
//! | `outlet.rs` | writes to a descriptor, for a limited time |

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

/// How long the end of a process waits for its last lines to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where the lines of this process go, once it has logs.
static SINK: OnceLock<Arc<Sink>> = OnceLock::new();

/// Sends all logs that pass the filter to standard error. To be called once, before servers are started.
///
/// # Errors
/// When no thread can be started for it.
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

/// Waits until what has been logged is written, for a second at most. To be called at the end of a process.
pub fn flush() {
    if let Some(sink) = SINK.get() {
        sink.flush(LAST_WORDS);
    }
}

/// Lines that standard error did not take, since the start of the process.
pub fn lines_lost() -> u64 {
    SINK.get().map_or(0, |sink| sink.lost())
}

/// Says something on standard error, behind all that has been logged; gives up after a second if nobody takes it.
pub fn say(text: &str) {
    match SINK.get() {
        Some(sink) => {
            sink.push_last_words(text.as_bytes(), LAST_WORDS);
            sink.flush(LAST_WORDS);
        }
        // Where nothing can be said there is nobody to be told of it.
        None => drop(write_all(io::stderr().as_fd(), text.as_bytes(), Some(LAST_WORDS))),
    }
}

/// A panic in any thread ends the process (see ARCHITECTURE.md, "Threads"): a half-dead server would lie. The engine's own threads
/// see to that by themselves; this holds for all others. What happened is said, but nobody who does not read it keeps the process
/// from its end.
pub fn end_on_any_panic() {
    std::panic::set_hook(Box::new(|panicked| {
        let thread = std::thread::current();
        let mut text = format!("thread '{}' {panicked}\n", thread.name().unwrap_or("?"));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            text.push_str(&format!("{backtrace}\n"));
        }
        text.push_str("a server cannot go on after that, so the process ends\n");
        say(&text);
        std::process::abort();
    }));
}
