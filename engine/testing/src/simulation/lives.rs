//! The lives of servers: how they start, and how they end.

use std::sync::Arc;

use niagara_net::{DownReason, Event as NetEvent};

use super::Simulation;
use super::events::Event;
use crate::parts::network::MS;
use crate::recording::{Observable, Recording, lock};

impl<S: Observable> Simulation<S> {
    pub(super) fn start(&mut self, id: u64) {
        let now = self.now;
        let server = self.server_mut(id);
        if server.running.is_some() || server.is_out {
            return;
        }
        if server.disk.hangs() {
            server.awaits_disk = true;
            return self.note(&format!("server {id} does not start: its disk hangs"));
        }
        server.awaits_disk = false;
        server.life += 1;
        let life = server.life;
        server.look_at_clock(now);
        self.note(&format!("server {id} starts its life {life}"));
        lock(&self.history).starts(id);
        let state = (self.make)(id);
        let chance = self.chance.fork(id << 32 | life);
        let history = Arc::clone(&self.history);
        let recording = Recording::new(id, state, history, self.settings.comparing(), chance);
        if let Err(error) = self.server_mut(id).start(recording) {
            if self.awaits_disk(id, &error.to_string()) || self.is_removed(id, &error) {
                return;
            }
            self.broken("a_sound_log_opens", format!("server {id} does not start: {error}"));
            return;
        }
        let tick = self.server(id).tick();
        self.drive_new_groups(id);
        let link = self.groups();
        for peer in self.servers().filter(|peer| *peer != id) {
            let after = self.chance.between(1, 10) * MS;
            self.after(after, Event::Connect { a: id, b: peer, link });
        }
        let first = self.chance.below(tick) + 1;
        self.after(first, Event::Tick { server: id, life });
        self.follow(id);
    }

    /// Ends a server's process. Its unfinished work is lost, and, if the power fails, so is what was not
    /// synced.
    pub(super) fn process_ends(&mut self, id: u64, power: bool) {
        let server = self.server_mut(id);
        if power {
            server.disk.power_fails();
        } else {
            server.disk.process_ends();
        }
        server.is_paused = false;
        server.awaits_disk = false;
        server.held.clear();
        if server.running.take().is_none() {
            return;
        }
        self.note(&format!("server {id} {}", if power { "loses power" } else { "crashes" }));
        for (peer, link) in self.network.peers(id) {
            self.network.disconnect(id, peer, link);
            self.put_into_inbox(peer, link, NetEvent::Down { peer: id, reason: DownReason::Closed });
        }
        self.hang_up(id);
    }
}
