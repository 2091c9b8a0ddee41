//! A handle on a running engine.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use niagara_sequencer::GlobalPosition;
use prometheus_client::registry::Registry;

use super::shared::Shared;
use super::ticket::{ReadCell, ReadTicket, Ticket, TicketCell};
use crate::lane::Sink;
use crate::outcome::{Consistency, Refused};
use crate::read_gate::ReadSink;
use crate::state_machine::StateMachine;
use crate::status::Status;

/// A handle on a running [`Engine`](crate::Engine), for any thread.
///
/// See [`Engine`](crate::Engine) for an example.
pub struct Client<S: StateMachine> {
    pub(super) shared: Arc<Shared<S>>,
}

impl<S: StateMachine> Clone for Client<S> {
    fn clone(&self) -> Self {
        Client { shared: Arc::clone(&self.shared) }
    }
}

impl<S: StateMachine> Client<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        Client { shared }
    }

    /// Proposes a command. Its ticket tells the outcome, at the latest when the configured deadline has passed.
    ///
    /// Commands of one thread may be executed in another order than they were proposed, unless it waits for each;
    /// a [`Port`] keeps an order.
    pub fn propose(&self, command: Bytes) -> Result<Ticket<S::Reply>, Refused> {
        let cell = Arc::new(TicketCell::new());
        let sink: Arc<dyn Sink<S::Reply>> = Arc::<TicketCell<S::Reply>>::clone(&cell);
        let lane = self.shared.choose_lane();
        self.shared.submit_one(lane, command, &sink)?;
        Ok(Ticket(cell))
    }

    /// Begins a read. Its ticket hands out the state machine's reader when the state is fresh enough.
    pub fn read(&self, consistency: Consistency) -> ReadTicket<S::Reader> {
        let cell = Arc::new(ReadCell::new());
        let sink: Arc<dyn ReadSink> = Arc::<ReadCell>::clone(&cell);
        if self.shared.read(consistency, sink, vec![0]) {
            cell.put(Ok(()));
        }
        ReadTicket { cell, reader: self.shared.reader.clone() }
    }

    /// The state machine's reader, as it is: for weak reads.
    pub fn reader(&self) -> S::Reader {
        self.shared.reader.clone()
    }

    /// The last position that this server has executed.
    pub fn applied(&self) -> GlobalPosition {
        GlobalPosition::new(self.shared.progress.applied.load(SeqCst))
    }

    /// What this server says about itself.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Asks for a snapshot of this server's state as soon as can be, whatever has been written since the last one. It is made
    /// beside everything else: [`Status::snapshot`] says how it stands. If nothing has changed since the last one, there is
    /// nothing to do.
    pub fn snapshot(&self) {
        self.shared.snapshot();
    }

    /// Whether every group has a leader that this server knows of.
    pub fn has_quorum(&self) -> bool {
        self.shared.progress.groups.iter().all(|group| group.leader.load(SeqCst) != 0)
    }

    /// Whether this server knows that it and others have executed different things: then it answers no strong or at-least read
    /// and takes no command. [`Status::diverged`] says why.
    pub fn is_diverged(&self) -> bool {
        self.shared.progress.divergence.is_diverged()
    }

    /// Appends all metrics in Prometheus' text format.
    pub fn encode_metrics(&self, out: &mut String) {
        self.shared.metrics.encode(out).expect("writing to a string does not fail");
    }

    /// Adds metrics of the embedding program's own.
    pub fn register_metrics(&self, with: impl FnOnce(&mut Registry)) {
        self.shared.metrics.register(with);
    }
}
