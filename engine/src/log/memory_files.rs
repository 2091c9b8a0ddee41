//! Files in memory, for servers that keep everything there.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::files::{Files, LogFile};

/// A file system that is gone with its process. Nothing in it is ever lost before, so syncs are free.
///
/// ```
/// use niagara_engine::log::{Files, MemoryFiles};
/// use std::io::IoSlice;
///
/// let files = MemoryFiles::default();
/// let file = files.create("a/b".as_ref())?;
/// file.write_all_at(&mut [IoSlice::new(b"kept")], 2)?;
/// files.rename("a/b".as_ref(), "a/c".as_ref())?;
/// assert_eq!(files.list("a".as_ref())?, ["a/c".as_ref() as &std::path::Path]);
/// assert_eq!(files.open("a/c".as_ref())?.length()?, 6);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(Arc<Mutex<BTreeMap<PathBuf, Arc<MemoryFile>>>>);

#[derive(Debug, Default)]
struct MemoryFile(Mutex<Vec<u8>>);

impl Files for MemoryFiles {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.0.lock().keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        match self.0.lock().get(path) {
            Some(file) => Ok(Arc::<MemoryFile>::clone(file)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = Arc::<MemoryFile>::default();
        self.0.lock().insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.0.lock();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn salt(&self) -> u64 {
        RandomState::new().hash_one(0)
    }
}

impl LogFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.0.lock();
        let range = offset as usize..offset as usize + buffer.len();
        buffer.copy_from_slice(bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut bytes = self.0.lock();
        let mut at = offset as usize;
        for part in parts.iter() {
            let end = at + part.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[at..end].copy_from_slice(part);
            at = end;
        }
        Ok(())
    }

    fn fill_with_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        let mut bytes = self.0.lock();
        if bytes.len() < to as usize {
            bytes.resize(to as usize, 0);
        }
        bytes[from as usize..to as usize].fill(0);
        Ok(())
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        self.fill_with_zeros(from, to)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}
