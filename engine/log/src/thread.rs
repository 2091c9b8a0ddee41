//! Starts and ends the engine's threads.

use std::thread::{self, JoinHandle};

/// Starts a thread of the engine. A panic in it ends the process: a server whose group, sequencer or
/// application has died must not keep answering as if it were whole.
pub fn spawn<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name).spawn(move || {
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
