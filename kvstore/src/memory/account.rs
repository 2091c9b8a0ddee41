//! What an entry counts, in bytes. It is the same on every server and machine: nothing of it asks the allocator, or how wide a
//! type is.

use crate::Description;

/// What a key counts beside its bytes and those of its value. An entry took about that much when the account began; what it takes
/// now is less. The account is a part of the state, so the number stays as it is: servers of all releases
/// evict the same keys.
const KEY_BYTES: usize = 168;

/// What a deadline counts, likewise.
const DEADLINE_BYTES: usize = 128;

/// What an entry counts. HTTP headers count in full, although entries may share them.
pub(crate) fn counted(key: &[u8], value: &[u8], description: Description<'_>, deadline: Option<u64>) -> u64 {
    let deadline = if deadline.is_some() { DEADLINE_BYTES } else { 0 };
    (KEY_BYTES + key.len() + value.len() + description.len() + deadline) as u64
}
