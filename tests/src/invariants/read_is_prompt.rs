use super::{Broken, hold};

/// A strong read through a server that can reach a quorum is answered within so many milliseconds, whatever
/// happens to the others.
pub fn check_read_is_prompt(server: u64, waited: u64, bound: u64) -> Result<(), Broken> {
    hold(waited <= bound, "read_is_prompt", || {
        format!("a strong read through server {server}, to which nothing happened, has waited {waited} ms")
    })
}
