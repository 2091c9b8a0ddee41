//! The file system below a log, as an interface: the machine's own in production, one that fails on purpose in a
//! simulator. It promises what `FORMAT.md` assumes about the disk, and no more.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// Most parts that the system takes in one write (UIO_MAXIOV).
const WRITE_PARTS: usize = 1024;
/// What fills a file, this much at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Directories and names. A name is durable when its directory has been synced, not before.
///
/// `tests/tests/files/` holds every implementation to what is promised here.
///
/// What is absent is an error of the kind `NotFound`: a file that is to be opened, renamed or removed, and a directory that is to
/// be listed, synced, or given a file. What is a directory cannot be opened, created or removed as a file.
///
/// After a loss of power a name is what it was at the last sync of its directory, or what it has been at any time since. A renaming
/// has happened as a whole or not at all: the file has one of its two names, and what had the new one has it still, or has none.
pub trait Files: fmt::Debug + Send + Sync {
    /// Creates a directory, with those above it, unless it exists. The names of all that it creates, and its own, are durable.
    /// An error of the kind `AlreadyExists` if there is a file.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// What is in a directory, files and directories, in any order. Nothing of what is in those.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Opens a file that exists, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// Creates a file, or empties one that exists: whoever has it open sees it empty, and writes to the same.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// Gives a file another name in the same directory, in the place of what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits until the names in a directory are durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that may still be written to the file system of a directory; without end where nobody can say.
    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
    /// What tells one run of the machine from the next: what was not synced is there until it ends.
    fn boot_id(&self) -> String {
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or_else(|_| "unknown".into(), |id| id.trim().to_owned())
    }
    /// A number that is never the same twice, as far as chance goes: it tells the lives of a recycled file apart.
    fn salt(&self) -> u64;
}

/// An open file. Contents are durable when it has been synced.
///
/// It stays usable when the file gets another name, or none, or another file takes its name: it is the same file still. All that
/// have it open see what any of them writes.
///
/// After a loss of power each byte is what it was at the last sync, or what has been written there at any time since: nobody knows
/// which writes, or which parts of them, have come to the disk. The length is any between the least and the most since, and bytes
/// that it lets in without a write are zeros.
pub trait LogFile: fmt::Debug + Send + Sync {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Fills the buffer from an offset on. An error of the kind `UnexpectedEof` if the file ends before; then what the buffer
    /// holds means nothing. An empty buffer is always full.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all parts, one behind the other, from an offset on: one system call, unless there are more parts than one
    /// takes or the system stops short. If that is behind the end, zeros stand between. Nothing at all changes nothing, the length
    /// neither.
    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Overwrites a range with zeros; the file grows if it ends within or before, and never shrinks. An empty range changes
    /// nothing.
    fn fill_with_zeros(&self, from: u64, to: u64) -> io::Result<()>;
    /// Reserves disk space for a range, and keeps what is there; the file grows, by zeros, if it ends within or before, and never
    /// shrinks. An empty range changes nothing.
    fn reserve(&self, from: u64, to: u64) -> io::Result<()>;
    /// Waits until contents are durable, and as much of the length as it takes to read what was written.
    fn sync_data(&self) -> io::Result<()>;
    /// Waits until contents and length are durable.
    fn sync_all(&self) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let is_there = dir.is_dir();
        if !is_there {
            if !parent.is_dir() {
                self.create_dir(parent)?;
            }
            match fs::create_dir(dir) {
                // Somebody else has, or a former process, whose sync may not have come to its end.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
                created => created?,
            }
        }
        match self.sync_dir(parent) {
            // An operator made it where this process may not look in.
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
        // Parts without bytes at the front could make a call that writes nothing, which otherwise means that none can.
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
        // The system takes an empty range for a mistake.
        if from >= to {
            return Ok(());
        }
        match rustix::fs::fallocate(self, FallocateFlags::empty(), from, to - from) {
            // Not every file system can reserve space. None may cut off what is behind.
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
