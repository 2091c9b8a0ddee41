//! The crate raft, from TiKV, with the driver that its documentation describes: one group, one thread, one Ready after the
//! other.
//!
//! | what | file |
//! |---|---|
//! | the loop: messages, proposals and ticks in, messages out | [`driver`] |
//! | what a Ready asks for, in the order that the crate documents | [`ready`] |
//! | how the crate is set up, and how far its log is kept | [`settings`], [`compaction`] |

mod compaction;
mod driver;
mod ready;
mod settings;

use std::sync::mpsc;

use anyhow::{Context, Result, anyhow};
use driver::{Driver, Input};
use protobuf::Message as _;
use raft::eraftpb::Message;

use crate::links::{self, Links};
use crate::log_file::LogFile;
use crate::node::Cluster;
use crate::tally::SharedTally;
use crate::work::PeerWork;
use crate::{closed_loop, turns};

/// Runs a replica.
///
/// # Errors
/// When it cannot go on.
pub fn serve(cluster: &Cluster, work: &PeerWork, tally: SharedTally) -> Result<()> {
    let (inputs, incoming) = mpsc::channel();
    let (completed, completions) = mpsc::channel();
    let (leads, led) = mpsc::channel();
    let node = settings::node(cluster)?;
    let links = Links::connect(cluster)?;
    let log = LogFile::create(work, cluster.id)?;
    let from_network = inputs.clone();
    links::receive(&cluster.listener, cluster.others().count(), decode, move |messages| {
        from_network.send(Input::Messages(messages)).map_err(|_| anyhow!("the driver is gone"))
    })?;
    let mut driver = Driver::new(node, links, log, tally, completed);
    if cluster.is_leader() {
        driver.campaign(leads)?;
        closed_loop::in_background(work, led, completions, move |commands| {
            inputs.send(Input::Proposals(commands)).map_err(|_| anyhow!("the driver is gone"))
        });
    }
    turns::run(&mut driver, &incoming)
}

fn decode(bytes: &[u8]) -> Result<Message> {
    Message::parse_from_bytes(bytes).context("a message that is none of raft-rs")
}
