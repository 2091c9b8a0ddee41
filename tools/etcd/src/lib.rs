//! etcd, for comparisons: servers as measurements start them, and a client over gRPC. Its gateway for JSON would cost it much, and
//! nobody in earnest uses that.
//!
//! | file | holds |
//! |---|---|
//! | `server.rs` | the command line of a server |
//! | `client.rs`, `messages.rs` | calls, one HTTP/2 stream for each, and what they carry |

mod client;
mod messages;
mod server;

pub use client::{CallFailed, Connection, MemberState};
pub use server::{ServerUrls, configure};
