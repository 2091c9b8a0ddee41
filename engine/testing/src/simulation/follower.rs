//! A follower of a simulated cluster: a server that is no member, and executes what the members have committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use niagara_engine::internals::sim::{Clock, Environment, ManualClock, SimFollower};
use niagara_engine::{Completion, Config, Consistency, GlobalPosition, Port, ServerRole};
use niagara_log::Files;
use niagara_net::{DownReason, Event as NetEvent, Frame};

use super::Simulation;
use super::server::NeverAsleep;
use crate::failure::{Failure, Found};
use crate::history::Held;
use crate::parts::chance::Chance;
use crate::parts::disk::Disk;
use crate::recording::{Observable, Observed, Recording, lock};

/// Its id, beyond those of all members.
const ID: u64 = 1000;
/// How often [`Simulation::settle_follower`] looks, and for how long.
const LOOKS: u64 = 3000;
const LOOK: Duration = Duration::from_millis(20);

/// The follower, and what outlives its process.
pub(super) struct FollowerLife<S: Observable> {
    config: Config,
    disk: Disk,
    clock: Arc<ManualClock>,
    chance: Chance,
    life: u64,
    running: Option<Running<S>>,
    /// Members that it reaches, and in which of their lives.
    up: BTreeMap<u64, u64>,
    /// Members that it does not reach at the moment, whatever they do.
    parted: Vec<u64>,
}

struct Running<S: Observable> {
    machine: SimFollower<Recording<S>>,
    observed: Arc<Mutex<Observed<S>>>,
    port: Port<Recording<S>>,
    /// What had been acknowledged when each of its strong reads began.
    reads: Vec<GlobalPosition>,
}

impl<S: Observable> Simulation<S> {
    /// Lets a follower take part: a server that is no member, and executes what the members have committed. It comes with the
    /// first call, when a member has a snapshot. In each call it exchanges messages with the members that it reaches, and its
    /// threads run for a while; it loses connections, and crashes, at random. What it executes is checked like what members
    /// execute, and so are strong reads that it answers.
    ///
    /// # Errors
    /// What was found.
    pub fn feed_follower(&mut self) -> Result<(), Failure> {
        self.feed(true)
    }

    /// The position that the follower has executed; `None` if it does not run.
    pub fn follower_applied(&self) -> Option<GlobalPosition> {
        let running = self.follower.as_ref()?.running.as_ref()?;
        Some(running.machine.client().applied())
    }

    /// Lets time pass, without faults of the follower, until it has executed what all members have, and compares its state with
    /// theirs.
    ///
    /// # Errors
    /// What was found; [`Found::Stuck`] after a minute.
    pub fn settle_follower(&mut self) -> Result<(), Failure> {
        for _ in 0..LOOKS {
            self.run_for(LOOK)?;
            self.feed(false)?;
            let end = lock(&self.history).end();
            if self.follower_applied().is_some_and(|applied| applied >= end) {
                return self.compare_follower();
            }
        }
        let reached = self.follower_applied();
        Err(self.stuck(&format!("the follower has executed up to {reached:?}")))
    }

    fn compare_follower(&mut self) -> Result<(), Failure> {
        let comparing = self.settings.comparing();
        let mut held: Vec<(u64, Held)> = Vec::new();
        for server in &self.servers {
            if let Some(running) = &server.running {
                held.push((server.id, lock(&running.observed).holds(comparing)));
            }
        }
        let follower = self.follower.as_ref().and_then(|follower| follower.running.as_ref());
        let follower = follower.expect("it runs");
        held.push((ID, lock(&follower.observed).holds(comparing)));
        let found: Option<Found> = lock(&self.history).compare(&held);
        found.into_iter().for_each(|found| self.fail(found));
        self.look_for_failure()
    }

    fn feed(&mut self, has_faults: bool) -> Result<(), Failure> {
        let mut follower = match self.follower.take() {
            Some(follower) => follower,
            None => self.new_follower(),
        };
        follower.clock.set(Duration::from_micros(self.now));
        if has_faults {
            self.trouble(&mut follower);
        } else {
            follower.parted.clear();
        }
        if follower.running.is_none() {
            self.start_follower(&mut follower);
        }
        if follower.running.is_some() {
            self.connect_follower(&mut follower);
            for _ in 0..follower.chance.between(1, 4) {
                self.exchange(&mut follower);
            }
            self.read_at_follower(&mut follower);
        }
        let reached: Vec<u64> = follower.up.keys().copied().collect();
        self.follower = Some(follower);
        // What it has asked for may have given the members work.
        reached.into_iter().for_each(|member| self.follow(member));
        self.look_for_failure()
    }

    fn new_follower(&self) -> FollowerLife<S> {
        let mut chance = Chance::new(self.settings.seed ^ 0x666f_6c6c);
        let mut config = self.settings.config.clone();
        (config.server, config.role, config.data_dir) = (ID, ServerRole::Follower, "follower".into());
        FollowerLife {
            config,
            disk: Disk::new(chance.fork(1)),
            clock: Arc::new(ManualClock::new()),
            chance,
            life: 0,
            running: None,
            up: BTreeMap::new(),
            parted: Vec::new(),
        }
    }

