//! The production group drivers, merge and ledger of three servers in one thread, under lost, late and doubled messages,
//! slow disks, crashes that lose what was not written, and cut links: whatever happens, the servers execute the same
//! log, each command once, and everything acknowledged; and once the faults end, everything gets done.
//!
//! Everything follows from one seed. A failure names it; run it alone with
//! `NIAGARA_SEED=n cargo test -p niagara-engine --test drivers_under_faults`; `NIAGARA_SEEDS=n` runs that many.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use niagara_engine::apply::{Ledger, Verdict};
use niagara_engine::batch::{EntryFill, Span, SubBatch, decode_commands};
use niagara_engine::group::{Driver, DriverConfig, LaneSource, Output, SlotIndex, View, Write};
use niagara_engine::log::{self, Durability, HardState, LogConfig, LogEntry, LogStore};
use niagara_engine::wire::Wire;
use niagara_sequencer::{Emitted, Fill, GlobalPosition, GroupId, Layout, Merge, ReadBarriers, Slot};

const SERVERS: u64 = 3;
const ELECTION_TICKS: u32 = 10;

/// Random choices, from the seed alone (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % bound as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A lane's queue, without a lock.
#[derive(Default)]
struct Queue(VecDeque<SubBatch>);

impl LaneSource for Queue {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, max_bytes: usize, out: &mut Vec<SubBatch>) {
        let mut bytes = 0;
        while let Some(batch) =
            self.0.pop_front_if(|batch| bytes == 0 || bytes + batch.body.len() <= max_bytes)
        {
            bytes += batch.body.len();
            out.push(batch);
        }
    }
}

/// What survives a crash of one replica.
#[derive(Clone, Default)]
struct Durable {
    entries: Vec<LogEntry>,
    hard_state: HardState,
}

impl Durable {
    fn write(&mut self, write: Write) {
        if let Some(first) = write.entries.first() {
            self.entries.truncate(first.index as usize - 1);
        }
        self.entries.extend(write.entries);
        self.hard_state = write.hard_state;
    }
}

struct Replica {
    driver: Driver<LogStore>,
    store: LogStore,
    queue: Queue,
    next_number: u64,
    executed_next: u64,
    gap: Option<u32>,
    merged: u64,
    pulled: u64,
    place: u64,
    ahead: VecDeque<(u64, u64)>,
    writes: VecDeque<Write>,
}

struct Server {
    id: u64,
    incarnation: u64,
    replicas: Vec<Replica>,
    merge: Merge<LogEntry>,
    ledger: Ledger,
    /// Executed commands in order: position and command.
    executed: Vec<(GlobalPosition, Bytes)>,
    applied: GlobalPosition,
    reads: ReadBarriers<GlobalPosition>,
    fresh: Vec<GlobalPosition>,
    stalled: Option<Slot>,
}

struct World {
    seed: u64,
    chance: Chance,
    layout: Layout,
    servers: BTreeMap<u64, Server>,
    durable: BTreeMap<(u64, usize), Durable>,
    incarnations: BTreeMap<u64, u64>,
    wires: Vec<(u64, u64, usize, Wire)>,
    cut: BTreeSet<(u64, u64, usize)>,
    healed: bool,
    acknowledged: BTreeMap<Bytes, GlobalPosition>,
    submitted: u64,
    log: Vec<(GlobalPosition, Bytes)>,
    reads_answered: u64,
    crashes: u64,
}

impl World {
    fn new(seed: u64, groups: u16) -> World {
        let mut world = World {
            seed,
            chance: Chance(seed),
            layout: Layout::new(groups),
            servers: BTreeMap::new(),
            durable: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            wires: Vec::new(),
            cut: BTreeSet::new(),
            healed: false,
            acknowledged: BTreeMap::new(),
            submitted: 0,
            log: Vec::new(),
            reads_answered: 0,
            crashes: 0,
        };
        (1..=SERVERS).for_each(|id| world.start(id));
        world
    }

    fn groups(&self) -> usize {
        usize::from(self.layout.groups())
    }

