//! What a Ready asks for, in the order that the crate documents.

use anyhow::{Context, Result, ensure};
use protobuf::Message as _;
use raft::eraftpb::{Entry, Message};

use super::compaction;
use super::driver::Driver;
use crate::command;

impl Driver {
    /// Sends, persists and applies what the crate is ready with. With a durable log, there is one fdatasync for all of it.
    pub(super) fn handle_ready(&mut self) -> Result<()> {
        let mut ready = self.node.ready();
        // A leader's messages need not wait for its own disk.
        self.send(ready.take_messages())?;
        ensure!(ready.snapshot().is_empty(), "a snapshot came, which no replica has sent");
        self.apply(&ready.take_committed_entries())?;
        let store = self.node.raft.store().clone();
        let entries = ready.take_entries();
        for entry in &entries {
            self.log.append(entry.term, entry.index, &entry.data);
        }
        store.wl().append(&entries).context("cannot append to the log")?;
        if let Some(state) = ready.hs() {
            // The commit index may be lost, a vote must not be. Neither counts as an entry, so both have index 0.
            if ready.must_sync() {
                self.log.append(state.term, 0, &state.vote.to_le_bytes());
            }
            store.wl().set_hardstate(state.clone());
        }
        self.log.sync()?;
        self.send(ready.take_persisted_messages())?;

        let mut light = self.node.advance(ready);
        if let Some(commit) = light.commit_index() {
            store.wl().mut_hard_state().set_commit(commit);
        }
        self.send(light.take_messages())?;
        self.apply(&light.take_committed_entries())?;
        self.node.advance_apply();
        compaction::compact(&self.node, self.node.raft.raft_log.applied)
    }

    fn send(&mut self, messages: Vec<Message>) -> Result<()> {
        for message in messages {
            self.links.push(message.to, |buffer| Ok(message.write_to_vec(buffer)?))?;
        }
        self.links.flush()
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<()> {
        // A new leader begins with an entry that is empty. Nobody changes the membership.
        for entry in entries.iter().filter(|entry| !entry.data.is_empty()) {
            self.applied.push(command::number_in(&entry.data)?);
        }
        Ok(())
    }
}
