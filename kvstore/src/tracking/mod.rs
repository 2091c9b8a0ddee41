//! Client-side caching: clients that keep what they have read are told when it changes.
//!
//! While somebody on this server *tracks*, the thread that executes commands notes the name of each key that changes, where the
//! ledger follows each change anyway, with a number that rises from change to change (`Scribe`). Once per batch it hands the
//! names to the desks of the front-end threads that have trackers ([`Exchange`]). A thread keeps what its connections have read
//! in a table of its own, and so needs no lock to remember a read, or to look a change up ([`Trackers`]). A [`Tracker`] is one
//! connection's part. While nobody tracks, a change costs a look at a counter.
//!
//! Why nobody keeps a value that has changed without being told:
//!
//! - A read on a front-end thread loads the number of the last change *before* it looks at the state. Any change that it does
//!   not show is noted later, under the lock of the key's shard, so it has a higher number. When the thread hears of a change,
//!   those are told who have read its key at a lower number. The reply is in the connection's output by then.
//! - What is read in the log, by a transaction or a script, is noted by the thread that executes it (a [`Deed`]), with the
//!   number of the change before it. The connection remembers it when it prints the reply. Changes that its thread has heard of
//!   since are still there ([`Recent`]), or else the client is told at once, to be safe.
//! - Whatever is lost is told as *all*: a thread that does not keep up with a bounded number of bytes, a snapshot in the place
//!   of commands, a flush, the exchange of databases. A table that is full drops what was read first, and tells that.
//!
//! Keys of all databases share their names here, as in Redis.
//!
//! | file | holds |
//! |---|---|
//! | `exchange.rs` | where the executing thread meets the front-end threads |
//! | `scribe.rs` | what the executing thread notes |
//! | `batch.rs` | what it hands over at once |
//! | `trackers.rs` | the trackers of one front-end thread |
//! | `table.rs`, `prefixes.rs` | who has read what, and who wants to hear of which names |
//! | `recent.rs` | what a thread has heard lately |
//! | `tracker.rs`, `mode.rs` | one connection's part, and what its client has asked for |
//! | `stale.rs` | what clients are told |

mod batch;
mod exchange;
mod mode;
mod prefixes;
mod recent;
mod scribe;
mod stale;
mod table;
mod tracker;
mod trackers;

use batch::{Batch, Deed};
pub(crate) use exchange::{Exchange, MOST_TABLE_BYTES, Tracked};
pub(crate) use mode::{Choice, Mode};
use recent::Recent;
pub(crate) use scribe::Scribe;
pub(crate) use stale::{Passed, Stale};
pub(crate) use tracker::{Awaited, Tracker};
pub(crate) use trackers::{Redirected, Trackers};
