//! The follower: its lives, its rounds, and its links to the members.

use niagara_engine::Durability;
use niagara_net::{DownReason, Event as NetEvent, Frame};

use super::rounds::RESTART;
use super::{Event, MS, World};
use crate::invariants::Broken;
use crate::sim::follower::{Follower, Following};
use crate::sim::network::{Direction, Micros};
use crate::sim::plan::WallClock;
use crate::sim::server::TICK;

/// A thread of the follower has a round once in so long, at most.
const MOST_BETWEEN_ROUNDS: Micros = 1500;
/// Time between two looks for a member that has a snapshot for it.
const LOOK_EACH: Micros = 20 * MS;

impl World {
    /// The follower's id; `None` if there is no follower.
    pub(crate) fn follower_id(&self) -> Option<u64> {
        self.follower.as_ref().map(|follower| follower.id)
    }

    pub(crate) fn is_follower(&self, id: u64) -> bool {
        self.follower_id() == Some(id)
    }

    fn following(&mut self) -> Option<&mut Following> {
        self.follower.as_mut()?.running.as_mut()
    }

    /// Starts the follower, once a member has a snapshot for it.
    pub(crate) fn start_follower(&mut self) -> Result<(), Broken> {
        let mut machines = self.servers.iter().filter_map(|server| server.running.as_ref());
        let first = machines.clone().find_map(|running| running.machine.newest_snapshot());
        if first.is_none()
            && let Some(running) = machines.next()
        {
            // It asks for one.
            drop(running.machine.client().snapshot());
        }
        let now = self.now;
        let Some(follower) = self.follower.as_mut().filter(|follower| follower.running.is_none()) else {
            return Ok(());
        };
        let Some(first) = first else {
            self.after(LOOK_EACH, Event::FollowerStarts);
            return Ok(());
        };
        follower.set_clock(now, WallClock::default().shows(now));
        if let Err(error) = follower.start(first) {
            return Err(Broken::new("a_sound_log_opens", format!("the follower does not start: {error}")));
        }
        let (id, life) = (follower.id, follower.life);
        self.trace.line(|| format!("the follower, server {id}, starts its life {life}"));
        self.coverage.count("follower started");
        self.invariants.global_prefix.restarted(id);
        let running = self.following().expect("just started");
        let (restored, reader) = (running.witness.take_restored(), running.machine.client().reader());
        for position in restored {
            self.restored(id, position, &reader)?;
        }
        let link = self.groups();
        for member in 1..=self.plan.servers {
            let after = self.chance.between(1, 10) * MS;
            self.after(after, Event::Connect { a: id, b: member, group: link });
        }
        self.after(1, Event::FollowerRound { life });
        Ok(())
    }

    /// Ends the follower's process, and starts it again after a while.
    pub(crate) fn follower_dies(&mut self, power: bool, down: Micros) {
        let Some(follower) = self.follower.as_mut().filter(|follower| follower.running.is_some()) else {
            return;
        };
        let id = follower.id;
        follower.running = None;
        if power && self.plan.durability == Durability::Fsync {
            follower.disk.power_fails();
        } else {
            follower.disk.process_ends();
        }
        self.trace.line(|| "the follower ends".to_owned());
        self.coverage.count("follower died");
        for (member, link) in self.network.peers(id) {
            self.network.disconnect(id, member, link);
            self.put_into_inbox(member, link, NetEvent::Down { peer: id, reason: DownReason::Closed });
        }
        for client in self.clients.of_server(id) {
            self.client_moves_on(client);
        }
        self.after(down, Event::FollowerStarts);
    }

    /// A round of the follower: of each of its threads, or of some.
    pub(crate) fn follower_round(&mut self, life: u64) -> Result<(), Broken> {
        let now = self.now;
        let Some(follower) = self.follower.as_mut().filter(|it| it.life == life) else { return Ok(()) };
        follower.set_clock(now, WallClock::default().shows(now));
        let Follower { id, running: Some(running), .. } = follower else { return Ok(()) };
        let id = *id;
        while let Some(event) = running.inbox.pop_front() {
            running.machine.handle(event);
        }
        let (sent, dropped) = running.machine.step();
        if let Some(member) = dropped.first() {
            let what = format!("the follower says that server {member} contradicts what it has");
            return Err(Broken::new("global_prefix", what));
        }
        for _ in 0..self.chance.below(4) {
            running.machine.merge();
        }
        if now >= running.ticks_at {
            running.ticks_at = now + TICK.as_micros() as u64;
            running.machine.tick();
        }
        let executions = self.chance.below(4);
        self.send_between(id, sent);
        for _ in 0..executions {
            self.follower_executes(id)?;
        }
        self.front(id);
        let next = self.chance.between(50, MOST_BETWEEN_ROUNDS);
        self.after(next, Event::FollowerRound { life });
        Ok(())
    }

    fn follower_executes(&mut self, id: u64) -> Result<(), Broken> {
        let running = self.following().expect("it runs");
        running.machine.execute();
        let executed = running.witness.take_executed(id)?;
        let (restored, reader) = (running.witness.take_restored(), running.machine.client().reader());
        self.coverage.add("command executed by the follower", executed.len() as u64);
        self.executed(id, executed)?;
        for position in restored {
            self.coverage.count("follower resumed from a snapshot");
            self.restored(id, position, &reader)?;
        }
        Ok(())
    }

    /// Sends between the follower and a member: what comes from one of them.
    pub(crate) fn send_between(&mut self, from: u64, frames: Vec<(u64, Frame)>) {
        let link = self.groups();
        for (to, frame) in frames {
            for flight in self.network.send(self.now, (from, to, link), &frame, &mut self.coverage) {
                // A late copy would be of another connection, and TCP keeps those apart.
                if flight.connection.is_some() {
                    self.after(flight.arrives - self.now, Event::Arrive(flight));
                }
            }
        }
    }

    /// Connects the follower and a member. Whom it does not know it would not dial, but a removed server ends anyway.
    pub(crate) fn connect_follower(&mut self, id: u64, member: u64) {
        let link = self.groups();
        if self.network.connect(id, member, link).is_some() {
            self.put_into_inbox(id, link, NetEvent::Up { peer: member });
            self.put_into_inbox(member, link, NetEvent::Up { peer: id });
        } else if !self.network.peers(id).contains(&(member, link)) {
            self.after(50 * MS, Event::Connect { a: id, b: member, group: link });
        }
    }

    /// All directions between the follower and the members.
    pub(crate) fn around_follower(&self) -> Vec<Direction> {
        let (Some(id), link) = (self.follower_id(), self.groups()) else { return Vec::new() };
        (1..=self.plan.servers).flat_map(|member| [(id, member, link), (member, id, link)]).collect()
    }

    /// Starts the follower if it does not run.
    pub(crate) fn heal_follower(&mut self) {
        if self.follower.as_ref().is_some_and(|follower| follower.running.is_none()) {
            self.after(RESTART, Event::FollowerStarts);
        }
    }
}
