//! The epoch that a server is in, and its members, as a server reports them; and how members change.

use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::{Contact, Epoch, Record, Terms};
use serde::{Deserialize, Serialize};

/// The epoch that a server's global log is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochView {
    /// Its number, from 1.
    #[serde(rename = "epoch")]
    pub number: u32,
    /// The level.
    #[serde(default = "first_level")]
    pub level: u32,
    /// Number of groups.
    pub groups: u16,
    /// Ids of the servers that have its groups.
    pub members: Vec<u64>,
    /// Ids of the servers that were members before. They must not be used again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<u64>,
    /// The epoch since which there are these members, with these addresses.
    #[serde(default)]
    pub members_since: u32,
    /// Where they are.
    #[serde(default)]
    pub contacts: Vec<MemberView>,
    /// Why the latest request for other members that was [started](crate::Client::start_to_change_members) at this server had no
    /// effect; `None` if it had, or is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The level of a cluster, and those that its servers know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LevelView {
    /// Id of the server that reports it.
    pub server: u64,
    /// Number of the epoch, from 1: each change of the level begins another one.
    pub epoch: u32,
    /// The level that is in force.
    pub level: u32,
    /// The highest one that all members know; `None` while some member is not connected.
    pub known_by_all: Option<u32>,
    /// The members, by their ids.
    pub members: Vec<MemberLevel>,
}

/// Which levels a member knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberLevel {
    /// Its id.
    pub server: u64,
    /// The highest level that it knows; `None` if it is not connected.
    pub known: Option<u32>,
}

/// A member, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Its id.
    pub server: u64,
    /// `host:port` for its groups, which take turns if there are more of them.
    pub addresses: Vec<String>,
    /// `host:port` for snapshots.
    pub transfer: String,
    /// Its share of the leaderships, compared with those of the others: 100 if nothing else is said, 0 for none.
    #[serde(default = "default_weight")]
    pub weight: u16,
    /// What the application says of it, such as the addresses for its clients.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// That of a server that says nothing of levels.
fn first_level() -> u32 {
    1
}

fn default_weight() -> u16 {
    Contact::DEFAULT_WEIGHT
}

/// Servers that leave and come together, at one position of the global log.
///
/// ```
/// use niagara_engine::{MemberView, MembersChange};
///
/// // Server 4 replaces server 2, whose disk is gone.
/// let four = MemberView {
///     server: 4,
///     addresses: vec!["10.0.0.4:7301".into()],
///     transfer: "10.0.0.4:7300".into(),
///     weight: 100,
///     ..MemberView::default()
/// };
/// let change = MembersChange { leave: vec![2], come: vec![four] };
/// # assert_eq!(change.leave.len(), change.come.len());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembersChange {
    /// Ids of those that leave. They must never come back: what they know is out of date.
    #[serde(default)]
    pub leave: Vec<u64>,
    /// Those that come, under ids that were never used; and members whose addresses, weight or note change.
    #[serde(default)]
    pub come: Vec<MemberView>,
}

impl From<&Contact> for MemberView {
    fn from(contact: &Contact) -> MemberView {
        let Contact { server, addresses, transfer, weight, note } = contact.clone();
        MemberView { server, addresses, transfer, weight, note }
    }
}

impl From<MemberView> for Contact {
    fn from(member: MemberView) -> Contact {
        let MemberView { server, addresses, transfer, weight, note } = member;
        Contact { server, addresses, transfer, weight, note }
    }
}

impl EpochView {
    /// The record of the epoch since which there are these members, as far as a server that joins has to know it.
    pub(crate) fn joined(&self) -> Record {
        let terms = Terms {
            groups: self.groups,
            members: self.members.clone(),
            contacts: self.contacts.iter().cloned().map(Contact::from).collect(),
            level: self.level,
        };
        let epoch = Epoch::new(self.members_since.max(1));
        Record { epoch, base: GlobalPosition::ZERO, lanes: self.groups, terms }
    }
}
