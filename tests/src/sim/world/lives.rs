//! The lives of servers: how they start, pause, and end.

use std::path::Path;

use niagara_engine::internals::snapshot::SnapshotError;
use niagara_engine::{Durability, IdentityError, StartError};
use niagara_log::LogError;
use niagara_net::{DownReason, Event as NetEvent};

use super::rounds::RESTART;
use super::{Event, MS, World};
use crate::invariants::Broken;
use crate::sim::network::Micros;

impl World {
    /// Ends a server's process. Its unfinished work is lost, and, if the power fails, so is what was not
    /// synced.
    pub(crate) fn process_ends(&mut self, id: u64, power: bool) {
        let server = self.server(id);
        if server.running.take().is_none() {
            return;
        }
        server.paused_until = None;
        server.held.clear();
        if power {
            self.lose_unsynced(id);
        } else {
            server.disk.process_ends();
        }
        for (peer, group) in self.network.peers(id) {
            self.network.disconnect(id, peer, group);
            self.put_into_inbox(peer, group, NetEvent::Down { peer: id, reason: DownReason::Closed });
        }
        for client in self.clients.of_server(id) {
            self.client_moves_on(client);
        }
    }

    /// Fails a server's power. If nothing runs there, what the last process left unsynced goes.
    pub(crate) fn power_fails(&mut self, id: u64) {
        self.coverage.count("power failed later");
        if self.is_running(id) {
            self.take_down(id, true, RESTART);
        } else {
            self.lose_unsynced(id);
        }
    }

    fn lose_unsynced(&mut self, id: u64) {
        let losses = self.server(id).disk.power_fails();
        self.coverage.add("unsynced write lost", losses.lost);
        self.coverage.add("unsynced write torn", losses.torn);
    }

    /// Stops a server cleanly, after which the power may fail: all that it must keep is durable.
    pub(crate) fn stop(&mut self, id: u64, power: bool, down: Micros) {
        let now = self.now;
        let server = self.server(id);
        server.set_clock(now);
        if server.disk.hangs() || server.paused_until.is_some_and(|until| until > now) {
            return;
        }
        let Some(running) = &mut server.running else { return };
        let stopped = running.machine.stop();
        let died = self.server(id).disk.has_died() || !matches!(stopped, Ok(true));
        self.trace.line(|| format!("server {id} stops: {stopped:?}"));
        self.coverage.count(match (died, power) {
            (true, _) => "stop cut short",
            (false, true) => "stopped before the power failed",
            (false, false) => "stopped",
        });
        // A stop that was not recorded does not count: a loss of power would take what was not synced.
        let power = power && !(died && self.plan.durability == Durability::Os);
        self.count_figures(id);
        self.process_ends(id, power);
        self.start_after(id, down);
    }

    /// Starts a server's process after a while, unless it runs or is about to.
    pub(crate) fn start_after(&mut self, id: u64, delay: Micros) {
        let server = self.server(id);
        if server.running.is_none() && !server.is_starting && !server.is_out {
            server.is_starting = true;
            self.after(delay, Event::Start(id));
        }
    }

