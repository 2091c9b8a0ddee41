//! What must hold, whatever happens: one invariant a file, named as in ARCHITECTURE.md. After every event, the
//! simulator shows each of them what it needs to see, as a state and as a step from what it saw before.
//!
//! | file | holds when |
//! |---|---|
//! | `election_safety.rs` | a term of a group has at most one leader (Raft, figure 3) |
//! | `log_matching.rs` | what is committed at an index of a group's log is the same on every server, for good (Raft, figure 3) |
//! | `leader_completeness.rs` | a new leader's log holds everything committed (Raft, figure 3) |
//! | `position_bijection.rs` | places rise along each committed log; what is executed at a position is in its slot |
//! | `one_chain.rs` | all servers go through the same epochs |
//! | `global_prefix.rs` | any two servers' global logs agree on their common prefix |
//! | `equal_states.rs` | any two servers that have executed the same have the same state |
//! | `acked_is_applied.rs` | what was acknowledged is in the global log |
//! | `applied_once.rs` | no command is executed twice |
//! | `followed_once.rs` | a subscriber sees what its server executes, once and in order, or is told what it misses |
//! | `read_is_fresh.rs` | a strong read sees what was acknowledged before it began; an at-least read its position |
//! | `fifo_per_connection.rs` | a connection's writes are executed in the order sent |
//! | `compaction_floor.rs` | nothing above a durable snapshot is dropped |
//! | `recovery_is_complete.rs` | what a recovery calls complete holds everything committed |
//! | `restored_state.rs` | a state that was read from a snapshot is what the commands before it lead to |
//! | `pads_are_bounded.rs` | skips answer commands of other groups, and the anchor never skips ahead |
//! | `idle_read_is_answered.rs` | a strong read completes in an idle cluster, through every server |
//! | `progress_after_heal.rs` | when faults end, everything that waits completes |
//! | `bytes_are_bounded.rs` | what waits behind something slow takes no more bytes than configured |
//! | `slow_peer_is_bounded.rs` | what waits for a slow link stays within a bound |
//! | `cost_is_bounded.rs` | messages and work are in proportion to what clients request and to time |
//! | `majority_serves.rs`, `read_is_prompt.rs` | servers without faults of their own that form a quorum serve within a bound, whatever happens to another one |
//! | `leads_a_quorum.rs` | a leader that cannot reach a quorum steps down, and never hands over to a server that is far behind |
//! | `drained_leads_nothing.rs` | a server that drains leads no group that others could lead |
//! | `idle_is_quiet.rs` | without requests, next to nothing happens |
//! | `request_is_answered.rs` | every request ends by its deadline, once, while its server lives |
//! | `mset_is_whole.rs` | no read sees half of an mset |
//! | `refused_mset_sets_nothing.rs` | an mset that was not done has set nothing |
//! | `delete_is_whole.rs` | a delete of several keys removes all of them |
//! | `appends_are_kept.rs` | what was appended stays where it was put, once |
//! | `scan_is_complete.rs` | a scan visits every key that exists throughout, once |
//! | `expiry_is_in_time.rs` | a key that expires lasts as long as it was set to, whatever one clock shows, and then goes |
//! | `executed_once.rs` | a request with a key of its own is executed once, however often it is sent |
//! | `lost_right_is_lost.rs` | what is taken from a user is gone at every server |
//! | `read_shows_its_state.rs` | a read shows the state of the moment that it is answered at |
//!
//! [`crate::linearizability`] checks all outcomes that clients were told together.

mod acked_is_applied;
mod appends_are_kept;
mod applied_once;
mod bytes_are_bounded;
mod compaction_floor;
mod cost_is_bounded;
mod delete_is_whole;
mod drained_leads_nothing;
mod election_safety;
mod equal_states;
mod executed_once;
mod expiry_is_in_time;
mod fifo_per_connection;
mod followed_once;
mod global_prefix;
mod idle_is_quiet;
mod idle_read_is_answered;
mod leader_completeness;
mod leads_a_quorum;
mod log_matching;
mod lost_right_is_lost;
mod majority_serves;
mod mset_is_whole;
mod one_chain;
mod pads_are_bounded;
mod position_bijection;
mod progress_after_heal;
mod read_is_fresh;
mod read_is_prompt;
mod read_shows_its_state;
mod recovery_is_complete;
mod refused_mset_sets_nothing;
mod request_is_answered;
mod restored_state;
mod scan_is_complete;
mod slow_peer_is_bounded;

pub use acked_is_applied::AckedIsApplied;
pub use appends_are_kept::AppendsAreKept;
pub use applied_once::AppliedOnce;
pub use bytes_are_bounded::{BytesAreBounded, Limits as ByteLimits};
pub use compaction_floor::check_compaction_floor;
pub use cost_is_bounded::check_cost_is_bounded;
pub use delete_is_whole::check_delete_is_whole;
pub use drained_leads_nothing::check_drained_leads_nothing;
pub use election_safety::ElectionSafety;
pub use equal_states::check_equal_states;
pub use executed_once::ExecutedOnce;
pub use expiry_is_in_time::ExpiryIsInTime;
pub use fifo_per_connection::{FIFO, FifoPerConnection, check_read_is_in_its_place};
pub use followed_once::FollowedOnce;
pub use global_prefix::GlobalPrefix;
pub use idle_is_quiet::{Activity, check_idle_is_quiet};
pub use idle_read_is_answered::check_idle_read_is_answered;
pub use leader_completeness::LeaderCompleteness;
pub use leads_a_quorum::{LeadsAQuorum, Led, Patience, check_transferee};
pub use log_matching::{LogMatching, Record};
pub use lost_right_is_lost::{LostRightIsLost, RightsByTheLog};
pub use majority_serves::check_majority_serves;
pub use mset_is_whole::check_mset_is_whole;
pub use one_chain::OneChain;
pub use pads_are_bounded::PadsAreBounded;
pub use position_bijection::PositionBijection;
pub use progress_after_heal::{Pending, check_progress_after_heal};
pub use read_is_fresh::ReadIsFresh;
pub use read_is_prompt::check_read_is_prompt;
pub use read_shows_its_state::ReadShowsItsState;
pub use recovery_is_complete::{Known, check_recovery, log_directory};
pub use refused_mset_sets_nothing::check_refused_mset_sets_nothing;
pub use request_is_answered::check_request_is_answered;
pub use restored_state::check_restored_state;
pub use scan_is_complete::{Scan, ScanIsComplete};
pub use slow_peer_is_bounded::check_slow_peer_is_bounded;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {what}")]
pub struct Broken {
    /// Name of the invariant.
    pub invariant: &'static str,
    /// What was seen, as a sentence.
    pub what: String,
}

impl Broken {
    /// A broken invariant, with what was seen.
    pub fn new(invariant: &'static str, what: impl Into<String>) -> Broken {
        Broken { invariant, what: what.into() }
    }
}

fn hold(condition: bool, invariant: &'static str, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err(Broken::new(invariant, what())) }
}
