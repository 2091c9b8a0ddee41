//! A whole cluster in one thread: virtual time, one seed, the production engine, and a hostile world around it.
//!
//! Production code runs: [`SimServer`](niagara_engine::internals::sim::SimServer) is an engine's parts (group drivers over
//! raft-rs, logs with their format, lanes, sequencer, executor, read gate) without its threads, and
//! [`SimFrontEnd`](niagara_kvstore::sim::SimFrontEnd) a front end's without its sockets. The simulation provides their
//! environment: time, an order of the threads' rounds, a network, disks, clients.
//!
//! | file | holds |
//! |---|---|
//! | `plan.rs`, `fault.rs`, `draws.rs` | what a seed stands for: sizes, weather, faults; and how it is drawn from the seed |
//! | `lease_trials.rs`, `end_trials.rs` | plans that put leases, and ends of epochs, to the test |
//! | `member_draws.rs` | plans whose members change |
//! | `sizes.rs` | how large entries, commands, values and pipelines are |
//! | `swarm.rs` | kinds of faults and requests that a simulation leaves out |
//! | `world/` | virtual time, events in their order, their effects, and what is checked after each |
//! | `server.rs`, `follower.rs` | a server's process, and what outlives it; the same of a follower |
//! | `clients/`, `request.rs` | what clients ask and are told, over Redis, HTTP, and by calls |
//! | `callers.rs` | what clients reach of a server: its front end, and a port of its engine |
//! | `behind_calls.rs` | calls that are followed by a read |
//! | `recorder.rs`, `witness.rs` | the state machine, with a record of what it executes, and who looks at that |
//! | `coverage.rs`, `trace.rs` | what has happened: how often, and in words |
//! | `corpus.rs`, `outcome.rs` | seeds that reach what few do; the result of a simulation, for another process |
//! | `prove.rs` | planted bugs, and whether they are found (feature `planted-bugs`) |
//! | `run.rs`, `shrink.rs` | one seed from start to end; the fewest faults with which it still fails |
//!
//! Network, disks, pending events and choices are [`niagara_testing::parts`].
//!
//! Everything follows from the seed: the same seed gives the same trace, byte by byte.

mod behind_calls;
mod callers;
mod clients;
mod corpus;
mod coverage;
mod draws;
mod end_trials;
mod fault;
mod follower;
mod lease_trials;
mod member_draws;
mod outcome;
mod plan;
#[cfg(feature = "planted-bugs")]
mod prove;
mod recorder;
mod request;
mod run;
mod server;
mod shrink;
mod sizes;
mod swarm;
mod trace;
mod witness;
mod world;

use niagara_testing::parts::{aim, disk, messages, network, queue};

pub use corpus::{Kept, Reached, corpus, parse as parse_corpus};
pub use coverage::{Coverage, SEEDS_FOR_EACH};
pub use disk::{Disk, FailingSync, Image, Loss, Losses, Trouble};
pub use fault::{Fault, Planned};
pub use outcome::Outcome;
pub use plan::Plan;
#[cfg(feature = "planted-bugs")]
pub use prove::prove;
pub use run::{Failure, Report, run};
pub use shrink::shrink;
