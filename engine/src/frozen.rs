//! How a state machine freezes its state for a snapshot, and restores it.

use std::io;
use std::path::Path;

use bytes::Bytes;

/// An immutable view of a state at one moment. Another thread reads it while the state keeps changing.
///
/// A state of a few MiB can be [`Encoded`] at once. A larger one must not be: [`StateMachine::freeze`] runs
/// between two commands, and everybody waits for it.
///
/// # Files of its own
///
/// A state on disk need not be copied into each snapshot. A view that [`SAVES_FILES`](Self::SAVES_FILES) puts files
/// of its own, hard links for example, into a directory beside the snapshot; they are the snapshot's content. Chunks
/// are asked for only when they are needed: by a server that is far behind, or by a start whose state is lost. Then
/// [`open_files`](Self::open_files) makes a view out of the files. `examples/journal.rs` is such a state machine.
///
/// [`StateMachine::freeze`]: crate::StateMachine::freeze
pub trait Frozen: Send + Sized + 'static {
    /// Appends the next part of the state to `chunk`, about [`CHUNK_BYTES`] of it; `false` if nothing is
    /// left. The application alone decides what a chunk contains and how chunks are ordered:
    /// [`Restoring::add_chunk`] gets them back unchanged and in order.
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool;

    /// Whether views save files of their own. They are not asked to where snapshots are in memory, or in files that
    /// are not the system's ([`Files::are_of_the_system`](crate::Files::are_of_the_system)).
    const SAVES_FILES: bool = false;

    /// Puts this view's content into an empty directory, durably: files are synced when this returns. The engine
    /// syncs their names, and removes the directory with the snapshot. It is called once, instead of
    /// [`next_chunk`](Self::next_chunk), on the thread for snapshots; transfers to other servers wait for it.
    ///
    /// # Errors
    /// If the files cannot be written. The snapshot is retried later, with a new view.
    fn save_files(&mut self, directory: &Path) -> io::Result<()> {
        unreachable!("SAVES_FILES is false, so nothing is saved in {}", directory.display())
    }

    /// A view of what [`save_files`](Self::save_files) put into a directory. The directory must stay as it is.
    ///
    /// # Errors
    /// If the files cannot be read. Use `InvalidData` or `NotFound` for damaged ones: a start then falls back on the
    /// snapshot before.
    fn open_files(directory: &Path) -> io::Result<Self> {
        unreachable!("SAVES_FILES is false, so nothing was saved in {}", directory.display())
    }
}

/// A state being built from a snapshot's chunks, apart from the one in use.
pub trait Restoring: Send + 'static {
    /// Adds the next chunk.
    ///
    /// # Errors
    /// If [`Frozen::next_chunk`] did not write this chunk. Checksums have been verified already, so the
    /// snapshot is from another application, or from another version of this one.
    fn add_chunk(&mut self, chunk: &Bytes) -> Result<(), MalformedState>;

    /// What [`StateMachine::digest`] would return for the part of the state that has been read so far. For
    /// the whole state it must equal the digest at the time of the snapshot, or the file counts as damaged.
    ///
    /// [`StateMachine::digest`]: crate::StateMachine::digest
    fn digest(&self) -> Option<u128> {
        None
    }
}

/// Approximate size of a snapshot's chunk, in bytes: so large that the cost per chunk is negligible, and so
/// small that creating one holds nobody up.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Bytes that are not a state of this application; says what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot is not of this application: {0}; start the version of the program that wrote it")]
pub struct MalformedState(pub &'static str);

/// A small state as one piece of bytes: the simplest thing that can be frozen and restored.
///
/// ```
/// use bytes::Bytes;
/// use niagara_engine::{Encoded, Frozen, Restoring};
///
/// let mut frozen = Encoded::new(b"all there is".to_vec());
/// let mut restoring = Encoded::default();
/// let mut chunk = Vec::new();
/// while frozen.next_chunk(&mut chunk) {
///     restoring.add_chunk(&Bytes::from(std::mem::take(&mut chunk)))?;
/// }
/// assert_eq!(restoring.bytes(), b"all there is");
/// # Ok::<(), niagara_engine::MalformedState>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    bytes: Vec<u8>,
    read: usize,
}

impl Encoded {
    /// Wraps an encoded state.
    pub fn new(bytes: Vec<u8>) -> Encoded {
        Encoded { bytes, read: 0 }
    }

    /// The whole encoded state.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Frozen for Encoded {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool {
        let rest = &self.bytes[self.read..];
        let part = &rest[..rest.len().min(CHUNK_BYTES)];
        chunk.extend_from_slice(part);
        self.read += part.len();
        !part.is_empty()
    }
}

impl Restoring for Encoded {
    fn add_chunk(&mut self, chunk: &Bytes) -> Result<(), MalformedState> {
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}
