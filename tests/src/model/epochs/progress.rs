//! What is replicated, and how far a server has come with it.

use std::sync::Arc;

use niagara_sequencer::epoch::{Chain, Cut, Ending, Epoch, EpochEnd};
use niagara_sequencer::{GlobalPosition, Layout, Merge};

use super::entry::{Command, Kind};
use super::plan::{LANES, Plan, SERVERS, number};

/// Which command of a lane is executed next, since which start of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub start: u8,
    pub next: u8,
}

impl Row {
    pub const NEW: Row = Row { start: 0, next: 1 };
}

/// What is replicated, and how far it is: what a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Progress {
    pub chain: Arc<Chain>,
    pub ending: Ending,
    pub position: GlobalPosition,
    /// Number of commands executed.
    pub executed: usize,
    pub rows: [[Row; LANES]; SERVERS],
}

impl Progress {
    pub fn new(plan: &Plan) -> Progress {
        Progress {
            chain: Arc::new(plan.genesis()),
            ending: Ending::default(),
            position: GlobalPosition::ZERO,
            executed: 0,
            rows: [[Row::NEW; LANES]; SERVERS],
        }
    }

    /// The epoch in which the merge is.
    pub fn epoch(&self) -> usize {
        self.chain.newest().record.epoch.get() as usize - 1
    }

    pub fn layout(&self) -> Layout {
        self.chain.newest().record.layout()
    }

    /// The last cut that the merge has completed.
    pub fn cut(&self) -> Cut {
        let record = &self.chain.newest().record;
        Cut::after(record.epoch, record.layout().rounds_within(self.position), self.ending.last_round())
    }

    /// Whether the merge stands at a cut.
    pub fn is_at_cut(&self) -> bool {
        self.layout().round_end(self.cut().round) == self.position
    }

    /// Whether this server is a member of the running epoch, in a disguise or not.
    pub fn is_member(&self, server: usize) -> bool {
        let record = &self.chain.newest().record;
        [server + 1, server + 1 + SERVERS].iter().any(|id| record.is_member(*id as u64))
    }

    /// Executes a command, unless its lane has come further.
    pub fn execute(&mut self, command: Command) -> Option<Executed> {
        let Command { server, start, lane, number } = command;
        let rows = &mut self.rows[server];
        if start > rows[lane].start {
            *rows = [Row { start, next: 1 }; LANES];
        }
        let row = &mut rows[lane];
        if (start, number) != (row.start, row.next) || !self.is_member(server) {
            return None;
        }
        self.rows[server][lane].next += 1;
        self.executed += 1;
        Some(Executed { epoch: self.chain.newest().record.epoch, position: self.position, command })
    }

    /// Takes a request to end the epoch, whether it is valid or not.
    pub fn offer(&mut self, plan: &Plan, place: u64, kind: Kind) {
        let Kind::End(shape) = kind else { return };
        let next = self.epoch() + 1;
        if next < plan.epochs.len() {
            let end = EpochEnd { epoch: number(next - 1), next: plan.terms(next, shape), request: 0 };
            // One that is not valid, or not the first, is a no-op.
            let _ = self.ending.offer(&self.chain, place, &end);
        }
    }

    /// Tells the merge where the epoch ends, if that is decided.
    pub fn end_merge(&self, merge: &mut Merge<Kind>) {
        if let Some(last_round) = self.ending.last_round() {
            merge.end_after(last_round);
        }
    }

    /// The running epoch has ended: the next one begins. Rows of those that leave are dropped, those of others begin.
    pub fn transition(&mut self) {
        let were: [bool; SERVERS] = std::array::from_fn(|server| self.is_member(server));
        self.ending.transition(Arc::make_mut(&mut self.chain));
        self.position = self.layout().base();
        for (server, was_member) in were.into_iter().enumerate() {
            if !(was_member && self.is_member(server)) {
                self.rows[server] = [Row::NEW; LANES];
            }
        }
    }

    /// The planted mistake: at the beginning of an epoch, what the ended one was before its end was known.
    pub fn named_as_the_ended(&self, plan: &Plan) -> Progress {
        let mut chain = plan.genesis();
        let ended = &self.chain.links()[..self.chain.links().len() - 1];
        for link in &ended[1..] {
            let last_round =
                self.chain.last_round(Epoch::new(link.record.epoch.get() - 1)).expect("it has ended");
            chain.extend(last_round, link.record.terms.clone()).expect("it followed before");
        }
        Progress { chain: Arc::new(chain), ending: Ending::default(), ..self.clone() }
    }
}

/// A command, and where it was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Executed {
    pub epoch: Epoch,
    pub position: GlobalPosition,
    pub command: Command,
}
