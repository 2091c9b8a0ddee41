//! How long requests may be.

use crate::command::MAX_VALUE_BYTES;

/// Most arguments of a request.
pub(super) const MAX_ARGUMENTS: usize = 1 << 20;

/// The longest argument that may be announced, as in Redis. If it is longer than the longest value, it is
/// skipped.
pub(super) const MAX_BULK_BYTES: u64 = 512 << 20;

/// Longest request: a value and a key of full length, or a million arguments of about 30 bytes.
pub(super) const MAX_REQUEST_BYTES: usize = 2 * MAX_VALUE_BYTES;

/// Longest line that holds a count or length: any 64-bit number fits.
pub(super) const MAX_NUMBER_LINE_BYTES: usize = 32;