    pub(crate) fn start(&mut self, id: u64) -> Result<(), Broken> {
        let now = self.now;
        let server = self.server(id);
        server.is_starting = false;
        if server.running.is_some() || server.is_out {
            return Ok(());
        }
        server.set_clock(now);
        if server.disk.hangs() {
            self.start_after(id, RESTART);
            return Ok(());
        }
        self.check_remains(id)?;
        let server = self.server(id);
        if let Err(error) = server.start() {
            return self.start_failed(id, &error);
        }
        let damaged = server.running.as_ref().map_or(0, |running| running.machine.damaged_snapshots());
        let flipped = server.flipped.take_if(|(path, ..)| is_snapshot(path)).is_some();
        server.rotten += usize::from(flipped);
        // It stays until something newer is durable, and a loss of power may undo its removal.
        if damaged < usize::from(flipped) || damaged > server.rotten {
            return Err(Broken::new(
                "a_sound_snapshot_opens",
                format!(
                    "server {id} passes over {damaged} snapshots; so many had a bit flipped: {}",
                    server.rotten
                ),
            ));
        }
        server.forgive_unused_log();
        if let Some(flipped) = &server.flipped {
            return Err(Broken::new(
                "damage_is_noticed",
                format!("server {id} starts although {flipped:?} is flipped"),
            ));
        }
        let life = server.life;
        self.trace.line(|| format!("server {id} starts its life {life}"));
        self.coverage.count("server started");
        self.invariants.log_matching.restarted(id);
        self.invariants.leads_a_quorum.restarted(id);
        self.coverage.add("damaged snapshot passed over", damaged as u64);
        self.invariants.global_prefix.restarted(id);
        let running = self.servers[id as usize - 1].running.as_mut().expect("just started");
        let (restored, reader) = (running.witness.take_restored(), running.machine.client().reader());
        for position in restored {
            self.coverage.count("started from a snapshot");
            self.restored(id, position, &reader)?;
        }
        let found = self.found_groups(id)?;
        for group in found.clone() {
            let running = self.servers[id as usize - 1].running.as_ref().expect("just started");
            let standing = running.machine.standing(group);
            let is_first = running.here_beside(group).next() == Some(group);
            self.invariants.election_safety.started(id, group, &standing)?;
            self.turn(id, &[group])?;
            if is_first {
                let first = self.chance.below(self.tick_of(id)) + 1;
                self.after(first, Event::GroupTick { server: id, life, group });
            }
        }
        for group in found.into_iter().chain([self.groups()]) {
            for peer in (1..=self.plan.servers).filter(|peer| *peer != id) {
                let after = self.chance.between(1, 10) * MS;
                self.after(after, Event::Connect { a: id, b: peer, group });
            }
        }
        if let Some(follower) = self.follower_id() {
            let after = self.chance.between(1, 10) * MS;
            self.after(after, Event::Connect { a: follower, b: id, group: self.groups() });
        }
        let running = self.servers[id as usize - 1].running.as_ref().expect("just started");
        self.invariants.bytes_are_bounded.started(id, &running.machine.waiting());
        let first = self.chance.below(self.tick_of(id)) + 1;
        self.after(first, Event::Tick { server: id, life });
        self.follow(id);
        Ok(())
    }

    /// A server did not start: for a given reason, or else the invariant that it starts is broken.
    pub(crate) fn start_failed(&mut self, id: u64, error: &StartError) -> Result<(), Broken> {
        self.trace.line(|| format!("server {id} does not start: {error}"));
        if self.is_removed(id, error) {
            return Ok(());
        }
        let server = self.server(id);
        match error {
            StartError::Log { source: LogError::Corrupt { .. } | LogError::Lost { .. }, .. }
            | StartError::LostEntries { .. }
            | StartError::SnapshotMissing { .. }
                if server.flipped.is_some() =>
            {
                let flipped = server.flipped.take().expect("just seen");
                server.disk.flip_back(&flipped);
                self.coverage.count("start refused for damage");
            }
            StartError::Log {
                source: LogError::Io { .. } | LogError::NoRoom { .. } | LogError::Failed,
                ..
            }
            | StartError::Identity(IdentityError::Io { .. })
            | StartError::Snapshot(SnapshotError::Io { .. }) => {
                server.disk.process_ends();
                self.count_ended_by_disk(id);
            }
            _ => {
                return Err(Broken::new("a_sound_log_opens", format!("server {id} does not start: {error}")));
            }
        }
        self.start_after(id, RESTART);
        Ok(())
    }

    /// Resumes a server, unless it has been paused for longer meanwhile.
    pub(crate) fn resume(&mut self, id: u64) {
        if self.paused_until(id).is_none() {
            for sending in std::mem::take(&mut self.server(id).held) {
                self.asked(sending);
            }
        }
    }

    /// Until when a server is paused.
    pub(crate) fn paused_until(&self, id: u64) -> Option<Micros> {
        self.servers.get(id as usize - 1)?.paused_until.filter(|until| *until > self.now)
    }
}

fn is_snapshot(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "snap")
}
