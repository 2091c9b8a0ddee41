//! Messages for a thread that polls sockets, from other threads of its server.

use niagara_net::Waker;

use crate::planted::{self, Bug};
use crate::sync::{AtomicBool, Mutex, OnceLock, Ordering::SeqCst};

/// Accepts messages without waiting for the reading thread, and wakes it if it sleeps.
pub(crate) struct Mailbox<M> {
    mail: Mutex<Vec<M>>,
    has_mail: AtomicBool,
    waker: OnceLock<Waker>,
}

impl<M> Default for Mailbox<M> {
    fn default() -> Self {
        Mailbox { mail: Mutex::default(), has_mail: AtomicBool::new(false), waker: OnceLock::new() }
    }
}

impl<M> Mailbox<M> {
    /// Sets the waker of the thread, once, before any thread runs.
    pub fn set_waker(&self, waker: Waker) {
        assert!(self.waker.set(waker).is_ok(), "a group has one thread");
    }

    /// Wakes the thread if it sleeps.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Adds a message, and wakes the thread if it sleeps.
    pub fn send(&self, mail: M) {
        if planted::is(Bug::MailSaidBeforeSent) {
            self.has_mail.store(true, SeqCst);
        }
        self.mail.lock().push(mail);
        if !planted::is(Bug::MailSaidBeforeSent) {
            self.has_mail.store(true, SeqCst);
        }
        self.wake();
    }

    /// Whether there may be messages.
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(SeqCst)
    }

    /// Moves all messages to `into`.
    pub fn take(&self, into: &mut Vec<M>) {
        if self.has_mail.swap(false, SeqCst) {
            into.append(&mut self.mail.lock());
        }
    }
}
