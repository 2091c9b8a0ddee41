//! One segment file.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::LogError;
use super::files::{Files, LogFile};
use super::format::{HEADER_BYTES, HeaderError, Seal, SegmentHeader, VERSION, frames_start};

/// A segment file. Readers hold on to it while they read. If it is recycled meanwhile, the seal makes them
/// reject what they find.
#[derive(Debug)]
pub(super) struct Segment {
    /// The log that it belongs to.
    pub log_id: u64,
    pub number: u64,
    pub seal: Seal,
    pub path: PathBuf,
    /// Length of the file.
    pub bytes: u64,
    /// Length that it was made with; 0 if unknown.
    pub made: u64,
    /// Frames start and end at multiples of this, in bytes.
    pub block: u64,
    handle: Mutex<Handle>,
}

/// A log keeps few files open, however many it has: the one that is written, the next one, and those that are
/// being read.
#[derive(Debug)]
enum Handle {
    Open(Arc<dyn LogFile>),
    /// Opened for each use, by name. No other file ever gets that name.
    Closed(Arc<dyn Files>),
}

impl Segment {
    /// Opens a segment that an earlier process has left. It must belong to `log_id`, if given.
    pub fn load(files: &dyn Files, path: &Path, log_id: Option<u64>, number: u64) -> Result<Self, LogError> {
        let file = files.open(path).map_err(LogError::io("open the log segment", path))?;
        let length = file.length().map_err(LogError::io("get the length of the log segment", path))?;
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
        if let Some(expected) = log_id
            && header.log_id != expected
        {
            return Err(LogError::Foreign { path: path.to_owned(), found: header.log_id, expected });
        }
        if header.number != number || number == 0 {
            return Err(damaged(&format!("the file says that it is segment {}", header.number)));
        }
        if length < header.frames_start() {
            let block = header.block;
            return Err(damaged(&format!(
                "a segment with blocks of {block} bytes cannot be {length} bytes long"
            )));
        }
        Ok(Segment::of(file, path, &header, length))
    }

    /// Writes the header that makes a file a segment. The file must be `bytes` long already; its former
    /// contents no longer count.
    pub fn label(
        file: Arc<dyn LogFile>,
        path: &Path,
        header: &SegmentHeader,
        bytes: u64,
    ) -> Result<Self, LogError> {
        let written = file.write_all_at(&mut [IoSlice::new(&header.encode())], 0);
        written.map_err(LogError::write("write the header of", path))?;
        Ok(Segment::of(file, path, header, bytes))
    }

    fn of(file: Arc<dyn LogFile>, path: &Path, header: &SegmentHeader, bytes: u64) -> Self {
        let SegmentHeader { log_id, number, bytes: made, block, .. } = *header;
        let handle = Mutex::new(Handle::Open(file));
        Segment { log_id, number, seal: header.seal(), path: path.to_owned(), bytes, made, block, handle }
    }

    /// Where the first frame starts.
    pub fn frames_start(&self) -> u64 {
        frames_start(self.block)
    }

    /// Closes the file. It is reopened whenever it is needed.
    pub fn close(&self, files: &Arc<dyn Files>) {
        *self.handle.lock() = Handle::Closed(Arc::clone(files));
    }

    /// Opens the file for good, for writing.
    pub fn keep_open(&self) -> Result<(), LogError> {
        let file = self.file().map_err(LogError::io("open the log segment", &self.path))?;
        *self.handle.lock() = Handle::Open(file);
        Ok(())
    }

    fn file(&self) -> io::Result<Arc<dyn LogFile>> {
        let files = match &*self.handle.lock() {
            Handle::Open(file) => return Ok(Arc::clone(file)),
            Handle::Closed(files) => Arc::clone(files),
        };
        files.open(&self.path)
    }

    pub fn read_all(&self) -> Result<Bytes, LogError> {
        self.read(0, self.bytes as usize)
    }

    /// Reads a range at once.
    pub fn read(&self, offset: u64, length: usize) -> Result<Bytes, LogError> {
        let found = self.read_if_there(offset, length)?;
        let gone = || LogError::io("read the log segment", &self.path)(io::ErrorKind::NotFound.into());
        found.ok_or_else(gone)
    }

    /// Reads a range at once; `None` if the segment has been taken out of the log meanwhile.
    pub fn read_if_there(&self, offset: u64, length: usize) -> Result<Option<Bytes>, LogError> {
        let failed = || LogError::io("read the log segment", &self.path);
        let file = match self.file() {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed()(error)),
        };
        let mut buffer = vec![0; length];
        file.read_exact_at(&mut buffer, offset).map_err(failed())?;
        Ok(Some(buffer.into()))
    }

    /// Writes all parts one after the other from an offset on.
    pub fn write(&self, offset: u64, parts: &mut [IoSlice<'_>]) -> Result<(), LogError> {
        let written = self.file().and_then(|file| file.write_all_at(parts, offset));
        written.map_err(LogError::write("write to the log segment", &self.path))
    }

    /// Waits until what was written is durable.
    pub fn sync_data(&self) -> Result<(), LogError> {
        self.file()
            .and_then(|file| file.sync_data())
            .map_err(LogError::io("sync the log segment", &self.path))
    }

    /// Waits until contents and length are durable.
    pub fn sync_all(&self) -> Result<(), LogError> {
        self.file().and_then(|file| file.sync_all()).map_err(LogError::io("sync the log segment", &self.path))
    }

    /// Rewrites a range of the file as it is, so that the next sync makes it durable whatever became of
    /// earlier ones.
    pub fn rewrite(&self, from: u64, to: u64) -> Result<(), LogError> {
        if from == to {
            return Ok(());
        }
        let bytes = self.read(from, (to - from) as usize)?;
        self.write(from, &mut [IoSlice::new(&bytes)])
    }

    /// Overwrites the rest of the file with zeros from an offset on.
    pub fn erase(&self, from: u64) -> Result<(), LogError> {
        self.file()
            .and_then(|file| file.fill_with_zeros(from, self.bytes))
            .map_err(LogError::io("erase the end of the log segment", &self.path))
    }

    pub fn grow(&mut self, bytes: u64, durable: bool) -> Result<(), LogError> {
        self.file()
            .and_then(|file| allocate(&*file, self.bytes, bytes, durable))
            .map_err(LogError::write("extend the log segment", &self.path))?;
        self.bytes = bytes;
        if durable { self.sync_all() } else { Ok(()) }
    }
}

/// Creates a file of that length, not synced yet. See [`allocate`].
pub(super) fn create_file(
    files: &dyn Files,
    path: &Path,
    bytes: u64,
    durable: bool,
) -> Result<Arc<dyn LogFile>, LogError> {
    let file = files.create(path).map_err(LogError::write("create the log segment", path))?;
    if let Err(error) = allocate(&*file, 0, bytes, durable) {
        // A part of a segment is useless, and takes up the room that is left.
        let removed = files.remove(path);
        removed.map_err(LogError::io("remove the unfinished log segment", path))?;
        return Err(LogError::write("allocate the log segment", path)(error));
    }
    Ok(file)
}

/// Gives a range of a file disk space.
///
/// With `durable`, writes zeros: then a later sync finds nothing but data to write, where otherwise the file
/// system would have to record with each one that a range is now in use (6.1k against 4.5k syncs per second).
/// If nothing will be synced, a reservation is enough.
fn allocate(file: &dyn LogFile, from: u64, to: u64, durable: bool) -> io::Result<()> {
    if durable { file.fill_with_zeros(from, to) } else { file.reserve(from, to) }
}
