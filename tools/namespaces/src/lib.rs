//! A network for the servers of one cluster on this machine, whose links can be cut and throttled one by one.
//!
//! Each server lives in a network namespace of its own, and the clients in another. One subnet joins all servers for each
//! link, and one more joins the clients and the servers: so with a link for each group, that of one group between two
//! servers can fail while those of the other groups live. Everything is made and undone by `ip` and `tc`, and nothing outside of the
//! namespaces is touched.
//!
//! ```text
//!   server 1: link1 link2 .. clients        server 2: link1 link2 .. clients        clients: clients
//!               │      │         │                     │      │         │                      │
//!   switch:  ═══╪══════╪═════════╪══ link1 ════════════╡      │         │                      │
//!            ══════════╧═════════╪══ link2 ═══════════════════╛         │                      │
//!            ════════════════════╧══ clients ═══════════════════════════╧══════════════════════╛
//! ```
//!
//! A cut is one-way and silent, as a broken cable is: the sender's namespace is told an Ethernet address for the
//! receiver that nobody has ([`cut`](Namespaces::cut)). This works on any kernel, without filters; neighbours are told by hand
//! throughout, so no address resolution gets in its way.
//!
//! | file | does |
//! |---|---|
//! | `layout.rs` | names and addresses |
//! | `namespaces.rs` | makes namespaces and removes them, those that a killed run has left too |
//! | `link.rs` | what a host sends to another one |
//! | `links.rs` | cuts, joins and throttles links |
//! | `tool.rs` | runs `ip` and `tc` |

mod layout;
mod link;
mod links;
mod namespaces;
mod tool;

pub use layout::{Host, Subnet};
pub use namespaces::{Namespaces, remove_leftovers};

/// Why there can be no such network here, or what has failed in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NetworkError(String);
