//! The rounds of a server's threads: what each does, and when the next one is.

use niagara_net::{DownReason, Event as NetEvent};

use super::Simulation;
use super::events::{Event, Thread};
use crate::parts::network::{MS, Micros};
use crate::recording::Observable;

impl<S: Observable> Simulation<S> {
    pub(super) fn happen(&mut self, event: Event) {
        if let Some((server, life)) = event.life() {
            let server = self.server_mut(server);
            if server.running.is_none() || server.life != life {
                return;
            }
            if server.is_paused {
                server.held.push(event);
                return;
            }
        }
        match event {
            Event::Round { server, thread, .. } => self.round(server, thread),
            Event::GroupTick { server, group, life } => {
                self.look_at_clock(server);
                let running = self.server_mut(server).running.as_mut().expect("a living server");
                if !running.machine.has_group(group) {
                    return;
                }
                running.read_inbox(group);
                running.machine.tick_group(group);
                self.turn(server, group);
                self.follow(server);
                let tick = self.server(server).tick();
                self.after(tick, Event::GroupTick { server, group, life });
            }
            Event::Tick { server, life } => {
                self.look_at_clock(server);
                self.server_mut(server).running.as_mut().expect("a living server").machine.tick();
                self.follow(server);
                let tick = self.server(server).tick();
                self.after(tick, Event::Tick { server, life });
            }
            Event::KeepingDue { server, .. } => {
                self.server_mut(server).running.as_mut().expect("a living server").keeping_at = None;
                self.follow(server);
            }
            Event::Arrive(flight) => self.arrive(flight),
            Event::Connect { a, b, link } => self.connect(a, b, link),
            Event::Fault { season, .. } if season != self.season => {}
            Event::Fault { fault, lasts, .. } => self.strike(fault, lasts),
            Event::FaultEnds(fault) => self.fault_ends(fault),
        }
    }

    pub(super) fn look_at_clock(&mut self, id: u64) {
        let now = self.now;
        self.server_mut(id).look_at_clock(now);
    }

    /// How long a woken thread takes to start its round.
    fn latency(&mut self, thread: Thread) -> Micros {
        let ordinary = match thread {
            Thread::Snapshots => self.chance.between(20, 1500),
            Thread::Log(_) => self.chance.between(80, 800),
            Thread::Application => self.chance.between(2, 60),
            _ => self.chance.between(2, 30),
        };
        // Now and then the operating system gives the core to somebody else.
        let hiccup = if self.chance.one_in(400) { self.chance.between(1, 15) * MS } else { 0 };
        ordinary + hiccup
    }

    /// Wakes the threads of a server that have work.
    pub(super) fn follow(&mut self, id: u64) {
        self.look_at_clock(id);
        self.plan_keeping(id);
        let life = self.server(id).life;
        for thread in self.server_mut(id).wake() {
            let latency = self.latency(thread);
            self.after(latency, Event::Round { server: id, life, thread });
        }
    }

    /// The snapshots thread sleeps until its next deadline at most.
    fn plan_keeping(&mut self, id: u64) {
        let now = self.now;
        let server = self.server_mut(id);
        let life = server.life;
        let due = server.running.as_ref().and_then(|running| running.machine.keeping_due());
        let Some(due) = due.filter(|due| !due.is_zero()) else { return };
        let at = now + server.really(due);
        let running = server.running.as_mut().expect("just seen");
        if running.keeping_at.is_none_or(|planned| planned > at) {
            running.keeping_at = Some(at);
            self.after(at - now, Event::KeepingDue { server: id, life });
        }
    }