    fn trouble(&mut self, follower: &mut FollowerLife<S>) {
        if follower.chance.one_in(60) && follower.running.take().is_some() {
            let power = follower.chance.one_in(2);
            self.note(if power { "the follower loses power" } else { "the follower crashes" });
            if power {
                follower.disk.power_fails();
            } else {
                follower.disk.process_ends();
            }
            for member in std::mem::take(&mut follower.up).into_keys() {
                self.tell_member(member, NetEvent::Down { peer: ID, reason: DownReason::Closed });
            }
        }
        for member in self.servers() {
            if follower.chance.one_in(40) {
                match follower.parted.iter().position(|parted| *parted == member) {
                    Some(at) => drop(follower.parted.swap_remove(at)),
                    None => follower.parted.push(member),
                }
            }
        }
    }

    fn start_follower(&mut self, follower: &mut FollowerLife<S>) {
        let mut machines = self.servers.iter().filter_map(|server| server.running.as_ref());
        let Some(first) = machines.clone().find_map(|running| running.machine.newest_snapshot()) else {
            // It asks for one.
            return drop(machines.next().map(|running| running.machine.client().snapshot()));
        };
        follower.life += 1;
        lock(&self.history).starts(ID);
        let files: Arc<dyn Files> = Arc::new(follower.disk.clone());
        let environment = Environment {
            boot: ID << 32 | follower.life,
            clock: Clock::Manual(Arc::clone(&follower.clock)),
            files,
            prepare_beside: false,
            election_seed: None,
        };
        let history = Arc::clone(&self.history);
        let chance = follower.chance.fork(follower.life);
        let recording = Recording::new(ID, (self.make)(ID), history, self.settings.comparing(), chance);
        let observed = recording.observed();
        self.note(&format!("the follower starts its life {}", follower.life));
        let first = Some((first.0, &first.1[..]));
        match SimFollower::open(&follower.config, &environment, recording, first) {
            Ok(machine) => {
                let port = machine.client().port(Arc::new(NeverAsleep));
                follower.running = Some(Running { machine, observed, port, reads: Vec::new() });
            }
            Err(error) => {
                self.broken("a_sound_log_opens", format!("the follower does not start: {error}"));
            }
        }
    }

    /// Ends and begins connections.
    fn connect_follower(&mut self, follower: &mut FollowerLife<S>) {
        let FollowerLife { running: Some(running), up, parted, chance, .. } = follower else { return };
        for server in self.servers() {
            let there = self.server(server);
            let works = there.running.is_some() && !there.is_paused && !there.disk.hangs();
            let life = there.life;
            let is_reached = works && !parted.contains(&server);
            match up.get(&server) {
                Some(known) if !is_reached || *known != life => {
                    let is_same = *known == life;
                    up.remove(&server);
                    if is_same {
                        self.tell_member(server, NetEvent::Down { peer: ID, reason: DownReason::Closed });
                    }
                    running.machine.handle(NetEvent::Down { peer: server, reason: DownReason::Closed });
                }
                None if is_reached && chance.one_in(3) => {
                    up.insert(server, life);
                    self.tell_member(server, NetEvent::Up { peer: ID });
                    running.machine.handle(NetEvent::Up { peer: server });
                }
                _ => {}
            }
        }
    }

    /// Hands an event to a member, if it runs.
    fn tell_member(&mut self, member: u64, event: NetEvent) {
        self.look_at_clock(member);
        let Some(running) = &mut self.server_mut(member).running else { return };
        if !running.machine.handle_follower(event) {
            self.broken("what_is_sent_is_sound", format!("server {member} drops the follower"));
        }
    }

    /// Moves messages in both directions, and lets the follower's threads run.
    fn exchange(&mut self, follower: &mut FollowerLife<S>) {
        let FollowerLife { running: Some(running), up, chance, .. } = follower else { return };
        let (sent, dropped) = running.machine.step();
        if let Some(member) = dropped.first() {
            self.broken("global_prefix", format!("server {member} contradicts what the follower has"));
        }
        for (to, frame) in sent.into_iter().filter(|(to, _)| up.contains_key(to)) {
            self.tell_member(to, NetEvent::Frame { from: ID, body: body(&frame) });
        }
        for member in up.keys() {
            self.look_at_clock(*member);
            let Some(member_runs) = &mut self.server_mut(*member).running else { continue };
            for (_, frame) in member_runs.machine.supply() {
                running.machine.handle(NetEvent::Frame { from: *member, body: body(&frame) });
            }
        }
        for _ in 0..chance.below(12) {
            match chance.below(3) {
                0 => running.machine.tick(),
                1 => running.machine.merge(),
                _ => running.machine.execute(),
            }
        }
    }

    /// Begins strong reads, and checks those that are answered.
    fn read_at_follower(&mut self, follower: &mut FollowerLife<S>) {
        let FollowerLife { running: Some(running), chance, .. } = follower else { return };
        if chance.one_in(4) {
            running.reads.push(self.acknowledged());
            let token = running.reads.len() as u64 - 1;
            assert!(!running.port.read(token, Consistency::Strong), "a follower asks before it answers");
            running.port.flush();
        }
        let mut completions = Vec::new();
        running.port.collect(&mut completions);
        let applied = running.machine.client().applied();
        for completion in completions {
            if let Completion::Readable { token, .. } = completion
                && applied < running.reads[token as usize]
            {
                let before = running.reads[token as usize];
                let what = format!(
                    "a strong read at the follower sees position {applied}; {before} was acknowledged before"
                );
                self.fail(Found::Engine { invariant: "read_is_fresh", what });
            }
        }
    }
}

fn body(frame: &Frame) -> bytes::Bytes {
    frame.parts().concat().into()
}
