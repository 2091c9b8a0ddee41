//! Administrative acts at a server's machine, as lines of the log with the target `audit`. Those of clients are told by the
//! server itself.

use rustix::process::getuid;

/// Tells what has been done, and as which user of the system this program runs.
pub fn act(what: &str, position: Option<u64>, outcome: &str) {
    let user = format!("uid {}", getuid().as_raw());
    tracing::info!(target: "audit", user, act = what, position, outcome, "administrative act");
}
