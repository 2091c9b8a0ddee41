//! What a server says about itself.

use serde::{Deserialize, Serialize};

/// A server's state at one moment. Counts start at the first position of the global log, not at the process's start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This server's id.
    pub server: u64,
    /// The cluster's id, in hexadecimal.
    pub cluster: String,
    /// Number of groups, R.
    pub groups: u16,
    /// `fsync`, `os` or `memory`.
    pub durability: String,
    /// The last global position that the state machine has executed.
    pub applied: u64,
    /// Commands executed.
    pub commands: u64,
    /// Commands that were in the log but not executed, because an earlier copy of them had been (a retry).
    pub duplicates: u64,
    /// Positions that no-ops filled.
    pub noops: u64,
    /// What is wrong with this server, in words that say what to do; nothing while all is well.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// How much waits on this server, and what it therefore does not take.
    #[serde(default)]
    pub waiting: Waiting,
    /// This server's snapshots.
    pub snapshot: SnapshotStatus,
    /// All servers of the cluster, as this one knows them; empty if it runs an older version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voters: Vec<u64>,
    /// Why this server knows that it and others have executed different things: it answers no strong read then, takes no
    /// command and is not ready. Nothing as long as all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged: Option<String>,
    /// Digests of the global log and of the state at multiples of powers of two, oldest first, so that two servers can be
    /// compared at positions that both have passed.
    pub digests: Vec<Digest>,
    /// The group that owns the slot which the merge awaits.
    pub awaited_group: u16,
    /// This server's replica of each group.
    pub local: Vec<GroupStatus>,
}

/// The digests up to and including a position.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The position.
    pub position: u64,
    /// The digest of the global log, as 16 hexadecimal digits.
    pub value: String,
    /// That of the state behind it, likewise; nothing if the state machine gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// A server's replica of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// The group, from 1.
    pub group: u16,
    /// `leader`, `follower`, `candidate` or `pre-candidate`.
    pub role: String,
    /// The leader that this replica knows of; 0 if none.
    pub leader: u64,
    /// The Raft term.
    pub term: u64,
    /// Raft index of the last entry in the local log.
    pub last: u64,
    /// Raft index of the last entry known to be committed.
    pub commit: u64,
    /// Raft index of the last entry that the merge has taken.
    pub handed: u64,
}

/// How much waits on a server behind something slow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// Bytes of entries of all groups that wait for the disk.
    pub unsynced_bytes: u64,
    /// Bytes of entries that are merged and wait for execution.
    pub executing_bytes: u64,
    /// Bytes of entries in the logs of all groups that are not merged.
    pub behind_bytes: u64,
    /// That is so much that only the awaited group's entries are taken.
    pub behind: bool,
    /// Bytes free on the disk; 0 while that is not known.
    pub disk_free_bytes: u64,
    /// There is too little room on the disk, so no commands are taken.
    pub read_only: bool,
}

/// How a server's snapshots stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotStatus {
    /// Position of the newest durable snapshot, the end of a round; 0 while there is none.
    pub position: u64,
    /// When it was begun, in milliseconds since 1970, by the clock of the server that wrote it.
    pub created_ms: u64,
    /// Length of its file, in bytes.
    pub bytes: u64,
    /// Length of all snapshots that are kept, in bytes.
    pub disk_bytes: u64,
    /// How often a snapshot has been asked for since the server's start; a failed one is asked for again by itself.
    #[serde(default)]
    pub asked: u64,
    /// So many of these requests are met: what was executed when they were made is in the snapshot at `position`.
    #[serde(default)]
    pub met: u64,
    /// Somebody has asked for a snapshot, and it has not begun.
    pub wanted: bool,
    /// One is being written.
    pub writing: bool,
    /// Bytes written of it.
    pub written_bytes: u64,
    /// The server from which one is being received; 0 for none.
    pub receiving_from: u64,
    /// Bytes received of it.
    pub received_bytes: u64,
    /// Bytes that it has in all; 0 while that is not known.
    pub expected_bytes: u64,
    /// Snapshots that this server has written since its start.
    pub taken: u64,
    /// Snapshots that could not be written or received since its start.
    pub failures: u64,
    /// Why the last one could not; nothing if one has been written since.
    pub last_error: Option<String>,
}