    /// Starts a server from what it had written.
    fn start(&mut self, id: u64) {
        let incarnation = self.incarnations.entry(id).or_default();
        *incarnation += 1;
        let incarnation = *incarnation;
        let replicas = (0..self.groups()).map(|group| {
            let durable = self.durable.entry((id, group)).or_default().clone();
            let (store, _) = log::open(&LogConfig::new("", Durability::Memory, 1), &mut |_| {}).unwrap();
            let mut slots = SlotIndex::default();
            store.append(&durable.entries);
            for entry in &durable.entries {
                let fill = EntryFill::of(&entry.context).unwrap();
                slots.append(entry.index, &fill);
            }
            assert!(
                durable.hard_state.commit <= store.last_index(),
                "seed {}: commit above the log",
                self.seed
            );
            let config = DriverConfig {
                server: id,
                lane: group as u16,
                voters: (1..=SERVERS).collect(),
                wanted_leader: group as u64 % SERVERS + 1,
                boot: id << 32 | incarnation,
                heartbeat_ticks: 2,
                election_ticks: ELECTION_TICKS,
                campaign_ticks: ELECTION_TICKS + 1..2 * ELECTION_TICKS,
                window: 4,
                entry_bytes: 64,
                foreign_bytes: 256,
            };
            Replica {
                driver: Driver::new(config, store.clone(), durable.hard_state, slots),
                store,
                queue: Queue::default(),
                next_number: 1,
                executed_next: 1,
                gap: None,
                merged: 0,
                pulled: 0,
                place: 0,
                ahead: VecDeque::new(),
                writes: VecDeque::new(),
            }
        });
        let server = Server {
            id,
            incarnation,
            replicas: replicas.collect(),
            merge: Merge::new(self.layout),
            ledger: Ledger::new(&(1..=SERVERS).collect::<Vec<_>>(), self.layout.groups()),
            executed: Vec::new(),
            applied: GlobalPosition::ZERO,
            reads: ReadBarriers::new(self.layout, 6),
            fresh: Vec::new(),
            stalled: None,
        };
        self.servers.insert(id, server);
        (0..self.groups()).for_each(|group| self.turn(id, group));
    }

    fn view(server: &Server, group: usize) -> View {
        let level = server.replicas.iter().map(|replica| replica.driver.level()).max().unwrap();
        let awaited = server.merge.awaited().group.index();
        let replica = &server.replicas[group];
        View {
            level,
            anchor: server.merge.anchor().index() == group,
            merged: replica.merged,
            next_command: replica.executed_next,
            gap_attempt: replica.gap,
            lags: server.replicas.iter().any(|other| other.driver.lags()),
            stand_back: awaited != group && server.replicas.iter().any(|other| other.driver.lags()),
        }
    }

