//! What has been executed.

use crate::apply::Digests;
use crate::sync::{AtomicU64, Mutex};

/// Counts and digests of what has been executed, for the status.
#[derive(Default)]
pub(crate) struct Executed {
    pub commands: AtomicU64,
    pub duplicates: AtomicU64,
    pub noops: AtomicU64,
    pub digests: Mutex<Digests>,
}
