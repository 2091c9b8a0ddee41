//! A snapshot file, as the commands read it.

use std::path::Path;

use niagara_engine::MalformedState;
use niagara_engine::internals::snapshot::{SnapshotError, SnapshotReader};
use niagara_kvstore::{Database, Description, SnapshotEntry, snapshot_entries};

use crate::failure::Failure;
use crate::read_only::ReadOnly;

/// A key and its value, with the value's HTTP headers.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'k> {
    pub database: Database,
    pub key: &'k [u8],
    pub value: &'k [u8],
    pub description: Description<'k>,
    /// When it expires, in milliseconds since 1970.
    pub deadline: Option<u64>,
}

/// Takes a key and its value.
pub type Visit<'v> = dyn FnMut(Kept<'_>) -> Result<(), Failure> + 'v;

/// Opens a file and checks its header.
pub fn open(path: &Path) -> Result<SnapshotReader, SnapshotError> {
    SnapshotReader::open(&ReadOnly, path)
}

/// Hands over each key with its value. Each chunk is checked before.
pub fn each_pair(reader: &mut SnapshotReader, visit: &mut Visit<'_>) -> Result<(), Failure> {
    loop {
        let at = reader.position();
        let Some(chunk) = reader.next_chunk().map_err(|error| failure(&error))? else { return Ok(()) };
        for entry in snapshot_entries(&chunk) {
            let entry = entry.map_err(|malformed| failure(&foreign_chunk(reader, at)(malformed)))?;
            let SnapshotEntry { database, key, value, description, deadline, .. } = entry;
            visit(Kept { database, key, value, description, deadline })?;
        }
    }
}

/// The damage of a file whose chunk at `offset` has a valid checksum, but was not written by this program.
pub fn foreign_chunk(reader: &SnapshotReader, offset: u64) -> impl Fn(MalformedState) -> SnapshotError {
    move |MalformedState(reason)| SnapshotError::Damaged { path: reader.path().to_owned(), offset, reason }
}

/// The failure of a command that cannot use a file.
pub fn failure(error: &SnapshotError) -> Failure {
    let hint = match error {
        SnapshotError::Damaged { .. } => {
            "use another file: each server keeps its last two snapshots, and `niagara snapshot now` \
             takes a new one"
        }
        SnapshotError::Io { .. } => {
            "name a file such as snapshots/0000000000000400.snap in a server's data directory"
        }
        _ => "``niagara snapshot inspect` shows what the file holds",
    };
    Failure::new(error, hint)
}
