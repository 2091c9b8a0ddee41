//! The hand-overs between threads, explored by a model checker.
//!
//! A simulation runs everything in one thread, and a test with real threads sees the few orders that a
//! machine happens to choose, on a processor that reorders little. [loom](https://docs.rs/loom) runs a model
//! again and again until it has seen every order of its threads' steps, up to a number of preemptions, and
//! every value that C++'s memory model lets a load return.
//!
//! It explores production code: the files of `net` and `engine` that hold hand-overs are included unchanged.
//! They name their locks, atomics and threads `crate::sync`, and [`sync`] is loom's in this crate. Small
//! stand-ins replace what has no part in a hand-over: metrics, the rest of a server's progress, snapshots.
//!
//! A model is a function in [`models`]; `tests/` says what holds, and, with bugs planted one at a time, that
//! each would be found. No timeout ever expires here, so a thread that is not woken sleeps for ever, which
//! loom reports as a deadlock.

// The models use a part of each included file; the rest, including its re-exports, is unused here.
#![allow(dead_code, unused_imports, unreachable_pub)]

// The included files name `niagara_net`, which is this crate here.
extern crate self as niagara_net;

pub mod check;
pub mod models;

mod client;
mod config;
mod metrics;
mod progress;
mod server;
mod snapshot;
mod sync;

#[path = "../../../engine/src/apply/mod.rs"]
mod apply;
#[path = "../../../engine/src/frozen.rs"]
mod frozen;
#[path = "../../../engine/src/growing.rs"]
mod growing;
#[path = "../../../engine/src/lane/mod.rs"]
mod lane;
#[path = "../../../engine/src/misuse.rs"]
mod misuse;
#[path = "../../../engine/src/outcome.rs"]
mod outcome;
#[path = "../../../engine/planted/src/lib.rs"]
pub mod planted;
#[path = "../../../engine/src/promise.rs"]
mod promise;
#[path = "../../../engine/src/read_gate/mod.rs"]
mod read_gate;
#[path = "../../../net/src/sleep.rs"]
mod sleep;
#[path = "../../../engine/src/state_machine.rs"]
mod state_machine;
#[path = "../../../engine/src/subscription/mod.rs"]
mod subscription;
#[path = "../../../net/src/waker.rs"]
mod waker;

pub use niagara_group::{Command, Commands};
pub use outcome::{Applied, Completion, Consistency, ReadFailed, Refused, Unknown};
pub use sleep::SleepFlag;
pub use state_machine::{ForeignState, NotACommand, StateMachine};
pub use subscription::{Compacted, Executed, Subscription, SubscriptionEnd};
pub use waker::Waker;
