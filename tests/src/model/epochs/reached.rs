//! What a search has come to see, so that one that finds nothing wrong is known to have looked.

use std::sync::atomic::{AtomicU32, Ordering};

use super::entry::Kind;
use super::plan::{Plan, number};
use super::state::{Server, State};

/// Something that may happen to a cluster.
type Sight = (&'static str, fn(&Plan, &State) -> bool);

const SIGHTS: [Sight; 9] = [
    ("a server comes to the last epoch", |plan, state| {
        state.servers.iter().any(|server| server.at.epoch() + 1 == plan.epochs.len())
    }),
    ("a command is executed after the first epoch", |_, state| {
        state.history.iter().any(|executed| executed.epoch > number(0))
    }),
    ("all commands are executed", |plan, state| state.history.len() == usize::from(plan.commands)),
    ("a command or an end is void", |_, state| state.servers.iter().any(|server| has_void(state, server))),
    ("an epoch is closed", |_, state| state.servers.iter().any(|server| server.marks.has_closed(number(0)))),
    ("a removed server has stopped", |_, state| state.servers.iter().any(|server| server.stopped)),
    ("a snapshot is received", |_, state| {
        state.servers.iter().flat_map(|server| &server.kept).any(|snapshot| snapshot.received)
    }),
    ("a log is compacted", |_, state| {
        state.servers.iter().flat_map(|server| &server.replicas).flatten().any(|replica| replica.gone > 0)
    }),
    ("all reads are answered, and a server has crashed", |plan, state| {
        let answered = state.left.reads == 0 && state.servers.iter().all(|server| server.reads.is_empty());
        answered && state.left.crashes < plan.crashes
    }),
];

/// Which of these have been seen: a bit for each.
#[derive(Debug, Default)]
pub(super) struct Reached(AtomicU32);

impl Reached {
    pub fn look(&self, plan: &Plan, state: &State) {
        let seen = self.0.load(Ordering::Relaxed);
        let unseen = (0..SIGHTS.len()).filter(|sight| seen >> sight & 1 == 0);
        for sight in unseen.filter(|sight| (SIGHTS[*sight].1)(plan, state)) {
            self.0.fetch_or(1 << sight, Ordering::Relaxed);
        }
    }

    /// What has not been seen.
    pub fn missing(&self) -> Vec<&'static str> {
        let seen = self.0.load(Ordering::Relaxed);
        (0..SIGHTS.len()).filter(|sight| seen >> sight & 1 == 0).map(|sight| SIGHTS[sight].0).collect()
    }
}

/// Whether a server has merged beyond the end of an epoch whose logs hold more than skips behind it.
fn has_void(state: &State, server: &Server) -> bool {
    (0..server.at.epoch()).any(|epoch| {
        let last_round = server.at.chain.last_round(number(epoch));
        let mut entries = state.groups[epoch].iter().flat_map(|group| &group.log);
        entries.any(|entry| entry.kind != Kind::Skip && Some(entry.place) > last_round)
    })
}
