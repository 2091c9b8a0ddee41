//! What a killed run has left on the machine.

use rustix::process::geteuid;

use crate::failure::Failure;
use crate::network;

/// Removes it. Runs that are still alive are left alone.
pub(super) fn remove() -> Result<(), Failure> {
    if geteuid().is_root() {
        network::remove_leftovers().map_err(|error| {
            Failure::new(format!(
                "cannot remove what an earlier run may have left: {error}; install iproute2"
            ))
        })?;
    }
    Ok(())
}
