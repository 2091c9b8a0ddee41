//! The number of groups changes: who asks for it, and groups that come and go.

use std::path::PathBuf;

use niagara_engine::{Client, IdentityError, KNOWN_LEVEL, NotChanged, StartError};
use niagara_log::{Files, LogError};
use niagara_net::{DownReason, Event as NetEvent};
use niagara_sequencer::epoch::Chain;

use super::script::BEGINS;
use super::{Event, MS, World};
use crate::invariants::{Broken, log_directory};
use crate::sim::network::Micros;
use crate::sim::recorder::Recorder;
use crate::sim::server::Running;

/// Who is refused asks again after this time.
pub(super) const ASK_AGAIN: Micros = 20 * MS;

impl World {
    /// Asks for another number of groups: through this server, or the next one that takes it.
    pub(crate) fn ask_for_groups(&mut self, number: usize, server: u64, groups: u16) {
        match self.ask(server, Some(groups), |client| client.ask_for_groups(groups)) {
            Some(id) => {
                self.trace.line(|| format!("server {id} is asked for {groups} groups"));
                self.coverage.count("number of groups asked for");
                self.follow(id);
            }
            None if self.now < BEGINS => self.after(ASK_AGAIN, Event::Fault(number)),
            None => self.coverage.count("number of groups not taken"),
        }
    }

    /// Asks for the newest level, likewise.
    pub(crate) fn ask_for_level(&mut self, number: usize, server: u64) {
        match self.ask(server, None, |client| client.ask_for_level(KNOWN_LEVEL)) {
            Some(id) => {
                self.trace.line(|| format!("server {id} is asked for level {KNOWN_LEVEL}"));
                self.coverage.count("level asked for");
                self.follow(id);
            }
            None if self.now < BEGINS => self.after(ASK_AGAIN, Event::Fault(number)),
            None => self.coverage.count("level not taken"),
        }
    }

    /// The server that takes a request for an epoch with so many groups, or as many as now: this one, or the next one that does.
    pub(super) fn ask(
        &self,
        server: u64,
        groups: Option<u16>,
        request: impl Fn(&Client<Recorder>) -> Result<(), NotChanged>,
    ) -> Option<u64> {
        let servers = self.plan.servers;
        let has_places = |running: &&Running| {
            let now = running.machine.running_groups();
            now.end + groups.map_or(now.len(), usize::from) <= self.groups()
        };
        let is_taken = |id: &u64| {
            let running = self.servers[*id as usize - 1].running.as_ref();
            let running = running.filter(|_| self.paused_until(*id).is_none());
            let running = running.filter(has_places);
            running.is_some_and(|running| request(&running.machine.client()).is_ok())
        };
        (0..servers).map(|step| (server - 1 + step) % servers + 1).find(is_taken)
    }

    /// The groups that a server has found at its start.
    pub(crate) fn found_groups(&mut self, id: u64) -> Result<Vec<usize>, Broken> {
        let running = self.servers[id as usize - 1].running.as_mut().expect("just started");
        let mut found = running.take_new_groups();
        found.sort_unstable();
        let epochs: Vec<_> = found.iter().map(|group| running.machine.epoch_and_group(*group).0).collect();
        if epochs.first() < epochs.last() {
            self.coverage.count("started in the midst of a change");
        }
        self.look_at_epoch(id, false)?;
        Ok(found)
    }

    /// The thread of the snapshots goes on with the next epoch, and closes what is over.
    pub(crate) fn open_epochs(&mut self, id: u64) -> Result<(), Broken> {
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        match running.machine.open_epochs() {
            Ok(()) => {
                self.drive_new_groups(id)?;
                Ok(())
            }
            Err(error) if is_of_the_disk(&error) => {
                self.trace.line(|| format!("server {id} ends: {error}"));
                self.ended_by_disk(id);
                Ok(())
            }
            Err(error) => Err(Broken::new(
                "a_sound_log_opens",
                format!("server {id} cannot go on with an epoch: {error}"),
            )),
        }
    }

