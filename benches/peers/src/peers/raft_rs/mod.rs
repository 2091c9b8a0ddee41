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
use protobuf::Message as _;
use raft::eraftpb::Message;

use crate::control::{self, Event};
use crate::links::{self, Links};
use crate::log_file::LogFile;
use crate::node::Cluster;
use crate::plan::Plan;
use crate::tally::SharedTally;
use crate::{closed_loop, turns, window};

use driver::{Driver, Input};

/// Runs a replica.
///
/// # Errors
/// When it cannot go on.
pub fn serve(cluster: &Cluster, plan: &Plan, tally: SharedTally) -> Result<()> {
    let (inputs, incoming) = mpsc::channel();
    let (completed, completions) = mpsc::channel();
    let (leads, led) = mpsc::channel();
    let node = settings::node(cluster)?;
    let links = Links::connect(cluster)?;
    let log = LogFile::create(plan, cluster.id)?;
    let from_network = inputs.clone();
    links::receive(&cluster.listener, cluster.others().count(), decode, move |messages| {
        from_network.send(Input::Messages(messages)).map_err(|_| anyhow!("the driver is gone"))
    })?;
    let mut driver = Driver::new(node, links, log, tally, completed);
    if cluster.is_leader() {
        driver.campaign(leads)?;
        let plan = plan.clone();
        control::in_background("load", move || {
            led.recv_timeout(window::PATIENCE).context("this replica is not elected")?;
            let submit =
                |commands| inputs.send(Input::Proposals(commands)).map_err(|_| anyhow!("the driver is gone"));
            control::say(&Event::Loaded(closed_loop::run(&plan, &completions, submit)?))?;
            // The driver ends with its last sender of inputs; the tool decides when.
            std::thread::park();
            Ok(())
        });
    }
    turns::run(&mut driver, &incoming)
}

fn decode(bytes: &[u8]) -> Result<Message> {
    Message::parse_from_bytes(bytes).context("a message that is none of raft-rs")
}
