//! Tools around Niagara: the load generator `niagara-load`, and `niagara-lab`, which conducts experiments.
//!
//! [`load`] drives any cluster as its clients do, over HTTP, over the Redis protocol, or within this process.
//!
//! [`append`] measures the replicated log itself, without protocols and keys: three server processes over loopback, whose
//! applications generate the commands, as in the paper's microbenchmark (section 4). [`scaling`] repeats that for several
//! numbers of groups, with each group's thread held to a share of a core, and compares what is measured with what CPU time per
//! command predicts. [`lab`] redraws the figures of papers, in a [`network`] of namespaces.

pub mod agreement;
pub mod append;
mod awake;
pub mod commands;
mod failure;
mod grouped;
pub mod lab;
mod latency;
pub mod load;
mod loopback;
mod median;
pub mod network;
pub mod output;
pub mod scaling;
mod wall_clock;

pub use failure::Failure;
pub use latency::Latency;
