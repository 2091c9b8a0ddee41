//! Resolves `host:port` to addresses without holding up the transport's thread.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::waker::Waker;

/// Resolves names on threads of its own: a name server that does not answer may take half a minute, and the
/// transport's thread has other peers to serve. Numeric addresses, the usual case, need no thread.
#[derive(Debug)]
pub(crate) struct Resolver {
    waker: Waker,
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    outstanding: usize,
}

/// The result of resolving a peer's name.
pub(crate) struct Answer {
    /// Index of the peer, as passed to [`resolve`](Resolver::resolve).
    pub(crate) peer: usize,
    pub(crate) addresses: io::Result<Vec<SocketAddr>>,
}

impl Resolver {
    pub(crate) fn new(waker: Waker) -> Resolver {
        let (sender, answers) = mpsc::channel();
        Resolver { waker, sender, answers, outstanding: 0 }
    }

    /// Returns the answer if it is known at once. Otherwise it comes later from [`answer`](Resolver::answer),
    /// and the transport's thread is woken.
    pub(crate) fn resolve(&mut self, peer: usize, address: &str) -> Option<Answer> {
        if let Ok(address) = address.parse() {
            return Some(Answer { peer, addresses: Ok(vec![address]) });
        }
        let (name, sender, waker) = (address.to_owned(), self.sender.clone(), self.waker.clone());
        let look_up = move || {
            let addresses = name.to_socket_addrs().map(Vec::from_iter);
            // If sending fails, the transport has been dropped.
            if sender.send(Answer { peer, addresses }).is_ok() {
                waker.wake();
            }
        };
        match thread::Builder::new().name("niagara-resolve".to_owned()).spawn(look_up) {
            Ok(_) => {
                self.outstanding += 1;
                None
            }
            Err(error) => Some(Answer { peer, addresses: Err(error) }),
        }
    }

    /// The next answer that has arrived. Checks no queue while nothing is outstanding.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        if self.outstanding == 0 {
            return None;
        }
        let answer = self.answers.try_recv().ok()?;
        self.outstanding -= 1;
        Some(answer)
    }
}
