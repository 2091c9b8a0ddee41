//! Front ends: the threads that clients of both protocols talk to.
//!
//! | module | what it is | knows |
//! |---|---|---|
//! | `worker` | a thread: polls, serves, flushes once per turn | sockets, connections |
//! | `listener` | where clients arrive | sockets |
//! | `connection` | one client's socket, and when to read, write and close | bytes, a session |
//! | `talk` | a session of either protocol | both protocols |
//! | `session` | what a client may have in flight, and in which order | requests, the engine |
//! | `desk` | what a worker does, without sockets, for a simulator | sessions |
//! | `allowance` | how much is held for clients that ask for more than they take | |
//! | `foreign` | clients of other protocols, by their first bytes | |
//! | `engine` | what is needed of the engine; a fake in tests | |
//! | `limits` | how many clients, and for how long | |
//! | `input`, `output`, `table`, `token`, `metrics` | what these use | |
//! | `gauges`, `exposition` | what a look at the metrics adds: this process, the state; the text that they are written in | |
//!
//! Parsing and printing are in [`resp`](crate::resp) and [`http`](crate::http).

mod allowance;
mod connection;
mod desk;
mod engine;
mod exposition;
mod foreign;
mod front_ends;
pub mod fuzzing;
mod gauges;
mod input;
mod limits;
mod listener;
mod metrics;
mod output;
mod session;
mod table;
mod talk;
#[cfg(test)]
mod tests;
mod token;
mod worker;

pub use desk::Desk;
pub(crate) use engine::Engine;
pub(crate) use exposition::prometheus_text;
pub use foreign::Foreign;
pub use front_ends::{FrontEndConfig, FrontEnds};
pub(crate) use input::Input;
pub(crate) use limits::LEAST_CLIENTS;
pub use limits::OutOfRange;
pub(crate) use metrics::Wire;
pub(crate) use output::Output;
pub(crate) use session::{Ask, Outcome, Protocol, Served, View};
