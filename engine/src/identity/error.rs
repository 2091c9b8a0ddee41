//! Why a data directory cannot be used by this server.

use std::io;
use std::path::PathBuf;

use crate::role::ServerRole;

/// Why a server cannot use its data directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Another process uses the directory.
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
        /// The server that it belongs to.
        found: String,
        /// The configured server.
        wanted: String,
    },
    /// The operating system crashed, or the machine lost power, while logs were not synced.
    #[error(
        "the machine went down while server {server} ran with durability `os`, so acknowledged commands may \
         be missing from its logs: it must not rejoin. Leave it stopped: the others serve while they are \
         more than half, and docs/recovery.md says how a new cluster replaces them. Its directory is {dir}"
    )]
    LostWrites {
        /// Id of the server.
        server: u64,
        /// Its data directory.
        dir: PathBuf,
    },
    /// The directory holds durable logs, but the configuration asks for none.
    #[error("{0} holds a durable log, but durability is `memory`: choose another data directory, or `fsync`")]
    WouldForget(PathBuf),
    /// The directory holds logs or snapshots but no identity.
    #[error(
        "{dir} holds {found} but no file `identity`, so nobody knows whose they are and whether they are \
         complete: restore the file; else leave this server stopped, and see docs/recovery.md"
    )]
    NoIdentity {
        /// The data directory.
        dir: PathBuf,
        /// What it holds.
        found: String,
    },
    /// The configuration lists other servers than the cluster was created with.
    #[error(
        "the configuration lists the servers {wanted}, but the cluster of data directory {dir} is made of \
         {found}: correct the list (addresses may change, ids may not). A cluster of other servers starts \
         with empty data directories and an id of its own"
    )]
    Members {
        /// The data directory.
        dir: PathBuf,
        /// The servers of the cluster.
        found: String,
        /// The servers in the configuration.
        wanted: String,
    },
    /// The server has been removed from its cluster.
    #[error(
        "server {server} was removed from its cluster, which has gone on without it since epoch {epoch}: it must not \
         come back. A server that is to be a member again needs an id that was never used, and an empty data \
         directory; {dir} is of no further use"
    )]
    Removed {
        /// Id of the server.
        server: u64,
        /// The first epoch without it.
        epoch: u32,
        /// Its data directory.
        dir: PathBuf,
    },
    /// The server was to join a running cluster, and has not done so yet.
    #[error(
        "server {server} was to join a cluster that runs, and has not received its state yet: start it as before \
         (`niagara serve --join URL`). Its data directory is {dir}"
    )]
    HasNotJoined {
        /// Id of the server.
        server: u64,
        /// Its data directory.
        dir: PathBuf,
    },
    /// The server [joins](crate::Config::joins) a running cluster, and its directory is empty.
    #[error(
        "server {server} joins a cluster that runs, and its data directory {dir} is empty: start it with `niagara serve --join \
         URL`, where URL is that of a member. If it was a member before, it has lost its data and must not come back: replace \
         it by a server with an id that was never used (`niagara member replace`)"
    )]
    MustJoin {
        /// Id of the server.
        server: u64,
        /// Its data directory.
        dir: PathBuf,
    },
    /// The directory is that of a server with another role.
    #[error(
        "data directory {dir} is that of a {found}, but the configuration says that this server is a {wanted}: a server keeps \
         its role. For another role, give it an empty directory and an id that was never used"
    )]
    OtherRole {
        /// Its data directory.
        dir: PathBuf,
        /// The role that it had.
        found: ServerRole,
        /// The configured one.
        wanted: ServerRole,
    },
    /// The data directory was restored from an old copy, and another server knew a later state.
    #[error(
        "data directory {0} was restored from an old copy, and other servers have met this server in a later \
         state: what it acknowledged since then is missing. Restore the newest state of the directory if \
         there is one; else leave this server stopped, and see docs/recovery.md"
    )]
    OldCopy(PathBuf),
    /// The identity file cannot be parsed.
    #[error(
        "{path} is damaged ({what}): restore it from a backup; else leave this server stopped, and see docs/recovery.md"
    )]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
