//! The file `identity`: it is replaced as a whole.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_log::Files;

use super::error::IdentityError;
use super::record::Record;
use crate::planted::{self, Bug};

#[derive(Debug)]
pub(super) struct RecordFile {
    pub(super) files: Arc<dyn Files>,
    pub(super) path: PathBuf,
}

impl RecordFile {
    /// Replaces the record on disk.
    pub(super) fn save(&self, record: &Record) -> Result<(), IdentityError> {
        self.replace(record.to_text().as_bytes())
            .map_err(|source| IdentityError::Io { path: self.path.clone(), source })
    }

    fn replace(&self, content: &[u8]) -> io::Result<()> {
        let temporary = self.path.with_extension("new");
        let file = self.files.create(&temporary)?;
        file.write_all_at(&mut [IoSlice::new(content)], 0)?;
        if planted::is(Bug::IdentityNotSynced) {
            return self.files.rename(&temporary, &self.path);
        }
        let synced = file.sync_all();
        if !planted::is(Bug::IdentitySyncIgnored) {
            synced?;
        }
        self.files.rename(&temporary, &self.path)?;
        self.files.sync_dir(self.path.parent().expect("the file is in the data directory"))
    }

    /// Refuses a directory with logs or snapshots but no identity. Identity is the first thing in a data
    /// directory, so this one has lost it.
    pub(super) fn check_empty(&self, dir: &Path, groups: u16) -> Result<(), IdentityError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Io { path, source }
        };
        let mut dirs: Vec<PathBuf> = (1..=groups).map(|group| dir.join(format!("group-{group}"))).collect();
        // Also those of a cluster with more groups.
        let named = |path: &PathBuf| {
            path.is_dir() && path.file_name().is_some_and(|name| is_of_logs(&name.to_string_lossy()))
        };
        let there = list(&*self.files, dir).map_err(io(dir))?;
        dirs.extend(there.into_iter().filter(named));
        dirs.push(dir.join("snapshots"));
        for held in dirs {
            if !list(&*self.files, &held).map_err(io(&held))?.is_empty() {
                let found = held.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(IdentityError::NoIdentity { dir: dir.to_owned(), found });
            }
        }
        Ok(())
    }
}

/// Whether a directory is called as those of logs are.
fn is_of_logs(name: &str) -> bool {
    name.starts_with("group-") || name.starts_with("epoch-")
}

/// Files in a directory; none if it does not exist.
fn list(files: &dyn Files, dir: &Path) -> io::Result<Vec<PathBuf>> {
    match files.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}

/// Contents of a file; `None` if it does not exist.
pub(super) fn read(files: &dyn Files, path: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    let read = || {
        let file = match files.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = vec![0; file.length()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Some(bytes))
    };
    read().map_err(|source| IdentityError::Io { path: path.to_owned(), source })
}

/// What the file says; `None` if it does not exist.
pub(super) fn find(files: &dyn Files, path: &Path) -> Result<Option<Record>, IdentityError> {
    read(files, path)?.map(|bytes| understand(path, &bytes)).transpose()
}

/// What a file with these contents says.
pub(super) fn understand(path: &Path, bytes: &[u8]) -> Result<Record, IdentityError> {
    let text = str::from_utf8(bytes).map_err(|_| "it is no text".to_owned());
    text.and_then(Record::parse).map_err(|what| IdentityError::Damaged { path: path.to_owned(), what })
}
