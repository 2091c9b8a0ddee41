//! One server's replica of one Raft group.
//!
//! | file | holds |
//! |---|---|
//! | `driver.rs` | the state machine around raft-rs: turns, ticks, acknowledgements |
//! | `proposing.rs` | commands become entries: proposals, pacing, padding; what a follower forwards |
//! | `resending.rs` | when a lane counts as lost, and is sent again |
//! | `receive.rs` | what other servers' messages do to it |
//! | `admit.rs` | which of them it takes: whatever they say, they end no server |
//! | `config.rs` | what it is told once |
//! | `turn.rs` | what it is told at a turn, and what it wants done |
//! | `intake.rs`, `lane_source.rs` | commands on their way into the log: this server's lane, and what others forward |
//! | `taking.rs` | which entries of its leader a replica takes |
//! | `unpersisted.rs` | what waits for this server's own disk |
//! | `slots.rs` | which slot each recent entry fills |
//! | `reads.rs` | quorum rounds of strong reads |
//! | `contradiction.rs` | leaders whose log lacks what is committed here |
//! | `behind.rs` | followers that need a snapshot, and what their leader keeps for them |
//! | `install.rs` | the driver's dealings with snapshots: compaction, a log that is reset |
//! | `contact.rs` | whom it hears without a break |
//! | `placement.rs` | where the leadership belongs, and how it gets there |
//! | `leadership.rs` | when a replica campaigns, and when a leader hands over |
//! | `flow.rs` | how much a leader sends to a follower |
//! | `outgoing.rs`, `superseded.rs` | what waits for slow links, and what of it is out of date |
//! | `store.rs` | the local log as raft-rs wants to see it |
//!
//! Nothing here knows a thread, a clock, a socket or a file: the engine's threads drive it in production, a simulator
//! in tests.

pub mod batch;
mod behind;
mod commands;
mod config;
mod contact;
pub mod digest_mark;
mod driver;
mod forwarded;
mod intake;
mod lane_source;
mod notices;
mod outgoing;
mod own_lane;
mod placement;
mod raft_log;
mod reads;
mod slots;
mod store;
mod superseded;
mod unpersisted;
pub mod wire;

use niagara_planted as planted;

pub use behind::{GroupFloor, SnapshotFloor};
pub use commands::{Command, Commands};
pub use config::DriverConfig;
pub use driver::{Contradiction, Cut, Driver, Output, Taking, View, Write};
pub use lane_source::LaneSource;
pub use slots::SlotIndex;
