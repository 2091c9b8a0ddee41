//! A client of a Niagara cluster, which knows of each request what became of it: it was *applied*, it was *refused* without any
//! effect, or its outcome is *unknown*.
//!
//! Any server takes any request. A [`Cluster`] asks them one after the other, and sends a request again only where that is certain
//! to do no harm.
//!
//! ```no_run
//! use niagara_client::{Cluster, Failed};
//!
//! let cluster: Cluster = "http://127.0.0.1:7000,http://127.0.0.1:7010".parse()?;
//! match cluster.put(b"greeting", b"hello") {
//!     Ok(written) => println!("applied at position {}", written.position),
//!     Err(Failed::Refused(tried)) => println!("without effect: {tried:?}"),
//!     Err(Failed::Unknown(tried)) => println!("nobody knows: {tried:?}"),
//! }
//! # Ok::<(), String>(())
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `cluster.rs` | several servers: fails over, and never hides that a write may have been executed |
//! | `endpoint.rs` | one server over HTTP: a connection for each request, and how far that request got |
//! | `message.rs` | requests and replies of HTTP, as bytes |
//! | [`redis`] | one server over the Redis protocol: many commands out, as many replies in |
//! | `outcome.rs` | what a reply says of the request's fate, in either protocol |
//! | `survey` | what all servers of a cluster say about themselves, and whether they agree (feature `status`) |
//! | `address.rs` | hosts and ports |
//!
//! Everything blocks, and nothing runs in the background.

mod address;
mod cluster;
mod endpoint;
mod message;
mod outcome;
pub mod redis;
#[cfg(feature = "status")]
pub mod survey;

pub use address::is_host;
pub use cluster::{Again, Attempt, Cluster, Failed, Found, Written};
pub use endpoint::{DEFAULT_PORT, DEFAULT_URL, Endpoint, Trouble};
pub use message::{ErrorBody, Request, Response};
pub use outcome::Outcome;

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
