//! The parts of the embedding API that the models run.

#[path = "../../../../engine/src/client/inbox.rs"]
mod inbox;
#[path = "../../../../engine/src/client/ticket.rs"]
mod ticket;

pub(crate) use inbox::Inbox;
pub use inbox::Wake;
pub(crate) use ticket::ReadCell;
pub use ticket::{ReadTicket, Ticket};
