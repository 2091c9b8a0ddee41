//! `niagara-lab`: the experiments of the papers about Niagara and its relatives, each from one command.
//!
//! An experiment starts servers as processes of this same program, mostly in [network namespaces](niagara_namespaces) with links of
//! a chosen rate, drives them, and leaves a directory with the raw data, tables as CSV, figures as SVG, facts about the
//! machine, and a page that sums it up. Whatever it makes on the machine it removes, also when it is interrupted; what a run that
//! was killed has left is removed by the next one.
//!
//! | file | holds |
//! |---|---|
//! | `experiment.rs` | what an experiment is, and the list of them |
//! | `run.rs`, `interrupt.rs` | one run: progress, results, the end by Ctrl-C |
//! | `figure.rs`, `plot.rs`, `report.rs` | results as pictures, and as a page |
//! | `facts.rs`, `doctor.rs`, `leftovers.rs` | the machine: what it is, what it allows, what a killed run has left on it |
//! | `sweep.rs`, `saturation.rs`, `median.rs`, `awake.rs`, `fig3.rs`, `fig4.rs` | the replicated log by itself, at many rates: throughput and latency |
//! | `cluster.rs`, `server.rs`, `client.rs`, `load.rs`, `timing.rs`, `usage.rs` | servers and clients as processes, for how long, and what they use |
//! | `fig5/`, `failover/`, `kraft/`, `peers/` | an experiment each |

#![allow(missing_debug_implementations, reason = "no library for others")]

mod awake;
mod client;
mod cluster;
mod doctor;
mod elastic;
mod experiment;
mod experiment_run;
mod facts;
mod failover;
mod fig3;
mod fig4;
mod fig5;
mod figure;
mod interrupt;
mod kraft;
mod leftovers;
mod load;
mod median;
mod peers;
mod plot;
mod report;
mod run;
mod run_options;
mod saturation;
mod server;
mod sweep;
mod timing;
mod usage;
mod verdict;

pub use doctor::{Doctor, doctor};
pub use experiment::{EXPERIMENTS, Experiment, Need};
pub use load::LOAD;
pub use report::replot;
pub use run::run;
pub use run_options::RunOptions;
pub use server::{ServerOptions, serve};
pub use verdict::Verdict;
