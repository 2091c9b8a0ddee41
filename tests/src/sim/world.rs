//! The world of a simulation: virtual time, events in their order, and what each leads to.
//!
//! Every round of every thread is an event of its own, so that anything can happen between any two of them: a message can
//! come, a server can die, another thread can go first. The order follows from the plan's seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use niagara_engine::StartError;
use niagara_engine::batch::EntryFill;
use niagara_engine::log::LogError;
use niagara_net::{DownReason, Event as NetEvent, FrameReader};

use super::chance::Chance;
use super::clients::{By, Checks, Clients, Sending, Told};
use super::coverage::Coverage;
use super::disk::Disk;
use super::network::{Cargo, Flight, Micros, Network};
use super::plan::Plan;
use super::server::{Server, TICK, Thread, last_of};
use super::trace::Trace;
use crate::invariants::{
    AckedIsApplied, AppliedOnce, Broken, ElectionSafety, FifoPerConnection, GlobalPrefix, LeaderCompleteness,
    LogMatching, PadsAreBounded, PositionBijection, ReadIsFresh, check_compaction_floor, check_mset_is_whole,
};

const MS: Micros = 1000;
/// Time for a process to be started again where nothing else is said.
const RESTART: Micros = 100 * MS;
/// A client that has heard nothing for so long goes on to another server.
const CLIENT_PATIENCE: Micros = 1500 * MS;
/// A client goes on to another server once in so many batches, for no reason.
const CLIENT_STAYS: u64 = 12;
/// More events than any simulation has: somebody goes round and round.
const MOST_EVENTS: u64 = 2_000_000;

/// Something that happens at a moment.
#[derive(Debug)]
pub(super) enum Event {
    /// A thread of a server goes round.
    Round { server: u64, life: u64, thread: Thread },
    /// A step of a group's clock.
    GroupTick { server: u64, life: u64, group: usize },
    /// A step of the sequencer's clock.
    Tick { server: u64, life: u64 },
    /// A message arrives.
    Arrive(Flight),
    /// Two servers try to connect.
    Connect { a: u64, b: u64, group: usize },
    /// A client asks for more.
    ClientStarts(usize),
    /// What a client has sent arrives.
    Asked(Sending),
    /// Replies arrive at a client.
    Replied { connection: u32, bytes: Vec<u8> },
    /// A call of the engine has ended.
    Ended { server: u64, token: u64, told: Told },
    /// A client that still waits loses its patience.
    ClientGivesUp { client: usize, batch: u64 },
    /// A planned fault strikes.
    Fault(usize),
    /// And ends.
    FaultEnds(usize),
    /// A server that was paused may go on.
    Resume(u64),
    /// A server's process is started.
    Start(u64),
    /// The script of the simulation goes on.
    Script(usize),
}

/// All invariants that are checked event by event.
pub(super) struct Invariants {
    pub election_safety: ElectionSafety,
    pub log_matching: LogMatching,
    pub leader_completeness: LeaderCompleteness,
    pub position_bijection: PositionBijection,
    pub global_prefix: GlobalPrefix,
    pub acked_is_applied: AckedIsApplied,
    pub applied_once: AppliedOnce,
    pub read_is_fresh: ReadIsFresh,
    pub fifo_per_connection: FifoPerConnection,
    pub pads_are_bounded: PadsAreBounded,
}

impl Invariants {
    fn new(groups: usize) -> Invariants {
        Invariants {
            election_safety: ElectionSafety::default(),
            log_matching: LogMatching::new(groups),
            leader_completeness: LeaderCompleteness,
            position_bijection: PositionBijection::new(groups),
            global_prefix: GlobalPrefix::default(),
            acked_is_applied: AckedIsApplied::default(),
            applied_once: AppliedOnce::default(),
            read_is_fresh: ReadIsFresh::default(),
            fifo_per_connection: FifoPerConnection::default(),
            pads_are_bounded: PadsAreBounded::new(groups),
        }
    }
}

