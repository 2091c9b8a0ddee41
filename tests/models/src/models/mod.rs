//! One file for each hand-over.

pub mod bell;
pub mod bounds;
pub mod execution;
pub mod feed;
pub mod gate;
pub mod inbox;
pub mod lane;
pub mod lease;
pub mod mailbox;
pub mod sleep;
pub mod sockets;
pub mod ticket;
pub mod waits;
