use std::collections::BTreeMap;

use super::{Broken, hold};

/// A leader that has not heard from a quorum for two election timeouts steps down (Raft thesis, section 6.2).
/// And a leader never hands over to a server whose log ends far below what is committed, since commands would
/// wait meanwhile.
#[derive(Debug, Default)]
pub struct LeadsAQuorum {
    /// Since when a leader has been without a quorum, in microseconds, by server and group.
    alone: BTreeMap<(u64, usize), u64>,
}

impl LeadsAQuorum {
    /// A replica has had a tick, and can or cannot reach a quorum. Times are in microseconds: now, and when
    /// its server last resumed after a pause.
    pub fn ticked(
        &mut self,
        (server, group): (u64, usize),
        (now, resumed): (u64, u64),
        is_alone: bool,
        bound: u64,
    ) -> Result<(), Broken> {
        if !is_alone {
            self.alone.remove(&(server, group));
            return Ok(());
        }
        let since = self.alone.entry((server, group)).or_insert(now);
        *since = resumed.max(*since);
        let since = *since;
        hold(now - since <= bound, "leads_a_quorum", || {
            let alone = (now - since) / 1000;
            format!("server {server} leads group {} and has been without a quorum for {alone} ms", group + 1)
        })
    }

    /// A server has started.
    pub fn restarted(&mut self, server: u64) {
        self.alone.retain(|(other, _), _| *other != server);
    }
}

/// A leader starts to hand over to a server whose log ends at entry `last`. It knew `commit` to be committed
/// before the turn in which it starts, and may have learned of more in the same turn.
pub fn check_transferee(
    (server, group): (u64, usize),
    transferee: u64,
    (last, commit): (u64, u64),
    window: u64,
) -> Result<(), Broken> {
    hold(last + window >= commit, "leads_a_quorum", || {
        format!(
            "server {server} hands group {} over to server {transferee}, whose log ends at entry {last} where {commit} is committed",
            group + 1
        )
    })
}