/// A simulation under way.
pub(super) struct World {
    pub plan: Plan,
    pub now: Micros,
    pub chance: Chance,
    pub servers: Vec<Server>,
    pub network: Network,
    pub clients: Clients,
    /// Clients ask for no more.
    pub clients_rest: bool,
    pub invariants: Invariants,
    pub coverage: Coverage,
    pub trace: Trace,
    /// What the script's own calls were told, by token.
    pub probes: BTreeMap<u64, (u64, Option<Told>)>,
    /// How many probes there have been.
    pub next_probe: u64,
    /// The two servers that the script has cut apart.
    pub cut_servers: (u64, u64),
    /// The script has come to its end.
    pub is_over: bool,
    connected: BTreeSet<(u64, u64, u32)>,
    /// When the last bytes for a client arrive, by connection.
    last_reply: BTreeMap<u32, Micros>,
    queue: BinaryHeap<Reverse<(Micros, u64)>>,
    events: BTreeMap<u64, Event>,
    next_event: u64,
}

impl World {
    /// The world at its beginning: all servers are about to start.
    pub fn new(plan: Plan, trace: bool) -> World {
        let mut chance = Chance::new(plan.seed);
        let groups = usize::from(plan.groups);
        let network = Network::new(chance.fork(1), plan.weather);
        let mut of_clients = chance.fork(2);
        let clients = Clients::new(plan.clients, plan.servers, &mut of_clients);
        let servers = (1..=plan.servers).map(|id| {
            let disk = Disk::new(chance.fork(100 + id));
            Server::new(id, &plan, disk, chance.bits())
        });
        let mut world = World {
            servers: servers.collect(),
            now: 0,
            network,
            clients,
            clients_rest: false,
            invariants: Invariants::new(groups),
            coverage: Coverage::default(),
            trace: Trace::new(trace),
            probes: BTreeMap::new(),
            next_probe: 0,
            cut_servers: (0, 0),
            is_over: false,
            connected: BTreeSet::new(),
            last_reply: BTreeMap::new(),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            chance,
            plan,
        };
        for rate in world.plan.clock_rates.clone() {
            world.coverage.add("clock off", u64::from(rate != 100));
        }
        for server in 1..=world.plan.servers {
            let after = world.chance.below(20 * MS);
            world.start_after(server, after);
        }
        for client in 0..world.clients.count() {
            let after = 50 * MS + world.chance.below(100 * MS);
            world.after(after, Event::ClientStarts(client));
        }
        for (number, planned) in world.plan.faults.clone().iter().enumerate() {
            world.after(planned.at, Event::Fault(number));
        }
        world
    }

    /// Lets time pass until the script is over.
    pub fn run(&mut self) -> Result<(), Broken> {
        while !self.is_over {
            let Some(Reverse((at, number))) = self.queue.pop() else {
                return Err(Broken::new("time_goes_on", "nothing is going to happen any more"));
            };
            self.now = at;
            self.trace.at(at);
            let event = self.events.remove(&number).expect("queued with its number");
            if number > MOST_EVENTS {
                return Err(Broken::new(
                    "idle_means_asleep",
                    format!("{MOST_EVENTS} events, and now {event:?}"),
                ));
            }
            self.happen(event)?;
        }
        self.coverage.add("events", self.next_event);
        self.coverage.add("virtual milliseconds", self.now / MS);
        Ok(())
    }

