//! Messages over the links between servers.

use niagara_net::{DownReason, Event as NetEvent, Frame, Refusal};

use super::Simulation;
use super::events::Event;
use crate::failure::Found;
use crate::parts::network::{Cargo, Direction, Flight, MS};
use crate::recording::Observable;

impl<S: Observable> Simulation<S> {
    /// A guarantee of the engine is broken.
    pub(super) fn broken(&self, invariant: &'static str, what: String) {
        self.fail(Found::Engine { invariant, what });
    }

    pub(super) fn transmit(&mut self, from: u64, link: usize, frames: Vec<(u64, Frame)>) {
        for (to, frame) in frames {
            for flight in self.network.send(self.now, (from, to, link), &frame, &mut ()) {
                self.queue.push(flight.arrives, Event::Arrive(flight));
            }
        }
    }

    pub(super) fn arrive(&mut self, flight: Flight) {
        let (from, to, link) = flight.direction;
        if !self.network.delivers(&flight) {
            return;
        }
        match flight.cargo {
            Cargo::Body(body) => self.put_into_inbox(to, link, NetEvent::Frame { from, body }),
            // The receiver notices, and closes the connection.
            Cargo::Damaged(..) => self.break_connection(from, to, link),
        }
    }

    /// Gives a thread an event to handle.
    pub(super) fn put_into_inbox(&mut self, id: u64, link: usize, event: NetEvent) {
        let links = self.groups();
        if let Some(running) = &mut self.server_mut(id).running
            && (link == links || running.machine.has_group(link))
        {
            running.inbox[link].push_back(event);
            self.follow(id);
        }
    }

    /// Ends a connection. Both sides notice, and one reconnects.
    fn break_connection(&mut self, a: u64, b: u64, link: usize) {
        if self.network.disconnect(a, b, link) {
            for (me, peer) in [(a, b), (b, a)] {
                self.put_into_inbox(me, link, NetEvent::Down { peer, reason: DownReason::Closed });
            }
            let after = self.chance.between(1, 30) * MS;
            self.after(after, Event::Connect { a, b, link });
        }
    }

    pub(super) fn connect(&mut self, a: u64, b: u64, link: usize) {
        if !self.is_running(a) || !self.is_running(b) {
            return;
        }
        if self.network.connect(a, b, link).is_some() {
            if self.greet(a, b, link) && self.greet(b, a, link) {
                self.put_into_inbox(a, link, NetEvent::Up { peer: b });
                self.put_into_inbox(b, link, NetEvent::Up { peer: a });
                return;
            }
            self.network.disconnect(a, b, link);
        }
        let is_open = |id| {
            let running = self.server(id).running.as_ref();
            link == self.groups() || running.is_some_and(|running| running.machine.has_group(link))
        };
        // Who makes the group later connects then.
        if is_open(a) && is_open(b) && !self.network.peers(a).contains(&(b, link)) {
            self.after(50 * MS, Event::Connect { a, b, link });
        }
    }

    /// One server checks another one's hello; returns whether it admits it. It must, unless its own disk keeps it
    /// from recording whom it has met.
    fn greet(&self, here: u64, there: u64, link: usize) -> bool {
        let machine = |id| self.server(id).running.as_ref().map(|running| &running.machine);
        let (Some(mine), Some(theirs)) = (machine(here), machine(there)) else { return false };
        let channel = match link == self.groups() {
            true => 0,
            // One of them has not made the group yet, or has closed it.
            false if !mine.has_group(link) || !theirs.has_group(link) => return false,
            false => mine.channel(link),
        };
        let admitted = mine.admit(channel, &theirs.hello(channel));
        match &admitted {
            Ok(()) => {}
            Err(Refusal::Store(why)) if why.contains("cannot record") => {
                self.server(here).disk.take_failed();
            }
            Err(refusal) => {
                let what = format!("server {here} refuses server {there}: {refusal}");
                self.broken("good_servers_are_let_in", what);
            }
        }
        admitted.is_ok()
    }

    /// Both directions of all links between two servers.
    pub(super) fn between(&self, a: u64, b: u64) -> Vec<Direction> {
        (0..=self.groups()).flat_map(|link| [(a, b, link), (b, a, link)]).collect()
    }
}
