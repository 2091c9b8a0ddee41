//! Sessions and connections against an engine in memory.

mod fake;
mod golden;
mod order;
mod patience;
mod sockets;
