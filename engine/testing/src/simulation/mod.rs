//! A simulated cluster: the production engine in virtual time, in one thread.
//!
//! Every round of every thread of every server is a separate event, so that anything can happen between any
//! two of them. The order follows from the seed.
//!
//! | file | holds |
//! |---|---|
//! | `settings.rs` | how a cluster is set up |
//! | `calls.rs` | what callers ask of servers, and what they are told |
//! | `checks.rs` | that servers are equal, and reach the same |
//! | `faults.rs` | cuts, crashes, pauses and clocks: called for, or drawn at random |
//! | `disks.rs` | disks that fill up, hang and fail |
//! | `events.rs`, `rounds.rs`, `links.rs`, `lives.rs` | what happens, and what follows: rounds of threads, messages, starts and ends |
//! | `members.rs` | servers that come and leave |
//! | `follower.rs` | a server that follows the members |
//! | `server.rs` | a server's process, and what outlives it |

mod calls;
mod checks;
mod disks;
mod events;
mod faults;
mod follower;
mod links;
mod lives;
mod members;
mod rounds;
mod server;
mod settings;

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use self::calls::{Answer, Call, Outcome};
use self::calls::{Asked, Told};
use self::events::Event;
use self::follower::FollowerLife;
use self::server::Server;
pub use self::settings::Settings;
use crate::failure::{Failure, Found};
use crate::history::History;
use crate::parts::chance::Chance;
use crate::parts::disk::Disk;
use crate::parts::network::{Micros, Network};
use crate::parts::queue::Queue;
use crate::recording::{Observable, SharedHistory, lock};
use crate::seeds::replay;

/// Lines of the trace that a failure shows.
const LINES_SHOWN: usize = 20;

/// A cluster that runs your state machine in virtual time, with faults, and checks it.
///
/// Nothing happens by itself: time passes in [`run_for`](Simulation::run_for), and in the methods that say
/// so. After each event these are checked:
///
/// * All servers reply alike to the same command at the same position, hold equal digests there, and encode
///   equal states, however commands are grouped into calls of `apply`.
/// * A state restored from a snapshot encodes to that snapshot, and a frozen view does not change.
/// * Each acknowledged command stays executed, as often as it was proposed, in one order on all servers, and
///   a strong read sees all that was acknowledged before it began.
///
/// Here `Counter` is a state machine of yours, which counts commands:
///
/// ```
/// # use niagara_engine::internals::example::Counter;
/// use niagara_testing::{Failure, Simulation};
/// use std::sync::atomic::Ordering::SeqCst;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Failure> {
/// let mut simulation = Simulation::new(42, 3, 2, |_server| Counter::default());
/// assert_eq!(simulation.execute(1, "count")?.reply, 1);
///
/// // Server 3 misses a command, crashes, and catches up.
/// simulation.cut(1, 3);
/// simulation.cut(2, 3);
/// assert_eq!(simulation.execute(1, "count")?.reply, 2);
/// simulation.crash(3);
/// simulation.heal();
/// simulation.restart(3);
/// simulation.run_for(Duration::from_secs(2))?;
/// assert_eq!(simulation.query(3, |count| count.load(SeqCst))?, 2);
/// simulation.check_equal()?;
/// # Ok(())
/// # }
/// ```
pub struct Simulation<S: Observable> {
    settings: Settings,
    make: Box<dyn Fn(u64) -> S>,
    now: Micros,
    /// For the order of events.
    chance: Chance,
    /// For faults that are drawn at random.
    chance_of_faults: Chance,
    /// How often faults were told to end: those drawn before do not strike any more.
    season: u64,
    servers: Vec<Server<S>>,
    follower: Option<FollowerLife<S>>,
    network: Network,
    queue: Queue<Event>,
    history: SharedHistory<S::Reply>,
    /// Calls without an outcome, by token.
    asked: BTreeMap<u64, Asked<S>>,
    told: Told<S::Reply>,
    trace: String,
    failed: Option<Failure>,
}

impl<S: Observable> Simulation<S> {
    /// A cluster of so many servers and groups with [default settings](Settings), and a state machine from
    /// `make` for each server's process. Servers are numbered from 1.
    ///
    /// # Panics
    /// If there is no server, no group, or more than 30 groups.
    pub fn new(seed: u64, servers: u64, groups: u16, make: impl Fn(u64) -> S + 'static) -> Simulation<S> {
        Simulation::with(Settings::new(seed, servers, groups), make)
    }

