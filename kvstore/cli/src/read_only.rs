//! A server's files for commands that only inspect: nothing on disk ever changes. So they also work on
//! read-only copies.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_log::{Files, LogFile};

/// The machine's file system, read-only.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnly;

impl Files for ReadOnly {
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|file| Ok(file?.path())).collect()
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(File::open(path)?))
    }

    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn create(&self, _path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    /// Only writing needs one.
    fn salt(&self) -> u64 {
        0
    }
}
