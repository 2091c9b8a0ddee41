//! Execution of the global log: which commands to execute, and digests that compare the results of servers.

mod digest;
mod lane_sessions;

pub use digest::Digests;
pub use lane_sessions::{LaneSessions, Verdict};
