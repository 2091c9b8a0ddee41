//! The command line.

use anyhow::{Result, anyhow};
use clap::{Args, Parser, Subcommand};

use crate::measure::measure;
use crate::node::{self, NodeArgs};
use crate::report::{self, PeerOutcome};
use crate::sweep::sweep;
use crate::work::{Peer, PeerWork};

/// Measures other Raft implementations on the work on which Niagara is measured.
///
/// Three replicas run as three processes on this machine and replicate commands over TCP, with so many of them under way
/// at any time, each with a completion of its own. A peer that loses or reorders one fails the run, and so does one whose
/// replicas have not applied the same commands in the same order at the end.
#[derive(Debug, Parser)]
#[command(name = "niagara-peers", version, after_long_help = MANUAL, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const MANUAL: &str = "\
Examples:
  niagara-peers raft-rs --in-flight 5000
  niagara-peers openraft --payload 2048 --durability fsync --dir /var/tmp
  niagara-peers all --seconds 4 --json

With the crates, the load runs in the leader's process, as in an application that embeds them, and its processor time \
counts with the replicas'. The load on etcd runs in this process and is counted apart. What each driver does, and with \
which settings, stands in README.md.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the crate raft, with the single-threaded driver that its documentation describes.
    RaftRs(RunArgs),
    /// Measure the crate openraft.
    Openraft(RunArgs),
    /// Measure the crate omnipaxos.
    Omnipaxos(RunArgs),
    /// Measure the servers of etcd, with puts over gRPC.
    ///
    /// `etcd` has to be on PATH; Debian has it in the package etcd-server.
    Etcd(RunArgs),
    /// Measure every peer with payloads of 16 and 2048 bytes, in memory and with fsync.
    All(AllArgs),
    #[command(hide = true)]
    Node(NodeArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    work: PeerWork,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct AllArgs {
    /// Commands that are under way at any time; each is replaced when it completes.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: u32,
    /// How long each run measures, after a warm-up of 2 seconds.
    #[arg(long, value_name = "S", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Where logs go, in new directories that are removed at the end. It has to be on a disk.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: std::path::PathBuf,
    /// Print one JSON document, an array of all runs, instead of a table.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Does what was asked for.
    ///
    /// # Errors
    /// When it cannot.
    pub fn run(&self) -> Result<()> {
        match &self.command {
            Command::RaftRs(run) => run.run(Peer::RaftRs),
            Command::Openraft(run) => run.run(Peer::Openraft),
            Command::Omnipaxos(run) => run.run(Peer::Omnipaxos),
            Command::Etcd(run) => run.run(Peer::Etcd),
            Command::All(all) => all.run(),
            Command::Node(node) => {
                node::run(node);
                Ok(())
            }
        }
    }
}

impl RunArgs {
    fn run(&self, peer: Peer) -> Result<()> {
        let outcome = measure(peer, &self.work)?;
        if self.json {
            println!("{}", serde_json::to_string(&outcome)?);
        } else {
            print(&[outcome]);
        }
        Ok(())
    }
}

impl AllArgs {
    fn run(&self) -> Result<()> {
        let work = PeerWork {
            // Both are set for each run.
            payload: 0,
            durability: crate::work::Durability::Memory,
            in_flight: self.in_flight,
            seconds: self.seconds,
            dir: self.dir.clone(),
        };
        let (outcomes, failures) = sweep(&work, |command| eprintln!("{command}"));
        if self.json {
            println!("{}", serde_json::to_string(&outcomes)?);
        } else {
            print(&outcomes);
        }
        for failure in &failures {
            eprintln!("failed: {failure:#}");
        }
        if failures.is_empty() { Ok(()) } else { Err(anyhow!("{} runs failed", failures.len())) }
    }
}

fn print(outcomes: &[PeerOutcome]) {
    print!("{}", report::text(outcomes));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
