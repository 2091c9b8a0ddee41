//! A log's directory: names, removes and finds its segments.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::direct::DirectFile;
use super::files::Files;
use super::format::SegmentHeader;
use super::segment::{Segment, create_file};
use super::sync_method::SyncMethod;
use super::{LogConfig, LogError, LogMarks, SEGMENT_BYTES_MIN};

const SEGMENT: &str = "log";
const UNFINISHED: &str = "tmp";
const TRIAL: &str = "trial.tmp";

/// While the directory is `durable`, names are synced before anything relies on them.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    files: Arc<dyn Files>,
    log_id: u64,
    /// Length of the first segment, and the most that a segment gets unless one entry needs more; in bytes.
    first_bytes: u64,
    segment_bytes: u64,
    /// Length of the blocks of new segments, in bytes.
    block: u64,
    durable: bool,
    sync_method: SyncMethod,
    marks: Arc<dyn LogMarks>,
}

/// A retired segment of the configured length, kept for reuse.
#[derive(Debug)]
pub(super) struct Spare(PathBuf);

impl Directory {
    /// Creates the directory if it does not exist.
    pub fn open(config: &LogConfig, durable: bool) -> Result<Self, LogError> {
        let path = config.dir.clone();
        let files = Arc::clone(&config.files);
        files.create_dir(&path).map_err(LogError::io("create the log directory", &path))?;
        let block = config.block_bytes;
        // A segment has room for its header and a frame, and consists of whole blocks.
        let least = SEGMENT_BYTES_MIN.max(2 * block);
        let segment_bytes = config.segment_bytes.max(least).next_multiple_of(block);
        let first_bytes = config.first_segment_bytes.clamp(least, segment_bytes);
        let marks = Arc::clone(&config.marks);
        let (log_id, sync_method) = (config.log_id, SyncMethod::None);
        Ok(Directory { path, files, log_id, first_bytes, segment_bytes, block, durable, sync_method, marks })
    }

    /// Finds out how writes can be made durable.
    pub fn find_sync_method(&mut self, direct: bool) -> Result<(), LogError> {
        self.sync_method = match (self.durable, direct) {
            (false, _) => SyncMethod::None,
            (true, false) => SyncMethod::Fdatasync("direct writes are switched off".into()),
            (true, true) => SyncMethod::find(&*self.files, &self.path.join(TRIAL), self.block)?,
        };
        Ok(())
    }

    pub fn sync_method(&self) -> &SyncMethod {
        &self.sync_method
    }

    /// Length of the blocks of new segments, in bytes.
    pub fn block(&self) -> u64 {
        self.block
    }