    /// One turn of a replica's driver, with all that follows at its server.
    fn turn(&mut self, id: u64, group: usize) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let view = Self::view(server, group);
        let replica = &mut server.replicas[group];
        let mut output = Output::default();
        replica.driver.turn(&view, &mut replica.queue, &mut output);
        replica.writes.extend(output.writes.drain(..));
        self.wires.extend(output.messages.drain(..).map(|(to, wire)| (id, to, group, wire)));
        for (round, place) in output.reads.drain(..) {
            server.reads.answered(round, place);
        }
        // Merge and execution are threads of their own, which may take their time.
        if self.healed || self.chance.one_in(4) {
            self.merge(id);
        }
        self.ask(id);
    }

    fn ask(&mut self, id: u64) {
        let server = self.servers.get_mut(&id).unwrap();
        if let Some(round) = server.reads.begin(server.merge.awaited().group) {
            server.replicas[round.group.index()].driver.ask_read(round.id);
        }
    }

    /// What the sequencer's and the application's threads do.
    fn merge(&mut self, id: u64) {
        let layout = self.layout;
        let server = self.servers.get_mut(&id).unwrap();
        for (index, replica) in server.replicas.iter_mut().enumerate() {
            let group = GroupId::new(index as u16 + 1);
            let mut read = Vec::new();
            if replica.driver.commit() > replica.pulled {
                replica
                    .store
                    .read(replica.pulled + 1, replica.driver.commit(), usize::MAX, &mut read)
                    .unwrap();
            }
            for entry in read {
                replica.pulled = entry.index;
                match EntryFill::of(&entry.context).unwrap() {
                    EntryFill::Nothing => {}
                    EntryFill::Skip { place } => {
                        replica.place = place;
                        server.merge.push(group, place, Fill::Skip);
                    }
                    EntryFill::Commands { place } => {
                        replica.place = place;
                        server.merge.push(group, place, Fill::Commands(entry));
                    }
                }
                replica.ahead.push_back((replica.pulled, replica.place));
            }
        }
        while let Some(emitted) = server.merge.next() {
            match emitted {
                Emitted::Noops { first, count } => {
                    server.applied = GlobalPosition::new(first.get() + count - 1);
                }
                Emitted::Commands { position, item } => {
                    server.applied = position;
                    for batch in decode_commands(&item.context, &item.data).unwrap() {
                        execute(server, position, &batch, &mut self.acknowledged);
                    }
                }
            }
        }
        let emitted = server.merge.emitted();
        for (index, replica) in server.replicas.iter_mut().enumerate() {
            let group = GroupId::new(index as u16 + 1);
            let passed = |&mut (_, place): &mut (u64, u64)| {
                place == 0 || layout.position_of(Slot { place, group }) <= emitted
            };
            while let Some((index, _)) = replica.ahead.pop_front_if(passed) {
                replica.merged = index;
            }
        }
        // global_prefix: what any server executes is a prefix of one log.
        for (at, done) in server.executed.iter().enumerate().skip(self.log.len().min(server.executed.len())) {
            assert_eq!(at, self.log.len());
            self.log.push(done.clone());
        }
        let prefix = server.executed.len().min(self.log.len());
        let tail = prefix.saturating_sub(20);
        assert_eq!(
            server.executed[tail..prefix],
            self.log[tail..prefix],
            "global_prefix, seed {}",
            self.seed
        );
        // read_is_fresh: a read that is released has everything executed that was acknowledged before it was queued.
        server.reads.release(server.applied, &mut server.fresh);
        for needed in server.fresh.drain(..) {
            assert!(
                needed <= server.applied,
                "read_is_fresh: {needed} against {}, seed {}",
                server.applied,
                self.seed
            );
            self.reads_answered += 1;
        }
    }

    fn submit(&mut self, id: u64) {
        let group = self.chance.below(self.groups());
        self.submitted += 1;
        let Some(server) = self.servers.get_mut(&id) else { return };
        let replica = &mut server.replicas[group];
        let span = Span {
            server: id,
            incarnation: server.incarnation,
            lane: group as u16,
            attempt: 0,
            first: replica.next_number,
            count: 1,
        };
        let command = Bytes::from(format!("{id}.{}.{group}.{}", server.incarnation, replica.next_number));
        replica.next_number += 1;
        replica.queue.0.push_back(SubBatch { span, lone: true, body: command });
        self.turn(id, group);
    }

    fn read(&mut self, id: u64) {
        let newest = self.acknowledged.values().max().copied().unwrap_or(GlobalPosition::ZERO);
        let Some(server) = self.servers.get_mut(&id) else { return };
        server.reads.queue(newest);
        self.ask(id);
        (0..self.groups()).for_each(|group| self.turn(id, group));
    }

    fn tick(&mut self, id: u64) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let awaited = server.merge.awaited();
        let halted = server.stalled == Some(awaited);
        if halted && let Some(level) = server.merge.held_level() {
            server.replicas[awaited.group.index()].driver.forward_pad_request(level);
        }
        server.stalled = Some(awaited);
        if let Some(round) = server.reads.tick(awaited.group, halted) {
            server.replicas[round.group.index()].driver.ask_read(round.id);
        }
        for group in 0..server.replicas.len() {
            let view = Self::view(&self.servers[&id], group);
            self.servers.get_mut(&id).unwrap().replicas[group].driver.tick(&view);
            self.turn(id, group);
        }
    }

    fn deliver(&mut self) {
        if self.wires.is_empty() {
            return;
        }
        let faulty = !self.healed;
        // Mostly in order, as TCP delivers, with late ones in between, as over a connection that broke.
        let at = if faulty && self.chance.one_in(10) { self.chance.below(self.wires.len()) } else { 0 };
        let (from, to, group, wire) = self.wires.remove(at);
        if faulty && (self.cut.contains(&(from, to, group)) || self.chance.one_in(50)) {
            return;
        }
        if faulty && self.chance.one_in(50) {
            self.wires.push((from, to, group, wire.clone()));
        }
        // Through the codec, as on a real link.
        let joined: Vec<u8> = wire.encode().parts().iter().flatten().copied().collect();
        let wire = Wire::decode(&joined.into()).unwrap();
        if let Some(server) = self.servers.get_mut(&to) {
            server.replicas[group].driver.receive(from, wire);
            self.turn(to, group);
        }
    }

    fn persist(&mut self, id: u64, group: usize) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let replica = &mut server.replicas[group];
        if let Some(write) = replica.writes.pop_front() {
            let ready = write.ready;
            self.durable.get_mut(&(id, group)).unwrap().write(write);
            replica.driver.persisted(ready);
            self.turn(id, group);
        }
    }

    /// The server is gone with all that it had not written.
    fn crash(&mut self, id: u64) {
        if self.servers.remove(&id).is_some() {
            self.crashes += 1;
            self.wires.retain(|(from, to, ..)| *from != id && *to != id);
        }
    }

    fn step(&mut self) {
        let id = 1 + self.chance.below(SERVERS as usize) as u64;
        let group = self.chance.below(self.groups());
        match self.chance.below(1000) {
            0..=499 => self.deliver(),
            500..=699 => self.persist(id, group),
            700..=849 => self.tick(id),
            850..=949 => self.submit(id),
            950..=979 => self.read(id),
            980..=984 => self.crash(id),
            985..=991 => {
                if !self.servers.contains_key(&id) {
                    self.start(id);
                }
            }
            992..=995 => {
                let other = 1 + self.chance.below(SERVERS as usize) as u64;
                // One group's link, one way or both ways; or all of a server's.
                self.cut.insert((id, other, group));
                if self.chance.one_in(2) {
                    self.cut.insert((other, id, group));
                }
            }
            _ => self.cut.clear(),
        }
    }

    /// Ends the faults, and lets everybody finish.
    fn heal(&mut self) {
        self.healed = true;
        self.cut.clear();
        for id in 1..=SERVERS {
            if !self.servers.contains_key(&id) {
                self.start(id);
            }
        }
        self.run_quietly(400);
        // idle_read_is_answered: without any further command, through every server.
        (1..=SERVERS).for_each(|id| self.read(id));
        self.run_quietly(40);
    }

    fn run_quietly(&mut self, ticks: usize) {
        for _ in 0..ticks {
            (1..=SERVERS).for_each(|id| self.tick(id));
            for _ in 0..3 {
                while !self.wires.is_empty() {
                    self.deliver();
                }
                for id in 1..=SERVERS {
                    for group in 0..self.groups() {
                        while !self.servers[&id].replicas[group].writes.is_empty() {
                            self.persist(id, group);
                        }
                    }
                }
            }
        }
    }

    /// progress_after_heal: every command of a server that lives is executed everywhere, and every read has ended.
    fn check_done(&self) {
        let seed = self.seed;
        for server in self.servers.values() {
            assert_eq!(server.executed.len(), self.log.len(), "server {} lags, seed {seed}", server.id);
            for (group, replica) in server.replicas.iter().enumerate() {
                assert_eq!(
                    replica.executed_next, replica.next_number,
                    "server {} lane {group}, seed {seed}",
                    server.id
                );
            }
            assert!(server.reads.is_empty(), "server {}: reads have no answer, seed {seed}", server.id);
        }
        let once: BTreeSet<&Bytes> = self.log.iter().map(|(_, command)| command).collect();
        assert_eq!(once.len(), self.log.len(), "applied_once, seed {seed}");
        // fifo_per_connection: the commands of a lane are executed in the order of their numbers, none left out.
        let mut lanes: BTreeMap<Vec<u64>, u64> = BTreeMap::new();
        for (_, command) in &self.log {
            let text = std::str::from_utf8(command).unwrap();
            let mut name: Vec<u64> = text.split('.').map(|part| part.parse().unwrap()).collect();
            let number = name.pop().unwrap();
            let last = lanes.insert(name, number).unwrap_or(0);
            assert_eq!(last + 1, number, "fifo_per_connection: {text}, seed {seed}");
        }
        for command in self.acknowledged.keys() {
            assert!(once.contains(command), "acked_is_applied: {command:?}, seed {seed}");
        }
    }
}

