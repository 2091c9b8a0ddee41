//! One simulated server: its process, while it runs, and what outlives it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use niagara_engine::internals::sim::{Clock, Environment, ManualClock, SimServer};
use niagara_engine::internals::snapshot::Header;
use niagara_engine::{Completion, Config, Port, StartError, Wake};
use niagara_log::Files;
use niagara_net::Event as NetEvent;

use super::events::{Event, Thread};
use crate::parts::disk::Disk;
use crate::parts::joining::Joining;
use crate::parts::network::Micros;
use crate::recording::{Observable, Observed, Recording};

/// A server, running or not.
pub(super) struct Server<S: Observable> {
    pub id: u64,
    pub disk: Disk,
    /// Number of its current or last life; events of an earlier one are void.
    pub life: u64,
    pub is_paused: bool,
    /// It is to start when its disk works.
    pub awaits_disk: bool,
    /// What would have happened during the pause, in order.
    pub held: Vec<Event>,
    pub running: Option<Running<S>>,
    /// Whether it does not run: it is no member yet, or was removed.
    pub is_out: bool,
    /// What it has received of a cluster that it joins, until it has started.
    first_state: Option<(Arc<Header>, Vec<u8>)>,
    /// Places for the groups of all epochs.
    groups: usize,
    config: Config,
    clock: Arc<ManualClock>,
    /// The rate of its clock, in percent.
    rate: u64,
    /// Real time, and what its clock showed then, in microseconds times 100.
    looked: (Micros, u64),
    election_seed: u64,
}

/// A server's process.
pub(super) struct Running<S: Observable> {
    pub machine: SimServer<Recording<S>>,
    pub observed: Arc<Mutex<Observed<S>>>,
    /// Unhandled events of each group's links, and of those for snapshots.
    pub inbox: Vec<VecDeque<NetEvent>>,
    /// The threads with a scheduled round, a [bit](Thread::bit) for each.
    pub scheduled: u64,
    /// When the clock wakes the snapshots thread, if that is planned.
    pub keeping_at: Option<Micros>,
    /// Calls that its callers' thread has yet to make, by token.
    pub asked: Vec<u64>,
    pub port: Port<Recording<S>>,
    pub completions: Vec<Completion<S::Reply>>,
}

/// No simulated thread sleeps.
pub(super) struct NeverAsleep;

impl Wake for NeverAsleep {
    fn wake(&self) {}
}

impl<S: Observable> Server<S> {
    pub fn new(mut config: Config, groups: usize, disk: Disk, election_seed: u64, is_out: bool) -> Server<S> {
        let id = config.server;
        config.data_dir = format!("server-{id}").into();
        Server {
            id,
            disk,
            life: 0,
            is_paused: false,
            awaits_disk: false,
            held: Vec::new(),
            running: None,
            is_out,
            first_state: None,
            groups,
            config,
            clock: Arc::new(ManualClock::new()),
            rate: 100,
            looked: (0, 0),
            election_seed,
        }
    }

    /// Starts its process.
    pub fn start(&mut self, state: Recording<S>) -> Result<(), StartError> {
        let files: Arc<dyn Files> = Arc::new(self.disk.clone());
        let environment = Environment {
            boot: self.id << 32 | self.life,
            clock: Clock::Manual(Arc::clone(&self.clock)),
            files,
            prepare_beside: false,
            election_seed: Some(self.election_seed ^ self.life << 8),
        };
        let observed = state.observed();
        let machine = match &self.first_state {
            Some((header, file)) => {
                SimServer::open_newcomer(&self.config, &environment, state, (Arc::clone(header), file))?
            }
            None => SimServer::open(&self.config, &environment, state)?,
        };
        self.first_state = None;
        self.running = Some(Running {
            observed,
            inbox: vec![VecDeque::new(); self.groups + 1],
            scheduled: 0,
            keeping_at: None,
            asked: Vec::new(),
            port: machine.client().port(Arc::new(NeverAsleep)),
            completions: Vec::new(),
            machine,
        });
        Ok(())
    }

    /// Joins a running cluster at its next start.
    pub fn joins(&mut self, Joining { epoch, first_state }: Joining) {
        self.config.join = Some(epoch);
        self.first_state = Some(first_state);
        self.is_out = false;
    }

    /// The highest level that its next process knows.
    pub fn set_known_level(&mut self, level: u32) {
        self.config.known_level = level;
    }

    /// Sets its clock to what it shows at this moment.
    pub fn look_at_clock(&mut self, now: Micros) {
        let (then, shown) = self.looked;
        self.looked = (now, shown + (now - then) * self.rate);
        self.clock.set(Duration::from_micros(self.looked.1 / 100));
    }

    /// Changes the rate of its clock, from now on; returns whether it had another one.
    pub fn set_rate(&mut self, now: Micros, percent: u64) -> bool {
        self.look_at_clock(now);
        std::mem::replace(&mut self.rate, percent) != percent
    }

    /// How long it really takes until its clock has advanced so far.
    pub fn really(&self, shown: Duration) -> Micros {
        (shown.as_micros() as u64 * 100).div_ceil(self.rate).max(1)
    }

    /// A tick of its clock, in real time.
    pub fn tick(&self) -> Micros {
        self.really(self.config.tick)
    }

    /// The threads that have work and no scheduled round; from now on they have one.
    pub fn wake(&mut self) -> Vec<Thread> {
        let (groups, hangs) = (self.groups, self.disk.hangs());
        let Some(running) = &mut self.running else { return Vec::new() };
        let has_work = |thread: &Thread| {
            let is_free = running.scheduled & thread.bit(groups) == 0 && !(hangs && thread.uses_disk());
            is_free && running.wants(*thread)
        };
        let woken: Vec<Thread> = Thread::all(groups).filter(has_work).collect();
        running.scheduled |= woken.iter().fold(0, |bits, thread| bits | thread.bit(groups));
        woken
    }
}

impl<S: Observable> Running<S> {
    /// Whether a thread has work, so that it would not sleep.
    fn wants(&self, thread: Thread) -> bool {
        match thread {
            Thread::Group(group) => {
                self.machine.has_group(group)
                    && (!self.inbox[group].is_empty() || self.machine.wants_turn(group))
            }
            Thread::Log(group) => self.machine.has_writes(group),
            Thread::Sequencer => self.machine.wants_merge(),
            Thread::Application => self.machine.wants_execution(),
            Thread::Snapshots => {
                self.inbox.last().is_some_and(|inbox| !inbox.is_empty()) || self.machine.wants_keeping()
            }
            Thread::Callers => !self.asked.is_empty() || self.port.has_completions(),
        }
    }

    /// Gives a group the events of its links.
    pub fn read_inbox(&mut self, group: usize) {
        while let Some(event) = self.inbox[group].pop_front() {
            self.machine.handle(group, event);
        }
    }
}
