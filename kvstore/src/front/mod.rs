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
//! | `limits` | how many clients, and for how long | |
//! | `table`, `token`, `metrics` | what these use | |
//! | `gauges` | what a look at the metrics adds: this process, the state | |
//!
//! Parsing and printing are in [`resp`](crate::resp) and [`http`](crate::http).

mod allowance;
mod config;
mod connection;
mod desk;
mod front_ends;
pub mod fuzzing;
mod gauges;
mod limits;
mod listener;
mod metrics;
mod session;
mod table;
mod talk;
#[cfg(test)]
mod tests;
mod token;
mod worker;

pub use config::FrontEndConfig;
pub use desk::Desk;
pub use front_ends::FrontEnds;
pub(crate) use limits::LEAST_CLIENTS;
pub use limits::OutOfRange;
