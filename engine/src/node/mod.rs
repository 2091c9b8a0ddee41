//! The upper interface: a replicated value and the commands that change it, in ten lines.
//!
//! | file | holds |
//! |---|---|
//! | `app.rs` | what an embedding program writes |
//! | `encode.rs` | commands, replies and states as bytes |
//! | `server.rs` | a running server |
//! | `handle.rs`, `error.rs` | calls, queries, and why they fail |
//! | `then.rs` | calls that are followed by a query |
//! | `session.rs`, `sessions.rs` | calls that may be retried: the caller's side, and the replicated table |
//! | `subscription.rs` | following a node, command by command |
//! | `machine.rs`, `envelope.rs` | the state machine below, and what it puts around commands |

mod app;
mod encode;
mod envelope;
mod error;
mod handle;
mod machine;
mod server;
mod session;
mod sessions;
mod subscription;
mod then;

pub use app::App;
pub use encode::{Encode, Malformed};
pub use error::CallError;
pub use handle::{Call, NodeHandle, Query};
pub use machine::{Answer, AppMachine, AppReader};
pub use server::Node;
pub use session::{OpenSession, Session};
pub use subscription::{AppSubscription, AppliedCommand};
pub use then::CallThenQuery;
