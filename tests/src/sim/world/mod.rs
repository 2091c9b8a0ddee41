//! The world of a simulation: virtual time, events in their order, and their effects.
//!
//! Every round of every thread is a separate event, so that anything can happen between any two of them: a
//! message can arrive, a server can die, another thread can go first. The order follows from the plan's seed.
//!
//! | file | holds |
//! |---|---|
//! | `rounds.rs`, `links.rs`, `talk.rs`, `lives.rs` | what events lead to: rounds of threads, messages between servers, clients' requests, starts and ends |
//! | `observe.rs` | what is checked after each event |
//! | `faults.rs` | how planned faults strike and end |
//! | `epochs.rs` | the number of groups changes: groups that come and go |
//! | `follower.rs` | the follower: its lives, its rounds, and its links to the members |
//! | `members.rs` | servers that come, leave, and lose their disks for good |
//! | `trials.rs` | faults that take an operator's part |
//! | `remains.rs` | what could be recovered if only some disks were left |
//! | `prompt.rs` | reads that must not wait for the troubles of others |
//! | `script.rs` | healing, settling, and the last tests |

mod epochs;
mod faults;
mod follower;
mod lease_reads;
mod links;
mod lives;
mod members;
mod observe;
mod prompt;
mod remains;
mod rounds;
pub(crate) mod script;
mod talk;
mod trials;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use self::observe::Invariants;
use self::prompt::Prompt;
use crate::invariants::{Activity, Broken};
use crate::sim::callers::Callers;
use crate::sim::clients::{CallResult, Clients, Sending};
use crate::sim::coverage::Coverage;
use crate::sim::disk::{Disk, Image};
use crate::sim::follower::Follower;
use crate::sim::network::{Flight, Micros, Network};
use crate::sim::plan::{Plan, WallClock};
use crate::sim::queue::Queue;
use crate::sim::server::{Server, Thread};
use crate::sim::trace::Trace;
use niagara_testing::parts::chance::Chance;

/// A millisecond.
pub(crate) const MS: Micros = 1000;
/// More events than any simulation has, unless something loops.
const MOST_EVENTS: u64 = 2_000_000;
/// When reads begin that put leases to the test: the cluster has leaders by then.
const FIRST_LEASE_READ: Micros = 700 * MS;

/// An event at a moment.
#[derive(Debug)]
pub(crate) enum Event {
    /// A thread of a server makes a round.
    Round { server: u64, life: u64, thread: Thread },
    /// A step of a group's clock.
    GroupTick { server: u64, life: u64, group: usize },
    /// A step of the sequencer's clock.
    Tick { server: u64, life: u64 },
    /// The clock wakes the snapshots thread.
    KeepingDue { server: u64, life: u64 },
    /// The clock wakes the front end, which keeps the time.
    TimeDue { server: u64, life: u64 },
    /// A message arrives.
    Arrive(Flight),
    /// Two servers try to connect.
    Connect { a: u64, b: u64, group: usize },
    /// A client asks for more.
    ClientStarts(usize),
    /// What a client has sent arrives.
    Asked(Sending),
    /// Replies arrive at a client, from a server that had executed so many commands.
    Replied { connection: u32, bytes: Vec<u8>, executed: usize },
    /// A call of the engine has ended.
    Ended { server: u64, token: u64, told: CallResult },
    /// A client that still waits may give up.
    ClientGivesUp { client: usize, batch: u64 },
    /// A planned fault strikes.
    Fault(usize),
    /// A planned fault ends.
    FaultEnds(usize),
    /// A server's links are cut, or mended, in turn.
    Flap { server: u64, each: Micros, until: Micros, cut: bool },
    /// Calls are made that must be served promptly.
    AskPromptly,
    /// Reads and writes are made through every server.
    AskForLeases,
    /// A paused server may resume.
    Resume(u64),
    /// A server's power fails, whether its process runs or not.
    PowerFails(u64),
    /// A server's process starts.
    Start(u64),
    /// The follower starts, if it can.
    FollowerStarts,
    /// The follower's threads have a round.
    FollowerRound { life: u64 },
    /// Servers that have become members start, if they can.
    NewcomersJoin,
    /// A server that has joined ends.
    NewcomerDies(u64),
    /// The script of the simulation continues.
    Script(usize),
}

