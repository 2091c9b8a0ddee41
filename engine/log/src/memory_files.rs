//! Files in memory, for servers that keep everything there.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::direct::DirectFile;
use super::files::{Files, LogFile};

/// A file system that ends with its process. It loses nothing before that, so syncs are free.
///
/// ```
/// use niagara_log::{Files, MemoryFiles};
/// use std::io::IoSlice;
///
/// let files = MemoryFiles::default();
/// files.create_dir("a".as_ref())?;
/// let file = files.create("a/b".as_ref())?;
/// file.write_all_at(&mut [IoSlice::new(b"kept")], 2)?;
/// files.rename("a/b".as_ref(), "a/c".as_ref())?;
/// assert_eq!(files.list("a".as_ref())?, ["a/c".as_ref() as &std::path::Path]);
/// assert_eq!(files.open("a/c".as_ref())?.length()?, 6);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(Arc<Mutex<Tree>>);

#[derive(Debug, Default)]
struct Tree {
    files: BTreeMap<PathBuf, Arc<MemoryFile>>,
    dirs: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct MemoryFile(Mutex<Vec<u8>>);

impl Tree {
    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        // The root, and the base of relative paths, always exist.
        let is_there = dir.file_name().is_none() || self.dirs.contains(dir);
        if is_there { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn check_parent(&self, path: &Path) -> io::Result<()> {
        self.check_dir(path.parent().unwrap_or(path))
    }

    fn check_no_dir(&self, path: &Path) -> io::Result<()> {
        if self.dirs.contains(path) { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
    }

    fn file(&self, path: &Path) -> io::Result<&Arc<MemoryFile>> {
        self.check_no_dir(path)?;
        self.files.get(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Files for MemoryFiles {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut tree = self.0.lock();
        if dir.ancestors().any(|dir| tree.files.contains_key(dir)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        tree.dirs.extend(dir.ancestors().filter(|dir| dir.file_name().is_some()).map(Path::to_owned));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let tree = self.0.lock();
        tree.check_dir(dir)?;
        let all = tree.files.keys().chain(&tree.dirs);
        Ok(all.filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::<MemoryFile>::clone(self.0.lock().file(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut tree = self.0.lock();
        tree.check_parent(path)?;
        tree.check_no_dir(path)?;
        let file = Arc::clone(tree.files.entry(path.to_owned()).or_default());
        file.0.lock().clear();
        Ok(file)
    }

    fn open_direct(&self, path: &Path) -> io::Result<Arc<dyn DirectFile>> {
        Ok(Arc::<MemoryFile>::clone(self.0.lock().file(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.0.lock();
        tree.check_parent(to)?;
        tree.check_no_dir(to)?;
        let file = Arc::clone(tree.file(from)?);
        tree.files.remove(from);
        tree.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.0.lock();
        tree.file(path)?;
        tree.files.remove(path);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.lock().check_dir(dir)
    }

    fn salt(&self) -> u64 {
        RandomState::new().hash_one(0)
    }
}

impl MemoryFile {
    /// The bytes, extended with zeros at least up to `end`.
    fn up_to(&self, end: usize) -> MutexGuard<'_, Vec<u8>> {
        let mut bytes = self.0.lock();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes
    }
}

impl LogFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let bytes = self.0.lock();
        let range = offset as usize..offset as usize + buffer.len();
        buffer.copy_from_slice(bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length == 0 {
            return Ok(());
        }
        let mut at = offset as usize;
        let mut bytes = self.up_to(at + length);
        for part in parts.iter() {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Ok(())
    }

    fn fill_with_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        if from < to {
            self.up_to(to as usize)[from as usize..to as usize].fill(0);
        }
        Ok(())
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        if from < to {
            drop(self.up_to(to as usize));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DirectFile for MemoryFile {
    fn alignment(&self) -> u64 {
        1
    }

    fn write_durably(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.write_all_at(parts, offset)
    }
}
