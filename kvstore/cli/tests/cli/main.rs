//! The `niagara` binary as users meet it: real processes, real sockets, exit statuses.

mod audit;
mod cluster;
mod counter;
mod demo;
mod exit_statuses;
mod followers;
mod groups;
mod learned_members;
mod levels;
mod log_sinks;
mod members;
mod new_cluster;
mod newcomers;
mod process;
mod recover;
mod security;
mod servers;
mod snapshot;
mod two_clusters;
mod usage;
mod wrong_ports;
