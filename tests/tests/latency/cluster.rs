//! Three servers in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use niagara_engine::internals::example::Counter;
use niagara_engine::internals::sim::{Clock, Environment, ManualClock, SimServer};
use niagara_engine::{Completion, Config, Durability, Member, Port, Threads, Wake};
use niagara_log::SystemFiles;
use niagara_net::{Event, Frame};

use super::uplink::Uplink;

pub const SERVERS: u64 = 3;
/// From one server to another, in microseconds.
pub const DELAY: u64 = 1000;
/// A write of the log, in microseconds; several wait for each other.
pub const WRITE: u64 = 150;
const TICK: u64 = 50_000;

/// What a cluster is to be.
#[derive(Clone, Copy)]
pub struct Plan {
    pub groups: usize,
    /// Threads that drive the groups of each server.
    pub threads: u16,
    /// Bytes per second that each server sends over each group's link; `None` for any number.
    pub thin: Option<u64>,
    /// From one server to another, in microseconds.
    pub delay: u64,
}

impl Plan {
    /// A thread for each group, and links that carry everything at once.
    pub fn new(groups: usize) -> Plan {
        Plan { groups, threads: groups as u16, thin: None, delay: DELAY }
    }
}

struct NeverAsleep;

impl Wake for NeverAsleep {
    fn wake(&self) {}
}

enum Coming {
    Message {
        to: usize,
        group: usize,
        from: u64,
        body: Bytes,
    },
    Written {
        server: usize,
        group: usize,
    },
    /// A segment has left a server's uplink.
    Left {
        server: usize,
        group: usize,
    },
    /// A client sends its next command.
    Request {
        server: usize,
        client: u64,
    },
}

pub struct Server {
    machine: SimServer<Counter>,
    pub port: Port<Counter>,
    /// One for each group, if links are thin.
    pub uplinks: Vec<Uplink>,
    inbox: Vec<VecDeque<Event>>,
    writes: Vec<bool>,
    ticked: Vec<bool>,
    /// What clients propose.
    pub command: Vec<u8>,
}

/// Three servers, and what is on its way between them.
pub struct Cluster {
    pub servers: Vec<Server>,
    groups: usize,
    delay: u64,
    clock: Arc<ManualClock>,
    pub now: u64,
    coming: BTreeMap<u64, Coming>,
    order: BinaryHeap<Reverse<(u64, u64)>>,
    numbered: u64,
    /// Tokens of commands that are done, the servers that took them, and when that was.
    pub done: Vec<(u64, usize, u64)>,
}

impl Cluster {
    /// A cluster in which `leads` says which servers' clocks run until all groups have leaders.
    pub fn new(plan: Plan, leads: impl Fn(usize) -> bool) -> Cluster {
        let clock = Arc::new(ManualClock::new());
        let servers = (1..=SERVERS).map(|id| Server::new(id, plan, &clock)).collect();
        let groups = plan.groups;
        let mut cluster = Cluster {
            servers,
            groups,
            delay: plan.delay,
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
    pub fn tick(&mut self, whose: &impl Fn(usize) -> bool) {
        self.run_until(self.now + TICK);
        self.tick_now(whose);
        self.run_until(self.now + TICK / 2);
    }

    /// A step of the clocks of these servers at this moment.
    pub fn tick_now(&mut self, whose: &impl Fn(usize) -> bool) {
        for server in (0..self.servers.len()).filter(|server| whose(*server)) {
            (0..self.groups).for_each(|group| self.servers[server].machine.tick_group(group));
            self.servers[server].ticked.fill(true);
            self.servers[server].machine.tick();
            self.run(server);
        }
    }

    pub fn run_until(&mut self, until: u64) {
        while let Some(Reverse((at, _))) = self.order.peek().filter(|next| next.0.0 <= until) {
            self.now = *at;
            self.step();
        }
        self.now = until;
        self.clock.set(Duration::from_micros(until));
    }

    /// The next thing that happens.
    pub fn step(&mut self) {
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
            Coming::Left { server, group } => {
                // What waits for the link may have become less, which the group looks for.
                self.servers[server].ticked[group] = true;
                self.send(server, group);
                server
            }
            Coming::Request { server, client } => {
                self.propose(server, client);
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

    /// Lets the next segment of an uplink leave.
    fn send(&mut self, server: usize, group: usize) {
        let Some(segment) = self.servers[server].uplinks[group].segment() else { return };
        for body in segment.bodies {
            let to = segment.peer as usize - 1;
            self.later(
                segment.takes + self.delay,
                Coming::Message { to, group, from: server as u64 + 1, body },
            );
        }
        self.later(segment.takes, Coming::Left { server, group });
    }

    /// Brings a frame on its way.
    fn transmit(&mut self, at: usize, group: usize, to: u64, frame: Frame) {
        if self.servers[at].uplinks.is_empty() {
            let body = Bytes::from(frame.parts().concat());
            self.later(self.delay, Coming::Message { to: to as usize - 1, group, from: at as u64 + 1, body });
            return;
        }
        let uplink = &mut self.servers[at].uplinks[group];
        uplink.push(to, frame);
        if !uplink.is_busy {
            self.send(at, group);
        }
    }

    /// A client's command comes after so many microseconds.
    pub fn request(&mut self, after: u64, server: usize, client: u64) {
        self.later(after, Coming::Request { server, client });
    }

    /// Lets all threads of a server go round until they would sleep.
    pub fn run(&mut self, at: usize) {
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
                    if let Some(uplink) = server.uplinks.get(group) {
                        for peer in (1..=SERVERS).filter(|peer| *peer != at as u64 + 1) {
                            machine.queue_holds(group, peer, Some(uplink.waiting(peer)));
                        }
                    }
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
                self.done.push((token, at, self.now));
            }
            for (group, to, frame) in sent {
                self.transmit(at, group, to, frame);
            }
            for group in to_write {
                self.later(WRITE, Coming::Written { server: at, group });
            }
            if !moved {
                return;
            }
        }
    }

    /// Proposes a command in the lane that is best now.
    pub fn propose(&mut self, origin: usize, token: u64) {
        let server = &mut self.servers[origin];
        let lane = server.port.choose_lane();
        server.port.propose(lane, token, &server.command).expect("groups have leaders");
        server.port.flush();
    }

    pub fn leaders(&self, group: usize) -> Vec<usize> {
        (0..self.servers.len()).filter(|server| self.servers[*server].machine.standing(group).leads).collect()
    }
}

impl Server {
    fn new(id: u64, plan: Plan, clock: &Arc<ManualClock>) -> Server {
        let Plan { groups, threads, thin, .. } = plan;
        let addresses = vec!["nowhere:0".to_owned(); groups];
        let member = |server| Member { server, addresses: addresses.clone(), transfer: "nowhere:0".into() };
        let mut config = Config::new(1, id, (1..=SERVERS).map(member).collect());
        config.durability = Durability::Memory;
        config.threads = Threads::Count(threads);
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
        let uplink = |bytes_per_second| (0..groups).map(move |_| Uplink::new(SERVERS, bytes_per_second));
        let uplinks = thin.into_iter().flat_map(uplink).collect();
        let (writes, ticked) = (vec![false; groups], vec![false; groups]);
        Server { machine, port, uplinks, inbox, writes, ticked, command: b"a lone write".to_vec() }
    }
}
