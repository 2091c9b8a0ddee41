//! Lanes: how this server's commands reach the groups, one lane for each group.
//!
//! A lane numbers its commands without gaps. Whatever happens on the way (a leader is lost, a copy is sent
//! twice), the [sessions](crate::apply::LaneSessions) execute each number once and in order. That takes one
//! integer of replicated state per lane.

mod attached;
mod backpressure;
mod deliveries;
#[cfg(test)]
mod heard;
mod looks;
mod queue;
mod routing;
mod ticket_block;
mod tickets;

pub(crate) use attached::{DueReads, ROOM_BYTES, StagedReads};
pub(crate) use backpressure::RoomPromise;
pub(crate) use deliveries::{Deliveries, Sink};
pub(crate) use looks::{DueLook, Look};

pub(crate) use queue::{LaneQueue, Origin, Piece};
pub use routing::LaneId;
pub(crate) use routing::{Groups, Leadership, choose};
pub(crate) use ticket_block::TicketPart;
pub(crate) use tickets::{Lane, LaneLimits, Room, Submission};
