//! `snapshots`: what snapshots cost while clients write, and how fast servers come back.

use std::time::Duration;

use clap::Parser;
use niagara_engine::Durability;
use niagara_tests::measuring::SnapshotRun;
use niagara_tests::{output, say};

/// Starts three real servers, loads keys, writes random ones at a constant rate, and measures one phase after the other: no
/// snapshot; each server's snapshot after the other; all at once; a server killed and restarted; one that was away until the
/// others' logs were compacted.
///
/// Latency counts from when a command was meant to be sent, whether or not it could be sent then. Clients talk to servers 1
/// and 2; server 3 is the one that is killed.
#[derive(Parser)]
#[command(name = "snapshots", max_term_width = 100)]
struct Arguments {
    /// Keys to load.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Bytes of each value.
    #[arg(long, default_value_t = 100, value_name = "B")]
    value_bytes: usize,
    /// Commands per second, once the keys are loaded.
    #[arg(long, default_value_t = 20_000, value_name = "R", value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// How long to measure without a snapshot.
    #[arg(long, default_value_t = 20, value_name = "S")]
    seconds: u64,
    /// Raft groups of the cluster.
    #[arg(long, default_value_t = 2, value_name = "R", value_parser = clap::value_parser!(u16).range(1..=8))]
    groups: u16,
    /// What acknowledged writes survive: fsync or os.
    #[arg(long, default_value = "fsync", value_name = "D", value_parser = durability)]
    durability: Durability,
    /// Print JSON rather than tables.
    #[arg(long)]
    json: bool,
}

/// With `memory`, a server that was killed must not come back, and here one does.
fn durability(text: &str) -> Result<Durability, String> {
    let durability = text.parse().ok().filter(|durability| *durability != Durability::Memory);
    durability.ok_or_else(|| "fsync or os".into())
}

fn main() {
    let Arguments { keys, value_bytes, rate, seconds, groups, durability, json } = Arguments::parse();
    let time = Duration::from_secs(seconds);
    let report = SnapshotRun { keys, value_bytes, rate: rate.into(), time, groups, durability }.run();
    if json {
        say!("{:#}", report.json());
    } else {
        output::print(format_args!("{report}"));
    }
}
