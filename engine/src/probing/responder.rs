//! The end that answers, of a server that does not run yet.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};

use niagara_net::{Responder, Waker};

use super::link_config;
use crate::config::{Config, FIRST_LEVEL};

/// Answers members that look for a server which waits to become one of them, at its [listeners](Config::listeners), until it
/// is dropped. A start then takes the listeners.
///
/// ```
/// use niagara_engine::{Config, ProbeResponder};
///
/// let config = Config::local(1, 1)?.remove(0);
/// let responder = ProbeResponder::start(&config)?;
/// // Wait until this server is a member.
/// drop(responder);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ProbeResponder {
    is_over: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl ProbeResponder {
    /// Starts a thread that answers.
    ///
    /// # Errors
    /// If the system refuses a thread or a file descriptor.
    pub fn start(config: &Config) -> io::Result<ProbeResponder> {
        let listeners = config.listeners.duplicates()?;
        let mut responder =
            Responder::new(&link_config(config, FIRST_LEVEL), listeners).map_err(io::Error::other)?;
        let (waker, is_over) = (responder.waker(), Arc::<AtomicBool>::default());
        let over = Arc::clone(&is_over);
        let answer = move || {
            if let Err(error) = responder.run(&over) {
                tracing::warn!(%error, "this server does not answer members that look for it");
            }
        };
        let thread = thread::Builder::new().name("probes".into()).spawn(answer)?;
        Ok(ProbeResponder { is_over, waker, thread: Some(thread) })
    }
}

impl Drop for ProbeResponder {
    fn drop(&mut self) {
        self.is_over.store(true, SeqCst);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread does not panic");
        }
    }
}
