use std::collections::BTreeMap;

use super::{Broken, hold};

/// A leader that has not heard from a quorum for two election timeouts steps down (Raft thesis, section 6.2);
/// for three, if it hands over meanwhile: that gives the other server an election timeout, and only then does raft-rs look whether
/// there is a quorum. It cannot hand over again, since nobody counts as active any more.
///
/// raft-rs looks once an election timeout who has been heard from since the last look, whether or not at the same time. So a
/// server counts as reached for that long, and one that answers counts, even if it is out of reach again at the next tick: a
/// server that ends a pause answers what has come meanwhile, and may close the group of an ended epoch a moment later.
///
/// And a leader never hands over to a server whose log ends far below what is committed, since commands would
/// wait meanwhile.
#[derive(Debug, Default)]
pub struct LeadsAQuorum {
    /// By server and group.
    leading: BTreeMap<(u64, usize), Leading>,
}

/// What is known of a leader.
#[derive(Debug, Default)]
struct Leading {
    /// When each other server was last within reach, in microseconds.
    reached: BTreeMap<u64, u64>,
    alone: Option<Alone>,
}

/// A leader that has not reached a quorum for an election timeout.
#[derive(Debug)]
struct Alone {
    /// In microseconds.
    since: u64,
    has_handed_over: bool,
}

/// A leader at a tick.
#[derive(Clone, Debug)]
pub struct Led {
    /// The other servers of its group, and whether it reaches each.
    pub peers: Vec<(u64, bool)>,
    /// It hands its leadership over.
    pub hands_over: bool,
}

/// How long a leader may be without a quorum, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// An election timeout at its clock.
    pub election: u64,
    /// How late a message may come that makes it believe it has a quorum.
    pub late: u64,
}

impl LeadsAQuorum {
    /// A replica has had a tick, and leads or does not (`None`). Times are in microseconds: now, and when its server last resumed
    /// after a pause.
    pub fn ticked(
        &mut self,
        (server, group): (u64, usize),
        (now, resumed): (u64, u64),
        led: Option<Led>,
        Patience { election, late }: Patience,
    ) -> Result<(), Broken> {
        let Some(Led { peers, hands_over }) = led else {
            self.leading.remove(&(server, group));
            return Ok(());
        };
        let Leading { reached, alone } = self.leading.entry((server, group)).or_default();
        let reaches_lately = |(peer, is_reached): &&(u64, bool)| {
            // Who leads was elected a moment ago, or has been seen before.
            let last = reached.entry(*peer).or_insert(now);
            *last = if *is_reached { now } else { resumed.max(*last) };
            now.saturating_sub(*last) <= election
        };
        let lately = peers.iter().filter(reaches_lately).count();
        if (lately + 1) * 2 > peers.len() + 1 {
            *alone = None;
            return Ok(());
        }
        let alone = alone.get_or_insert(Alone { since: now, has_handed_over: false });
        alone.has_handed_over |= hands_over;
        let most = late + if alone.has_handed_over { 2 * election } else { election };
        hold(now - alone.since <= most, "leads_a_quorum", || {
            let waited = (now - alone.since + election) / 1000;
            format!("server {server} leads group {} and has been without a quorum for {waited} ms", group + 1)
        })
    }

    /// Whether a replica leads, as of its last tick.
    pub fn leads(&self, at: (u64, usize)) -> bool {
        self.leading.contains_key(&at)
    }

    /// A leader gets an answer of another server, now in microseconds.
    pub fn answered(&mut self, at: (u64, usize), peer: u64, now: u64) {
        if let Some(Leading { reached, .. }) = self.leading.get_mut(&at) {
            reached.insert(peer, now);
        }
    }

    /// A server has started.
    pub fn restarted(&mut self, server: u64) {
        self.leading.retain(|(other, _), _| *other != server);
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
