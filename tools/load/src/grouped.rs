//! Numbers as people read them.

use indicatif::HumanCount;

/// A number with its thousands set apart.
pub(crate) fn grouped(number: f64) -> String {
    HumanCount(number.round() as u64).to_string()
}
