//! Execution of the global log: what is executed, what was executed already, and how two servers compare what they have come to.

mod digest;
mod lane_sessions;

pub use digest::Digests;
pub use lane_sessions::{LaneSessions, Verdict};
