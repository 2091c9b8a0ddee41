//! Messages over the links between servers.

use bytes::Bytes;
use niagara_net::{DownReason, Event as NetEvent, Frame, FrameReader, Refusal};

use super::{Event, MS, World};
use crate::invariants::Broken;
use crate::sim::messages::MessageKind;
use crate::sim::network::{Cargo, Flight};
use crate::sim::server::Thread;

/// How many bytes at the front of a body its frame's checksum covers, by the head on the wire. Of a body in pieces with an
/// open end, it covers a part that does not show in one head; the sums cover the rest.
fn covered(frame: &Frame) -> usize {
    let head = frame.slices().next().unwrap_or_default();
    match *head {
        _ if !frame.has_open_end() => frame.len(),
        [_, _, _, marks, _, _, _, _, a, b, c, d] if marks & 0x80 == 0 => {
            u32::from_le_bytes([a, b, c, d]) as usize
        }
        _ => 0,
    }
}

impl World {
    pub(crate) fn arrive(&mut self, flight: Flight) -> Result<(), Broken> {
        let (from, to, group) = flight.direction;
        if !self.network.delivers(&flight) || !self.is_running(to) {
            return Ok(());
        }
        match flight.cargo {
            Cargo::Body(body) => {
                self.note_answer((to, group), from, &body);
                self.put_into_inbox(to, group, NetEvent::Frame { from, body });
            }
            Cargo::Damaged(bytes, sent) => {
                let mut reader = FrameReader::new(1 << 16, 1 << 20);
                let mut rest = bytes.as_slice();
                let read = loop {
                    let room = reader.room();
                    let count = room.len().min(rest.len());
                    room[..count].copy_from_slice(&rest[..count]);
                    reader.advance(count);
                    rest = &rest[count..];
                    match reader.next_body() {
                        Ok(None) if !rest.is_empty() => {}
                        read => break read,
                    }
                };
                if let Ok(Some(body)) = read {
                    let (covered, whole) = (covered(&sent), sent.parts().concat());
                    let is_sound = body.len() == whole.len() && body[..covered] == whole[..covered];
                    if !is_sound {
                        let what = format!("a damaged frame was taken: {body:?}");
                        return Err(Broken::new("damage_is_noticed", what));
                    }
                    // The damage is in data whose sum the receiver compares.
                    self.coverage.count("damage left to a sum");
                    self.put_into_inbox(to, group, NetEvent::Frame { from, body });
                    return Ok(());
                }
                self.coverage.count("connection broken by damage");
                self.break_connection(from, to, group);
            }
        }
        Ok(())
    }

    /// Notes that a leader hears from a server that takes it for the leader.
    fn note_answer(&mut self, leader: (u64, usize), from: u64, body: &Bytes) {
        let leads_a_quorum = &mut self.invariants.leads_a_quorum;
        if leads_a_quorum.leads(leader) && MessageKind::of(body).is_some_and(MessageKind::is_answer) {
            leads_a_quorum.answered(leader, from, self.now);
        }
    }

    /// Gives a group's thread an event to handle.
    pub(crate) fn put_into_inbox(&mut self, id: u64, group: usize, event: NetEvent) {
        let links = self.groups();
        if self.is_follower(id) {
            if let Some(running) = self.follower.as_mut().and_then(|follower| follower.running.as_mut()) {
                running.inbox.push_back(event);
            }
            return;
        }
        let Some(running) = &mut self.server(id).running else { return };
        if group < links && !running.machine.has_group(group) {
            return;
        }
        running.inbox[group].push_back(event);
        if group < self.groups() {
            let first = self.plan.groups_beside(group).start;
            self.follow_some(id, [Thread::Group(first), Thread::Log(first)]);
        } else {
            self.follow(id);
        }
    }

    /// Ends a connection. Both sides notice, and one reconnects.
    pub(crate) fn break_connection(&mut self, a: u64, b: u64, group: usize) {
        if self.network.disconnect(a, b, group) {
            self.trace.line(|| format!("servers {a} and {b} lose their connection of group {}", group + 1));
            for (me, peer) in [(a, b), (b, a)] {
                self.put_into_inbox(me, group, NetEvent::Down { peer, reason: DownReason::Closed });
            }
            let after = self.chance.between(1, 30) * MS;
            self.after(after, Event::Connect { a, b, group });
        }
    }

    pub(crate) fn connect(&mut self, a: u64, b: u64, group: usize) -> Result<(), Broken> {
        if !self.is_running(a) || !self.is_running(b) {
            return Ok(());
        }
        if self.is_follower(a) || self.is_follower(b) {
            self.connect_follower(a.max(b), a.min(b));
            return Ok(());
        }
        if self.network.connect(a, b, group).is_some() {
            if self.greet(a, b, group)? && self.greet(b, a, group)? {
                self.put_into_inbox(a, group, NetEvent::Up { peer: b });
                self.put_into_inbox(b, group, NetEvent::Up { peer: a });
                return Ok(());
            }
            self.network.disconnect(a, b, group);
        }
        // Who makes the group later connects then.
        let is_there = group == self.groups() || self.has_group(a, group) && self.has_group(b, group);
        if is_there && !self.network.peers(a).contains(&(b, group)) {
            self.after(50 * MS, Event::Connect { a, b, group });
        }
        Ok(())
    }

    /// One server checks another one's hello; returns whether it admits it. It must, unless its own disk
    /// keeps it from recording whom it has met.
    fn greet(&mut self, here: u64, there: u64, group: usize) -> Result<bool, Broken> {
        let life = self.server(there).life;
        let running = |id: u64| self.servers[id as usize - 1].running.as_ref();
        let (Some(running), Some(theirs)) = (running(here), running(there)) else { return Ok(false) };
        let channel = match group == self.groups() {
            true => 0,
            // One of them has not made the group yet, or has closed it.
            false if !running.machine.has_group(group) || !theirs.machine.has_group(group) => {
                return Ok(false);
            }
            false => running.machine.channel(group),
        };
        let hello = theirs.machine.hello(channel);
        let admitted = running.machine.admit(channel, &hello);
        if self.server(here).disk.has_died() {
            self.ended_by_disk(here);
            return Ok(false);
        }
        match admitted {
            Ok(()) => {
                self.met.insert((here, there), life);
                Ok(true)
            }
            Err(Refusal::Store(why)) if why.contains("cannot record") => {
                self.coverage.count("peer not noted");
                Ok(false)
            }
            Err(refusal) => {
                let what = format!("server {here} refuses server {there}: {refusal}");
                Err(Broken::new("good_servers_are_let_in", what))
            }
        }
    }
}
