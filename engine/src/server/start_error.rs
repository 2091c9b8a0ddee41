//! Why a server does not start.

use std::io;
use std::path::PathBuf;

use niagara_log::LogError;
use niagara_net::OpenError;
use niagara_sequencer::GlobalPosition;

use crate::config::{Config, ConfigError};
use crate::identity::IdentityError;
use crate::snapshot::SnapshotError;
use crate::state_machine::ForeignState;

/// Why a server did not start. None of its threads runs then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is inconsistent.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The data directory belongs to another server, or is in use.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The state machine keeps its state on disk, and that is another server's.
    #[error(transparent)]
    ForeignState(#[from] ForeignState),
    /// The state machine has executed commands, but the data directory is new.
    #[error(
        "the state machine holds everything up to position {applied} on disk, but the data directory is new: \
         its log may hold other commands there. Restore the data directory that belongs to the state, or \
         remove the state: it is then built again from the log"
    )]
    StateWithoutLog {
        /// What [`StateMachine::applied`](crate::StateMachine::applied) reports.
        applied: GlobalPosition,
    },
    /// A group's log cannot be used.
    #[error("group {group}: {source}")]
    Log {
        /// Number of the group.
        group: u16,
        /// What is wrong.
        source: LogError,
    },
    /// A log has lost entries that this server acknowledged.
    #[error(
        "group {group}: the log ends at entry {last}, but entry {commit} was committed: acknowledged data \
         was lost, so this server must not rejoin. Leave it stopped: the others serve while they are more than \
         half, and docs/recovery.md says how a new cluster replaces them"
    )]
    LostEntries {
        /// Number of the group.
        group: u16,
        /// Raft index of the last entry in the log.
        last: u64,
        /// Raft index of the last committed entry.
        commit: u64,
    },
    /// The groups of the epoch that the newest snapshot belongs to are closed.
    #[error(
        "the newest whole snapshot belongs to epoch {epoch}, whose logs are gone, since this server had later \
         snapshots: they have vanished. Restore the directory `snapshots`, or leave this server stopped, and see \
         docs/recovery.md"
    )]
    EpochClosed {
        /// Number of the epoch.
        epoch: u32,
    },
    /// The cluster goes on without this server.
    #[error(
        "server {server} is no member of the cluster since epoch {epoch}: it was removed. A server that is to be a member \
         again needs an id that was never used, and an empty data directory"
    )]
    Removed {
        /// Id of the server.
        server: u64,
        /// The epoch.
        epoch: u32,
    },
    /// The cluster is at a level that this program does not know.
    #[error(
        "the cluster is at level {level}, and this program knows levels up to {known}: start a newer release on this server"
    )]
    Level {
        /// The cluster's level.
        level: u32,
        /// The highest that this program knows.
        known: u32,
    },
    /// The server is to join a cluster of which it is no member.
    #[error(
        "server {server} is no member of the cluster that it is to join: ask the cluster to add it first \
         (`niagara member add`)"
    )]
    NotAMember {
        /// Id of the server.
        server: u64,
    },
    /// The server is to join a cluster whose members know it with other data.
    #[error(
        "the members know server {server} with other data than its directory {dir} has: it was a member before and has lost its \
         data, with what it promised the others, so it must not come back. Replace it by a server with an id that was never used \
         (`niagara member replace`)"
    )]
    NotRecognised {
        /// Id of the server.
        server: u64,
        /// Its data directory.
        dir: PathBuf,
    },
    /// A follower has received a snapshot, and does not find it.
    #[error(
        "the snapshot that this follower has received is not there any more: see what removes files from its directory, and \
         start again"
    )]
    NoFirstState,
    /// A log does not hold the entries that this server's own snapshot was taken of.
    #[error(
        "group {group}: the log ends at entry {last}, or holds another there, but this server took a \
         snapshot of entries up to {floor}: the log has lost what this server acknowledged. Restore the \
         directory `group-{group}`, whole and as it was when the server last ran; else leave this server \
         stopped, and see docs/recovery.md"
    )]
    LogBehindSnapshot {
        /// Number of the group.
        group: u16,
        /// Raft index of the last entry in the log.
        last: u64,
        /// Raft index of the snapshot's floor.
        floor: u64,
    },
    /// A snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A log has been compacted to a snapshot that is missing.
    #[error(
        "group {group}: the log begins above entry {compacted}, but the newest whole snapshot reaches entry \
         {found} only: what lies between is lost. Restore the directory `snapshots` from a copy if there is \
         one; else leave this server stopped, and see docs/recovery.md"
    )]
    SnapshotMissing {
        /// Number of the group.
        group: u16,
        /// Raft index of the entry that the log is compacted to.
        compacted: u64,
        /// Raft index of the newest snapshot's floor.
        found: u64,
    },
    /// The sockets of the snapshot channel cannot be opened.
    #[error("transfer: {0}")]
    Transfer(#[source] OpenError),
    /// The address of the snapshot channel cannot be resolved.
    #[error("transfer: cannot resolve this server's own address {address:?}: {source}")]
    TransferAddress {
        /// The configured address.
        address: String,
        /// Error from the resolver.
        source: io::Error,
    },
    /// A group's sockets cannot be opened.
    #[error("group {group}: {source}")]
    Link {
        /// Number of the group.
        group: u16,
        /// What is wrong.
        source: OpenError,
    },
    /// A group's address cannot be resolved.
    #[error("group {group}: cannot resolve this server's own address {address:?}: {source}")]
    Address {
        /// Number of the group.
        group: u16,
        /// The configured address.
        address: String,
        /// Error from the resolver.
        source: io::Error,
    },
    /// The state of a [`Node`](crate::Node) could not be read back from a snapshot.
    #[error("the initial state cannot be written to a snapshot and read back: {0}")]
    StateNotEncodable(&'static str),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}; raise the limit of processes, or configure fewer groups")]
    Thread(io::Error),
}

/// Refuses a level that this program does not know.
pub(super) fn check_level(config: &Config, level: u32) -> Result<(), StartError> {
    let known = config.known_level;
    if level > known { Err(StartError::Level { level, known }) } else { Ok(()) }
}

impl StartError {
    /// Whether nothing but room on the disk is missing, so that another attempt may succeed.
    pub(crate) fn is_lack_of_room(&self) -> bool {
        match self {
            StartError::Log { source, .. } => source.is_lack_of_room(),
            StartError::Identity(IdentityError::Io { source, .. }) => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}
