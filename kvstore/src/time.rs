//! The time of the cluster, by which keys expire.
//!
//! Replicated state must not depend on any server's clock when it is executed. So a command that needs the time
//! carries it, and so does the *advance* that removes what has expired. The state's clock is the latest time that a
//! command has carried. It only moves forward, and moves alike on every server.
//!
//! The time that a server puts into commands is not what its own clock shows, since that may be wrong. It is the middle
//! one of all servers' clocks: a server [asks](crate::command::Command::AskClocks) all servers through the log when it
//! starts, when its own clock has jumped, and once a minute while any key expires. From an answer that takes 40 ms it
//! knows another clock to 20 ms, and from then on it follows all of them by its steady clock. So while most clocks are
//! right, a wrong one changes nothing. While some servers do not answer, a majority must agree, or no command gets the
//! time (`-NOCLOCK`).
//!
//! When the earliest deadline has come, one of the servers proposes an advance: which one changes from deadline to
//! deadline. If it does not, the next one does, 40 ms later. An advance removes a bounded number of keys, so that it holds
//! up nobody for long. If more is due, another follows at once.
//!
//! | file | holds |
//! |---|---|
//! | `estimate.rs` | the middle one of all clocks, shared by a server's threads |
//! | `timekeeper.rs` | when a server asks, answers and advances |
//!
//! None of it knows threads, clocks or sockets.

mod estimate;
mod timekeeper;

pub(crate) use estimate::ClusterTime;
pub(crate) use timekeeper::{Cluster, Moment, Timekeeper};
