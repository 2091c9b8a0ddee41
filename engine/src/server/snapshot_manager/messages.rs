//! What other servers and followers say about snapshots, and what they are answered.

use std::time::Instant;

use bytes::Bytes;
use niagara_net::Event;
use niagara_sequencer::epoch::{Cut, Record};

use super::{SNAPSHOTS, SnapshotManager};
use crate::snapshot::Transfer;
use crate::state_machine::StateMachine;

impl<S: StateMachine> SnapshotManager<S> {
    /// Handles an event on the links.
    pub fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Frame { from, body } => self.receive(now, from, &body),
            Event::Up { peer } => {
                self.over.is_up(now, peer);
                self.share.progress.connection_is_up(SNAPSHOTS, peer);
            }
            Event::Down { peer, reason } => {
                self.sender.disconnected(peer);
                self.over.is_down(peer);
                self.share.progress.connection_is_gone(SNAPSHOTS, peer, reason);
            }
            Event::Refused { peer, refusal, by_us } => {
                tracing::debug!(?peer, by_us, "a server was refused on the channel for snapshots: {refusal}");
            }
        }
    }

    /// Servers that have sent what no correct server sends since this was last called: end the connections to these.
    pub fn take_offenders(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.offenders)
    }

    /// Handles a message from another server.
    fn receive(&mut self, now: Instant, from: u64, body: &Bytes) {
        let message = match Transfer::decode(body) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(from, %error, "dropped a message about snapshots, and its sender");
                self.offenders.push(from);
                return;
            }
        };
        let done = match message {
            Transfer::Over { cut } => {
                self.over.heard(from, cut);
                self.look_who_leaves(from, cut);
                // It can come there by the logs of its own epoch as long as that has leaders.
                let epoch = self.share.progress.epoch();
                let leaves = self.share.progress.removal.next().is_some();
                if !leaves && cut.epoch > epoch.number && epoch.is_leaderless(self.config.patience_ticks) {
                    self.receiver.is_over(from, cut);
                }
                Ok(())
            }
            Transfer::Ask { cut, part } => {
                let answer = self.sender.asked(cut, part, &self.store);
                if answer == Transfer::Nothing {
                    self.copy_newest(now, cut);
                }
                self.outbox.push((from, answer));
                Ok(())
            }
            Transfer::Fetch { id, offset, length } => {
                let answer = self.sender.fetch(now, from, (id, offset, length), &self.store);
                answer.map(|answer| self.outbox.extend(answer.map(|answer| (from, answer))))
            }
            message => {
                let begin = || S::restoring(&self.share.reader);
                self.receiver.receive(now, from, message, &self.store, begin, &mut self.outbox)
            }
        };
        if let Err(error) = done {
            self.transfer_failed(now, &error);
        }
    }

    /// Handles a message of a follower, which asks for a snapshot, or for parts of one.
    pub fn handle_follower(&mut self, now: Instant, from: u64, body: &Bytes) {
        match Transfer::decode(body) {
            Ok(Transfer::Ask { .. } | Transfer::Fetch { .. }) => self.receive(now, from, body),
            _ => {
                tracing::warn!(from, "dropped a follower that has sent what none sends");
                self.offenders.push(from);
            }
        }
    }

    /// A follower is not connected any more.
    pub fn follower_left(&mut self, follower: u64) {
        self.sender.disconnected(follower);
        self.outbox.retain(|(to, _)| *to != follower);
    }

    /// Fetches a snapshot at `cut` or later from a member, since this follower cannot come there by what members still have
    /// in their logs. Returns whether that is so.
    pub fn fetch_beyond(&mut self, from: u64, cut: Cut) -> bool {
        let helps = cut > self.here;
        if helps {
            self.receiver.is_over(from, cut);
        }
        helps
    }

    /// Whether a snapshot of another server is under way, or about to be.
    pub fn is_fetching(&self) -> bool {
        self.receiver.is_wanted() || self.share.progress.snapshots.has_resume()
    }

    /// A server that has been removed says, by naming an epoch that it is not in, that it knows. If this one has been, and is
    /// needed by nobody any more, it tells the others so, and ends.
    fn look_who_leaves(&mut self, from: u64, cut: Cut) {
        let progress = &self.share.progress;
        let epoch = progress.epoch();
        if cut.epoch >= epoch.number && !epoch.members().contains(&from) && progress.removal.next().is_none()
        {
            self.departed.push(from);
            // It waits until a majority has said that it has gone on. It has named the epoch itself, so nobody tells it of that any
            // more, and what it was told before may have been lost.
            let here = self.over.reached(cut.epoch);
            self.outbox.extend(here.map(|cut| (from, Transfer::Over { cut })));
        }
        if !progress.removal.heard(from, cut) {
            return;
        }
        let Some(Record { epoch: next, terms, .. }) = progress.removal.next() else { return };
        if let Err(error) = self.share.identity.is_removed(*next) {
            return tracing::error!(%error, "cannot record that this server has been removed");
        }
        let told = terms.members.iter().map(|member| (*member, Transfer::Over { cut: Cut::start_of(*next) }));
        self.outbox.extend(told);
        tracing::warn!(epoch = next.get(), "the cluster goes on without this server, which is to be stopped");
        progress.removal.ends();
        progress.watchers.changed();
    }

    /// The servers that have said since the last call that they know of their removal.
    pub fn take_departed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.departed)
    }
}
