//! Followers: servers that execute what the members have committed, and count for no majority.
//!
//! A follower has no logs of its own. It holds in memory what it has received of the members' logs and not merged yet, and
//! runs the same sequencer and the same execution on that as a member runs on its logs. So it comes to the same state, the same
//! epochs and the same digests, and its snapshots are like a member's.
//!
//! | file | holds |
//! |---|---|
//! | `wire.rs` | the messages |
//! | `supplier.rs` | what a member gives to its followers; no thread, clock or socket |
//! | `admission.rs` | who may follow |
//! | `hosting.rs` | the supplier on the thread of a member's snapshots |
//! | `parts.rs` | a follower without threads |
//! | `logs.rs` | a follower's part of the members' logs |
//! | `following.rs` | whom a follower asks for what; no thread, clock or socket |
//! | `follower.rs` | that, and what follows from the answers; neither |
//! | `follow_thread.rs` | the thread and the sockets around it |
//! | `first_state.rs` | how a follower without a snapshot gets one |
//! | `channel.rs` | opens the channel, on both ends |

mod admission;
mod channel;
mod first_state;
mod follow_thread;
mod follower;
mod following;
mod hosting;
mod logs;
mod parts;
mod supplier;
mod wire;

pub(super) use channel::open_as_guest;
pub(super) use first_state::follow_first_state;
pub(super) use follow_thread::FollowThread;
pub(super) use follower::Follower;
pub(super) use hosting::Hosting;
pub(super) use parts::FollowerParts;
pub(super) use wire::FEED_CHANNEL;
pub use wire::encoded_again;
