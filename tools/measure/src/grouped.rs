//! Numbers as people read them.

use indicatif::HumanFloatCount;

/// A number with its thousands set apart.
pub fn grouped(number: f64) -> String {
    HumanFloatCount(number.round()).to_string()
}
