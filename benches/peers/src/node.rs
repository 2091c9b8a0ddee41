//! One replica of a crate, as a process of its own.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::control::{self, Event};
use crate::peers::{omnipaxos, openraft, raft_rs};
use crate::tally::SharedTally;
use crate::work::{Peer, PeerWork, REPLICAS};

/// The replica that is to lead, and in whose process the load runs.
pub const LEADER: u64 = 1;

/// Be one replica; only the tool itself starts this.
#[derive(Clone, Debug, Args)]
pub struct NodeArgs {
    /// Of which crate.
    pub peer: Peer,
    /// Which one.
    #[arg(long)]
    pub id: u64,
    #[command(flatten)]
    pub work: PeerWork,
}

/// Who the replicas are, and who is here.
#[derive(Debug)]
pub struct Cluster {
    /// This replica's number; they begin at 1.
    pub id: u64,
    /// Where it listens.
    pub listener: TcpListener,
    addresses: Vec<SocketAddr>,
}

impl Cluster {
    /// The numbers of all replicas.
    pub fn all(&self) -> impl Iterator<Item = u64> + use<> {
        1..=self.addresses.len() as u64
    }

    /// The other replicas, and where they listen.
    pub fn others(&self) -> impl Iterator<Item = (u64, SocketAddr)> {
        self.all().zip(self.addresses.iter().copied()).filter(|(id, _)| *id != self.id)
    }

    /// Whether this is the replica that is to lead.
    pub fn is_leader(&self) -> bool {
        self.id == LEADER
    }
}

/// Runs the replica until the tool ends it.
pub fn run(args: &NodeArgs) {
    serve(args).unwrap_or_else(|error| control::fail(&error));
}

fn serve(args: &NodeArgs) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
    control::say(&Event::Listening(listener.local_addr()?))?;
    let addresses = control::addresses()?;
    if addresses.len() != REPLICAS {
        bail!("{} addresses, for {REPLICAS} replicas", addresses.len());
    }
    let cluster = Cluster { id: args.id, listener, addresses };
    let tally = SharedTally::default();
    control::answer(tally.clone());
    match args.peer {
        Peer::RaftRs => raft_rs::serve(&cluster, &args.work, tally),
        Peer::Openraft => openraft::serve(cluster, &args.work, tally),
        Peer::Omnipaxos => omnipaxos::serve(&cluster, &args.work, tally),
        Peer::Etcd => bail!("etcd has processes of its own"),
    }
}
