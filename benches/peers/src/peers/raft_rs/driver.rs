//! The loop around the crate: whatever has come in goes into it, then what it is ready with comes out.

use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use raft::eraftpb::Message;
use raft::storage::MemStorage;
use raft::{RawNode, StateRole};

use super::settings::TICK;
use crate::command::Command;
use crate::links::Links;
use crate::log_file::LogFile;
use crate::tally::SharedTally;
use crate::turns::Turns;

/// What the driver waits for.
pub enum Input {
    /// From other replicas.
    Messages(Vec<Message>),
    /// From the load.
    Proposals(Vec<Command>),
}

/// A replica.
pub struct Driver {
    pub(super) node: RawNode<MemStorage>,
    pub(super) links: Links,
    pub(super) log: LogFile,
    pub(super) tally: SharedTally,
    /// Where the numbers of applied commands go while this replica leads.
    pub(super) completed: Sender<Vec<u64>>,
    /// What this turn has applied.
    pub(super) applied: Vec<u64>,
    /// Until it leads: who wants to know.
    leads: Option<Sender<()>>,
    has_led: bool,
}

impl Driver {
    /// A replica that follows.
    pub fn new(
        node: RawNode<MemStorage>,
        links: Links,
        log: LogFile,
        tally: SharedTally,
        completed: Sender<Vec<u64>>,
    ) -> Driver {
        Driver { node, links, log, tally, completed, applied: Vec::new(), leads: None, has_led: false }
    }

    /// Has the replica stand for election at once, and say when it leads.
    ///
    /// # Errors
    /// When the crate refuses.
    pub fn campaign(&mut self, leads: Sender<()>) -> Result<()> {
        self.leads = Some(leads);
        self.node.campaign().context("cannot campaign")
    }

    /// Whether this replica leads, which it has to do from its election on: without it, proposals may be lost.
    fn watch_leadership(&mut self) -> Result<()> {
        let leads = self.node.raft.state == StateRole::Leader && self.node.raft.commit_to_current_term();
        if let Some(told) = self.leads.take_if(|_| leads) {
            self.has_led = true;
            told.send(()).context("the load is gone")?;
        }
        ensure!(!self.has_led || self.node.raft.state == StateRole::Leader, "this replica no longer leads");
        Ok(())
    }
}

impl Turns for Driver {
    type Input = Input;
    const TICK: Duration = TICK;

    fn take(&mut self, input: Input) -> Result<()> {
        match input {
            Input::Messages(messages) => {
                for message in messages {
                    self.node.step(message).context("cannot take a message")?;
                }
            }
            Input::Proposals(commands) => {
                for command in commands {
                    self.node.propose(vec![], command.0.into()).context("cannot propose")?;
                }
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        while self.node.has_ready() {
            self.handle_ready()?;
        }
        self.watch_leadership()?;
        if !self.applied.is_empty() {
            let applied = std::mem::take(&mut self.applied);
            self.tally.apply(applied.iter().copied());
            if self.has_led {
                self.completed.send(applied).context("the load is gone")?;
            }
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.node.tick();
    }
}
