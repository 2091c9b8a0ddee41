//! The rounds of a server's threads: what each does, and when the next one is.

use std::rc::Rc;

use bytes::Bytes;
use niagara_engine::GlobalPosition;
use niagara_kvstore::command::{self, Command};
use niagara_net::{Event as NetEvent, Frame};

use super::{Event, MS, World};
use crate::invariants::{Broken, check_slow_peer_is_bounded};
use crate::sim::fault::Power;
use crate::sim::network::Micros;
use crate::sim::recorder::Executed;
use crate::sim::server::{TICK, Thread};

/// Time until a process restarts if nothing else is specified.
pub(crate) const RESTART: Micros = 100 * MS;

impl World {
    /// How long a woken thread takes to start its round.
    pub(crate) fn latency(&mut self, server: u64, thread: Thread) -> Micros {
        let (slow, disk) = (self.server(server).slowness, self.server(server).disk_slowness);
        let ordinary = match thread {
            // On every other slow disk only the syncs of logs are slow.
            Thread::Snapshots => {
                self.chance.between(20, 1500) * slow.max(if disk % 2 == 0 { disk } else { 1 })
            }
            Thread::Log(_) => self.chance.between(80, 800) * disk.max(slow),
            Thread::Application => self.chance.between(2, 60) * slow,
            _ => self.chance.between(2, 30) * slow,
        };
        // Now and then the operating system gives the core to somebody else.
        let hiccup = if self.chance.one_in(400) { self.chance.between(1, 15) * MS } else { 0 };
        ordinary + hiccup
    }

    /// Wakes the threads of a server that have work.
    pub(crate) fn follow(&mut self, id: u64) {
        if self.is_follower(id) {
            // It has rounds all the time.
            return;
        }
        let now = self.now;
        self.server(id).set_clock(now);
        self.plan_keeping(id);
        self.plan_time(id);
        let threads = Rc::clone(&self.threads);
        self.wake(id, &threads);
    }

    /// The same where only these threads can have got work since the last call. The snapshots thread also
    /// follows the clock.
    pub(crate) fn follow_some(&mut self, id: u64, threads: [Thread; 2]) {
        let now = self.now;
        self.server(id).set_clock(now);
        let [first, second] = threads;
        self.wake(id, &[first, second, Thread::Snapshots]);
    }

    fn wake(&mut self, id: u64, threads: &[Thread]) {
        let mut woken = std::mem::take(&mut self.woken);
        self.server(id).wake(threads, &mut woken);
        for thread in woken.drain(..) {
            let (life, latency) = (self.server(id).life, self.latency(id, thread));
            self.after(latency, Event::Round { server: id, life, thread });
        }
        self.woken = woken;
    }

    /// The snapshots thread sleeps until its next deadline at most.
    fn plan_keeping(&mut self, id: u64) {
        let now = self.now;
        let server = &mut self.servers[id as usize - 1];
        let life = server.life;
        let Some(running) = &mut server.running else { return };
        let Some(due) = running.keeping_due().filter(|due| !due.is_zero()) else { return };
        let at = now + (due.as_micros() as u64).max(1);
        if running.keeping_at.is_none_or(|planned| planned > at) {
            running.keeping_at = Some(at);
            self.after(at - now, Event::KeepingDue { server: id, life });
        }
    }

    /// The front end sleeps until its server's timekeeper has something to do at most.
    fn plan_time(&mut self, id: u64) {
        let now = self.now;
        let server = &mut self.servers[id as usize - 1];
        let life = server.life;
        let Some(running) = &mut server.running else { return };
        let Some(due) = running.callers.time_due().filter(|due| !due.is_zero()) else { return };
        let at = now + (due.as_micros() as u64).max(1);
        if running.time_at.is_none_or(|planned| planned > at) {
            running.time_at = Some(at);
            self.after(at - now, Event::TimeDue { server: id, life });
        }
    }

