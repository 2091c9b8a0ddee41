//! Why a data directory cannot be this server's, or says too little.

use std::io;
use std::path::PathBuf;

/// Why a server cannot be what its data directory says, or says too little.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Another process works in the directory.
    #[error(
        "data directory {0} is in use by another server: stop that one first, or choose another directory"
    )]
    InUse(PathBuf),
    /// The directory belongs to another server or cluster.
    #[error(
        "data directory {dir} belongs to {found}, but the configuration says {wanted}: correct one of the two"
    )]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// The operating system went down while logs were not synced.
    #[error(
        "the machine went down while server {server} ran with durability `os`, so acknowledged commands may be missing \
         from its logs: it must not rejoin under this id. Remove it from the cluster and add it under a new id with an \
         empty data directory (delete {dir})"
    )]
    LostWrites {
        /// The server.
        server: u64,
        /// Its data directory.
        dir: PathBuf,
    },
    /// Durable logs, but a configuration for none.
    #[error("{0} holds a durable log, but durability is `memory`: choose another data directory, or `fsync`")]
    WouldForget(PathBuf),
    /// Logs or snapshots without an identity.
    #[error(
        "{dir} holds {found} but no file `identity`, so whose they are, and whether they are whole, is not known: restore the \
         file; else remove this server from the cluster and add it under a new id with an empty data directory"
    )]
    NoIdentity {
        /// The data directory.
        dir: PathBuf,
        /// What it holds.
        found: String,
    },
    /// The configuration lists other servers than those that the cluster was made of.
    #[error(
        "the configuration lists the servers {wanted}, but the cluster of data directory {dir} is made of {found}: correct the \
         list (addresses may change, ids may not). A cluster of other servers begins with empty data directories and an id of \
         its own"
    )]
    Members {
        /// The data directory.
        dir: PathBuf,
        /// The servers that the cluster is made of.
        found: String,
        /// The servers that the configuration lists.
        wanted: String,
    },
    /// The data directory was put back from a copy, and another server knew that.
    #[error(
        "data directory {0} was put back from an old copy, and other servers have met this server in a later state: what it \
         acknowledged since is missing. Put back the newest state of the directory if there is one; else remove this server \
         from the cluster and add it under a new id with an empty data directory"
    )]
    OldCopy(PathBuf),
    /// The identity file cannot be understood.
    #[error("{path} is damaged ({what}): restore it from a backup, or replace this server under a new id")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
