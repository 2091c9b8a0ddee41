//! Messages between servers' replicas of a group.

use bytes::Bytes;
use niagara_group::wire::Wire;

use super::entry;

/// Where a forwarded sub-batch has a byte that is written as zero and not looked at.
const PADDING: usize = 1 + 39;

/// **Whatever the bytes, [`Wire::decode`] gives a message or an error; a message is encoded to the very bytes that it came
/// from**, but for a byte of padding, so that no two servers can understand it differently. The commands of a forwarded
/// sub-batch can be walked, and the entries of an append are as [`entry`](super::entry()) demands.
///
/// The data is the body of the message's frame.
///
/// # Panics
/// When the property does not hold.
pub fn message(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let wire = match Wire::decode(&body) {
        Ok(wire) => wire,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let encoded: Vec<u8> = wire.encode().parts().iter().flatten().copied().collect();
    let mut expected = data.to_vec();
    if let Wire::Forward(_) = &wire {
        expected[PADDING] = 0;
    }
    assert!(encoded == expected, "{wire:?} was {expected:?} and is encoded as {encoded:?}");
    assert_eq!(Wire::decode(&encoded.into()), Ok(wire.clone()));
    match &wire {
        Wire::Forward(batch) => entry::walk(batch),
        Wire::Raft(message) => {
            for entry in &message.entries {
                entry::check(&entry.context, &entry.data);
            }
        }
        Wire::Notice(_)
        | Wire::Nack { .. }
        | Wire::PadRequest { .. }
        | Wire::Snapshot { .. }
        | Wire::AskPromise { .. }
        | Wire::Promise { .. }
        | Wire::Claim
        | Wire::Digests(_) => {}
    }
}
