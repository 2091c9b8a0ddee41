//! Why a server does not start.

use std::io;

use niagara_log::LogError;
use niagara_net::OpenError;

use crate::config::ConfigError;
use crate::identity::IdentityError;
use crate::snapshot::SnapshotError;

/// Why a server did not start. Nothing of it runs then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The data directory is not this server's, or in use.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A group's log cannot be used.
    #[error("group {group}: {source}")]
    Log {
        /// The group.
        group: u16,
        /// What is wrong.
        source: LogError,
    },
    /// A log has lost entries that this server acknowledged.
    #[error(
        "group {group}: the log ends at entry {last}, but entry {commit} was committed: acknowledged data was lost, so \
         this server must not rejoin under its id. Remove it from the cluster and add it under a new id"
    )]
    LostEntries {
        /// The group.
        group: u16,
        /// The last entry that there is.
        last: u64,
        /// The last entry that there was.
        commit: u64,
    },
    /// A log does not hold what this server's own snapshot was made of.
    #[error(
        "group {group}: the log ends at entry {last}, or holds another there, but this server made a snapshot of entries up to \
         {floor}: the log has lost what this server acknowledged. Restore the directory `group-{group}`, whole and as it was \
         when the server last ran; else remove this server from the cluster and add it under a new id with an empty data \
         directory"
    )]
    LogBehindSnapshot {
        /// The group.
        group: u16,
        /// The last entry that there is.
        last: u64,
        /// The entry up to which the snapshot was made.
        floor: u64,
    },
    /// A snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A log has been compacted to a snapshot that is not there.
    #[error(
        "group {group}: the log begins above entry {compacted}, but the newest whole snapshot reaches entry {found} only: \
         what lies between is lost. Restore the directory `snapshots` from a copy if there is one; else remove this server \
         from the cluster and add it under a new id"
    )]
    SnapshotMissing {
        /// The group.
        group: u16,
        /// The entry that the log is compacted to.
        compacted: u64,
        /// The entry that the newest snapshot reaches.
        found: u64,
    },
    /// The sockets of the channel for snapshots cannot be opened.
    #[error("transfer: {0}")]
    Transfer(#[source] OpenError),
    /// The address of the channel for snapshots cannot be resolved.
    #[error("transfer: cannot resolve this server's own address {address:?}: {source}")]
    TransferAddress {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A group's sockets cannot be opened.
    #[error("group {group}: {source}")]
    Link {
        /// The group.
        group: u16,
        /// What is wrong.
        source: OpenError,
    },
    /// An address cannot be resolved.
    #[error("group {group}: cannot resolve this server's own address {address:?}: {source}")]
    Address {
        /// The group.
        group: u16,
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}; raise the limit of processes, or configure fewer groups")]
    Thread(io::Error),
}