    /// Ticks and connects the groups that a server has just made.
    fn drive_new_groups(&mut self, id: u64) -> Result<(), Broken> {
        let server = self.server(id);
        let life = server.life;
        let new = server.running.as_mut().expect("looked at before").take_new_groups();
        if !new.is_empty() {
            self.coverage.count("groups of an epoch made");
            self.trace.line(|| format!("server {id} makes the groups at the places {new:?}"));
        }
        for group in new {
            self.turn(id, &[group])?;
            let first = self.chance.below(self.tick_of(id)) + 1;
            self.after(first, Event::GroupTick { server: id, life, group });
            for peer in (1..=self.plan.servers).filter(|peer| *peer != id) {
                let after = self.chance.between(1, 10) * MS;
                self.after(after, Event::Connect { a: id, b: peer, group });
            }
        }
        Ok(())
    }

    /// A server has let go of a group of an epoch that is over.
    pub(crate) fn close_group(&mut self, id: u64, group: usize) {
        self.trace.line(|| format!("server {id} closes the group at place {group}"));
        self.coverage.count("group of an ended epoch closed");
        if let Some(running) = &mut self.server(id).running {
            running.inbox[group].clear();
        }
        let peers: Vec<_> = self.network.peers(id).into_iter().filter(|(_, link)| *link == group).collect();
        for (peer, _) in peers {
            self.network.disconnect(id, peer, group);
            self.put_into_inbox(peer, group, NetEvent::Down { peer: id, reason: DownReason::Closed });
        }
    }

    /// Checks that no log is left of an epoch that a server has closed, or does not need any more, once it has two snapshots
    /// beyond that one.
    pub(crate) fn check_closed_logs(&self) -> Result<(), Broken> {
        for server in self.member_servers() {
            let running = server.running.as_ref().expect("progress was checked");
            let oldest = match running.machine.snapshots().rev().nth(1) {
                Some(older) => older.cut().epoch,
                None => continue,
            };
            for record in running.machine.chain().links().iter().map(|link| &link.record) {
                let groups = (1..=record.terms.groups).filter(|_| record.epoch < oldest);
                for group in groups {
                    let dir = PathBuf::from(format!("server-{}", server.id))
                        .join(log_directory(record.epoch.get(), group));
                    let left = server.disk.list(&dir).unwrap_or_default();
                    if !left.is_empty() {
                        let what =
                            format!("server {} keeps {left:?}, which nobody will ever need", server.id);
                        return Err(Broken::new("ended_epochs_go", what));
                    }
                }
            }
        }
        Ok(())
    }

    /// A server may execute in another epoch now.
    pub(crate) fn look_at_epoch(&mut self, id: u64, is_restored: bool) -> Result<(), Broken> {
        let server = &mut self.servers[id as usize - 1];
        let running = server.running.as_ref().expect("looked at before");
        let chain = running.machine.chain();
        let epoch = chain.newest().record.epoch;
        let before = std::mem::replace(&mut server.epoch, epoch);
        if self.invariants.one_chain.observe(id, chain)? {
            let record = &chain.newest().record;
            self.trace.line(|| format!("server {id} is first in epoch {epoch}: {record:?}"));
            self.coverage.count("epoch begun");
            self.coverage.count(change_of_members(chain));
        }
        if epoch > before {
            self.coverage.count("server in another epoch");
            if is_restored {
                self.coverage.count("leap to another epoch by a snapshot");
            }
        }
        Ok(())
    }
}

/// What has become of the members with the newest epoch.
fn change_of_members(chain: &Chain) -> &'static str {
    let mut newest = chain.links().iter().rev().map(|link| &link.record);
    let (Some(now), Some(before)) = (newest.next(), newest.next()) else { return "first epoch" };
    let has_come = now.terms.members.iter().any(|id| !before.is_member(*id));
    let has_left = before.terms.members.iter().any(|id| !now.is_member(*id));
    match (has_come, has_left) {
        (true, true) => "server replaced",
        (true, false) => "server added",
        (false, true) => "server removed",
        (false, false) => "epoch with the same members",
    }
}

/// Whether the disk is to blame for an error.
fn is_of_the_disk(error: &StartError) -> bool {
    matches!(
        error,
        StartError::Log { source: LogError::Io { .. } | LogError::NoRoom { .. } | LogError::Failed, .. }
            | StartError::Identity(IdentityError::Io { .. })
    )
}