    pub(crate) fn time_due(&mut self, id: u64) {
        self.server(id).running.as_mut().expect("looked at before").time_at = None;
        self.follow(id);
    }

    pub(crate) fn keeping_due(&mut self, id: u64) {
        self.server(id).running.as_mut().expect("looked at before").keeping_at = None;
        self.follow(id);
    }

    pub(crate) fn round(&mut self, id: u64, thread: Thread) -> Result<(), Broken> {
        let (now, groups) = (self.now, self.groups());
        self.activity.rounds += 1;
        let server = self.server(id);
        server.set_clock(now);
        let hangs = server.hangs(thread);
        let running = server.running.as_mut().expect("looked at before");
        running.scheduled &= !thread.bit(groups);
        match thread {
            // It is stuck until what hangs resumes.
            _ if hangs => {}
            Thread::Group(group) => {
                let due = running.due_beside(group);
                due.iter().for_each(|group| running.read_inbox(*group));
                self.turn(id, &due)?;
            }
            Thread::Snapshots => self.keep_snapshots(id)?,
            Thread::Log(group) => self.write_logs(id, group),
            Thread::Sequencer => {
                running.machine.merge();
            }
            Thread::Application => self.execute(id)?,
            Thread::Front => self.front(id),
        }
        self.check_waiting(id)?;
        match thread {
            // Logs notify only their own groups that they have written.
            Thread::Log(group) => self.follow_some(id, [Thread::Group(group), Thread::Log(group)]),
            _ => self.follow(id),
        }
        Ok(())
    }

    /// Writes what the groups of a thread have to write, one after the other.
    fn write_logs(&mut self, id: u64, first: usize) {
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        for group in running.beside(first) {
            if !running.machine.has_writes(group) {
                continue;
            }
            match running.machine.write_log(group) {
                // Writes for which there was no room wait.
                Ok(()) if running.machine.has_writes(group) => {}
                Ok(()) => {
                    let standing = running.machine.standing(group);
                    self.invariants.election_safety.promised(id, group, &standing);
                }
                Err(error) => {
                    self.trace.line(|| format!("server {id} ends: {error}"));
                    return self.ended_by_disk(id);
                }
            }
        }
    }

    pub(crate) fn ended_by_disk(&mut self, id: u64) {
        self.count_ended_by_disk(id);
        let (power, down) = self.server(id).after_disk.take().unwrap_or((Power::Stays, RESTART));
        self.count_figures(id);
        self.process_ends(id, power == Power::Fails);
        self.power_fails_later(id, power);
        self.start_after(id, down);
    }

    /// Counts that a server's disk has ended its process, and at which step if that was aimed at.
    pub(crate) fn count_ended_by_disk(&mut self, id: u64) {
        self.coverage.count("process ended by its disk");
        if let Some(aim) = self.server(id).disk.take_struck() {
            self.coverage.count(aim.name());
        }
        self.count_failed_sync(id);
    }

    fn count_failed_sync(&mut self, id: u64) {
        if let Some(aim) = self.server(id).disk.take_failed() {
            self.coverage.count("sync failed");
            self.coverage.count(aim.failed_name());
            if let Some((power, _)) = self.server(id).after_disk {
                self.power_fails_later(id, power);
            }
        }
    }

    fn power_fails_later(&mut self, id: u64, power: Power) {
        if let Power::FailsLater(delay) = power {
            self.after(delay, Event::PowerFails(id));
        }
    }

