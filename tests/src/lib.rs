//! Whole-system tests: a cluster's life, real processes killed for real, hostile bytes.
//!
//! This library is the harness, and `tests/` holds the tests; read `tests/life.rs` first. Nothing in production imports
//! either.
//!
//! A test describes a [`ClusterPlan`] and starts it. The [`Cluster`] is as many processes of the `niagara` binary
//! ([`binary`]) as it has servers, on ports of their own ([`ports`]), which the test kills, pauses, restarts and
//! stops ([`process`]). It talks to them with the plainest clients there can be, [`Http`] and [`Resp`], which share no
//! code with the servers, so that a misreading of the protocol cannot hide on both sides.
//!
//! A [`Load`] keeps clients busy meanwhile, and a [`History`] records what each was told: what has been acknowledged
//! must be there, once, and a strong read must never be older than what its client could know. What servers say of
//! themselves comes from [`status`] and [`metrics`].
//!
//! Where root allows it, each server can live in a [`network`] namespace of its own, so that single links fail. A
//! [`campaign`] does that and more at random for as long as one likes (`cargo run --release -p niagara-tests --bin faults`), and
//! has every history of its clients checked for [`linearizability`].
//!
//! An [`attack`] does what strangers can do from outside, beside a customer whose waiting is measured (`--bin attack`).
//!
//! Other checkers can be asked, too: histories are [exported](export).
//!
//! What snapshots cost, and whether the disk stays bounded, is [`measuring`]'s (`--bin snapshots`, `--bin endless`).
//!
//! Apart from all that, without a process or a socket: [`sim`] runs whole clusters in one thread and in virtual time, and
//! checks the [`invariants`] after every event; [`model`] explores the rules of the sequencer to the last state; and
//! [`fuzz`] says what must hold whatever bytes come. `docs/testing.md` is the map.
//!
//! Tests wait for conditions, with generous deadlines ([`wait`]), and assert no speed. Where a test repeats something,
//! the environment variable `NIAGARA_TEST_ROUNDS` multiplies how often; `NIAGARA_BIN` names another binary to test.

#![allow(missing_debug_implementations, reason = "no library for others")]

pub mod attack;
pub mod binary;
pub mod campaign;
mod client;
mod cluster;
pub mod disk_use;
mod endpoint;
pub mod export;
pub mod filling;
pub mod fuzz;
mod history;
mod http;
pub mod invariants;
pub mod linearizability;
mod load;
pub mod measuring;
pub mod metrics;
pub mod model;
pub use niagara_namespaces as network;
pub mod loop_disk;
pub mod output;
pub mod ports;
pub mod process;
mod resp;
pub mod sim;
pub mod status;
pub mod tiny_disk;
pub mod wait;

pub use client::{Answer, Client};
pub use cluster::{Cluster, ClusterPlan};
pub use endpoint::Endpoint;
pub use history::{Counter, History, Register, Violation};
pub use http::{Http, Response};
pub use load::{Load, LoadPlan};
pub use resp::{Resp, Value, encode};

/// How often a test repeats what it repeats: `times`, multiplied by the environment variable `NIAGARA_TEST_ROUNDS`.
///
/// # Panics
/// When the variable is set to something else than a number from 1.
pub fn rounds(times: usize) -> usize {
    let factor = std::env::var("NIAGARA_TEST_ROUNDS").map_or(1, |text| match text.parse() {
        Ok(factor) if factor >= 1 => factor,
        _ => panic!("NIAGARA_TEST_ROUNDS is {text:?}, but it must be a number from 1"),
    });
    times * factor
}

/// The program in docs/migration.md, as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/migration.md")]
pub struct MigrationDoctests;
