//! A whole cluster in one thread: virtual time, one seed, the production engine, and a hostile world around it.
//!
//! Production code runs: [`SimServer`](niagara_engine::sim::SimServer) is an engine's parts (group drivers over
//! raft-rs, logs with their format, lanes, sequencer, executor, read gate) without its threads, and
//! [`Desk`](niagara_kvstore::sim::Desk) a front end's without its sockets. The simulation provides their
//! environment: time, an order of the threads' rounds, a network, disks, clients.
//!
//! | file | holds |
//! |---|---|
//! | `plan.rs`, `draws.rs` | what a seed stands for: sizes, weather, faults; and how it is drawn from the seed |
//! | `sizes.rs` | how large entries, commands, values and pipelines are |
//! | `swarm.rs` | kinds of faults and requests that a simulation leaves out |
//! | `world.rs` | virtual time, and events in their order |
//! | `queue.rs` | pending events, in the order of time |
//! | `rounds.rs`, `links.rs`, `talk.rs`, `lives.rs` | effects of events: rounds of threads, messages between servers, clients' requests, starts and ends |
//! | `observe.rs` | what is checked after each event |
//! | `server.rs` | a server's process, and what outlives it |
//! | `network.rs`, `messages.rs` | links: late, lost, doubled, overtaken and damaged messages; kinds of messages |
//! | `disk.rs` | a disk that forgets what was not synced, tears writes, fills up and breaks |
//! | `names.rs` | the names of its files |
//! | `aim.rs` | steps in which a server uses its disk, to aim faults at |
//! | `faults.rs` | how planned faults strike and end |
//! | `prompt.rs` | reads and writes that must not wait for the troubles of others |
//! | `script.rs` | healing, settling, and the last tests |
//! | `clients/` | what clients ask and are told, over Redis, HTTP, and by calls |
//! | `recorder.rs` | the state machine, with a record of what it executes |
//! | `coverage.rs`, `trace.rs` | what has happened: how often, and in words |
//! | `corpus.rs`, `outcome.rs` | seeds that reach what few do; the result of a simulation, for another process |
//! | `prove.rs` | planted bugs, and whether they are found (feature `planted-bugs`) |
//! | `run.rs`, `shrink.rs` | one seed from start to end; the fewest faults with which it still fails |
//!
//! Everything follows from the seed: the same seed gives the same trace, byte by byte.

mod aim;
mod clients;
mod corpus;
mod coverage;
mod disk;
mod draws;
mod faults;
mod links;
mod lives;
mod messages;
mod names;
mod network;
mod observe;
mod outcome;
mod plan;
mod prompt;
#[cfg(feature = "planted-bugs")]
mod prove;
mod queue;
mod recorder;
mod rounds;
mod run;
mod script;
mod server;
mod shrink;
mod sizes;
mod swarm;
mod talk;
mod trace;
mod trials;
mod world;

pub use corpus::{Kept, Reached, corpus, parse as parse_corpus};
pub use coverage::{Coverage, SEEDS_FOR_EACH};
pub use disk::{Disk, FailingSync, Image, Loss, Losses, Trouble};
pub use outcome::Outcome;
pub use plan::{Fault, Plan, Planned};
#[cfg(feature = "planted-bugs")]
pub use prove::prove;
pub use run::{Failure, Report, run};
pub use shrink::shrink;
