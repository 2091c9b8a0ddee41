//! Calls that are followed by a read, on their way through one server.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use niagara_engine::{Applied, Client, StateMachine, Then, ThenTicket};
use niagara_kvstore::Reply;

use super::clients::{CallResult, look};
use super::recorder::Recorder;

type Found = Option<(Bytes, u64)>;

/// Calls without an outcome, by token.
#[derive(Debug, Default)]
pub struct BehindCalls {
    tickets: Vec<(u64, ThenTicket<Reply, Found>)>,
    woken: Arc<Woken>,
}

/// Whether some ticket can be looked at again.
#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl BehindCalls {
    /// Executes a command, and reads a key right after it; returns whether it was accepted.
    pub fn call(&mut self, client: &Client<Recorder>, token: u64, command: Bytes, key: String) -> bool {
        let query = move |state: &Recorder| look(&state.reader(), &key);
        let Ok(ticket) = client.propose_then_query(command, query) else { return false };
        self.tickets.push((token, ticket));
        // It is polled first, to be woken.
        self.woken.0.store(true, SeqCst);
        true
    }

    /// Whether some may have ended.
    pub fn has_news(&self) -> bool {
        self.woken.0.load(SeqCst)
    }

    /// Takes the calls that have ended, with their results.
    pub fn take_ended(&mut self) -> Vec<(u64, CallResult)> {
        if !self.woken.0.swap(false, SeqCst) {
            return Vec::new();
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut ended = Vec::new();
        self.tickets.retain_mut(|(token, ticket)| {
            let Poll::Ready(outcome) = Pin::new(ticket).poll(&mut Context::from_waker(&waker)) else {
                return true;
            };
            ended.push((
                *token,
                match outcome {
                    Ok(Then { applied: Applied { position, reply }, found }) => {
                        CallResult::AppliedThenRead(position.get(), reply, found)
                    }
                    Err(_) => CallResult::Unknown,
                },
            ));
            false
        });
        ended
    }
}
