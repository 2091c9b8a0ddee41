//! Writes a snapshot's file, chunk by chunk, under a temporary name.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_log::{Files, LogFile};

use super::error::SnapshotError;
use super::format::{TRAILER_BYTES, chunk_head, trailer};
use super::header::{Header, checksum};
use crate::planted::{self, Bug};

/// Bytes to sync at a time: a single sync at the end of a large file would hold up the logs' syncs on the
/// same disk for as long as it takes.
pub(crate) const SYNC_BYTES: u64 = 4 << 20;

/// A snapshot being written. Nothing counts before [`finish`](Self::finish) has returned.
#[derive(Debug)]
pub(crate) struct SnapshotWriter {
    file: Arc<dyn LogFile>,
    path: PathBuf,
    /// What the chunks' checksums start from.
    seal: u32,
    /// Checksum of the chunks' checksums.
    sum: crc32fast::Hasher,
    chunks: u64,
    payload: u64,
    written: u64,
    synced: u64,
}

impl SnapshotWriter {
    /// Creates the file, and writes its header.
    pub fn create(files: &dyn Files, path: &Path, header: &Header) -> Result<Self, SnapshotError> {
        let header = header.encode();
        let file = files.create(path).map_err(SnapshotError::io("create the snapshot", path))?;
        let mut writer = SnapshotWriter {
            file,
            path: path.to_owned(),
            seal: checksum(&header),
            sum: crc32fast::Hasher::new(),
            chunks: 0,
            payload: 0,
            written: 0,
            synced: 0,
        };
        writer.write(&mut [IoSlice::new(&header)])?;
        Ok(writer)
    }

    /// Adds one of the application's chunks.
    pub fn add_chunk(&mut self, payload: &[u8]) -> Result<(), SnapshotError> {
        assert!(!payload.is_empty(), "an empty chunk would end the file");
        self.chunks += 1;
        self.payload += payload.len() as u64;
        let head = chunk_head(self.seal, self.chunks, payload);
        self.sum.update(&head[..4]);
        self.write(&mut [IoSlice::new(&head), IoSlice::new(payload)])?;
        if self.written - self.synced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    /// Completes the file, and returns its length in bytes. All of it is durable then, still under its
    /// temporary name.
    pub fn finish(mut self) -> Result<u64, SnapshotError> {
        let length = self.written + TRAILER_BYTES as u64;
        let trailer = trailer(self.seal, self.chunks, self.payload, length, self.sum.clone().finalize());
        self.write(&mut [IoSlice::new(&trailer)])?;
        if !planted::is(Bug::SnapshotNotSynced) {
            let synced = self.file.sync_all();
            if !planted::is(Bug::SnapshotSyncIgnored) {
                synced.map_err(SnapshotError::io("sync the snapshot", &self.path))?;
            }
        }
        Ok(length)
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn write(&mut self, parts: &mut [IoSlice<'_>]) -> Result<(), SnapshotError> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let written = self.file.write_all_at(parts, self.written);
        written.map_err(SnapshotError::io("write the snapshot", &self.path))?;
        self.written += bytes as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SnapshotError> {
        if planted::is(Bug::SnapshotNotSynced) {
            return Ok(());
        }
        self.file.sync_data().map_err(SnapshotError::io("sync the snapshot", &self.path))?;
        self.synced = self.written;
        Ok(())
    }
}