/// A running simulation.
pub(crate) struct World {
    pub plan: Plan,
    pub now: Micros,
    pub chance: Chance,
    pub servers: Vec<Server>,
    pub follower: Option<Follower>,
    pub network: Network,
    pub clients: Clients,
    /// Clients send no more requests.
    pub clients_rest: bool,
    pub invariants: Invariants,
    pub coverage: Coverage,
    pub trace: Trace,
    /// Results of the script's own calls, by token.
    pub probes: BTreeMap<u64, (u64, Option<CallResult>)>,
    /// Calls of the engine that have ended, by token.
    pub told: BTreeSet<u64>,
    /// Number of probes so far.
    pub next_probe: u64,
    /// Calls that must be served promptly, by token.
    pub prompt: BTreeMap<u64, Prompt>,
    /// Reads that put leases to the test, by token, and the least position that each must see.
    pub lease_reads: BTreeMap<u64, u64>,
    /// The two servers that the script has cut apart.
    pub cut_servers: (u64, u64),
    /// What the cluster has done, now and when it was left idle.
    pub activity: Activity,
    pub before_idling: Activity,
    /// When nothing more was asked for, and how many commands had been executed, and groups were open, then.
    pub idles_since: (Micros, u64, u64),
    /// How often a server that catches up has been waited for, and how many commands it had executed at the last look.
    pub waited_for_laggard: (u32, u64),
    /// How often the script has waited for a timekeeper.
    pub waited_for_time: u32,
    /// How often it was waited for a leader of the probed group.
    pub waited_for_leader: u32,
    /// How often it was waited for members that come or go.
    pub waited_for_members: u32,
    /// The script has ended.
    pub is_over: bool,
    /// Connections that a server's front end knows: server, life, connection.
    pub connected: BTreeSet<(u64, u64, u32)>,
    /// When the last bytes for a client arrive, by connection.
    pub last_reply: BTreeMap<u32, Micros>,
    /// The latest life of a server that another one has met, by (the other, the server).
    pub met: BTreeMap<(u64, u64), u64>,
    /// Copies of servers' directories that will be put back, by the fault's number, with the life that they
    /// belong to.
    pub copies: BTreeMap<usize, (u64, Image)>,
    queue: Queue<Event>,
    /// All threads of any server.
    pub threads: Rc<[Thread]>,
    /// Empty; kept for its memory.
    pub woken: Vec<Thread>,
}

