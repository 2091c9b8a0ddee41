//! Snapshots whose content is in files of the state machine's own: a directory beside the snapshot's file, which then
//! holds the engine's part alone.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use niagara_log::Files;

use super::error::SnapshotError;
use super::reader::SnapshotReader;
use crate::frozen::{Frozen, Restoring};

/// The extension of such a directory.
pub(super) const EXTENSION: &str = "files";

/// The directory beside a snapshot's file.
pub(crate) fn directory(snapshot: &Path) -> PathBuf {
    snapshot.with_extension(EXTENSION)
}

/// Has a view save its files. When this returns, they are durable.
pub(super) fn save<F: Frozen>(
    files: &dyn Files,
    directory: &Path,
    frozen: &mut F,
) -> Result<(), SnapshotError> {
    remove(directory)?;
    files.create_dir(directory).map_err(SnapshotError::io("create the directory", directory))?;
    frozen
        .save_files(directory)
        .map_err(SnapshotError::io("save the state machine's files in", directory))?;
    files.sync_dir(directory).map_err(SnapshotError::io("sync the directory", directory))
}

/// Opens what a view saved beside a snapshot.
pub(super) fn open<F: Frozen>(snapshot: &Path) -> Result<F, SnapshotError> {
    let directory = directory(snapshot);
    F::open_files(&directory).map_err(|error| match error.kind() {
        ErrorKind::InvalidData | ErrorKind::NotFound => SnapshotError::Damaged {
            path: directory,
            offset: 0,
            reason: "the state machine finds its files missing or damaged",
        },
        _ => SnapshotError::io("open the state machine's files in", &directory)(error),
    })
}

/// Removes such a directory, if it is there.
pub(super) fn remove(directory: &Path) -> Result<(), SnapshotError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(SnapshotError::io("remove", directory)(error))
        }
        _ => Ok(()),
    }
}

/// Reads a whole snapshot into a state, wherever its content is.
pub(crate) fn read_into<F: Frozen>(
    reader: &mut SnapshotReader,
    state: &mut impl Restoring,
) -> Result<(), SnapshotError> {
    if reader.header().own_files {
        let mut frozen: F = open(reader.path())?;
        let mut ended = false;
        while !ended {
            let mut chunk = Vec::new();
            ended = !frozen.next_chunk(&mut chunk);
            if !chunk.is_empty() {
                reader.add_to(state, &chunk.into())?;
            }
        }
    }
    while reader.read_into(state)? {}
    Ok(())
}
