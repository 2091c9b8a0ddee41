//! Lanes: the way of this server's commands into the groups, one lane for each group.
//!
//! A lane numbers its commands without gaps. Whatever happens on the way (a lost leader, a copy sent twice), the
//! [sessions](crate::apply::LaneSessions) at execution lets each number pass once and in order, for one integer per lane of
//! replicated state.

mod queue;
mod routing;
mod tickets;

pub(crate) use queue::{LaneQueue, Origin, Piece};
pub use routing::LaneId;
pub(crate) use routing::{Leadership, choose};
pub(crate) use tickets::{Deliveries, Lane, LaneLimits, Sink, Submission};
