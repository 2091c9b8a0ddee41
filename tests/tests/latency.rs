//! How many one-way delays a lone write takes, in virtual time: computing takes none, so that nothing else is measured.
//!
//! A command that is proposed where its group's leader is needs a round trip to a quorum, whatever R: idle groups have skipped
//! ahead, so that the merge waits for none of them. Where leaders are spread and another group's slot is missing, its leader hears
//! of the level with the entry itself (one delay), commits a skip (two), and says so (one).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use niagara_engine::internals::example::Counter;
use niagara_engine::internals::sim::{Clock, Environment, ManualClock, SimServer};
use niagara_engine::{Completion, Config, Durability, Member, Port, Wake};
use niagara_log::SystemFiles;
use niagara_net::Event;

const SERVERS: u64 = 3;
/// From one server to another, in microseconds.
const DELAY: u64 = 1000;
/// A write of the log, in microseconds; several wait for each other.
const WRITE: u64 = 150;
const TICK: u64 = 50_000;

struct NeverAsleep;

impl Wake for NeverAsleep {
    fn wake(&self) {}
}

enum Coming {
    Message { to: usize, group: usize, from: u64, body: Bytes },
    Written { server: usize, group: usize },
}

struct Server {
    machine: SimServer<Counter>,
    port: Port<Counter>,
    inbox: Vec<VecDeque<Event>>,
    writes: Vec<bool>,
    ticked: Vec<bool>,
}

/// Three servers, and what is on its way between them.
struct Cluster {
    servers: Vec<Server>,
    groups: usize,
    clock: Arc<ManualClock>,
    now: u64,
    coming: BTreeMap<u64, Coming>,
    order: BinaryHeap<Reverse<(u64, u64)>>,
    numbered: u64,
    done: Vec<(u64, u64)>,
}

impl Cluster {
    /// A cluster in which `leads` says which servers' clocks run until all groups have leaders.
    fn new(groups: usize, leads: impl Fn(usize) -> bool) -> Cluster {
        let clock = Arc::new(ManualClock::new());
        let servers = (1..=SERVERS).map(|id| Server::new(id, groups, &clock)).collect();
        let mut cluster = Cluster {
            servers,
            groups,
            clock,
            now: 0,
            coming: BTreeMap::new(),
            order: BinaryHeap::new(),
            numbered: 0,
            done: Vec::new(),
        };
        for server in 0..SERVERS as usize {
            for group in 0..groups {
                let others = (1..=SERVERS).filter(|peer| *peer != server as u64 + 1);
                cluster.servers[server].inbox[group].extend(others.map(|peer| Event::Up { peer }));
            }
        }
        // Long enough for elections, and for idle groups to be seen to be idle.
        for _ in 0..60 {
            cluster.tick(&leads);
        }
        cluster
    }

    /// A step of the clocks of these servers, and all that follows from it.
    fn tick(&mut self, whose: &impl Fn(usize) -> bool) {
        self.run_until(self.now + TICK);
        for server in (0..self.servers.len()).filter(|server| whose(*server)) {
            (0..self.groups).for_each(|group| self.servers[server].machine.tick_group(group));
            self.servers[server].ticked.fill(true);
            self.servers[server].machine.tick();
            self.run(server);
        }
        self.run_until(self.now + TICK / 2);
    }

    fn run_until(&mut self, until: u64) {
        while let Some(Reverse((at, _))) = self.order.peek().filter(|next| next.0.0 <= until) {
            self.now = *at;
            self.step();
        }
        self.now = until;
        self.clock.set(Duration::from_micros(until));
    }

    /// The next thing that happens.
    fn step(&mut self) {
        let Reverse((at, number)) = self.order.pop().expect("something is to come");
        self.now = at;
        self.clock.set(Duration::from_micros(at));
        let server = match self.coming.remove(&number).expect("each comes once") {
            Coming::Message { to, group, from, body } => {
                self.servers[to].inbox[group].push_back(Event::Frame { from, body });
                to
            }
            Coming::Written { server, group } => {
                self.servers[server].machine.write_log(group).expect("memory can be written");
                self.servers[server].writes[group] = false;
                server
            }
        };
        self.run(server);
    }

    fn later(&mut self, after: u64, what: Coming) {
        self.numbered += 1;
        self.order.push(Reverse((self.now + after, self.numbered)));
        self.coming.insert(self.numbered, what);
    }

