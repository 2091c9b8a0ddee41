use std::collections::BTreeMap;

use super::{Broken, hold};

/// A leader that has not heard from a quorum for two election timeouts steps down (Raft thesis, section 6.2);
/// for three, if it hands over meanwhile: that gives the other server an election timeout, and only then does raft-rs look whether
/// there is a quorum. It cannot hand over again, since nobody counts as active any more.
/// And a leader never hands over to a server whose log ends far below what is committed, since commands would
/// wait meanwhile.
#[derive(Debug, Default)]
pub struct LeadsAQuorum {
    /// By server and group.
    alone: BTreeMap<(u64, usize), Alone>,
}

/// A leader without a quorum.
#[derive(Debug)]
struct Alone {
    /// In microseconds.
    since: u64,
    has_handed_over: bool,
}

/// How long a leader may be without a quorum, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Anyway,
    pub bound: u64,
    /// and further if it hands over.
    pub for_a_hand_over: u64,
}

impl LeadsAQuorum {
    /// A replica has had a tick, and leads without a quorum, handing over or not, or does not (`None`). Times are in
    /// microseconds: now, and when its server last resumed after a pause.
    pub fn ticked(
        &mut self,
        (server, group): (u64, usize),
        (now, resumed): (u64, u64),
        alone_and_hands_over: Option<bool>,
        Patience { bound, for_a_hand_over }: Patience,
    ) -> Result<(), Broken> {
        let Some(hands_over) = alone_and_hands_over else {
            self.alone.remove(&(server, group));
            return Ok(());
        };
        let alone = self.alone.entry((server, group)).or_insert(Alone { since: now, has_handed_over: false });
        alone.since = resumed.max(alone.since);
        alone.has_handed_over |= hands_over;
        let (waited, more) = (now - alone.since, if alone.has_handed_over { for_a_hand_over } else { 0 });
        hold(waited <= bound + more, "leads_a_quorum", || {
            let waited = waited / 1000;
            format!("server {server} leads group {} and has been without a quorum for {waited} ms", group + 1)
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
