//! Messages about snapshots.

use bytes::Bytes;
use niagara_engine::internals::snapshot::Transfer;

/// **A body has one meaning at most:** what is understood is encoded in the very same bytes.
///
/// # Panics
/// When the property does not hold.
pub fn transfer(data: &[u8]) {
    match Transfer::decode(&Bytes::copy_from_slice(data)) {
        Ok(message) => assert_eq!(message.encode().parts().concat(), data, "{message:?}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
