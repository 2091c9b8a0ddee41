//! Admits one process to a data directory.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use niagara_log::{Files, SystemFiles};
use rustix::fs::{FlockOperation, flock};

use super::error::IdentityError;

/// Held while a server uses its data directory. The operating system releases it when the process ends,
/// however that happens.
pub(crate) struct DirectoryLock {
    _file: File,
    /// What a start that fails has to remove again.
    made: Option<Made>,
}

/// A directory that held nothing before this start.
struct Made {
    dir: PathBuf,
    /// Directories that did not exist, innermost first.
    created: Vec<PathBuf>,
}

impl DirectoryLock {
    /// Locks the directory, and creates it if it does not exist.
    pub fn take(dir: &Path) -> Result<DirectoryLock, IdentityError> {
        let io = |source| IdentityError::Io { path: dir.to_owned(), source };
        let created: Vec<PathBuf> = dir
            .ancestors()
            .take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists())
            .map(Path::to_owned)
            .collect();
        SystemFiles.create_dir(dir).map_err(io)?;
        let was_empty = fs::read_dir(dir).map_err(io)?.next().is_none();
        let path = dir.join("LOCK");
        let io = |source| IdentityError::Io { path: path.clone(), source };
        let file = File::options().create(true).append(true).open(&path).map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let made = was_empty.then(|| Made { dir: dir.to_owned(), created });
                Ok(DirectoryLock { _file: file, made })
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Err(IdentityError::InUse(dir.to_owned())),
            Err(error) => Err(io(error.into())),
        }
    }

    /// Removes what a start that has failed has made, if the directory held nothing before: the next attempt
    /// may have another id, or be made elsewhere. Whatever was there before stays.
    pub fn undo(self) {
        let Some(made) = &self.made else { return };
        if let Err(error) = made.remove() {
            tracing::warn!(dir = %made.dir.display(), %error, "cannot remove what a failed start has made");
        }
    }
}

impl Made {
    fn remove(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        // Others may use a parent directory by now: then it is not empty, and stays.
        for dir in &self.created {
            if fs::remove_dir(dir).is_err() {
                break;
            }
        }
        Ok(())
    }
}
