use super::{Broken, hold};

/// Servers without faults of their own that form a quorum serve within a bound, whatever happens to the
/// others.
pub fn check_majority_serves(
    server: u64,
    is_served: bool,
    why: impl FnOnce() -> String,
) -> Result<(), Broken> {
    hold(is_served, "majority_serves", || {
        format!("a request through server {server}, to which nothing happened, is not served: {}", why())
    })
}
