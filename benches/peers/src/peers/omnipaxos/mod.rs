//! The crate omnipaxos: no Raft, but the same work, a log that a leader replicates.
//!
//! | what | file |
//! |---|---|
//! | the loop: messages, commands and ticks in, messages out | [`driver`] |
//! | how the crate is set up, and how far its log is kept | [`settings`], [`trimming`] |
//! | the log | [`storage`] |

mod driver;
mod settings;
mod storage;
mod trimming;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;

use anyhow::{Context, Result, anyhow};
use driver::{Driver, Input};
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use storage::Log;

use crate::command::Command;
use crate::links::{self, Links};
use crate::log_file::LogFile;
use crate::node::Cluster;
use crate::tally::SharedTally;
use crate::work::PeerWork;
use crate::{closed_loop, turns};

impl Entry for Command {
    type Snapshot = NoSnapshot;
}

/// Runs a replica.
///
/// # Errors
/// When it cannot go on.
pub fn serve(cluster: &Cluster, work: &PeerWork, tally: SharedTally) -> Result<()> {
    let (inputs, incoming) = mpsc::channel();
    let (completed, completions) = mpsc::channel();
    let (leads, led) = mpsc::channel();
    let file = Rc::new(RefCell::new(LogFile::create(work, cluster.id)?));
    let node = settings::node(cluster, Log::new(file.clone()))?;
    let links = Links::connect(cluster)?;
    let from_network = inputs.clone();
    links::receive(&cluster.listener, cluster.others().count(), decode, move |messages| {
        from_network.send(Input::Messages(messages)).map_err(|_| anyhow!("the driver is gone"))
    })?;
    let mut driver = Driver::new(node, links, file, tally, completed);
    if cluster.is_leader() {
        driver.campaign(leads);
        closed_loop::in_background(work, led, completions, move |commands| {
            inputs.send(Input::Commands(commands)).map_err(|_| anyhow!("the driver is gone"))
        });
    }
    turns::run(&mut driver, &incoming)
}

fn decode(bytes: &[u8]) -> Result<Message<Command>> {
    postcard::from_bytes(bytes).context("a message that is none of omnipaxos")
}
