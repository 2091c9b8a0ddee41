//! Clusters in virtual time: computing takes none, so that nothing but messages and writes of logs is measured.

mod cluster;
mod links;
mod lone_writes;
mod uplink;
