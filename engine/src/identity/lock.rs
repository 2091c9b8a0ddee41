//! Admits one process to a data directory.

use std::fs::File;
use std::path::Path;

use niagara_log::{Files, SystemFiles};
use rustix::fs::{FlockOperation, flock};

use super::error::IdentityError;

/// Held while a server uses its data directory. The operating system releases it when the process ends,
/// however that happens.
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "it is held, not used")] File);

impl DirectoryLock {
    /// Locks the directory, and creates it if it does not exist.
    pub fn take(dir: &Path) -> Result<DirectoryLock, IdentityError> {
        SystemFiles.create_dir(dir).map_err(|source| IdentityError::Io { path: dir.to_owned(), source })?;
        let path = dir.join("LOCK");
        let io = |source| IdentityError::Io { path: path.clone(), source };
        let file = File::options().create(true).append(true).open(&path).map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirectoryLock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(IdentityError::InUse(dir.to_owned())),
            Err(error) => Err(io(error.into())),
        }
    }
}
