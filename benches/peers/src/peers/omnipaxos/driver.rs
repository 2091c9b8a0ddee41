//! The loop around the crate: whatever has come in goes into it, then its messages go out, and what is decided is applied.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use omnipaxos::messages::Message;
use omnipaxos::messages::sequence_paxos::PaxosMsg;
use omnipaxos::util::LogEntry;

use super::settings::{Node, TICK};
use super::trimming::Trimming;
use crate::command::Command;
use crate::frames;
use crate::links::Links;
use crate::log_file::LogFile;
use crate::tally::SharedTally;
use crate::turns::Turns;

/// What the driver waits for.
pub enum Input {
    /// From other replicas.
    Messages(Vec<Message<Command>>),
    /// From the load.
    Commands(Vec<Command>),
}

/// A replica.
pub struct Driver {
    node: Node,
    links: Links,
    file: Rc<RefCell<LogFile>>,
    tally: SharedTally,
    /// Where the numbers of applied commands go while this replica leads.
    completed: Sender<Vec<u64>>,
    outgoing: Vec<Message<Command>>,
    applied: usize,
    trimming: Trimming,
    /// Until it leads: who wants to know.
    leads: Option<Sender<()>>,
    has_led: bool,
}

impl Driver {
    /// A replica that follows.
    pub fn new(
        node: Node,
        links: Links,
        file: Rc<RefCell<LogFile>>,
        tally: SharedTally,
        completed: Sender<Vec<u64>>,
    ) -> Driver {
        Driver {
            node,
            links,
            file,
            tally,
            completed,
            outgoing: Vec::new(),
            applied: 0,
            trimming: Trimming::default(),
            leads: None,
            has_led: false,
        }
    }

    /// Has the replica try to lead at once, and say when it does.
    pub fn campaign(&mut self, leads: Sender<()>) {
        self.leads = Some(leads);
        self.node.try_become_leader();
    }

    /// Sends what the crate wants sent, and makes durable what it has written.
    fn send(&mut self) -> Result<()> {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        self.node.take_outgoing_messages(&mut outgoing);
        // A leader's entries need not wait for its own disk: nobody can have accepted them before the next turn. All else
        // may speak of what was written in this one, and must not overtake anything.
        let waits = outgoing.iter().position(|message| !is_entries(message)).unwrap_or(outgoing.len());
        let rest = outgoing.split_off(waits);
        self.push(&outgoing)?;
        self.file.borrow_mut().sync()?;
        self.push(&rest)?;
        outgoing.clear();
        self.outgoing = outgoing;
        Ok(())
    }

    fn push(&mut self, messages: &[Message<Command>]) -> Result<()> {
        for message in messages {
            self.links.push(message.get_receiver(), |buffer| frames::encode(buffer, message))?;
        }
        self.links.flush()
    }

    fn apply(&mut self) -> Result<()> {
        let Some(entries) = self.node.read_decided_suffix(self.applied) else { return Ok(()) };
        self.applied += entries.len();
        let number = |entry: &LogEntry<Command>| match entry {
            LogEntry::Decided(command) => command.number(),
            _ => bail!("the log holds what is no command"),
        };
        let numbers = entries.iter().map(number).collect::<Result<Vec<u64>>>()?;
        self.tally.apply(numbers.iter().copied());
        if self.has_led {
            self.completed.send(numbers).context("the load is gone")?;
        }
        Ok(())
    }
}

fn is_entries(message: &Message<Command>) -> bool {
    matches!(message, Message::SequencePaxos(message) if matches!(message.msg, PaxosMsg::AcceptDecide(_)))
}

fn is_trim(message: &Message<Command>) -> bool {
    matches!(message, Message::SequencePaxos(message) if matches!(message.msg, PaxosMsg::Compaction(_)))
}

impl Turns for Driver {
    type Input = Input;
    const TICK: Duration = TICK;

    fn take(&mut self, input: Input) -> Result<()> {
        match input {
            Input::Messages(messages) => {
                for message in messages {
                    // A replica that was behind may find in one turn what it is to apply and that it is to be trimmed.
                    if is_trim(&message) {
                        self.apply()?;
                    }
                    self.node.handle_incoming(message);
                }
            }
            Input::Commands(commands) => {
                for command in commands {
                    self.node.append(command).map_err(|error| anyhow!("cannot append: {error:?}"))?;
                }
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        self.send()?;
        self.apply()?;
        let leads = self.node.get_current_leader() == Some((self.node.get_pid(), true));
        if let Some(told) = self.leads.take_if(|_| leads) {
            self.has_led = true;
            told.send(()).context("the load is gone")?;
        }
        // Without its leader, the load's commands may be lost.
        ensure!(!self.has_led || leads, "this replica no longer leads");
        if leads { self.trimming.trim(&mut self.node) } else { Ok(()) }
    }

    fn tick(&mut self) {
        self.node.tick();
    }
}