/// Executes a sub-batch, and acknowledges it if this server took it from a client.
fn execute(
    server: &mut Server,
    position: GlobalPosition,
    batch: &SubBatch,
    acknowledged: &mut BTreeMap<Bytes, GlobalPosition>,
) {
    let mine = batch.span.server == server.id && batch.span.incarnation == server.incarnation;
    let replica = &mut server.replicas[usize::from(batch.span.lane)];
    match server.ledger.admit(&batch.span) {
        Verdict::Execute { skip } => {
            assert_eq!(skip, 0, "one command per sub-batch here");
            server.executed.push((position, batch.body.clone()));
            if mine {
                replica.executed_next = batch.end();
                acknowledged.insert(batch.body.clone(), position);
            }
        }
        Verdict::Gap if mine => replica.gap = replica.gap.max(Some(batch.span.attempt)),
        Verdict::Gap | Verdict::Duplicate | Verdict::Stale => {}
    }
}

fn live(seed: u64) -> World {
    let groups = [1, 2, 4][seed as usize % 3];
    let mut world = World::new(seed, groups);
    for _ in 0..4000 {
        world.step();
    }
    world.heal();
    world.check_done();
    world
}

#[test]
fn servers_agree_whatever_happens() {
    let one = std::env::var("NIAGARA_SEED").ok().map(|seed| seed.parse().expect("NIAGARA_SEED is a number"));
    let many =
        std::env::var("NIAGARA_SEEDS").map_or(300, |seeds| seeds.parse().expect("NIAGARA_SEEDS is a number"));
    let seeds = one.map_or(0..many, |seed: u64| seed..seed + 1);
    let (mut crashes, mut reads, mut commands) = (0, 0, 0);
    for seed in seeds {
        let world = std::panic::catch_unwind(|| live(seed));
        let world = world.unwrap_or_else(|_| {
            panic!("NIAGARA_SEED={seed} cargo test -p niagara-engine --test drivers_under_faults")
        });
        crashes += world.crashes;
        reads += world.reads_answered;
        commands += world.log.len();
    }
    // A fault that never happens would prove nothing.
    assert!(
        one.is_some() || crashes > 100 && reads > 1000 && commands > 5000,
        "{crashes} {reads} {commands}"
    );
}
