//! Why a recovery does not succeed.

use std::io;
use std::path::{Path, PathBuf};

use niagara_log::LogError;

use crate::config::{ConfigError, ServerId};
use crate::identity::IdentityError;
use crate::server::StartError;
use crate::snapshot::SnapshotError;

/// Why a cluster could not be recovered. Nothing in the directories to recover from has changed, and no new data directory
/// is there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// No directory was given.
    #[error("nothing to recover from: name the data directory of at least one server")]
    NoDirectory,
    /// There is no such directory.
    #[error("there is no directory {0}")]
    Missing(PathBuf),
    /// A directory is given twice, perhaps by two names.
    #[error("{}", given_twice(first, again))]
    GivenTwice {
        /// Its name when it was given first.
        first: PathBuf,
        /// Its name when it was given again.
        again: PathBuf,
    },
    /// The directory is no server's.
    #[error("{0} is not a server's data directory: it has no file `identity`")]
    NotADataDirectory(PathBuf),
    /// The directory is of a server that has acknowledged nothing.
    #[error("{dir} is that of {whose}, which has acknowledged nothing and has no logs: leave it out")]
    HasNoLogs {
        /// The directory.
        dir: PathBuf,
        /// What kind of server that is.
        whose: &'static str,
    },
    /// A directory's identity cannot be read, or a server runs on it.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Two directories do not belong together.
    #[error("{one} and {other} do not belong together: {what}")]
    Differ {
        /// The first directory.
        one: PathBuf,
        /// The other directory.
        other: PathBuf,
        /// In what they differ.
        what: String,
    },
    /// Two directories are of the same server: one is a copy.
    #[error("{one} and {other} are both of server {server}: name the one that the server used last")]
    SameServer {
        /// The first directory.
        one: PathBuf,
        /// The other directory.
        other: PathBuf,
        /// Id of the server.
        server: ServerId,
    },
    /// What a log continues from is missing.
    #[error(
        "group {group}: the log in {dir} begins above entry {floor}, but the newest whole snapshot in the directories reaches \
         entry {found} only. Add the directory of another server, or a copy of the missing snapshot"
    )]
    OutOfReach {
        /// Number of the group.
        group: u16,
        /// The data directory.
        dir: PathBuf,
        /// Raft index of the entry that the log is compacted to.
        floor: u64,
        /// Raft index that the snapshot reaches.
        found: u64,
    },
    /// The directories hold no command.
    #[error("the directories hold no command: start a new cluster instead")]
    Empty,
    /// A snapshot cannot be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A log cannot be read or written.
    #[error("group {group}: {source}")]
    Log {
        /// Number of the group.
        group: u16,
        /// What is wrong.
        source: LogError,
    },
    /// A configuration of the new cluster cannot work.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The configurations are not those of a new cluster.
    #[error("{0}")]
    Unfit(String),
    /// A new data directory is not empty.
    #[error("{0} is not empty: a recovered server needs a new data directory")]
    NotEmpty(PathBuf),
    /// What the directories hold cannot be executed.
    #[error("what was found cannot be executed: {0}")]
    NotExecuted(#[source] StartError),
    /// It was executed, but no snapshot could be taken.
    #[error("what was found was executed, but: {0}")]
    NoSnapshot(String),
    /// The operating system refused.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// File or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn given_twice(first: &Path, again: &Path) -> String {
    if first.as_os_str() == again.as_os_str() {
        return format!("{} is given twice", first.display());
    }
    format!("{} and {} are the same directory, given twice", first.display(), again.display())
}

/// Makes an error of an operation on this path.
pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecoveryError {
    let path = path.to_owned();
    move |source| RecoveryError::Io { operation, path, source }
}
