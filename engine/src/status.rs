//! What a server reports about itself.

use std::fmt;

use niagara_log::Durability;
use serde::{Deserialize, Serialize};

use crate::reads::Reads;
use crate::role::ServerRole;

/// A server's state at one moment. Counts start at the first position of the global log, not at the start of
/// the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// Id of this server.
    pub server: u64,
    /// Id of the cluster, in hexadecimal.
    pub cluster: String,
    /// Whether it is a member of the cluster, or follows it.
    #[serde(default, skip_serializing_if = "ServerRole::is_member")]
    pub role: ServerRole,
    /// Whom it follows, if it is a follower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<FollowedStatus>,
    /// Ids of the followers that are connected to it and may receive the log from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub followers: Vec<u64>,
    /// Number of the epoch that the global log is in; 0 if the server runs an older version.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epoch: u32,
    /// Numbers of the other epochs whose groups are open here: those that are over and not closed yet, and one that has yet to
    /// begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_epochs: Vec<u32>,
    /// The level that the global log is at; 0 if the server runs an older version.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub level: u32,
    /// The highest level that the server knows; likewise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub known_level: u32,
    /// Number of groups of that epoch, R.
    pub groups: u16,
    /// Number of threads that drive them; 0 if the server runs an older version.
    #[serde(default)]
    pub group_threads: u16,
    /// What a write survives.
    pub durability: Durability,
    /// How logs make writes durable, as words for an operator: `direct`, `fdatasync` and the reason, or `none`.
    /// Empty if the server runs an older version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log_sync: String,
    /// How strong reads are made sure to be fresh.
    #[serde(default)]
    pub reads: Reads,
    /// Last global position that the state machine has executed.
    pub applied: u64,
    /// Number of commands executed.
    pub commands: u64,
    /// Number of commands in the log that were not executed, since an earlier copy had been (a retry).
    pub duplicates: u64,
    /// Number of positions that no-ops filled.
    pub noops: u64,
    /// What is wrong with this server, and what to do about it; empty while all is well.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// How much waits on this server, and what it refuses because of that.
    #[serde(default)]
    pub waiting: Waiting,
    /// State of this server's snapshots.
    pub snapshot: SnapshotStatus,
    /// Ids of all members of the cluster, as this one knows them; empty if it runs an older version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voters: Vec<u64>,
    /// Why this server knows that it has diverged from others. It then refuses commands,
    /// answers no strong reads and is not ready. `None` while all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged: Option<String>,
    /// Digests of the global log and of the state at multiples of powers of two, by rising position, so that
    /// two servers can be compared at positions that both have passed.
    pub digests: Vec<Digest>,
    /// Number of the group whose slot the merge awaits, from 1.
    pub awaited_group: u16,
    /// This server's replica of each group of the epoch that the global log is in.
    pub local: Vec<GroupStatus>,
}

/// What a field is that an older version does not have.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Whom a follower follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FollowedStatus {
    /// The member that it receives the log from at the moment; 0 if it is connected to none.
    pub member: u64,
    /// The latest position that a member is known to have executed. The follower is behind by the positions from `applied`
    /// to here, and by what it has not heard of.
    pub position: u64,
}

/// Digests of log and state up to a position, inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The last position that they cover.
    pub position: u64,
    /// Digest of the global log, in 16 hexadecimal digits.
    pub value: String,
    /// Digest of the resulting state, in 16 hexadecimal digits; `None` if the state machine gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// A server's replica of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Number of the group, from 1.
    pub group: u16,
    /// Its role in the group.
    pub role: Role,
    /// Leader that this replica knows of; 0 for none.
    pub leader: u64,
    /// Raft term of this replica.
    pub term: u64,
    /// Raft index of the first entry that the local log keeps; 0 from a server that does not say. A server whose own log ends
    /// before it needs a snapshot.
    #[serde(default)]
    pub first: u64,
    /// Raft index of the last entry in the local log.
    pub last: u64,
    /// Raft index of the last entry known to be committed.
    pub commit: u64,
    /// Raft index of the last entry that the merge has pulled.
    pub handed: u64,
    /// The lease of a leader in a cluster that has leases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseStatus>,
}

/// Whether a leader may answer strong reads by its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeaseStatus {
    /// It holds its lease (`held`).
    Held,
    /// It has not heard from a quorum lately, or has not committed in its term yet (`none`).
    None,
    /// It has given its lease up for the rest of its term, since it handed, or meant to hand, leadership over
    /// (`given-up`).
    GivenUp,
}

/// What a replica does in its group at the moment. Documents and tables have the words in parentheses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It follows a leader, or waits for one (`follower`).
    #[default]
    Follower,
    /// It asks whether it could win an election (`pre-candidate`).
    PreCandidate,
    /// It asks for votes (`candidate`).
    Candidate,
    /// It leads (`leader`).
    Leader,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Follower => "follower",
            Role::PreCandidate => "pre-candidate",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
        })
    }
}

/// How much waits on a server behind something slow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Waiting {
    /// Bytes of entries of all groups that wait for the disk.
    pub unsynced_bytes: u64,
    /// Bytes of entries that are merged and wait for execution.
    pub executing_bytes: u64,
    /// Bytes of entries in all logs that are not merged.
    pub behind_bytes: u64,
    /// Whether that is so much that only the awaited group's entries are accepted.
    pub behind: bool,
    /// Bytes free on the disk; 0 if unknown.
    pub disk_free_bytes: u64,
    /// Whether commands are refused for lack of room on the disk.
    pub read_only: bool,
}

/// State of a server's snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SnapshotStatus {
    /// Position of the newest durable snapshot, the end of a round; 0 if there is none.
    pub position: u64,
    /// When it was started, in milliseconds since 1970, by the clock of the server that wrote it.
    pub created_ms: u64,
    /// Length of its file, in bytes.
    pub bytes: u64,
    /// Length of all snapshots that are kept, in bytes.
    pub disk_bytes: u64,
    /// Number of snapshots requested since the server's start. A failed one is requested again automatically.
    #[serde(default)]
    pub asked: u64,
    /// How many of these requests are met: the snapshot at `position` includes what had been executed when
    /// they were made.
    #[serde(default)]
    pub met: u64,
    /// Whether a snapshot has been requested and not started.
    pub wanted: bool,
    /// Whether a snapshot is being written.
    pub writing: bool,
    /// Bytes of it written so far.
    pub written_bytes: u64,
    /// Server from which a snapshot is being received; 0 for none.
    pub receiving_from: u64,
    /// Bytes of it received so far.
    pub received_bytes: u64,
    /// Length of its file, in bytes; 0 if unknown.
    pub expected_bytes: u64,
    /// Snapshots that this server has written since its start.
    pub taken: u64,
    /// Snapshots that could not be written or received since its start.
    pub failures: u64,
    /// Why the last attempt failed; `None` if one has been written since.
    pub last_error: Option<String>,
}
