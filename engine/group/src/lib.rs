//! One server's replica of one Raft group: raft-rs, surrounded by the rules that make its log a part of the
//! global log.
//!
//! Niagara (Deyerl and Distler, PaPoC 2019) runs R independent Raft groups on every server and merges their
//! logs round robin into one *global log*. This crate is one of these groups on one server. raft-rs
//! contributes elections, replication and commitment as Raft describes them (Ongaro and Ousterhout, 2014;
//! Ongaro's thesis). What Raft does not know is here: which slot of the global log an entry fills, when to
//! pad, which commands may share an entry, and how a server with a slow disk, a slow link or a slow merge
//! avoids harming the others.
//!
//! [`Driver`] ties everything together. It is a state machine that knows no thread, clock, socket or file:
//! its owner feeds it events, calls [`Driver::turn`], and carries out the [`Output`]. The engine's threads
//! own it in production, a simulator in tests.
//!
//! ## One entry's life
//!
//! A server that receives commands from its clients numbers them in a *lane* per group, and the driver takes
//! them from there ([`LaneSource`]). They stay in `own_lane.rs` until they have been executed, because a
//! change of leader can lose them on the way. Then the rest of the lane is resent under a new *attempt*
//! number, and execution skips the duplicates, as Raft suggests for client requests (Raft, section 8).
//!
//! If this replica follows, it forwards the commands to the leader ([`wire::Wire::Forward`]), which keeps
//! them in `forwarded.rs` until it cuts the next entry, or refuses them ([`wire::Wire::Nack`]).
//!
//! If it leads, `driver/proposing.rs` cuts what waits into entries ([`batch`]): this server's lane and the
//! forwarded commands in turn (`intake.rs`). Each entry gets the place max(last + 1, level) in its context,
//! so a group that lags behind the others jumps ahead with its next command. A group without commands is
//! padded instead: one skip fills all its slots up to the level with no-ops. (The Niagara paper pads, too;
//! the project's ARCHITECTURE.md says where this crate deviates from it.) While a full window of entries with
//! commands is ahead of the merge, nothing is cut: commands wait and share the next entry.
//!
//! Now raft-rs replicates the entry (Raft, section 5.3). The leader's messages leave at once, before its own
//! write (Raft thesis, section 10.2.1). `driver/flow.rs` and `outgoing.rs` keep a slow link from filling the
//! memory, and a commit is announced by a notice that needs no answer (`notices.rs`). A follower checks the
//! message before raft-rs sees it (`driver/admit.rs`), because raft-rs trusts its peers, and refuses entries
//! that it has no room for (`driver/taking.rs`). Either way the entry goes to this server's disk as a
//! [`Write`], and nothing acknowledges it until [`Driver::persisted`] is called (`unpersisted.rs`).
//!
//! When a quorum has it, the commit index rises ([`Driver::commit`]), and the rest of the server merges and
//! executes it. [`View`] reports that back at the next turn. `slots.rs` then forgets the entry's slot, and
//! `own_lane.rs` its commands. Once two snapshots hold the entry, the log is compacted (`driver/install.rs`;
//! Raft, section 7). For a follower that still needs it, the leader offers a snapshot (`behind.rs`).
//!
//! Strong reads use the same quorum without an entry (Raft thesis, section 6.4): [`Driver::ask_read`] has the
//! leader confirmed, and `reads.rs` turns its commit index into a place that the merge has to reach. With
//! leases, a leader knows so beforehand ([`Driver::lease`], `lease.rs`).
//!
//! ## One election
//!
//! A follower that does not hear from its leader for a random election timeout campaigns (Raft, section 5.2),
//! with a pre-vote first (Raft thesis, section 9.6), so that a server which was cut off disturbs nobody. But
//! it stands back while its merge lags, its disk is stuck, or its log is being reset
//! (`driver/leadership.rs`): another server would lead better. It still grants votes. Votes and terms are
//! durable before any message that promises them leaves.
//!
//! A leader whose process has ended is replaced sooner: its connections are closed, and the survivors campaign
//! at once, one after the other (`failover.rs`). They ask for pre-votes first, so a false alarm deposes nobody.
//!
//! The new leader commits an entry of its own term before anything else (Raft, sections 5.4.2 and 8). Every
//! server accepts that entry, however much waits there already. If the leader's log lacks what is committed
//! here, acknowledged data was lost, and the replica stops taking part (`driver/contradiction.rs`).
//!
//! Leaders should be spread over the servers, so that each one sends on its own links (the Niagara paper). So
//! after a failure the wanted server claims its group back, once its links are steady and its merge has
//! caught up (`placement.rs`, `contact.rs`), and the current leader transfers leadership to it (Raft thesis,
//! section 3.10). A leader with a bad disk or a merge that lags transfers it away, and so does one whose group commits late while others
//! do not (`pace.rs`).
//!
//! ## Files
//!
//! | file | holds |
//! |---|---|
//! | `driver/mod.rs` | the state machine around raft-rs: turns, ticks, acknowledgements |
//! | `driver/turn.rs` | input and output of a turn |
//! | `driver/proposing.rs` | how commands become entries: proposals, pacing, padding; what a follower forwards |
//! | `driver/receive.rs` | what other servers' messages do |
//! | `driver/admit.rs` | which messages are accepted: whatever they contain, they end no server |
//! | `driver/taking.rs` | which entries of its leader a replica accepts |
//! | `driver/contradiction.rs` | leaders whose log lacks what is committed here |
//! | `driver/flow.rs` | how much a leader sends to a follower |
//! | `driver/leadership.rs` | when a replica campaigns, and when a leader hands over |
//! | `driver/moving.rs` | leadership that moves on request: who can take over, and why not |
//! | `driver/leasing.rs` | promises for leases: asked for, given, kept |
//! | `driver/install.rs` | snapshots: compaction, offers to followers, a log that is reset |
//! | `config.rs` | fixed settings |
//! | `batch.rs`, `commands.rs` | the bytes in an entry, and its commands |
//! | `epoch_end.rs`, `contacts.rs` | the entry that ends an epoch, and where it says that members are |
//! | `wire.rs`, `encoder.rs`, `digest_mark.rs` | the bytes between servers |
//! | `lane_source.rs`, `intake.rs` | commands on their way into the log |
//! | `own_lane.rs` | this server's lane: when it counts as lost, and is resent |
//! | `forwarded.rs` | what other servers forward to this leader |
//! | `slots.rs` | which slot each recent entry fills |
//! | `reads.rs` | quorum rounds of strong reads |
//! | `lease.rs` | leases: how a leader knows that it still leads, and why |
//! | `unpersisted.rs` | what waits for this server's disk |
//! | `outgoing.rs`, `superseded.rs` | what waits for slow links, and which of it is out of date |
//! | `notices.rs` | commits that are announced without an answer |
//! | `behind.rs` | followers that need a snapshot, and what their leader keeps for them |
//! | `contact.rs` | which servers are heard without a break |
//! | `placement.rs` | which server should lead, and how it gets to |
//! | `pace.rs` | which groups commit late, compared with the others |
//! | `failover.rs` | how a leader whose process has ended is replaced at once |
//! | `store.rs`, `raft_log.rs` | the local log as raft-rs sees it, and raft-rs's log records |

pub mod batch;
mod behind;
mod commands;
mod config;
mod contact;
pub mod contacts;
pub mod digest_mark;
mod driver;
pub mod encoder;
pub mod epoch_end;
mod failover;
mod forwarded;
mod intake;
mod lane_source;
mod lease;
mod notices;
mod outgoing;
mod own_lane;
pub mod pace;
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
pub use driver::{
    Contradiction, Cut, Driver, Follower, HeldLease, NotMoved, Output, Taking, Unfit, View, Write,
};
pub use lane_source::LaneSource;
pub use own_lane::OwnLane;
pub use slots::SlotIndex;

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