    /// Lets all threads of a server go round until they would sleep.
    fn run(&mut self, at: usize) {
        loop {
            let mut sent = Vec::new();
            let mut to_write = Vec::new();
            let server = &mut self.servers[at];
            let mut moved = false;
            for group in 0..self.groups {
                let machine = &mut server.machine;
                // A tick is followed by a turn, whatever there is to do.
                let mut ticked = std::mem::take(&mut server.ticked[group]);
                while ticked || !server.inbox[group].is_empty() || machine.wants_turn(group) {
                    ticked = false;
                    server.inbox[group].drain(..).for_each(|event| machine.handle(group, event));
                    sent.extend(machine.turn(group).into_iter().map(|(to, frame)| (group, to, frame)));
                    moved = true;
                }
                if machine.has_writes(group) && !server.writes[group] {
                    server.writes[group] = true;
                    to_write.push(group);
                }
            }
            while server.machine.merge() || server.machine.execute() {
                moved = true;
            }
            let mut completions = Vec::new();
            server.port.collect(&mut completions);
            for completion in completions {
                let Completion::Applied { token, .. } = completion else { panic!("{completion:?}") };
                self.done.push((token, self.now));
            }
            for (group, to, frame) in sent {
                let body = Bytes::from(frame.parts().concat());
                self.later(DELAY, Coming::Message { to: to as usize - 1, group, from: at as u64 + 1, body });
            }
            for group in to_write {
                self.later(WRITE, Coming::Written { server: at, group });
            }
            if !moved {
                return;
            }
        }
    }

    /// How long a lone write takes that is proposed at this server, in microseconds.
    fn write(&mut self, origin: usize) -> u64 {
        let begun = self.now;
        let server = &mut self.servers[origin];
        let lane = server.port.choose_lane();
        server.port.propose(lane, begun, b"a lone write").expect("groups have leaders");
        server.port.flush();
        self.run(origin);
        while self.done.is_empty() {
            self.step();
        }
        let (token, at) = self.done.pop().expect("it has been looked for");
        assert_eq!((token, self.done.len()), (begun, 0));
        at - begun
    }

    fn leaders(&self, group: usize) -> Vec<usize> {
        (0..self.servers.len()).filter(|server| self.servers[*server].machine.standing(group).leads).collect()
    }
}

impl Server {
    fn new(id: u64, groups: usize, clock: &Arc<ManualClock>) -> Server {
        let addresses = vec!["nowhere:0".to_owned(); groups];
        let member = |server| Member { server, addresses: addresses.clone(), transfer: "nowhere:0".into() };
        let mut config = Config::new(1, id, (1..=SERVERS).map(member).collect());
        config.durability = Durability::Memory;
        let environment = Environment {
            boot: id,
            clock: Clock::Manual(Arc::clone(clock)),
            files: Arc::new(SystemFiles),
            prepare_beside: false,
            election_seed: Some(id),
        };
        let machine = SimServer::open(&config, &environment, Counter::default()).expect("an empty log opens");
        let port = machine.client().port(Arc::new(NeverAsleep));
        let inbox = (0..groups).map(|_| VecDeque::new()).collect();
        Server { machine, port, inbox, writes: vec![false; groups], ticked: vec![false; groups] }
    }
}

#[test]
fn where_all_leaders_are_a_lone_write_takes_two_delays_whatever_r() {
    for groups in [1, 2, 4, 8] {
        let mut cluster = Cluster::new(groups, |server| server == 0);
        (0..groups).for_each(|group| assert_eq!(cluster.leaders(group), [0], "R = {groups}"));
        for write in 0..3000 {
            assert_eq!(cluster.write(0), 2 * DELAY + WRITE, "R = {groups}, write {write}");
            // A lone write stands alone: what it sets off has ended when the next begins.
            cluster.run_until(cluster.now + 10 * DELAY);
            if write % 10 == 0 {
                cluster.tick(&|server| server == 0);
            }
        }
    }
}

#[test]
fn where_leaders_are_spread_a_lone_write_takes_at_most_four_delays() {
    for groups in [2, 4, 8] {
        let mut cluster = Cluster::new(groups, |_| true);
        (0..groups).for_each(|group| assert_eq!(cluster.leaders(group), [group % 3], "R = {groups}"));
        let mut taken = BTreeMap::<u64, usize>::new();
        for write in 0..3000 {
            let took = cluster.write(0);
            assert!(took <= 4 * DELAY + 2 * WRITE, "R = {groups}, write {write}: {took} us");
            *taken.entry(took).or_default() += 1;
            cluster.run_until(cluster.now + 10 * DELAY);
            if write % 10 == 0 {
                cluster.tick(&|_| true);
            }
        }
        // Idle groups are ahead most of the time, so that hardly any write waits for them.
        let alone = taken.get(&(2 * DELAY + WRITE)).copied().unwrap_or(0);
        assert!(alone >= 2900, "R = {groups}: {taken:?}");
    }
}
