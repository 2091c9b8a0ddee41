//! The file system below a log, as an interface: the machine's own in production, one that fails on purpose
//! in a simulator. It promises what `FORMAT.md` assumes about the disk, and no more.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::direct::{DirectFile, SystemDirectFile, unsupported};

/// The most parts that the system takes in one write (UIO_MAXIOV).
const WRITE_PARTS: usize = 1024;
/// Source of zeros for filling files, this much at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Directories and names. A name is durable once its directory has been synced, not before.
///
/// `tests/tests/files/` holds every implementation to these promises.
///
/// A missing file or directory is an error of the kind `NotFound`: a file to be opened, renamed or removed,
/// or a directory to be listed, synced, measured, or given a file. A directory cannot be opened, created or removed as
/// a file.
///
/// After a loss of power a name is what it was at the last sync of its directory, or what it has been at any
/// time since. A rename has happened as a whole or not at all: the file has one of its two names, and a file
/// that had the new name still has it, or has none.
pub trait Files: fmt::Debug + Send + Sync {
    /// Creates a directory and its missing parents. Returns when the names of all of them are durable, also
    /// that of a directory that already exists. Fails with `AlreadyExists` if the path is a file.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Files and directories in a directory, in any order, without what is in subdirectories.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// Creates a file, or empties an existing one: whoever has that one open sees it empty, and writes to the
    /// same file.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// Opens an existing file for writes that bypass the page cache and are durable when they return. Fails
    /// with `Unsupported` if there are none here; the error says why.
    fn open_direct(&self, path: &Path) -> io::Result<Arc<dyn DirectFile>> {
        let _ = path;
        Err(unsupported("these files have no direct IO"))
    }
    /// The longest unit, in bytes, that an interrupted write can destroy as a whole. A log starts each write
    /// that must be durable in a unit of its own. A power of two from 8 to 65,536.
    fn block_bytes(&self) -> u64 {
        4096
    }
    /// Renames a file within its directory. Replaces a file that has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file, but no directory.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits until the names in a directory are durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that may still be written to the directory's file system; `u64::MAX` if unknown.
    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
    /// Whether paths are those of the machine's file system, so that others can put files of their own beside
    /// these.
    fn are_of_the_system(&self) -> bool {
        false
    }
    /// Distinguishes one run of the machine from the next. What was not synced can be read until the run
    /// ends.
    fn boot_id(&self) -> String {
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or_else(|_| "unknown".into(), |id| id.trim().to_owned())
    }
    /// A number that never repeats, barring chance: it distinguishes the lives of a recycled file.
    fn salt(&self) -> u64;
}

/// An open file. Contents are durable once it has been synced.
///
/// A handle stays with its file when the file is renamed or removed, or another file takes its name. All
/// handles of a file see what any of them writes.
///
/// After a loss of power each byte is what it was at the last sync, or what has been written there at any
/// time since: nobody knows which writes, or which parts of them, reached the disk. The length is any between
/// the least and the most since then. Bytes within it that nobody wrote are zeros.
pub trait LogFile: fmt::Debug + Send + Sync {
    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Fills the buffer from an offset on. Fails with `UnexpectedEof` if the file ends before that; the
    /// contents of the buffer then mean nothing. An empty buffer always succeeds.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all parts one after the other from an offset on, with one system call unless there are more
    /// parts than one call takes or the system writes fewer bytes. Fills a gap after the end of the file with
    /// zeros. Writing no bytes changes nothing, not even the length.
    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Overwrites a range with zeros. The file grows if it ends before the range does, and never shrinks. An
    /// empty range changes nothing.
    fn fill_with_zeros(&self, from: u64, to: u64) -> io::Result<()>;
    /// Reserves disk space for a range and keeps the bytes in it. The file grows by zeros if it ends before
    /// the range does, and never shrinks. An empty range changes nothing.
    fn reserve(&self, from: u64, to: u64) -> io::Result<()>;
    /// Waits until contents are durable, and as much of the length as it takes to read them.
    fn sync_data(&self) -> io::Result<()>;
    /// Waits until contents and length are durable.
    fn sync_all(&self) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn are_of_the_system(&self) -> bool {
        true
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let is_there = dir.is_dir();
        if !is_there {
            if !parent.is_dir() {
                self.create_dir(parent)?;
            }
            // Whoever may read a log, or a snapshot, reads all that clients have stored.
            match DirBuilder::new().mode(0o700).create(dir) {
                // Somebody else created it, or a former process, whose sync may not have completed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
                created => created?,
            }
        }
        match self.sync_dir(parent) {
            // An operator created it in a directory that this process may not read.
            Err(error) if is_there && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|file| Ok(file?.path())).collect()
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Arc::new(file))
    }

    fn open_direct(&self, path: &Path) -> io::Result<Arc<dyn DirectFile>> {
        Ok(Arc::new(SystemDirectFile::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn salt(&self) -> u64 {
        RandomState::new().hash_one(0)
    }
}

impl LogFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, mut parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut at = offset;
        // Empty parts at the front could lead to a call that writes nothing, which otherwise means that
        // nothing can be written.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match rustix::io::pwritev(self, &parts[..parts.len().min(WRITE_PARTS)], at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn fill_with_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let length = (to - at).min(ZEROS.len() as u64);
            FileExt::write_all_at(self, &ZEROS[..length as usize], at)?;
            at += length;
        }
        Ok(())
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        // The system rejects an empty range.
        if from >= to {
            return Ok(());
        }
        match rustix::fs::fallocate(self, FallocateFlags::empty(), from, to - from) {
            // Not every file system can reserve space. Whatever happens, keep what follows the range.
            Err(Errno::OPNOTSUPP) => self.set_len(to.max(LogFile::length(self)?)),
            done => Ok(done?),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        File::sync_all(self)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_directory_is_its_owner_s_alone_and_an_existing_one_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let there = dir.path().join("there");
        fs::create_dir(&there).unwrap();
        fs::set_permissions(&there, fs::Permissions::from_mode(0o750)).unwrap();
        SystemFiles.create_dir(&there.join("data/group-1")).unwrap();
        assert_eq!(
            [&there, &there.join("data"), &there.join("data/group-1")].map(|path| mode(path)),
            [0o750, 0o700, 0o700]
        );
    }
}
