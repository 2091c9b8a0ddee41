//! The pure rules that merge many local logs into one global log.
//!
//! A Niagara server takes part in R independent Raft groups. Each group orders its own *local log*; this
//! crate says how the R local logs become one *global log*, the same on every server (Deyerl and Distler, "In
//! Search of a Scalable Raft-based Replication Architecture", PaPoC 2019). It knows no threads, clocks,
//! disks, networks or randomness, and no terms or leaders: values come in, decisions go out. So the engine
//! and the simulator run the very same rules.
//!
//! Read the modules in this order:
//!
//! 1. [`layout`]: slots, rounds and global positions, and the arithmetic between them.
//! 2. [`merge`]: emits the slots in order, and waits for missing ones.
//! 3. [`padding`]: which place a leader gives its next commands, and when it fills places with no-ops, so
//!    that a quiet group does not hold up the merge.
//! 4. [`pacing`]: how far a group may run ahead of the merge, and when a server is too slow to lead.
//! 5. [`balance`]: which groups bring more than their share, so that commands go to the others.
//! 6. [`barrier`]: how far a strong read waits, and which group it asks.
//! 7. [`floor`]: how much of each local log a shared snapshot makes superfluous.
//! 8. [`epoch`]: how one set of groups and members follows another.
//!
//! # The rules at work
//!
//! Two groups, of which the second has nothing to do:
//!
//! ```
//! use niagara_sequencer::{Emitted, Fill, GlobalPosition, GroupId, Layout, Merge, Padding, next_place};
//!
//! let layout = Layout::new(2);
//! let (busy, idle) = (GroupId::new(1), GroupId::new(2));
//! let mut merge = Merge::new(layout);
//!
//! // Group 1 commits two entries with commands.
//! let first = next_place(0, 0);
//! let second = next_place(first, first);
//! merge.push(busy, first, Fill::Commands("x = 1"));
//! merge.push(busy, second, Fill::Commands("y = 2"));
//! assert_eq!(merge.next(), Some(Emitted::Commands { position: GlobalPosition::new(1), item: "x = 1" }));
//! assert_eq!(merge.next(), None, "slot (1, 2) could still be filled");
//!
//! // Group 2's leader sees that commands stand at place 2, and skips up to there with one entry.
//! let padding = Padding { last: 0, level: second, ahead: false };
//! let target = padding.skip_to().expect("its log ends below the level");
//! merge.push(idle, target, Fill::Skip);
//! assert_eq!(merge.next(), Some(Emitted::Noops { first: GlobalPosition::new(2), count: 1 }));
//! assert_eq!(merge.next(), Some(Emitted::Commands { position: GlobalPosition::new(3), item: "y = 2" }));
//! assert_eq!(merge.next(), Some(Emitted::Noops { first: GlobalPosition::new(4), count: 1 }));
//! assert_eq!(merge.next(), None);
//! ```
//!
//! # Invariants
//!
//! | name | meaning | where |
//! |---|---|---|
//! | `position_bijection` | every slot has one global position, and every position one slot | [`layout`] |
//! | `slots_rise` | places strictly rise along a local log | [`merge`], [`floor`] |
//! | `global_prefix` | any two servers' global logs agree on their common prefix | [`merge`] |
//! | `pads_are_bounded` | a skip answers a command of another group, never another skip | [`padding`] |
//! | `read_is_fresh` | a strong read sees everything that was acknowledged before it was asked | [`barrier`] |
//! | `idle_read_is_answered` | a strong read ends without further commands, through every server | [`barrier`] |
//! | `compaction_floor` | nothing above a durable snapshot is dropped | [`floor`] |

pub mod balance;
pub mod barrier;
pub mod epoch;
pub mod floor;
pub mod layout;
pub mod merge;
pub mod pacing;
pub mod padding;

pub use balance::Balance;
pub use barrier::{ReadBarriers, Round};
pub use floor::{FloorIndex, compaction_point};
pub use layout::{GlobalPosition, GroupId, Layout, MAX_BASE, MAX_GROUPS, MAX_PLACE, Slot};
pub use merge::{Emitted, Fill, Merge};
pub use pacing::{COMMAND_ENTRY_WINDOW, Lag, Pacing};
pub use padding::{Padding, SKIP_AHEAD_ROUNDS, next_place};

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
