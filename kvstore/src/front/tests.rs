//! Sessions and connections against an engine in memory.

mod attached;
mod audit;
mod clients;
mod deadline;
mod evicting;
mod failover;
mod fake;
mod golden;
mod limits;
mod openapi;
mod order;
mod patience;
mod reporting;
mod shares;
mod sockets;
mod subscribers;
mod tls;
mod tracking;
mod users;
mod watchers;