    /// A cluster with settings of your own.
    ///
    /// # Panics
    /// If the settings' configuration cannot work, or its durability is
    /// [`Memory`](niagara_engine::Durability::Memory), with which no server survives a crash.
    pub fn with(settings: Settings, make: impl Fn(u64) -> S + 'static) -> Simulation<S> {
        settings.check();
        let mut chance = Chance::new(settings.seed);
        let (servers, groups) = (settings.config.members.len() as u64, settings.most_groups);
        let network = Network::new(chance.fork(1), settings.weather, servers, usize::from(groups) + 1);
        let chance_of_faults = chance.fork(2);
        let server = |id| {
            let disk = Disk::new(chance.fork(100 + id));
            let is_out = id > servers - settings.spares;
            Server::new(settings.config_of(id), groups.into(), disk, chance.bits(), is_out)
        };
        let mut simulation = Simulation {
            make: Box::new(make),
            now: 0,
            servers: (1..=servers).map(server).collect(),
            follower: None,
            network,
            queue: Queue::default(),
            history: Arc::new(Mutex::new(History::default())),
            asked: BTreeMap::new(),
            told: Told::default(),
            trace: String::new(),
            failed: None,
            chance_of_faults,
            season: 0,
            chance,
            settings,
        };
        simulation.servers().for_each(|server| simulation.start(server));
        simulation
    }

    /// Lets time pass. Whatever is due within it happens.
    ///
    /// # Errors
    /// What was found, at once. A simulation that has failed stays where it is.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Failure> {
        let until = self.now + time.as_micros() as Micros;
        while self.step(until)? {}
        Ok(())
    }

    /// Lets time pass until something is so; `false` if it is not within a time.
    fn run_until(&mut self, within: Duration, is_so: impl Fn(&Self) -> bool) -> Result<bool, Failure> {
        let until = self.now + within.as_micros() as Micros;
        while !is_so(self) {
            if !self.step(until)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the next event happen, unless that is after this moment: then it is that moment now, and the
    /// result is `false`.
    fn step(&mut self, until: Micros) -> Result<bool, Failure> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        let Some((at, event)) = self.queue.pop_by(until) else {
            self.now = until;
            return Ok(false);
        };
        self.now = at;
        self.happen(event);
        self.look_for_failure()?;
        Ok(true)
    }

    /// Virtual time since the begin.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.now)
    }

    /// Ids of all servers.
    pub fn servers(&self) -> impl Iterator<Item = u64> + use<S> {
        1..=self.servers.len() as u64
    }

    /// Whether a server's process runs, paused or not.
    ///
    /// # Panics
    /// As all methods that name a server, if there is no such server.
    pub fn is_running(&self, server: u64) -> bool {
        self.server(server).running.is_some()
    }

    /// What has happened so far, a line for each event that matters, with seconds of virtual time. The same
    /// seed and the same calls give the same lines, unless the state machine is not deterministic.
    pub fn trace(&self) -> &str {
        &self.trace
    }

    fn server(&self, id: u64) -> &Server<S> {
        let count = self.servers.len();
        let found = id.checked_sub(1).and_then(|at| self.servers.get(at as usize));
        found.unwrap_or_else(|| panic!("there is no server {id}: servers are numbered from 1 to {count}"))
    }

    fn server_mut(&mut self, id: u64) -> &mut Server<S> {
        let count = self.servers.len();
        let found = id.checked_sub(1).and_then(|at| self.servers.get_mut(at as usize));
        found.unwrap_or_else(|| panic!("there is no server {id}: servers are numbered from 1 to {count}"))
    }

    /// Places for the groups of all epochs.
    fn groups(&self) -> usize {
        usize::from(self.settings.most_groups)
    }

    fn after(&mut self, delay: Micros, event: Event) {
        self.queue.push(self.now + delay, event);
    }

    fn note(&mut self, line: &str) {
        let (seconds, micros) = (self.now / 1_000_000, self.now % 1_000_000);
        writeln!(self.trace, "{seconds}.{micros:06}  {line}").expect("strings grow");
    }

    fn fail(&self, found: Found) {
        lock(&self.history).fail(found);
    }

    /// Ends the simulation if something was found.
    fn look_for_failure(&mut self) -> Result<(), Failure> {
        let (news, found) = {
            let mut history = lock(&self.history);
            (std::mem::take(&mut history.news), history.take_found())
        };
        for line in news {
            self.note(&line);
        }
        let Some(found) = found else { return Ok(()) };
        let lines: Vec<&str> = self.trace.lines().collect();
        let trace = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
        let seed = self.settings.seed;
        let failure = Failure { seed, found: Box::new(found), trace, replay: replay(seed) };
        self.failed = Some(failure.clone());
        Err(failure)
    }
}

impl<S: Observable> fmt::Debug for Simulation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running: Vec<u64> = self.servers().filter(|server| self.is_running(*server)).collect();
        let mut shown = f.debug_struct("Simulation");
        shown.field("seed", &self.settings.seed).field("now", &self.now()).field("running", &running);
        shown.finish_non_exhaustive()
    }
}

impl<S: Observable> Drop for Simulation<S> {
    /// A panic, of the state machine or of the test, happens in the midst of a seed: says which.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.settings.seed;
            eprintln!("seed {seed} panics after {:?}; run it again: {}", self.now(), replay(seed));
        }
    }
}
