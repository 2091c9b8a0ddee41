//! A client of a Niagara cluster that knows the outcome of each request: it was *applied*, it was *refused*
//! without effect, or its outcome is *unknown*.
//!
//! Any server takes any request. A [`Cluster`] tries its servers in turn, and sends a request again only
//! where that is certain to do no harm. Writes have keys of their own, by which servers execute each once.
//!
//! ```no_run
//! use niagara_client::{Cluster, Failed};
//!
//! let cluster: Cluster = "http://127.0.0.1:7000,http://127.0.0.1:7010".parse()?;
//! match cluster.put(b"greeting", b"hello") {
//!     Ok(written) => println!("applied at position {}", written.position),
//!     Err(Failed::Refused(tried)) => println!("no effect: {tried:?}"),
//!     Err(Failed::Unknown(tried)) => println!("unknown: {tried:?}"),
//! }
//! # Ok::<(), String>(())
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `cluster.rs` | several servers: fails over, and never hides that a write may have been executed |
//! | `cluster/learning.rs` | which other servers there are, and that they are of the same cluster |
//! | `endpoint.rs` | one server over HTTP: a connection for each request, and how far the request got |
//! | `streaming.rs` | replies without an end of their own, line by line |
//! | `receiving.rs` | replies, as they arrive |
//! | `message.rs` | HTTP requests and replies, as bytes |
//! | [`redis`] | one server over the Redis protocol, with pipelines |
//! | `outcome.rs` | what a reply says about the outcome, in either protocol |
//! | `members.rs` | what a server tells of its cluster, and of where the members are |
//! | `survey` | what all servers of a cluster report, and whether they agree (feature `status`) |
//! | `access.rs` | a password, and certificates |
//! | `address.rs` | hosts and ports |
//!
//! All calls block. Nothing runs in the background, except that a server which is slow to tell the members may keep a thread for
//! a moment after the call.

mod access;
mod address;
mod cluster;
mod endpoint;
#[cfg(test)]
mod fake_servers;
mod members;
mod message;
mod outcome;
mod receiving;
pub mod redis;
mod streaming;
#[cfg(feature = "status")]
pub mod survey;

pub use access::{Access, AccessFiles};
pub use address::is_host;
pub use cluster::{Again, Attempt, Cluster, Failed, Found, Written};
pub use endpoint::{DEFAULT_PORT, DEFAULT_URL, Endpoint, Trouble};
pub use message::{ErrorBody, Request, Response};
pub use niagara_tls::ClientFiles;
pub use outcome::Outcome;
pub use streaming::Streaming;

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