    fn keep_snapshots(&mut self, id: u64) -> Result<(), Broken> {
        let link = self.groups();
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        let before = running.machine.snapshots().len();
        let follower = self.follower.as_ref().map(|follower| follower.id);
        for event in std::mem::take(&mut running.inbox[link]) {
            if peer_of(&event) != follower || follower.is_none() {
                running.machine.handle_transfer(event);
            } else if !running.machine.handle_follower(event) {
                let what = format!("server {id} drops the follower");
                return Err(Broken::new("what_is_sent_is_sound", what));
            }
        }
        let frames = running.machine.keep_snapshots();
        let for_followers = if follower.is_some() { running.machine.supply() } else { Vec::new() };
        for header in running.machine.snapshots() {
            self.invariants.one_chain.cut(id, header.cut(), header.position().get())?;
        }
        let cuts: Vec<String> = running.machine.snapshots().map(|header| header.cut().to_string()).collect();
        if cuts.len() > before {
            self.activity.snapshots += 1;
        }
        if cuts.len() != before {
            self.trace.line(|| format!("server {id} keeps snapshots at the cuts {cuts:?}"));
        }
        for (to, frame) in frames {
            for flight in self.network.send(self.now, (id, to, link), &frame, &mut self.coverage) {
                self.after(flight.arrives - self.now, Event::Arrive(flight));
            }
        }
        self.send_between(id, for_followers);
        self.open_epochs(id)?;
        self.end_removed(id);
        self.count_failed_sync(id);
        // Any use of its disk may have been its last.
        if self.server(id).disk.has_died() {
            self.trace.line(|| format!("server {id} ends in the midst of a change to its disk"));
            self.ended_by_disk(id);
        }
        Ok(())
    }

    /// Runs a turn of a thread, for these of its groups.
    pub(crate) fn turn(&mut self, id: u64, groups: &[usize]) -> Result<(), Broken> {
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        let known: Vec<_> = groups.iter().map(|group| running.machine.anchor_and_level(*group)).collect();
        for &group in groups {
            for peer in running.machine.peers(group) {
                let queued = self.network.queued_bytes(self.now, (id, peer, group));
                running.machine.queue_holds(group, peer, queued);
            }
        }
        let sent = running.machine.turn_of_thread(groups);
        for ((&group, frames), known) in groups.iter().zip(sent).zip(known) {
            self.end_turn(id, group, known, frames)?;
        }
        Ok(())
    }

    fn end_turn(
        &mut self,
        id: u64,
        group: usize,
        known: (bool, u64),
        frames: Vec<(u64, Frame)>,
    ) -> Result<(), Broken> {
        if self.has_group(id, group) {
            let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
            let most_waiting = self.plan.sizes.most_waiting();
            for peer in running.machine.peers(group) {
                let waiting = running.machine.waiting_bytes(group, peer);
                check_slow_peer_is_bounded((id, peer, group), waiting, most_waiting)?;
            }
            self.observe(id, group, known)?;
        }
        self.activity.messages += frames.len() as u64;
        self.activity.sent_bytes += frames.iter().map(|(_, frame)| frame.len() as u64).sum::<u64>();
        for (to, frame) in frames {
            for flight in self.network.send(self.now, (id, to, group), &frame, &mut self.coverage) {
                self.after(flight.arrives - self.now, Event::Arrive(flight));
            }
        }
        if !self.has_group(id, group) {
            self.close_group(id, group);
        }
        Ok(())
    }

    pub(crate) fn execute(&mut self, id: u64) -> Result<(), Broken> {
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        running.machine.execute();
        let executed = running.witness.take_executed(id)?;
        let (restored, reader) = (running.witness.take_restored(), running.machine.client().reader());
        for (position, _) in &executed {
            let slot = running.machine.slot_at(GlobalPosition::new(*position));
            self.invariants.position_bijection.executed(*position, slot)?;
        }
        self.executed(id, executed)?;
        let is_restored = !restored.is_empty();
        for position in restored {
            self.coverage.count("state restored from a snapshot");
            self.restored(id, position, &reader)?;
        }
        self.look_at_epoch(id, is_restored)
    }

