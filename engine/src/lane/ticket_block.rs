//! Tickets of commands that were proposed one after the other. They share an allocation and a lock, so that
//! their outcomes cost about as little as those of a port.

use std::sync::Arc;
use std::task::{Poll, Waker};

use super::deliveries::Sink;
use crate::outcome::{Applied, Completion, Unknown};
use crate::promise::{Kept, Promise, block_on};
use crate::sync::Mutex;

/// Number of tickets in a block: enough that what a block costs is small for each, and so few that a ticket
/// that is kept for long keeps little memory.
pub(crate) const TICKETS_IN_A_BLOCK: usize = 64;

type TicketOutcome<R> = Result<Applied<R>, Unknown>;

/// Promises of up to [`TICKETS_IN_A_BLOCK`] outcomes. A command's token is its promise's index.
pub(crate) struct TicketBlock<R> {
    promises: Mutex<[Promise<TicketOutcome<R>>; TICKETS_IN_A_BLOCK]>,
}

impl<R> TicketBlock<R> {
    pub fn new() -> Self {
        TicketBlock { promises: Mutex::new(std::array::from_fn(|_| Promise::pending())) }
    }
}

/// One promise of a block.
pub(crate) struct TicketPart<R> {
    block: Arc<TicketBlock<R>>,
    at: usize,
    is_taken: bool,
}

impl<R> TicketPart<R> {
    pub fn new(block: Arc<TicketBlock<R>>, at: usize) -> Self {
        TicketPart { block, at, is_taken: false }
    }

    pub fn poll(&mut self, waker: &Waker) -> Poll<TicketOutcome<R>> {
        let waker = waker.clone();
        let (outcome, before) = self.block.promises.lock()[self.at].poll(waker);
        drop(before);
        self.is_taken = outcome.is_ready();
        outcome
    }

    pub fn wait(mut self) -> TicketOutcome<R> {
        block_on(|waker| self.poll(waker)).unwrap_or(Err(Unknown::SelfWait))
    }
}

impl<R> Drop for TicketPart<R> {
    fn drop(&mut self) {
        if !self.is_taken {
            let left = self.block.promises.lock()[self.at].abandon();
            drop(left);
        }
    }
}

impl<R: Send> Sink<R> for TicketBlock<R> {
    fn deliver(&self, completions: &mut Vec<Completion<R>>) {
        let (mut wakers, mut unwanted) = (Vec::new(), Vec::new());
        let mut promises = self.promises.lock();
        for completion in completions.drain(..) {
            let (token, outcome) = match completion {
                Completion::Applied { token, position, reply } => (token, Ok(Applied { position, reply })),
                Completion::Unknown { token, unknown } => (token, Err(unknown)),
                Completion::Refused { .. }
                | Completion::Readable { .. }
                | Completion::ReadFailed { .. }
                | Completion::Answered { .. }
                | Completion::Detached { .. } => unreachable!("a lane applies commands or gives them up"),
            };
            match promises[token as usize].keep(outcome) {
                Kept::Quietly => {}
                Kept::Wake(waker) => wakers.push(waker),
                Kept::Drop(outcome) => unwanted.push(outcome),
            }
        }
        drop(promises);
        drop(unwanted);
        wakers.into_iter().for_each(Waker::wake);
    }
}
