//! A handle to a running engine.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use bytes::Bytes;
use niagara_sequencer::GlobalPosition;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::shared::Shared;
use super::ticket::{ReadCell, ReadTicket, Ticket};
use crate::lane::Look;
use crate::metrics::MetricsCollector;
use crate::outcome::{Consistency, Refused};
use crate::read_gate::ReadSink;
use crate::reads::Reads;
use crate::role::ServerRole;
use crate::state_machine::StateMachine;
use crate::status::Status;

/// A handle to a running [`Engine`](crate::Engine). Clone it, and use it on any thread.
///
/// See [`Engine`](crate::Engine) for an example.
pub struct Client<S: StateMachine> {
    pub(super) shared: Arc<Shared<S>>,
    /// How long callers wait for an outcome.
    pub(super) deadline: Duration,
    /// Index of the lane that the last command went to.
    last_lane: AtomicUsize,
}

/// So long that nobody waits for it, and so short that no clock overflows.
const LONGEST_DEADLINE: Duration = Duration::from_secs(365 * 24 * 3600);

impl<S: StateMachine> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.shared.server)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl<S: StateMachine> Clone for Client<S> {
    fn clone(&self) -> Self {
        self.with_deadline(self.deadline)
    }
}

impl<S: StateMachine> Client<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        Client { deadline: shared.deadline, shared, last_lane: AtomicUsize::new(0) }
    }

    /// A handle whose commands and reads have this long, instead of
    /// [`Config::deadline`](crate::Config::deadline), and a year at most. Deadlines are checked at each tick;
    /// a command that shares a batch with others may have a tick more.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let engine = niagara_engine::internals::example::engine();
    /// let hasty = engine.client().with_deadline(Duration::from_millis(200));
    /// match hasty.propose("count".into())?.wait() {
    ///     Ok(applied) => println!("executed at position {}", applied.position),
    ///     Err(unknown) => println!("{unknown}"),
    /// }
    /// # engine.stop();
    /// # Ok::<(), niagara_engine::Refused>(())
    /// ```
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Client<S> {
        let last_lane = AtomicUsize::new(self.last_lane.load(Relaxed));
        Client { shared: Arc::clone(&self.shared), deadline: deadline.min(LONGEST_DEADLINE), last_lane }
    }

    /// Proposes a command. The ticket resolves to its outcome when that is known, or when the configured
    /// deadline has passed.
    ///
    /// Commands of one thread may be executed in another order than they were proposed, unless the thread
    /// waits for each. A [`Port`](crate::Port) preserves an order, and
    /// [`propose_then_query`](Self::propose_then_query) reads right after a command.
    pub fn propose(&self, command: Bytes) -> Result<Ticket<S::Reply>, Refused> {
        self.submit(command, None)
    }

    pub(super) fn submit(
        &self,
        command: Bytes,
        look: Option<Box<dyn Look>>,
    ) -> Result<Ticket<S::Reply>, Refused> {
        let last_lane = self.last_lane.load(Relaxed);
        let (ticket, lane) = self.shared.submit_one(last_lane, command, look, self.deadline)?;
        self.last_lane.store(lane, Relaxed);
        Ok(Ticket(ticket))
    }

    /// Starts a read. The ticket resolves to the state machine's reader when the state is fresh enough.
    pub fn read(&self, consistency: Consistency) -> ReadTicket<S::Reader> {
        let cell = Arc::new(ReadCell::new());
        let sink: Arc<dyn ReadSink> = Arc::<ReadCell>::clone(&cell);
        if self.shared.read(consistency, sink, vec![0], self.deadline) {
            cell.put(Ok(()));
        }
        ReadTicket { cell, reader: self.shared.reader.clone() }
    }

    /// The state machine's reader, without waiting: a weak read.
    pub fn reader(&self) -> S::Reader {
        self.shared.reader.clone()
    }

    /// The last position that this server has executed.
    pub fn applied(&self) -> GlobalPosition {
        GlobalPosition::new(self.shared.progress.applied.load(SeqCst))
    }

    /// This server's current status.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// How this cluster makes sure that strong reads are fresh.
    pub fn reads(&self) -> Reads {
        self.shared.mode
    }

    /// Whether this server knows a leader of every group, or is connected to a member if it is a follower; and does not
    /// stop.
    pub fn has_quorum(&self) -> bool {
        !self.shared.progress.is_stopping.load(SeqCst) && self.shared.progress.is_in_touch()
    }

    /// Whether this server is a member of the cluster, or follows it.
    pub fn role(&self) -> ServerRole {
        if self.shared.progress.follows.is_some() { ServerRole::Follower } else { ServerRole::Member }
    }

    /// The other servers that this one is connected to at the moment, in order. A process that ends is missing at
    /// once, a machine that vanishes or is cut off within a few seconds.
    ///
    /// ```
    /// # let engine = niagara_engine::internals::example::engine();
    /// assert!(engine.client().connected().is_empty(), "it is alone");
    /// # engine.stop();
    /// ```
    pub fn connected(&self) -> Vec<u64> {
        self.shared.progress.connected.peers()
    }

    /// Whether this server knows that it has diverged from others. Then it refuses
    /// commands, and strong and at-least reads fail. [`Status::diverged`] says why.
    pub fn is_diverged(&self) -> bool {
        self.shared.progress.divergence.is_diverged()
    }

    /// Appends all metrics in Prometheus's text format, with the prefix `niagara_`. If your program has a
    /// registry of its own, use [`metrics`](Self::metrics).
    pub fn encode_metrics(&self, out: &mut String) {
        encode(out, &self.shared.registry.lock()).expect("writing to a string does not fail");
    }

    /// Registers metrics of the embedding program, for [`encode_metrics`](Self::encode_metrics).
    pub fn register_metrics(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.shared.registry.lock());
    }

    /// The engine's metrics for your program's own registry, with these labels (name and value) on each. See
    /// [`MetricsCollector`] for an example.
    ///
    /// # Panics
    ///
    /// If a label's name has other characters than letters, digits and underscores, begins with a digit, or
    /// is `group`, which each group's metrics have.
    pub fn metrics(&self, labels: &[(&str, &str)]) -> MetricsCollector {
        MetricsCollector::new(Arc::clone(&self.shared.metrics), labels)
    }
}
