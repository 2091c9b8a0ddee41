use std::collections::BTreeMap;

use niagara_engine::internals::sim::Standing;

use super::{Broken, hold};

/// At most one leader can be elected in a term of a group (Raft, figure 3). A replica's term never falls, and
/// it never forgets its vote, not even over a restart: its promises bind it.
#[derive(Debug, Default)]
pub struct ElectionSafety {
    leaders: BTreeMap<(usize, u64), u64>,
    /// Term and vote that each replica has made durable.
    promises: BTreeMap<(u64, usize), (u64, u64)>,
}

impl ElectionSafety {
    /// Takes a replica's standing; returns `true` if it has just become the leader.
    pub fn observe(&mut self, server: u64, group: usize, standing: &Standing) -> Result<bool, Broken> {
        let Standing { term, leads, .. } = *standing;
        if !leads {
            return Ok(false);
        }
        let before = self.leaders.insert((group, term), server);
        hold(before.is_none_or(|before| before == server), "election_safety", || {
            let before = before.unwrap_or_default();
            format!("servers {before} and {server} both lead group {} in term {term}", group + 1)
        })?;
        Ok(before.is_none())
    }

    /// A replica has made its term and vote durable, and may act upon them.
    pub fn promised(&mut self, server: u64, group: usize, standing: &Standing) {
        self.promises.insert((server, group), (standing.term, standing.vote));
    }

    /// A replica has started from its disk.
    pub fn started(&mut self, server: u64, group: usize, standing: &Standing) -> Result<(), Broken> {
        let (term, vote) = self.promises.get(&(server, group)).copied().unwrap_or_default();
        // A write that was not reported as durable may have become so.
        let kept = standing.term > term || standing.term == term && (vote == 0 || standing.vote == vote);
        hold(kept, "election_safety", || {
            format!(
                "server {server} voted for {vote} in term {term} of group {}, and starts with {standing:?}",
                group + 1
            )
        })
    }
}