    /// A server has executed these commands, members or a follower.
    pub(crate) fn executed(&mut self, id: u64, executed: Executed) -> Result<(), Broken> {
        let invariants = &mut self.invariants;
        let new = invariants.global_prefix.executed(id, executed)?;
        let log = invariants.global_prefix.log();
        for (position, command) in &log[log.len() - new..] {
            invariants.acked_is_applied.executed(command);
            invariants.applied_once.executed(*position, command)?;
            invariants.fifo_per_connection.executed(*position, command)?;
            invariants.read_shows_its_state.executed(*position, command);
            let reader = invariants.read_shows_its_state.reader();
            invariants.rights_by_the_log.executed(*position, command, &reader)?;
            if matches!(command::decode(command), Ok(Command::MakeRoom)) {
                self.coverage.count("room made without a write");
            }
            self.trace.line(|| {
                format!("server {id} is first to execute {} at position {position}", short(command))
            });
        }
        self.coverage.add("command executed", new as u64);
        Ok(())
    }

    /// How many commands of the global log a server has executed.
    pub(crate) fn executed_by(&self, id: u64) -> usize {
        self.invariants.global_prefix.executed_by(id)
    }

    pub(crate) fn front(&mut self, id: u64) {
        let executed = self.executed_by(id);
        let callers = self.callers(id).expect("looked at before");
        let ended = callers.end_calls(executed);
        let replies = callers.turn_of_front_end();
        for (connection, bytes) in replies {
            // A connection's bytes arrive in order.
            let arrives = self.now + self.chance.between(20, 300);
            let last = self.last_reply.entry(connection).or_default();
            *last = arrives.max(*last + 1);
            let delay = *last - self.now;
            self.after(delay, Event::Replied { connection, bytes, executed });
        }
        for (token, told) in ended {
            let delay = self.chance.between(1, 20);
            self.after(delay, Event::Ended { server: id, token, told });
        }
    }

    /// A tick of this group's thread, which is the thread's first.
    pub(crate) fn group_tick(&mut self, id: u64, group: usize) -> Result<(), Broken> {
        let now = self.now;
        let server = self.server(id);
        server.set_clock(now);
        let life = server.life;
        let until = server.group_hangs_until(group);
        if until > now {
            self.after(until - now, Event::GroupTick { server: id, life, group });
            return Ok(());
        }
        let running = server.running.as_mut().expect("looked at before");
        let groups: Vec<usize> = running.here_beside(group).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let is_free = |group: &usize| !running.machine.is_blocked(*group);
        let free: Vec<usize> = groups.iter().copied().filter(is_free).collect();
        for &group in &free {
            running.read_inbox(group);
            running.machine.tick_group(group);
        }
        self.turn(id, &free)?;
        self.check_waiting(id)?;
        for group in groups {
            self.check_quorum(id, group)?;
            self.check_drain(id, group)?;
        }
        self.follow(id);
        let tick = self.tick_of(id);
        self.after(tick, Event::GroupTick { server: id, life, group });
        Ok(())
    }

    pub(crate) fn tick(&mut self, id: u64) {
        let now = self.now;
        let server = self.server(id);
        server.set_clock(now);
        let life = server.life;
        server.running.as_mut().expect("looked at before").machine.tick();
        self.follow(id);
        let tick = self.tick_of(id);
        self.after(tick, Event::Tick { server: id, life });
    }

    pub(crate) fn tick_of(&self, id: u64) -> Micros {
        TICK.as_micros() as u64 * 100 / self.plan.clock_rates[id as usize - 1]
    }
}

/// Whom an event on a link is from.
fn peer_of(event: &NetEvent) -> Option<u64> {
    match event {
        NetEvent::Frame { from, .. } => Some(*from),
        NetEvent::Up { peer } | NetEvent::Down { peer, .. } => Some(*peer),
        NetEvent::Refused { peer, .. } => *peer,
    }
}

/// A command, a request or a reply, for the trace.
pub(crate) fn short(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        Some(begin) => format!("{:?}... of {} bytes", Bytes::copy_from_slice(begin), bytes.len()),
        None => format!("{:?}", Bytes::copy_from_slice(bytes)),
    }
}

/// The most bytes of it.
const SHOWN: usize = 60;
