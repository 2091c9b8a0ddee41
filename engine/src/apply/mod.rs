//! Execution of the global log: what is executed, what was executed already, and how two servers compare what they have come to.

mod digest;
mod ledger;

pub use digest::{Digests, Mark};
pub(crate) use digest::{MARK_BYTES, MARKS_MAX, put_mark, take_mark};
pub use ledger::{Ledger, Verdict};
