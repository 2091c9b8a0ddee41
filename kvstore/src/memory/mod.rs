//! How much memory keys and values may take, and what happens when they take more.
//!
//! What they take is counted, not measured: [`counted`] gives each entry a number of bytes that follows from its lengths alone, so
//! all servers count alike. The limit, and which keys are evicted beyond it, are settings of the state, changed by an ordered
//! command. Keys are evicted at a position of the global log, before a command that needs memory, and which ones follows from the
//! state and the position (`state/eviction.rs`). So all servers evict the same keys.
//!
//! What clients read is in no log. While the least recently used keys are to go, each server notes reads in [`Uses`], and reports
//! them now and then by an ordered command.
//!
//! | file | holds |
//! |---|---|
//! | `account.rs` | what an entry counts |
//! | `limits.rs` | the limit, the policy, and what is kept of evictions |
//! | `policy.rs` | which keys go first |
//! | `units.rs` | numbers of bytes as Redis writes them |
//! | `uses.rs` | what was read on this server |

mod account;
mod limits;
mod policy;
mod units;
mod uses;

pub(crate) use account::counted;
pub(crate) use limits::{Above, MOST_SAMPLES, Memory, Pressure};
#[cfg(test)]
pub(crate) use policy::POLICIES;
pub(crate) use policy::{Among, First, Policy, UNKNOWN_POLICY};
pub(crate) use units::{bytes, shown};
pub(crate) use uses::Uses;