    fn round(&mut self, id: u64, thread: Thread) {
        self.look_at_clock(id);
        let (groups, hangs) = (self.groups(), self.server(id).disk.hangs());
        let running = self.server_mut(id).running.as_mut().expect("a living server");
        running.scheduled &= !thread.bit(groups);
        match thread {
            Thread::Group(group) if running.machine.has_group(group) => {
                running.read_inbox(group);
                self.turn(id, group);
            }
            Thread::Group(_) => {}
            // It is stuck until the disk works again.
            _ if hangs && thread.uses_disk() => {}
            Thread::Log(group) => self.write_log(id, group),
            Thread::Sequencer => {
                running.machine.merge();
            }
            Thread::Application => {
                running.machine.execute();
            }
            Thread::Snapshots => self.keep_snapshots(id),
            Thread::Callers => self.make_calls(id),
        }
        self.follow(id);
    }

    fn write_log(&mut self, id: u64, group: usize) {
        let server = self.server_mut(id);
        let running = server.running.as_mut().expect("a living server");
        let Err(error) = running.machine.write_log(group) else { return };
        if server.disk.take_failed().is_some() {
            self.note(&format!("server {id} ends: {error}"));
            self.process_ends(id, false);
        } else {
            self.broken("a_sound_log_opens", format!("server {id} cannot write its log: {error}"));
        }
    }

    pub(super) fn turn(&mut self, id: u64, group: usize) {
        let running = self.server(id).running.as_ref().expect("a living server");
        for peer in running.machine.peers(group) {
            let queued = self.network.queued_bytes(self.now, (id, peer, group));
            let running = self.server_mut(id).running.as_mut().expect("a living server");
            running.machine.queue_holds(group, peer, queued);
        }
        let running = self.server_mut(id).running.as_mut().expect("a living server");
        let frames = running.machine.turn(group);
        let is_closed = !running.machine.has_group(group);
        self.transmit(id, group, frames);
        if is_closed {
            self.close_group(id, group);
        }
    }

    /// A server has let go of a group of an epoch that is over.
    fn close_group(&mut self, id: u64, group: usize) {
        self.note(&format!("server {id} closes the group at place {}", group + 1));
        self.server_mut(id).running.as_mut().expect("a living server").inbox[group].clear();
        let peers = self.network.peers(id).into_iter().filter(|(_, link)| *link == group);
        for (peer, _) in peers.collect::<Vec<_>>() {
            self.network.disconnect(id, peer, group);
            self.put_into_inbox(peer, group, NetEvent::Down { peer: id, reason: DownReason::Closed });
        }
    }

    fn keep_snapshots(&mut self, id: u64) {
        let link = self.groups();
        let running = self.server_mut(id).running.as_mut().expect("a living server");
        for event in std::mem::take(&mut running.inbox[link]) {
            running.machine.handle_transfer(event);
        }
        let before = running.machine.snapshots().next_back().map(|header| header.position());
        let frames = running.machine.keep_snapshots();
        let newest = running.machine.snapshots().next_back().map(|header| header.position());
        if let Some(position) = newest.filter(|_| newest != before) {
            self.note(&format!("server {id} has a snapshot of position {position}"));
        }
        self.transmit(id, link, frames);
        self.open_epochs(id);
        self.end_removed(id);
    }

    fn open_epochs(&mut self, id: u64) {
        let server = self.server_mut(id);
        let running = server.running.as_mut().expect("a living server");
        if let Err(error) = running.machine.open_epochs() {
            if server.disk.take_failed().is_some() {
                self.note(&format!("server {id} ends: {error}"));
                return self.process_ends(id, false);
            }
            return self
                .broken("a_sound_log_opens", format!("server {id} cannot go on with an epoch: {error}"));
        }
        self.drive_new_groups(id);
    }

    /// Ticks and connects the groups that a server has just made.
    pub(super) fn drive_new_groups(&mut self, id: u64) {
        let server = self.server_mut(id);
        let (life, tick) = (server.life, server.tick());
        let groups = server.running.as_mut().expect("a living server").machine.take_new_groups();
        for group in groups {
            self.turn(id, group);
            let first = self.chance.below(tick) + 1;
            self.after(first, Event::GroupTick { server: id, life, group });
            for peer in self.servers().filter(|peer| *peer != id) {
                let after = self.chance.between(1, 10) * MS;
                self.after(after, Event::Connect { a: id, b: peer, link: group });
            }
        }
    }
}
