//! Reads a snapshot's file from start to end, and checks each byte on the way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use niagara_log::{Files, LogFile};

use super::error::SnapshotError;
use super::format::{CHUNK_HEAD_BYTES, Head, TRAILER_BYTES, chunk_checks, read_head, trailer};
use super::header::{Header, HeaderError, PRELUDE_BYTES, VERSION, checksum};
use crate::frozen::Restoring;
use crate::planted::{self, Bug};

/// An open snapshot. It is known to be whole once [`next_chunk`](Self::next_chunk) has returned `None`.
///
/// ```no_run
/// use niagara_log::SystemFiles;
/// use niagara_engine::internals::snapshot::SnapshotReader;
///
/// let mut reader = SnapshotReader::open(&SystemFiles, "snapshots/0000000000000400.snap".as_ref())?;
/// println!("the state at position {}", reader.header().position());
/// let mut bytes = 0;
/// while let Some(chunk) = reader.next_chunk()? {
///     bytes += chunk.len();
/// }
/// println!("{bytes} bytes, and nothing is missing");
/// # Ok::<(), niagara_engine::internals::snapshot::SnapshotError>(())
/// ```
#[derive(Debug)]
pub struct SnapshotReader {
    header: Arc<Header>,
    path: PathBuf,
    file: Arc<dyn LogFile>,
    length: u64,
    seal: u32,
    sum: crc32fast::Hasher,
    chunks: u64,
    payload: u64,
    at: u64,
    ended: bool,
}

impl SnapshotReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// If the file cannot be read, is not a snapshot, or has another version.
    pub fn open(files: &dyn Files, path: &Path) -> Result<SnapshotReader, SnapshotError> {
        let file = files.open(path).map_err(SnapshotError::io("open the snapshot", path))?;
        let length = file.length().map_err(SnapshotError::io("measure the snapshot", path))?;
        let fault = |error| match error {
            HeaderError::Damaged(reason) => {
                SnapshotError::Damaged { path: path.to_owned(), offset: 0, reason }
            }
            HeaderError::Version(found) => {
                SnapshotError::Version { path: path.to_owned(), found, supported: VERSION }
            }
        };
        let read = |bytes: &mut [u8]| {
            if bytes.len() as u64 > length {
                return Err(fault(HeaderError::Damaged("the file is too short")));
            }
            file.read_exact_at(bytes, 0).map_err(SnapshotError::io("read the snapshot", path))
        };
        let mut prelude = [0; PRELUDE_BYTES];
        read(&mut prelude)?;
        let mut bytes = vec![0; Header::length(&prelude).map_err(fault)?];
        read(&mut bytes)?;
        let header = Arc::new(Header::decode(&bytes).map_err(fault)?);
        Ok(SnapshotReader {
            header,
            path: path.to_owned(),
            file,
            length,
            seal: checksum(&bytes),
            sum: crc32fast::Hasher::new(),
            chunks: 0,
            payload: 0,
            at: bytes.len() as u64,
            ended: false,
        })
    }

    /// The snapshot's header.
    pub fn header(&self) -> &Arc<Header> {
        &self.header
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the file, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How far the file has been read, in bytes.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next chunk; `None` when all have been read and the trailer confirms it.
    ///
    /// # Errors
    /// If the file cannot be read, or differs from what was written.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, SnapshotError> {
        if self.ended {
            return Ok(None);
        }
        let mut head = [0; CHUNK_HEAD_BYTES];
        self.read(self.at, &mut head)?;
        let kind = read_head(&head, self.chunks + 1).map_err(|reason| self.damaged(reason))?;
        let Head::Chunk(length) = kind else {
            self.check_trailer()?;
            self.ended = true;
            return Ok(None);
        };
        if length as u64 > self.length - self.at {
            return Err(self.damaged("the file ends within a chunk"));
        }
        let mut payload = vec![0; length];
        self.read(self.at + CHUNK_HEAD_BYTES as u64, &mut payload)?;
        if !chunk_checks(self.seal, &head, &payload) && !planted::is(Bug::SnapshotUnchecked) {
            return Err(self.damaged("a chunk does not match its checksum"));
        }
        self.sum.update(&head[..4]);
        self.chunks += 1;
        self.payload += length as u64;
        self.at += (CHUNK_HEAD_BYTES + length) as u64;
        Ok(Some(payload.into()))
    }

    /// Reads the next chunk into a state; `false` if there was none left.
    ///
    /// # Errors
    /// Those of [`next_chunk`](Self::next_chunk), or if the state machine rejects the chunk.
    pub(crate) fn read_into(&mut self, state: &mut impl Restoring) -> Result<bool, SnapshotError> {
        let Some(chunk) = self.next_chunk()? else {
            let is_that_state = self.header.digests.agrees_with(state.digest());
            let reason = "its chunks are whole, but yield another state than was frozen (equal_states)";
            return if is_that_state { Ok(false) } else { Err(self.damaged(reason)) };
        };
        self.add_to(state, &chunk).map(|()| true)
    }

    /// Checks that its content is in its chunks.
    pub(super) fn has_chunks(&self) -> Result<(), SnapshotError> {
        match self.header.own_files {
            true => Err(self.damaged("its content is in files of the server that wrote it")),
            false => Ok(()),
        }
    }

    /// Adds a chunk of this snapshot to a state.
    pub(super) fn add_to(&self, state: &mut impl Restoring, chunk: &Bytes) -> Result<(), SnapshotError> {
        let added = state.add_chunk(chunk);
        added.map_err(|source| SnapshotError::State { path: self.path.clone(), source })
    }

    fn check_trailer(&self) -> Result<(), SnapshotError> {
        if planted::is(Bug::SnapshotUnchecked) {
            return Ok(());
        }
        let mut found = [0; TRAILER_BYTES];
        self.read(self.at, &mut found)?;
        let sum = self.sum.clone().finalize();
        if found != trailer(self.seal, self.chunks, self.payload, self.length, sum) {
            return Err(self.damaged("the trailer does not match what precedes it"));
        }
        if self.at + TRAILER_BYTES as u64 != self.length {
            return Err(self.damaged("bytes after the trailer"));
        }
        Ok(())
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), SnapshotError> {
        if bytes.len() as u64 > self.length.saturating_sub(at) {
            return Err(self.damaged("the file is too short"));
        }
        self.file.read_exact_at(bytes, at).map_err(SnapshotError::io("read the snapshot", &self.path))
    }

    fn damaged(&self, reason: &'static str) -> SnapshotError {
        SnapshotError::Damaged { path: self.path.clone(), offset: self.at, reason }
    }
}