    /// Opens a segment for direct writes, if that is how this log is written. Then nobody needs it open for
    /// reading all the time.
    pub fn open_direct(&self, segment: &Segment) -> Result<Option<Arc<dyn DirectFile>>, LogError> {
        if self.sync_method != SyncMethod::Direct || segment.block != self.block() {
            return Ok(None);
        }
        let file = self.files.open_direct(&segment.path);
        let file = file.map_err(LogError::io("open for direct writes", &segment.path))?;
        self.close(segment);
        Ok(Some(file))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether names are synced, and contents before they get a name.
    pub fn is_durable(&self) -> bool {
        self.durable
    }

    /// The existing segments, in order.
    pub fn load(&self) -> Result<Vec<Segment>, LogError> {
        segment_numbers(&*self.files, &self.path)?
            .into_iter()
            .map(|number| {
                let path = segment_path(&self.path, number);
                let segment = Segment::load(&*self.files, &path, Some(self.log_id), number)?;
                self.close(&segment);
                Ok(segment)
            })
            .collect()
    }

    /// Closes the file of a segment that is not written to through it.
    pub fn close(&self, segment: &Segment) {
        segment.close(&self.files);
    }

    /// Removes segments that a crash interrupted while they were being prepared or recycled.
    pub fn remove_unfinished(&self) -> Result<(), LogError> {
        for path in list(&*self.files, &self.path, UNFINISHED)? {
            self.files.remove(&path).map_err(LogError::io("remove the unfinished log segment", &path))?;
        }
        Ok(())
    }

    /// Prepares a segment to follow segments of `held` bytes. Reuses the spare file if there is one; a new
    /// file is as long as the earlier segments together. So a log doubles until its segments have the
    /// configured length, and an idle one stays small. The segment is durable, and its number is recorded in
    /// the marks, before anything is written to it.
    pub fn create(&self, number: u64, held: u64, spare: Option<Spare>) -> Result<Segment, LogError> {
        let path = segment_path(&self.path, number);
        let (unfinished, file, bytes) = match spare {
            Some(Spare(path)) => {
                let file = self.files.open(&path);
                let file = file.map_err(LogError::io("open the spare log segment", &path))?;
                (path, file, self.segment_bytes)
            }
            None => {
                let path = self.path.join(format!("{number:016x}.new.{UNFINISHED}"));
                let bytes = self.length_behind(held);
                let file = create_file(&*self.files, &path, bytes, self.durable)?;
                (path, file, bytes)
            }
        };
        let (log_id, block, salt) = (self.log_id, self.block(), self.files.salt());
        let header = SegmentHeader { log_id, number, salt, bytes, block };
        let segment = Segment::label(file, &path, &header, bytes)?;
        segment.sync_all()?;
        let renamed = self.files.rename(&unfinished, &path);
        renamed.map_err(LogError::write("rename the prepared segment to", &path))?;
        self.sync()?;
        self.marks.prepared(number).map_err(LogError::write("record the new log segment", &path))?;
        Ok(segment)
    }

    fn length_behind(&self, held: u64) -> u64 {
        self.whole_blocks(held.clamp(self.first_bytes, self.segment_bytes))
    }

    /// The least length of a segment with room for so many bytes.
    pub fn whole_blocks(&self, bytes: u64) -> u64 {
        bytes.next_multiple_of(self.block)
    }

    /// Takes a segment out of the log. Keeps the file as a spare if `keep` is set and its length is right;
    /// removes it otherwise. The caller retires the oldest segment first, so no crash leaves a gap.
    pub fn retire(&self, segment: &Segment, keep: bool) -> Result<Option<Spare>, LogError> {
        let spare = if keep && segment.bytes == self.segment_bytes {
            let path = self.path.join(format!("{:016x}.old.{UNFINISHED}", segment.number));
            self.files
                .rename(&segment.path, &path)
                .map_err(LogError::io("retire the log segment", &segment.path))?;
            Some(Spare(path))
        } else {
            let removed = self.files.remove(&segment.path);
            removed.map_err(LogError::io("remove the log segment", &segment.path))?;
            None
        };
        self.sync_names()?;
        Ok(spare)
    }

    /// Syncs the names whatever the durability.
    pub fn sync(&self) -> Result<(), LogError> {
        self.files.sync_dir(&self.path).map_err(LogError::io("sync the log directory", &self.path))
    }

    fn sync_names(&self) -> Result<(), LogError> {
        if self.durable { self.sync() } else { Ok(()) }
    }
}

/// Numbers of the segments in a directory, in order.
pub(super) fn segment_numbers(files: &dyn Files, dir: &Path) -> Result<Vec<u64>, LogError> {
    let paths = list(files, dir, SEGMENT)?;
    let mut numbers: Vec<u64> = paths.iter().filter_map(|path| number_of(path)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.{SEGMENT}"))
}

fn list(files: &dyn Files, dir: &Path, extension: &str) -> Result<Vec<PathBuf>, LogError> {
    let mut paths = files.list(dir).map_err(LogError::io("list the log directory", dir))?;
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    Ok(paths)
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_stem()?.to_str()?;
    if name.len() == 16 { u64::from_str_radix(name, 16).ok() } else { None }
}
