//! How a state machine hands out its state for a snapshot, and takes one back.

use bytes::Bytes;

/// An unchanging view of a state at one moment, read by another thread while the state goes on changing.
///
/// A state that fits a few MiB is [`Encoded`] at once. A larger one must not be: [`StateMachine::freeze`] runs between two
/// commands, and what it takes, everybody waits for.
///
/// [`StateMachine::freeze`]: crate::StateMachine::freeze
pub trait Frozen: Send + 'static {
    /// Appends the next part of the state to `chunk`, about [`CHUNK_BYTES`] of it; `false` if there is nothing left. What is
    /// in a chunk, and in which order chunks come, is the application's own business: they come back to
    /// [`Restoring::add_chunk`] as they were, in the same order.
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool;
}

/// A state in the making, built from a snapshot's chunks aside of the one that is in use.
pub trait Restoring: Send + 'static {
    /// Takes the next chunk.
    ///
    /// # Errors
    /// When it is not what [`Frozen::next_chunk`] writes. Checksums have been looked at before, so the snapshot is that of
    /// another application, or of another version of this one.
    fn add_chunk(&mut self, chunk: &Bytes) -> Result<(), MalformedState>;

    /// What [`StateMachine::digest`] would say of the state as it has been read so far. When all has been read, it must be what
    /// was said where the snapshot was made: else the file counts as damaged.
    ///
    /// [`StateMachine::digest`]: crate::StateMachine::digest
    fn digest(&self) -> Option<u128> {
        None
    }
}

/// How large a chunk of a snapshot is, about, in bytes: large enough that what a chunk costs is nothing beside its bytes, and
/// small enough that making one holds nobody up.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Bytes that are no state of this application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the snapshot holds no state of this application: {0}; start the version of the program that wrote it"
)]
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
    /// The state in this form.
    pub fn new(bytes: Vec<u8>) -> Encoded {
        Encoded { bytes, read: 0 }
    }

    /// All of the state.
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
