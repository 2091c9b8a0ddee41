//! A snapshot's file, as the commands read it.

use std::path::Path;

use niagara_engine::MalformedState;
use niagara_engine::snapshot::{SnapshotError, SnapshotReader};
use niagara_kvstore::{Description, snapshot_entries};

use crate::failure::Failure;
use crate::read_only::ReadOnly;

/// Takes a key and its value, with what HTTP says of it.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8], Description<'_>) -> Result<(), Failure> + 'v;

/// Opens a file; its header is whole then.
pub fn open(path: &Path) -> Result<SnapshotReader, SnapshotError> {
    SnapshotReader::open(&ReadOnly, path)
}

/// Hands over each key with its value, chunk by chunk, each chunk checked before.
pub fn each_pair(reader: &mut SnapshotReader, visit: &mut Visit<'_>) -> Result<(), Failure> {
    loop {
        let at = reader.position();
        let Some(chunk) = reader.next_chunk().map_err(|error| failure(&error))? else { return Ok(()) };
        for entry in snapshot_entries(&chunk) {
            let entry = entry.map_err(|malformed| failure(&foreign_chunk(reader, at)(malformed)))?;
            visit(entry.key, entry.value, entry.description)?;
        }
    }
}

/// What is wrong with a file whose chunk at an offset is as it was written, but not by this program.
pub fn foreign_chunk(reader: &SnapshotReader, offset: u64) -> impl Fn(MalformedState) -> SnapshotError {
    move |MalformedState(reason)| SnapshotError::Damaged { path: reader.path().to_owned(), offset, reason }
}

/// What a command says about a file that it cannot use.
pub fn failure(error: &SnapshotError) -> Failure {
    let hint = match error {
        SnapshotError::Damaged { .. } => {
            "use another file: each server has snapshots of its own, and keeps the one before, too; `niagara snapshot now` \
             makes a new one"
        }
        SnapshotError::Io { .. } => {
            "name a file such as snapshots/0000000000000400.snap in a server's data directory"
        }
        _ => "`niagara snapshot inspect` shows what there is to see in a file",
    };
    Failure::new(error, hint)
}
