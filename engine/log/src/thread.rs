//! Starts and ends the engine's threads.

use std::thread::{self, JoinHandle};

/// Starts a thread of the engine. A panic in it ends the process: a server whose group, sequencer or
/// application has died must not keep answering as if it were whole.
///
/// What the thread logs is in a span with its name, within that of the caller: an engine starts its threads in
/// a span with its server's id, so that several engines in one process can be told apart. A span is entered
/// once for a thread, and costs nothing later.
pub fn spawn<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    let caller = tracing::Span::current();
    thread::Builder::new().name(name.clone()).spawn(move || {
        let _span = tracing::error_span!(parent: &caller, "thread", name).entered();
        let guard = AbortOnPanic;
        let result = body();
        std::mem::forget(guard);
        result
    })
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    /// The panic hook has already reported the panic. Nothing is printed here: standard error may be a pipe
    /// that nobody reads.
    fn drop(&mut self) {
        let name = thread::current().name().unwrap_or("?").to_owned();
        tracing::error!(thread = name, "a thread of the engine panicked: the process ends");
        std::process::abort();
    }
}
