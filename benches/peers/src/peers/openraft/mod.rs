//! The crate openraft, on tokio, in the shape of its own examples and its cluster benchmark.
//!
//! | what | file |
//! |---|---|
//! | the types and settings that the crate is used with | [`types`], [`settings`] |
//! | the log, the writer that syncs it, and how much of it is kept | [`log_store`], [`writer`], [`retention`] |
//! | the state machine | [`state_machine`] |
//! | calls to other replicas, and their answers | [`network`], [`server`] |
//! | the load | [`load`] |

mod load;
mod log_store;
mod network;
mod retention;
mod server;
mod settings;
mod state_machine;
mod types;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use log_store::LogStore;
use network::Network;
use openraft::Raft;
use state_machine::StateMachine;
use tokio::runtime::Builder;
use types::Types;

use crate::control::{self, Event};
use crate::log_file::LogFile;
use crate::node::Cluster;
use crate::tally::SharedTally;
use crate::window::PATIENCE;
use crate::work::PeerWork;

/// Runs a replica.
///
/// # Errors
/// When it cannot go on.
pub fn serve(cluster: Cluster, work: &PeerWork, tally: SharedTally) -> Result<()> {
    // Three replicas on two processors gain nothing from more threads than one each, and lose their wake-ups.
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start tokio")?;
    runtime.block_on(replica(cluster, work, tally))
}

async fn replica(cluster: Cluster, work: &PeerWork, tally: SharedTally) -> Result<()> {
    let config = Arc::new(settings::config()?);
    let network = Network::new(cluster.others().collect());
    let log = LogStore::new(LogFile::create(work, cluster.id)?);
    let raft = Raft::<Types>::new(cluster.id, config, network, log, StateMachine::new(tally)).await?;
    if cluster.is_leader() {
        let members: BTreeMap<u64, ()> = cluster.all().map(|id| (id, ())).collect();
        let (raft, work, id) = (raft.clone(), work.clone(), cluster.id);
        tokio::spawn(async move {
            let lead = async {
                raft.initialize(members).await?;
                raft.wait(Some(PATIENCE)).current_leader(id, "to be elected").await?;
                control::say(&Event::Loaded(load::run(&work, &raft).await?))
            };
            if let Err(error) = lead.await {
                control::fail(&error);
            }
        });
    }
    tokio::try_join!(server::serve(cluster.listener, raft.clone()), retention::purge(raft))?;
    Ok(())
}