impl World {
    /// The initial world: all servers are about to start.
    pub fn new(plan: Plan, trace: bool) -> World {
        let mut chance = Chance::new(plan.seed);
        let links = usize::from(plan.places) + 1;
        let hosts = plan.servers + u64::from(plan.is_followed);
        let network = Network::new(chance.fork(1), plan.weather, hosts, links);
        let mut of_clients = chance.fork(2);
        let clients = Clients::new(&plan, &mut of_clients);
        let servers = (1..=plan.servers).map(|id| {
            let disk = Disk::new(chance.fork(100 + id));
            Server::new(id, &plan, disk, chance.bits())
        });
        let servers: Vec<Server> = servers.collect();
        let follower = plan.is_followed.then(|| {
            let disk = Disk::new(chance.fork(100 + hosts));
            Follower::new(hosts, &servers[0].config, disk)
        });
        let mut world = World {
            servers,
            follower,
            now: 0,
            network,
            clients,
            clients_rest: false,
            invariants: Invariants::new(&plan),
            coverage: Coverage::default(),
            trace: Trace::new(trace),
            probes: BTreeMap::new(),
            told: BTreeSet::new(),
            next_probe: 0,
            prompt: BTreeMap::new(),
            lease_reads: BTreeMap::new(),
            cut_servers: (0, 0),
            activity: Activity::default(),
            before_idling: Activity::default(),
            idles_since: (0, 0, 0),
            waited_for_laggard: (0, 0),
            waited_for_time: 0,
            waited_for_leader: 0,
            waited_for_members: 0,
            is_over: false,
            connected: BTreeSet::new(),
            last_reply: BTreeMap::new(),
            met: BTreeMap::new(),
            copies: BTreeMap::new(),
            queue: Queue::default(),
            threads: Thread::all(&plan),
            woken: Vec::new(),
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
        if world.plan.is_followed {
            world.after(0, Event::FollowerStarts);
        }
        if world.plan.spares > 0 {
            world.after(0, Event::NewcomersJoin);
        }
        if let Some((from, _)) = world.plan.prompt {
            world.after(from, Event::AskPromptly);
        }
        if world.plan.tries_leases {
            world.after(FIRST_LEASE_READ, Event::AskForLeases);
        }
        world
    }

    /// Runs events until the script is over.
    pub fn run(&mut self) -> Result<(), Broken> {
        while !self.is_over {
            let Some((at, event)) = self.queue.pop() else {
                return Err(Broken::new("time_goes_on", "nothing is going to happen any more"));
            };
            self.now = at;
            self.clients.set_now(at);
            self.trace.at(at);
            if self.queue.queued() > MOST_EVENTS {
                return Err(Broken::new(
                    "idle_means_asleep",
                    format!("{MOST_EVENTS} events, and now {event:?}"),
                ));
            }
            self.happen(event)?;
        }
        self.coverage.add("events", self.queue.queued());
        self.coverage.add("virtual milliseconds", self.now / MS);
        Ok(())
    }

    /// Schedules an event after a delay.
    pub fn after(&mut self, delay: Micros, event: Event) {
        self.queue.push(self.now + delay, event);
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        if let Event::Round { server, life, .. }
        | Event::GroupTick { server, life, .. }
        | Event::Tick { server, life }
        | Event::KeepingDue { server, life }
        | Event::TimeDue { server, life } = event
        {
            if !self.is_alive(server, life) {
                return Ok(());
            }
            // A paused server does nothing: its events wait until it resumes.
            if let Some(until) = self.paused_until(server) {
                self.after(until - self.now, event);
                return Ok(());
            }
        }
        match event {
            Event::Round { server, thread, .. } => return self.round(server, thread),
            Event::GroupTick { server, group, .. } => return self.group_tick(server, group),
            Event::Tick { server, .. } => self.tick(server),
            Event::KeepingDue { server, .. } => self.keeping_due(server),
            Event::TimeDue { server, .. } => self.time_due(server),
            Event::Arrive(flight) => return self.arrive(flight),
            Event::Connect { a, b, group } => return self.connect(a, b, group),
            Event::ClientStarts(client) => self.client_starts(client),
            Event::Asked(sending) => self.asked(sending),
            Event::Replied { connection, bytes, executed } => {
                return self.replied(connection, &bytes, executed);
            }
            Event::Ended { server, token, told } => return self.ended(server, token, told),
            Event::ClientGivesUp { client, batch } => return self.client_gives_up(client, batch),
            Event::Fault(number) => {
                self.strike(number);
                return self.begin_trial(number);
            }
            Event::FaultEnds(number) => {
                self.fault_ends(number);
                return self.end_trial(number);
            }
            Event::Flap { server, each, until, cut } => self.flap(server, each, until, cut),
            Event::AskPromptly => return self.ask_promptly(),
            Event::AskForLeases => self.ask_for_leases(),
            Event::Resume(server) => self.resume(server),
            Event::PowerFails(server) => self.power_fails(server),
            Event::Start(server) => return self.start(server),
            Event::FollowerStarts => return self.start_follower(),
            Event::FollowerRound { life } => return self.follower_round(life),
            Event::NewcomersJoin => self.let_newcomers_join(),
            Event::NewcomerDies(server) => self.newcomer_dies(server),
            Event::Script(step) => return self.script(step),
        }
        Ok(())
    }

    /// Places for the groups of all epochs.
    pub fn groups(&self) -> usize {
        usize::from(self.plan.places)
    }

    /// Whether a server runs and has the group at this place.
    pub fn has_group(&self, id: u64, group: usize) -> bool {
        self.servers[id as usize - 1].running.as_ref().is_some_and(|it| it.machine.has_group(group))
    }

    /// Links between two servers: the groups', and by the last index the one for snapshots.
    pub fn links(&self) -> usize {
        self.groups() + 1
    }

    pub fn server(&mut self, id: u64) -> &mut Server {
        &mut self.servers[id as usize - 1]
    }

    pub fn is_running(&self, id: u64) -> bool {
        match self.servers.get(id as usize - 1) {
            Some(server) => server.running.is_some(),
            None => self.follower.as_ref().is_some_and(|follower| follower.running.is_some()),
        }
    }

    /// Number of a server's current or last life.
    pub(crate) fn life_of(&self, id: u64) -> u64 {
        let follower = || self.follower.as_ref().expect("all others are members").life;
        self.servers.get(id as usize - 1).map_or_else(follower, |server| server.life)
    }

    /// Sets the clocks of a server to what they show now.
    pub(crate) fn set_clock(&mut self, id: u64) {
        let now = self.now;
        match self.servers.get_mut(id as usize - 1) {
            Some(server) => server.set_clock(now),
            None => {
                let follower = self.follower.as_mut().expect("all others are members");
                follower.set_clock(now, WallClock::default().shows(now));
            }
        }
    }

    pub(crate) fn is_alive(&self, id: u64, life: u64) -> bool {
        self.is_running(id) && self.life_of(id) == life
    }

    /// What the clients of a server reach, if it runs.
    pub(crate) fn callers(&mut self, id: u64) -> Option<&mut Callers> {
        match self.servers.get_mut(id as usize - 1) {
            Some(server) => server.running.as_mut().map(|running| &mut running.callers),
            None => self.follower.as_mut()?.running.as_mut().map(|running| &mut running.callers),
        }
    }
}
