//! Front ends: the threads that serve clients of both protocols.
//!
//! | module | what it is | knows |
//! |---|---|---|
//! | `worker` | a thread: polls, serves, flushes once per turn | sockets, connections |
//! | `shared`, `mailbox` | what all threads share, and how one tells another | |
//! | `listener` | accepts clients | sockets |
//! | `connection` | one client's socket, and when to read, write and close | bytes, a session |
//! | `client_session` | a session of either protocol | both protocols |
//! | `session`, `session::replies` | what a client may have in flight, and in which order its replies leave | requests, the engine |
//! | `slot` | one request in flight, and what has become of it | |
//! | `sim_front_end` | a worker without sockets, for a simulator | sessions |
//! | `allowance` | how much is held for clients that ask for more than they take | |
//! | `budget` | the memory for unfinished requests and replies of all clients | |
//! | `portion` | how much one connection moves in a turn | |
//! | `pace` | how fast those are read who hold more than their share | time |
//! | `excess` | whom to close when it is used up | |
//! | `addresses` | how many connections each address has, and how much they hold | |
//! | `limits` | how many clients, and how long they may be idle | |
//! | `timekeeping` | the server's timekeeper, on the first thread | the engine, time |
//! | `evicting` | evictions that no client brings about, on the first thread | the engine |
//! | `reporting` | reports of what clients have read, on the first thread | the engine |
//! | `certificates` | the certificate that clients are shown, read again when it changes | |
//! | `table`, `token`, `metrics` | used by the others | |
//! | `gauges` | metrics read on request: this process, the state | |
//!
//! Parsing and printing are in [`resp`](crate::resp) and [`http`](crate::http).

mod addresses;
mod allowance;
mod budget;
mod certificates;
mod client_session;
mod config;
mod connection;
mod evicting;
mod excess;
mod front_ends;
pub mod fuzzing;
mod gauges;
mod limits;
mod listener;
mod mailbox;
mod metrics;
mod pace;
mod portion;
mod reporting;
mod session;
mod shared;
mod sim_front_end;
mod slot;
mod table;
#[cfg(test)]
mod tests;
mod timekeeping;
mod token;
mod worker;

pub use config::{FrontEndConfig, TlsPorts};
pub use front_ends::FrontEnds;
pub(crate) use limits::LEAST_CLIENTS;
pub use limits::OutOfRange;
pub use sim_front_end::SimFrontEnd;
