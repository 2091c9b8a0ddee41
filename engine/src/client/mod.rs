//! The embedding API: commands and reads from any thread, blocking or as futures.
//!
//! | file | holds |
//! |---|---|
//! | `handle.rs` | a handle to a running engine, for any thread |
//! | `leaders.rs` | who leads, and how that is changed |
//! | `epochs.rs` | the epoch, and requests for another one |
//! | `levels.rs` | the level of the cluster, and requests to raise it |
//! | `members.rs` | servers that come and leave |
//! | `follow.rs` | subscriptions, watches and snapshots |
//! | `ticket.rs` | a future outcome |
//! | `then.rs` | a command, and a query right after it |
//! | `ready.rs` | back-pressure |
//! | `port.rs`, `inbox.rs` | commands and reads of a thread that handles many, and where their outcomes arrive |
//! | `shared.rs` | what callers' threads share with the engine's |

mod epochs;
mod follow;
mod handle;
mod inbox;
mod leaders;
mod levels;
mod members;
mod port;
mod ready;
mod shared;
mod then;
mod ticket;

pub use epochs::NotChanged;
pub use handle::Client;
pub use inbox::Wake;
pub use port::Port;
pub use ready::Ready;
pub(crate) use shared::Shared;
pub use then::ThenTicket;
pub use ticket::{ReadTicket, Ticket};
