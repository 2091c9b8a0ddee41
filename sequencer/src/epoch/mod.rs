//! Epochs: how the number of groups and the members change while the cluster serves.
//!
//! The Raft groups of the paper are static, and stay so. What changes is the *epoch*: a link of a replicated
//! [chain](Chain) that names the groups, the members and the position above which they continue the global log. The groups of
//! each epoch have logs of their own. An ordered entry, an [epoch's end](EpochEnd), ends the running epoch with the round
//! that it stands in; the next one goes on behind it. A server acknowledges nothing in an epoch before it
//! [holds](is_held) the whole of the one before durably, so a quorum that commits anything in epoch e + 1 holds
//! all that was acknowledged before.
//!
//! ```text
//!            epoch 1, R = 2          epoch 2, R = 3, base 6
//! group 1    1   3   5E  void        7  10 ..
//! group 2    2   4   6   void        8  11 ..
//! group 3                            9  12 ..
//! ```
//!
//! E is the end of epoch 1, at place 3 of group 1. The rest of its round is merged as ever; the slots of later rounds are
//! *void*, whatever they hold.
//!
//! Raft's own changes of members would not do. They are one per group, so every group could be healthy while the global log, which
//! needs all of them, is dead; a server's lanes need one point of the global log at which they begin and end; and they cannot change
//! R. Here the end stands in the merged log itself, so it is one point for all groups.
//!
//! From the proposal of an end until a quorum of the next epoch's members has started it, quorums of both epochs' members must be
//! up; then one of the next alone.
//!
//! The model in `tests/src/model/epochs` runs these rules in every order of events. The engine does not use them yet: it stays in the
//! first epoch.
//!
//! Read the files in this order: [`Record`] and [`Chain`], what an epoch is and which may follow; [`Ending`], which entry ends an epoch;
//! [`lane_group`], what becomes of lanes; [`Cut`], how snapshots are ordered; [`Marks`], what a server has written down before
//! it does something; [`is_held`], when it may take part; [`may_install`], how one that is behind catches up; [`may_close`],
//! when an epoch's logs may go. What becomes of strong reads is in [`ReadBarriers::end_epoch`](crate::ReadBarriers::end_epoch),
//! and of slots in [`Merge::end_after`](crate::Merge::end_after).

mod catch_up;
mod chain;
mod cut;
mod ends;
mod held;
mod lanes;
mod marks;
mod record;
mod retirement;

pub use catch_up::{may_feed, may_install, must_be_told};
pub use chain::{Chain, Link, MAX_MEMBERS, Refused};
pub use cut::Cut;
pub use ends::{Ending, EpochEnd, NotEnding};
pub use held::{OnDisk, gap_below, is_held};
pub use lanes::{lane_group, lanes_after, lanes_of};
pub use marks::{Marks, Sealed};
pub use record::{ChainHash, Contact, Epoch, Record, Terms};
pub use retirement::{may_close, may_stop, round_wanted, snapshot_is_due};
