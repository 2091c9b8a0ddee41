//! One segment file.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::LogError;
use super::format::{HEADER_BYTES, HeaderError, Seal, SegmentHeader, VERSION};

/// Most parts that the system takes in one write (UIO_MAXIOV).
const WRITE_PARTS: usize = 1024;
/// What fills a file, this much at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// An open segment file. Readers hold on to it while they read; should it be recycled meanwhile, the seal makes them
/// refuse what they find.
#[derive(Debug)]
pub(super) struct Segment {
    pub number: u64,
    pub seal: Seal,
    pub path: PathBuf,
    /// Length of the file.
    pub bytes: u64,
    file: File,
}

impl Segment {
    /// Opens a segment that a former life of the server has left.
    pub fn load(path: &Path, log_id: u64, number: u64) -> Result<Self, LogError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(LogError::io("open the log segment", path))?;
        let length = file.metadata().map_err(LogError::io("look at the log segment", path))?.len();
        let damaged =
            |reason: &str| LogError::Corrupt { path: path.to_owned(), offset: 0, reason: reason.to_owned() };
        if length < HEADER_BYTES || length > u64::from(u32::MAX) {
            return Err(damaged(&format!("a segment cannot be {length} bytes long")));
        }
        let mut bytes = [0; HEADER_BYTES as usize];
        file.read_exact_at(&mut bytes, 0).map_err(LogError::io("read the log segment", path))?;
        let header = SegmentHeader::decode(&bytes).map_err(|error| match error {
            HeaderError::Damaged => damaged("the header does not match its checksum"),
            HeaderError::Version(found) => {
                LogError::Version { path: path.to_owned(), found, supported: VERSION }
            }
        })?;
        if header.log_id != log_id {
            return Err(LogError::Foreign { path: path.to_owned(), found: header.log_id, expected: log_id });
        }
        if header.number != number || number == 0 {
            return Err(damaged(&format!("the file says that it is segment {}", header.number)));
        }
        Ok(Segment { number, seal: header.seal(), path: path.to_owned(), bytes: length, file })
    }

    /// Makes a file the segment of that header. It must be `bytes` long already; what it holds no longer counts.
    pub fn label(file: File, path: &Path, header: &SegmentHeader, bytes: u64) -> Result<Self, LogError> {
        file.write_all_at(&header.encode(), 0).map_err(LogError::io("write the header of", path))?;
        Ok(Segment { number: header.number, seal: header.seal(), path: path.to_owned(), bytes, file })
    }

    /// The whole file.
    pub fn read_all(&self) -> Result<Bytes, LogError> {
        self.read(0, self.bytes as usize)
    }

    /// Reads a range in one go.
    pub fn read(&self, offset: u64, length: usize) -> Result<Bytes, LogError> {
        let mut buffer = vec![0; length];
        self.file
            .read_exact_at(&mut buffer, offset)
            .map_err(LogError::io("read the log segment", &self.path))?;
        Ok(buffer.into())
    }

    /// Writes all parts, one behind the other, from an offset on: one system call, unless there are more parts than
    /// one takes or the system stops short.
    pub fn write(&self, offset: u64, parts: &mut [IoSlice<'_>]) -> Result<(), LogError> {
        write_all(&self.file, offset, parts).map_err(LogError::io("write to the log segment", &self.path))
    }

    /// Waits until what was written is durable.
    pub fn sync_data(&self) -> Result<(), LogError> {
        self.file.sync_data().map_err(LogError::io("sync the log segment", &self.path))
    }

    /// Waits until contents and length are durable.
    pub fn sync_all(&self) -> Result<(), LogError> {
        self.file.sync_all().map_err(LogError::io("sync the log segment", &self.path))
    }

    /// Overwrites the rest of the file with zeros, from an offset on.
    pub fn erase(&self, from: u64) -> Result<(), LogError> {
        fill_with_zeros(&self.file, from, self.bytes)
            .map_err(LogError::io("erase the end of the log segment", &self.path))
    }

    /// Makes the segment longer.
    pub fn grow(&mut self, bytes: u64, durable: bool) -> Result<(), LogError> {
        allocate(&self.file, self.bytes, bytes, durable)
            .map_err(LogError::io("make longer the log segment", &self.path))?;
        self.bytes = bytes;
        if durable { self.sync_all() } else { Ok(()) }
    }
}

/// A new file of that length, not synced yet. See [`allocate`].
pub(super) fn create_file(path: &Path, bytes: u64, durable: bool) -> Result<File, LogError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(LogError::io("create the log segment", path))?;
    allocate(&file, 0, bytes, durable).map_err(LogError::io("allocate the log segment", path))?;
    Ok(file)
}

/// Gives a file disk space from one offset to another.
///
/// With real zeros, if writes to it are going to be synced: then a sync finds nothing but data to write, where
/// otherwise the file system would have to record with each one that a range is now in use (6.1k against 4.5k syncs per
/// second). If nothing will be synced, a reservation is enough.
fn allocate(file: &File, from: u64, to: u64, durable: bool) -> io::Result<()> {
    if durable {
        return fill_with_zeros(file, from, to);
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), from, to - from) {
        // Not every file system can reserve space.
        Err(Errno::OPNOTSUPP) => file.set_len(to),
        done => Ok(done?),
    }
}

fn fill_with_zeros(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let length = (to - at).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..length as usize], at)?;
        at += length;
    }
    Ok(())
}

fn write_all(file: &File, offset: u64, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
    let mut at = offset;
    while !parts.is_empty() {
        match rustix::io::pwritev(file, &parts[..parts.len().min(WRITE_PARTS)], at) {
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