    /// Something is going to happen after so long.
    pub fn after(&mut self, delay: Micros, event: Event) {
        let number = self.next_event;
        self.next_event += 1;
        self.queue.push(Reverse((self.now + delay, number)));
        self.events.insert(number, event);
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Round { server, life, thread } => {
                if self.is_alive(server, life) && !self.waits_for_resume(server, &event_of(&event)) {
                    return self.round(server, thread);
                }
            }
            Event::GroupTick { server, life, group } => {
                if self.is_alive(server, life) && !self.waits_for_resume(server, &event_of(&event)) {
                    return self.group_tick(server, group);
                }
            }
            Event::Tick { server, life } => {
                if self.is_alive(server, life) && !self.waits_for_resume(server, &event_of(&event)) {
                    self.tick(server);
                }
            }
            Event::Arrive(flight) => return self.arrive(&flight),
            Event::Connect { a, b, group } => self.connect(a, b, group),
            Event::ClientStarts(client) => self.client_starts(client),
            Event::Asked(sending) => self.asked(sending),
            Event::Replied { connection, bytes } => return self.replied(connection, &bytes),
            Event::Ended { server, token, told } => return self.ended(server, token, told),
            Event::ClientGivesUp { client, batch } => {
                if self.clients.waits(client, batch) {
                    self.trace.line(|| format!("client {client} gives up"));
                    self.client_moves_on(client);
                }
            }
            Event::Fault(number) => self.strike(number),
            Event::FaultEnds(number) => self.fault_ends(number),
            Event::Resume(server) => self.resume(server),
            Event::Start(server) => return self.start(server),
            Event::Script(step) => return self.script(step),
        }
        Ok(())
    }

    pub fn groups(&self) -> usize {
        usize::from(self.plan.groups)
    }

    pub fn server(&mut self, id: u64) -> &mut Server {
        &mut self.servers[id as usize - 1]
    }

    pub fn is_running(&self, id: u64) -> bool {
        self.servers[id as usize - 1].running.is_some()
    }

    fn is_alive(&self, id: u64, life: u64) -> bool {
        self.is_running(id) && self.servers[id as usize - 1].life == life
    }

    fn is_paused(&self, id: u64) -> bool {
        self.servers[id as usize - 1].paused_until.is_some_and(|until| until > self.now)
    }

    /// A server that stood still goes on, unless it has been paused for longer meanwhile.
    fn resume(&mut self, id: u64) {
        if !self.is_paused(id) {
            for sending in std::mem::take(&mut self.server(id).held) {
                self.asked(sending);
            }
        }
    }

    /// A paused server does nothing: what it would do now it does when it goes on.
    fn waits_for_resume(&mut self, id: u64, event: &Event) -> bool {
        let Some(until) = self.server(id).paused_until.filter(|until| *until > self.now) else {
            return false;
        };
        self.after(until - self.now, event_of(event));
        true
    }

    /// How long until a thread goes round that has just been woken.
    fn latency(&mut self, server: u64, thread: Thread) -> Micros {
        let (slow, disk) = (self.server(server).slowness, self.server(server).disk_slowness);
        let ordinary = match thread {
            Thread::Log(_) => self.chance.between(80, 800) * disk.max(slow),
            Thread::Application => self.chance.between(2, 60) * slow,
            _ => self.chance.between(2, 30) * slow,
        };
        // Now and then the operating system gives the core to somebody else.
        let hiccup = if self.chance.one_in(400) { self.chance.between(1, 15) * MS } else { 0 };
        ordinary + hiccup
    }

    /// Wakes the threads of a server that have something to do.
    pub fn follow(&mut self, id: u64) {
        let groups = self.groups();
        for thread in Thread::all(groups) {
            let server = &mut self.servers[id as usize - 1];
            let life = server.life;
            let Some(running) = &mut server.running else { return };
            let scheduled = &running.scheduled[thread.index(groups)];
            if !scheduled && running.wants(thread) {
                running.scheduled[thread.index(groups)] = true;
                let latency = self.latency(id, thread);
                self.after(latency, Event::Round { server: id, life, thread });
            }
        }
    }

    fn round(&mut self, id: u64, thread: Thread) -> Result<(), Broken> {
        let (now, groups) = (self.now, self.groups());
        let server = self.server(id);
        server.set_clock(now);
        let running = server.running.as_mut().expect("looked at before");
        running.scheduled[thread.index(groups)] = false;
        match thread {
            Thread::Group(group) if running.machine.is_blocked(group) => {}
            Thread::Group(group) => {
                for event in std::mem::take(&mut running.inbox[group]) {
                    running.machine.handle(group, event);
                }
                self.turn(id, group)?;
            }
            Thread::Log(group) => match running.machine.write_log(group) {
                Ok(()) => {
                    let standing = running.machine.standing(group);
                    self.invariants.election_safety.promised(id, group, &standing);
                }
                Err(error) => {
                    self.trace.line(|| format!("server {id} ends: {error}"));
                    self.coverage.count("process ended by its disk");
                    let (power, down) = self.server(id).after_disk.take().unwrap_or((false, RESTART));
                    self.count_figures(id);
                    self.process_ends(id, power);
                    self.start_after(id, down);
                }
            },
            Thread::Sequencer => {
                running.machine.merge();
            }
            Thread::Application => self.execute(id)?,
            Thread::Front => self.front(id),
        }
        self.follow(id);
        Ok(())
    }

    fn turn(&mut self, id: u64, group: usize) -> Result<(), Broken> {
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        let (anchor, level) = running.machine.anchor_and_level();
        let frames = running.machine.turn(group);
        self.observe(id, group, anchor == group, level)?;
        for (to, frame) in frames {
            for flight in self.network.send(self.now, (id, to, group), &frame, &mut self.coverage) {
                self.after(flight.arrives - self.now, Event::Arrive(flight));
            }
        }
        Ok(())
    }

    /// Looks at a replica after its turn.
    fn observe(&mut self, id: u64, group: usize, is_anchor: bool, level: u64) -> Result<(), Broken> {
        let Invariants { election_safety, log_matching, leader_completeness, pads_are_bounded, .. } =
            &mut self.invariants;
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        let (machine, log) = (&running.machine, running.machine.log(group));
        let standing = machine.standing(group);
        if election_safety.observe(id, group, &standing)? {
            let term = standing.term;
            self.trace.line(|| format!("server {id} leads group {} in term {term}", group + 1));
            self.coverage.count("leader elected");
            pads_are_bounded.elected();
            leader_completeness.elected((id, group, term), log, log_matching.committed(group))?;
        }
        check_compaction_floor(id, group, log)?;
        let before = std::mem::replace(&mut running.last[group], last_of(machine, group));
        if log.term(before.0) != Some(before.1) && before.0 > 0 {
            self.trace.line(|| format!("server {id} replaces a suffix of group {}", group + 1));
            self.coverage.count("suffix replaced");
        } else if standing.leads && standing.last > before.0 {
            let mut appended = Vec::new();
            log.read(before.0 + 1, standing.last, usize::MAX, &mut appended).expect("just appended");
            for entry in appended {
                let fill = EntryFill::of(&entry.context).expect("made here");
                self.trace.line(|| format!("server {id} appends {fill:?} to group {}", group + 1));
                pads_are_bounded.appended(
                    group,
                    &fill,
                    is_anchor,
                    level.max(machine.anchor_and_level().1),
                )?;
            }
        }
        let new = self.invariants.log_matching.observe(id, group, standing.commit, log)?;
        self.committed(group, new)
    }

    /// So many entries are committed that were not before.
    fn committed(&mut self, group: usize, new: usize) -> Result<(), Broken> {
        let Invariants { log_matching, position_bijection, pads_are_bounded, .. } = &mut self.invariants;
        let committed = log_matching.committed(group);
        for record in &committed[committed.len() - new..] {
            position_bijection.committed(group, record)?;
            pads_are_bounded.committed(group, record)?;
            let what = match record.fill {
                EntryFill::Skip { .. } => "skip committed",
                EntryFill::Commands { .. } => "command entry committed",
                EntryFill::Nothing => "empty entry committed",
            };
            self.coverage.count(what);
        }
        Ok(())
    }

    fn execute(&mut self, id: u64) -> Result<(), Broken> {
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        running.machine.execute();
        for pair in running.take_seen() {
            check_mset_is_whole(&pair)?;
        }
        let executed = running.take_executed();
        let invariants = &mut self.invariants;
        for (position, _) in &executed {
            invariants.position_bijection.executed(*position)?;
        }
        let new = invariants.global_prefix.executed(id, executed)?;
        let log = invariants.global_prefix.log();
        for (position, command) in &log[log.len() - new..] {
            invariants.acked_is_applied.executed(command);
            invariants.applied_once.executed(*position, command)?;
            invariants.fifo_per_connection.executed(*position, command)?;
            self.trace.line(|| format!("server {id} is first to execute {command:?} at position {position}"));
        }
        self.coverage.add("command executed", new as u64);
        Ok(())
    }

    fn front(&mut self, id: u64) {
        let running = self.servers[id as usize - 1].running.as_mut().expect("looked at before");
        let ended = running.end_calls();
        let replies = running.turn_of_desk();
        for (connection, bytes) in replies {
            // A connection's bytes come in order.
            let arrives = self.now + self.chance.between(20, 300);
            let last = self.last_reply.entry(connection).or_default();
            *last = arrives.max(*last + 1);
            let delay = *last - self.now;
            self.after(delay, Event::Replied { connection, bytes });
        }
        for (token, told) in ended {
            let delay = self.chance.between(1, 20);
            self.after(delay, Event::Ended { server: id, token, told });
        }
    }

    fn group_tick(&mut self, id: u64, group: usize) -> Result<(), Broken> {
        let now = self.now;
        let server = self.server(id);
        server.set_clock(now);
        let life = server.life;
        let running = server.running.as_mut().expect("looked at before");
        if !running.machine.is_blocked(group) {
            for event in std::mem::take(&mut running.inbox[group]) {
                running.machine.handle(group, event);
            }
            running.machine.tick_group(group);
            self.turn(id, group)?;
        }
        self.follow(id);
        let tick = self.tick_of(id);
        self.after(tick, Event::GroupTick { server: id, life, group });
        Ok(())
    }

    fn tick(&mut self, id: u64) {
        let now = self.now;
        let server = self.server(id);
        server.set_clock(now);
        let life = server.life;
        server.running.as_mut().expect("looked at before").machine.tick();
        self.follow(id);
        let tick = self.tick_of(id);
        self.after(tick, Event::Tick { server: id, life });
    }

    fn tick_of(&self, id: u64) -> Micros {
        TICK.as_micros() as u64 * 100 / self.plan.clock_rates[id as usize - 1]
    }

    fn arrive(&mut self, flight: &Flight) -> Result<(), Broken> {
        let (from, to, group) = flight.direction;
        if !self.network.delivers(flight) || !self.is_running(to) {
            return Ok(());
        }
        match &flight.cargo {
            Cargo::Body(body) => {
                self.put_into_inbox(to, group, NetEvent::Frame { from, body: body.clone() });
            }
            Cargo::Damaged(bytes) => {
                let mut reader = FrameReader::new(1 << 16, 1 << 20);
                let room = reader.room();
                room[..bytes.len()].copy_from_slice(bytes);
                reader.advance(bytes.len());
                if let Ok(Some(body)) = reader.next_body()
                    && body != bytes[niagara_net::HEAD_BYTES..]
                {
                    return Err(Broken::new(
                        "damage_is_noticed",
                        format!("a damaged frame was taken: {body:?}"),
                    ));
                }
                self.coverage.count("connection broken by damage");
                self.break_connection(from, to, group);
            }
        }
        Ok(())
    }

    /// Something for a group's thread to look at.
    fn put_into_inbox(&mut self, id: u64, group: usize, event: NetEvent) {
        let Some(running) = &mut self.server(id).running else { return };
        running.inbox[group].push_back(event);
        self.follow(id);
    }

    /// A connection ends, both sides notice, and one connects anew.
    fn break_connection(&mut self, a: u64, b: u64, group: usize) {
        if self.network.disconnect(a, b, group) {
            self.trace.line(|| format!("servers {a} and {b} lose their connection of group {}", group + 1));
            for (me, peer) in [(a, b), (b, a)] {
                self.put_into_inbox(me, group, NetEvent::Down { peer, reason: DownReason::Closed });
            }
            let after = self.chance.between(1, 30) * MS;
            self.after(after, Event::Connect { a, b, group });
        }
    }

    fn connect(&mut self, a: u64, b: u64, group: usize) {
        if !self.is_running(a) || !self.is_running(b) {
            return;
        }
        if self.network.connect(a, b, group).is_some() {
            self.put_into_inbox(a, group, NetEvent::Up { peer: b });
            self.put_into_inbox(b, group, NetEvent::Up { peer: a });
        } else if !self.network.peers(a).contains(&(b, group)) {
            self.after(50 * MS, Event::Connect { a, b, group });
        }
    }

    fn client_starts(&mut self, client: usize) {
        if self.clients_rest || self.clients.is_waiting(client) {
            return;
        }
        if self.chance.one_in(CLIENT_STAYS) {
            // Else servers that have been started anew would have no clients.
            return self.client_moves_on(client);
        }
        let sending = self.clients.start(client, &self.invariants.read_is_fresh);
        let (client, batch) = (sending.client, sending.batch);
        let mut delay = self.chance.between(20, 300);
        for part in self.clients.in_parts(sending) {
            self.after(delay, Event::Asked(part));
            delay += self.chance.between(1, 10_000);
        }
        self.after(CLIENT_PATIENCE, Event::ClientGivesUp { client, batch });
    }

    fn asked(&mut self, sending: Sending) {
        let id = sending.server;
        if self.is_paused(id) {
            return self.server(id).held.push(sending);
        }
        if !self.is_running(id) {
            if self.clients.waits(sending.client, sending.batch) {
                self.client_moves_on(sending.client);
            }
            return;
        }
        let (now, life) = (self.now, self.server(id).life);
        self.server(id).set_clock(now);
        let running = self.servers[id as usize - 1].running.as_mut().expect("just seen");
        match sending.by {
            By::Redis { connection, bytes } => {
                let is_new = self.connected.insert((id, life, connection));
                running.receive(connection, is_new, &bytes);
            }
            By::Call { token, ask } => running.call(token, ask),
        }
        self.follow(id);
    }

    fn replied(&mut self, connection: u32, bytes: &[u8]) -> Result<(), Broken> {
        let Some(client) = self.clients.client_of(connection) else { return Ok(()) };
        let mut checks = Checks {
            acked: &self.invariants.acked_is_applied,
            fresh: &mut self.invariants.read_is_fresh,
            coverage: &mut self.coverage,
        };
        if self.clients.hear(client, connection, bytes, &mut checks)? {
            self.client_thinks(client);
        }
        Ok(())
    }

    fn ended(&mut self, server: u64, token: u64, told: Told) -> Result<(), Broken> {
        if let Some(probe) = self.probes.get_mut(&token) {
            self.trace.line(|| format!("probe {token} at server {server}: {told:?}"));
            probe.1 = Some(told);
            return Ok(());
        }
        let Some(client) = self.clients.caller(token) else { return Ok(()) };
        let mut checks = Checks {
            acked: &self.invariants.acked_is_applied,
            fresh: &mut self.invariants.read_is_fresh,
            coverage: &mut self.coverage,
        };
        if self.clients.told(server, token, &told, &mut checks)? {
            self.client_thinks(client);
        }
        Ok(())
    }

    fn client_thinks(&mut self, client: usize) {
        let thinks = self.clients.thinks(client);
        self.after(thinks, Event::ClientStarts(client));
    }

    /// A client leaves its server for another.
    fn client_moves_on(&mut self, client: usize) {
        let server = self.clients.server_of(client);
        let left = self.clients.move_on(client);
        if let (Some(connection), Some(running)) = (left, &mut self.server(server).running) {
            running.disconnect(connection);
        }
        self.client_thinks(client);
    }

    /// A server's process ends, and what it was told and had not done is lost; with the power, what was not synced, too.
    pub fn process_ends(&mut self, id: u64, power: bool) {
        let server = self.server(id);
        if server.running.take().is_none() {
            return;
        }
        server.paused_until = None;
        server.held.clear();
        if power {
            let losses = server.disk.power_fails();
            self.coverage.add("unsynced write lost", losses.lost);
            self.coverage.add("unsynced write torn", losses.torn);
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

    /// A server's process is started after a while, unless it runs or is about to.
    pub fn start_after(&mut self, id: u64, delay: Micros) {
        let server = self.server(id);
        if server.running.is_none() && !server.is_starting {
            server.is_starting = true;
            self.after(delay, Event::Start(id));
        }
    }

    fn start(&mut self, id: u64) -> Result<(), Broken> {
        let groups = self.groups();
        let now = self.now;
        let server = self.server(id);
        server.is_starting = false;
        if server.running.is_some() {
            return Ok(());
        }
        server.set_clock(now);
        if let Err(error) = server.start() {
            return self.start_failed(id, &error);
        }
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
        self.invariants.global_prefix.restarted(id);
        for group in 0..groups {
            let running = self.servers[id as usize - 1].running.as_ref().expect("just started");
            let standing = running.machine.standing(group);
            self.invariants.election_safety.started(id, group, &standing)?;
            self.turn(id, group)?;
            let first = self.chance.below(self.tick_of(id)) + 1;
            self.after(first, Event::GroupTick { server: id, life, group });
            for peer in (1..=self.plan.servers).filter(|peer| *peer != id) {
                let after = self.chance.between(1, 10) * MS;
                self.after(after, Event::Connect { a: id, b: peer, group });
            }
        }
        let first = self.chance.below(self.tick_of(id)) + 1;
        self.after(first, Event::Tick { server: id, life });
        self.follow(id);
        Ok(())
    }

    /// A server does not start: for a reason that was given, else the invariant is broken that it starts.
    fn start_failed(&mut self, id: u64, error: &StartError) -> Result<(), Broken> {
        self.trace.line(|| format!("server {id} does not start: {error}"));
        let server = self.server(id);
        match error {
            StartError::Log { source: LogError::Corrupt { .. } | LogError::Lost { .. }, .. }
            | StartError::LostEntries { .. }
                if server.flipped.is_some() =>
            {
                let flipped = server.flipped.take().expect("just seen");
                server.disk.flip_back(&flipped);
                self.coverage.count("start refused for damage");
            }
            StartError::Log { source: LogError::Io { .. } | LogError::Failed, .. } => {
                server.disk.process_ends();
                self.coverage.count("process ended by its disk");
            }
            _ => {
                return Err(Broken::new("a_sound_log_opens", format!("server {id} does not start: {error}")));
            }
        }
        self.start_after(id, RESTART);
        Ok(())
    }

    /// How every replica stands, for the trace.
    pub fn note_standings(&mut self) {
        for server in &self.servers {
            let Some(running) = &server.running else { continue };
            let status = running.machine.client().status();
            self.trace.line(|| {
                let (id, applied, awaited) = (server.id, status.applied, status.awaited_group);
                format!("server {id} has executed up to {applied} and awaits group {awaited}")
            });
            for group in &status.local {
                self.trace.line(|| format!("server {}: {group:?}", server.id));
            }
        }
    }

    /// What a server has counted, before it goes or at the end.
    pub fn count_figures(&mut self, id: u64) {
        let Some(running) = &self.servers[id as usize - 1].running else { return };
        let figures = running.machine.figures();
        self.coverage.add("lane sent again", figures.lanes_sent_again);
        self.coverage.add("duplicate skipped", figures.duplicates);
        self.coverage.add("gap skipped", figures.gaps);
        self.coverage.add("pad requested", figures.pad_requests);
    }
}

/// The same event once more.
fn event_of(event: &Event) -> Event {
    match *event {
        Event::Round { server, life, thread } => Event::Round { server, life, thread },
        Event::GroupTick { server, life, group } => Event::GroupTick { server, life, group },
        Event::Tick { server, life } => Event::Tick { server, life },
        _ => unreachable!("only a server's own events wait for it"),
    }
}
