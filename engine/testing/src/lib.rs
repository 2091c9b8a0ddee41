//! Tests for a state machine on Niagara: whole clusters in virtual time, and on loopback.
//!
//! [`Simulation`] runs your [`StateMachine`](niagara_engine::StateMachine) on the production engine in one
//! thread, with a network, disks and clocks that it controls. Everything follows from a seed: the order of
//! threads and messages, and which faults strike when. It checks that your state machine is
//! deterministic, and that every server keeps every acknowledged command, once, in one order.
//! [`local_cluster`] starts real engines with threads and sockets, for tests of everything around the state
//! machine.
//!
//! ```
//! use niagara_engine::{App, GlobalPosition};
//! use niagara_testing::{Failure, Simulation, seeds};
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter(u64);
//!
//! impl App for Counter {
//!     type Command = u64;
//!     type Reply = u64;
//!     fn apply(&mut self, _: GlobalPosition, add: u64) -> u64 {
//!         self.0 += add;
//!         self.0
//!     }
//! }
//!
//! fn counts_under_faults() -> Result<(), Failure> {
//!     for seed in seeds(1..=3) {
//!         let mut simulation = Simulation::of_app(seed, 3, 2, |_server| Counter::default());
//!         simulation.random_faults(Duration::from_secs(2));
//!         for i in 0..40 {
//!             simulation.send(i % 3 + 1, &1);
//!             simulation.run_for(Duration::from_millis(50))?;
//!         }
//!         simulation.settle()?;
//!         simulation.check_equal()?;
//!     }
//!     Ok(())
//! }
//! # counts_under_faults().unwrap();
//! ```
//!
//! A [`Failure`] says what differs, at which position and after which command, and how to run its seed again.
//! `docs/simulation.md` in the repository is the guide.
//!
//! | module | holds |
//! |---|---|
//! | `simulation` | a simulated cluster: its servers, events and faults |
//! | `recording` | your state machine, observed: what it executes, replies and holds |
//! | `history` | what all servers have executed, compared |
//! | `failure`, `seeds` | what was found, and how to find it again |
//! | `cluster` | real engines on loopback |
//! | `app` | both for an [`App`](niagara_engine::App), with its own commands and replies |
//! | [`parts`] | what simulators are made of |

mod app;
mod cluster;
mod failure;
mod history;
pub mod parts;
mod recording;
mod seeds;
mod simulation;

pub use cluster::{Cluster, ClusterError, local_cluster};
pub use failure::{Failure, Found};
pub use recording::Observable;
pub use seeds::seeds;
pub use simulation::{Answer, Call, Outcome, Settings, Simulation};

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
