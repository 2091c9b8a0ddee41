//! What servers tell each other of what they have executed: digests up to one position.

use bytes::{Buf, BufMut};

/// The digests up to and including a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DigestMark {
    /// The position; 0 for none.
    pub position: u64,
    /// The digest of the global log.
    pub log: u64,
    /// The digest of the state that it has led to; nothing if the state machine gives none, or gave none at that time.
    pub state: Option<u64>,
}

impl DigestMark {
    /// Length in bytes, encoded.
    pub const BYTES: usize = 25;
    /// The most marks that a server keeps, and so sends, at a time: three for each power of two.
    pub const MOST: usize = 3 * 64;

    /// Appends position, digest of the log, whether there is one of the state, and which.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u64_le(self.position);
        out.put_u64_le(self.log);
        put_state(out, self.state);
    }

    /// Reads what [`encode`](Self::encode) wrote; nothing if that is not there.
    pub fn decode(input: &mut &[u8]) -> Option<DigestMark> {
        let (position, log) = (input.try_get_u64_le().ok()?, input.try_get_u64_le().ok()?);
        Some(DigestMark { position, log, state: take_state(input)? })
    }
}

/// Appends whether there is a digest of the state, and which.
pub fn put_state(out: &mut impl BufMut, state: Option<u64>) {
    out.put_u8(u8::from(state.is_some()));
    out.put_u64_le(state.unwrap_or(0));
}

/// Reads what [`put_state`] wrote; nothing if that is not there.
pub fn take_state(input: &mut &[u8]) -> Option<Option<u64>> {
    match (input.try_get_u8().ok()?, input.try_get_u64_le().ok()?) {
        (0, 0) => Some(None),
        (1, state) => Some(Some(state)),
        _ => None,
    }
}
