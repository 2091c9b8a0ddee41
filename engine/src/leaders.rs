//! Who leads which group, as a server reports it.

use serde::{Deserialize, Serialize};

/// Who leads each group, as one server knows it.
///
/// ```
/// # let engine = niagara_engine::internals::example::engine();
/// let leaders = engine.client().leaders();
/// for group in leaders.led_here() {
///     println!("server {} leads group {} in term {}", leaders.server, group.group, group.term);
/// }
/// # engine.stop();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leaders {
    /// Id of the server that reports this.
    pub server: u64,
    /// Whether it hands over all that it leads, and claims nothing.
    pub draining: bool,
    /// Whether it does so because it is about to stop.
    pub retiring: bool,
    /// Each group, in order.
    pub groups: Vec<GroupLeader>,
}

/// Who leads a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupLeader {
    /// Number of the group, from 1.
    pub group: u16,
    /// Its leader; 0 for none.
    pub leader: u64,
    /// The server that should lead it, and claims it when it can.
    pub wanted: u64,
    /// Raft term.
    pub term: u64,
    /// The server that leadership is being handed over to; 0 for none. Only the leader knows.
    pub moving_to: u64,
    /// Whether the reporting server should lead the group but leaves it to others, since it was asked to.
    pub left: bool,
    /// The other servers. Only the leader knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub followers: Vec<FollowerStanding>,
}

/// Another server of a group, as the group's leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FollowerStanding {
    /// Its id.
    pub server: u64,
    /// Entries of the leader's log that it has not acknowledged.
    pub behind: u64,
    /// Why it cannot take over now, and what helps; `None` if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
}

impl Leaders {
    /// The groups that the reporting server leads.
    pub fn led_here(&self) -> impl Iterator<Item = &GroupLeader> {
        self.groups.iter().filter(|group| group.leader == self.server)
    }
}
