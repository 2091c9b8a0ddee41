//! Digests that servers exchange to compare what they have executed.

use bytes::{Buf, BufMut};

/// Digests of log and state at one position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DigestMark {
    /// Position up to which the digests go, inclusive; 0 for none.
    pub position: u64,
    /// Digest of the global log.
    pub log: u64,
    /// Digest of the resulting state; `None` if the state machine gave none at that position.
    pub state: Option<u64>,
}

impl DigestMark {
    /// Encoded length, in bytes.
    pub const BYTES: usize = 25;
    /// The most marks that a server keeps and sends: three for each power of two.
    pub const MOST: usize = 3 * 64;

    /// Appends the position and both digests, in [`BYTES`](Self::BYTES) bytes.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u64_le(self.position);
        out.put_u64_le(self.log);
        put_state(out, self.state);
    }

    /// Parses what [`encode`](Self::encode) wrote; `None` if the input is something else.
    pub fn decode(input: &mut &[u8]) -> Option<DigestMark> {
        let (position, log) = (input.try_get_u64_le().ok()?, input.try_get_u64_le().ok()?);
        Some(DigestMark { position, log, state: take_state(input)? })
    }
}

/// Appends a flag and the digest of the state, 0 if there is none.
pub fn put_state(out: &mut impl BufMut, state: Option<u64>) {
    out.put_u8(u8::from(state.is_some()));
    out.put_u64_le(state.unwrap_or(0));
}

/// Parses what [`put_state`] wrote; `None` if the input is something else.
pub fn take_state(input: &mut &[u8]) -> Option<Option<u64>> {
    match (input.try_get_u8().ok()?, input.try_get_u64_le().ok()?) {
        (0, 0) => Some(None),
        (1, state) => Some(Some(state)),
        _ => None,
    }
}
