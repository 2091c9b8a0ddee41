//! One simulated server: its process, while it runs, and what outlives it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use niagara_engine::internals::sim::{Clock, Environment, ManualClock, SimServer};
use niagara_engine::{Config, Member, Reads, StartError, Threads};
use niagara_kvstore::Life;
use niagara_log::{EntryId, Files};
use niagara_net::Event as NetEvent;
use niagara_sequencer::epoch::Epoch;

use super::callers::Callers;
use super::clients::Sending;
use super::disk::Disk;
use super::fault::Power;
use super::plan::{Plan, WallClock};
use super::recorder::Recorder;
use super::witness::Witness;
use niagara_testing::parts::joining::Joining;

/// The engine's clock step, at the right clock rate.
pub const TICK: Duration = Duration::from_millis(20);

/// Kinds of threads of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// The one that drives groups, by the zero-based index of the first.
    Group(usize),
    /// That of their logs, likewise.
    Log(usize),
    /// The sequencer's.
    Sequencer,
    /// The application's.
    Application,
    /// The front ends'.
    Front,
    /// The one that keeps the snapshots.
    Snapshots,
}

impl Thread {
    /// Its bit in a set of threads.
    pub fn bit(self, groups: usize) -> u64 {
        1 << match self {
            Thread::Group(group) => group,
            Thread::Log(group) => groups + group,
            Thread::Sequencer => 2 * groups,
            Thread::Application => 2 * groups + 1,
            Thread::Front => 2 * groups + 2,
            Thread::Snapshots => 2 * groups + 3,
        }
    }

    /// All threads of a server.
    pub fn all(plan: &Plan) -> Rc<[Thread]> {
        let groups = usize::from(plan.places);
        let first = (0..groups).filter(|group| plan.groups_beside(*group).start == *group);
        let of_groups = first.flat_map(|group| [Thread::Group(group), Thread::Log(group)]);
        of_groups.chain([Thread::Sequencer, Thread::Application, Thread::Front, Thread::Snapshots]).collect()
    }
}

/// A server, running or not.
pub struct Server {
    /// Server id.
    pub id: u64,
    /// Its disk.
    pub disk: Disk,
    /// Number of its current or last life; events of an earlier one are void.
    pub life: u64,
    /// How many times as long everything takes.
    pub slowness: u64,
    /// How many times as long syncs take.
    pub disk_slowness: u64,
    /// Whether its state machine hangs.
    pub application_hangs: bool,
    /// Until when threads of groups get no turn, by their first group.
    pub groups_hang_until: BTreeMap<usize, u64>,
    /// Until when it is paused.
    pub paused_until: Option<u64>,
    /// What clients have sent during the pause, in order.
    pub held: Vec<Sending>,
    /// The bit that was flipped on its disk.
    pub flipped: Option<(std::path::PathBuf, usize, u8)>,
    /// Number of snapshots on its disk with a flipped bit.
    pub rotten: usize,
    /// What follows when the disk ends its process: what the power does, and how long the server is down.
    pub after_disk: Option<(Power, u64)>,
    /// Whether a start is scheduled.
    pub is_starting: bool,
    /// Whether it is no member: it has yet to come, was removed, or has lost its disk and is to be removed.
    pub is_out: bool,
    /// What it starts with when it joins.
    pub joining: Option<Joining>,
    /// Its process.
    pub running: Option<Running>,
    /// How it is configured.
    pub config: Config,
    /// Number of groups in all epochs together.
    groups: usize,
    /// The epoch that it executed in when last looked at.
    pub epoch: Epoch,
    clock: Arc<ManualClock>,
    /// What its clock shows.
    time: u64,
    /// Rate of its clock, in percent.
    clock_rate: u64,
    /// The clock that people set.
    wall: WallClock,
    /// How long its machine has slept, in microseconds.
    pub slept: u64,
    boot_seed: u64,
}

/// A server's process.
pub struct Running {
    /// The engine.
    pub machine: SimServer<Recorder>,
    /// Unhandled events of each group's links, and of those for snapshots.
    pub inbox: Vec<VecDeque<NetEvent>>,
    /// The threads with a scheduled round, a [bit](Thread::bit) for each.
    pub scheduled: u64,
    /// For each group, the last entry when last checked.
    pub last: Vec<EntryId>,
    /// When the clock wakes the snapshots thread, if that is planned.
    pub keeping_at: Option<u64>,
    /// When the clock wakes the front end, if that is planned.
    pub time_at: Option<u64>,
    /// For each group, the server to which leadership is being transferred.
    pub transferees: Vec<u64>,
    /// For each group, where the log began when last looked at.
    pub floors: Vec<u64>,
    /// What its clients reach.
    pub callers: Callers,
    /// What its state machine has done.
    pub witness: Witness,
}

/// So many bytes are kept for subscribers that lag.
const SUBSCRIPTION_BYTES: usize = 2 << 10;

impl Server {
    /// A server that has never run.
    pub fn new(id: u64, plan: &Plan, disk: Disk, boot_seed: u64) -> Server {
        let addresses = vec!["simulated:0".to_owned(); usize::from(plan.groups)];
        let is_spare = id > plan.founders();
        let member = |server| Member { server, addresses: addresses.clone(), transfer: addresses[0].clone() };
        let members = if is_spare { id..=id } else { 1..=plan.founders() };
        let mut config = Config::new(0xc1, id, members.map(member).collect());
        config.data_dir = format!("server-{id}").into();
        config.durability = plan.durability;
        config.first_level = plan.first_level;
        config.reads = if plan.leases { Reads::Lease } else { Reads::Quorum };
        config.tick = TICK;
        config.deadline = Duration::from_micros(plan.deadline);
        config.entry_bytes = plan.sizes.entry;
        config.command_bytes = plan.sizes.command;
        config.lane_bytes = plan.sizes.lane;
        config.send_queue_bytes = plan.sizes.send_queue;
        config.window = plan.sizes.window;
        config.threads = Threads::Count(plan.group_threads);
        config.lane_commands = plan.lane_commands;
        config.segment_bytes = plan.segment_bytes;
        config.log_cache_bytes = plan.log_cache_bytes;
        config.snapshot_entries = plan.snapshot_entries;
        config.snapshot_piece_bytes = plan.piece_bytes;
        config.snapshot_pin_bytes = plan.pin_bytes;
        config.unsynced_bytes = plan.unsynced_bytes;
        config.merge_bytes = plan.merge_bytes;
        config.behind_bytes = plan.behind_bytes;
        config.subscription_bytes = SUBSCRIPTION_BYTES;
        if !plan.direct {
            disk.forbid_direct_writes();
        }
        Server {
            id,
            disk,
            life: 0,
            slowness: 1,
            disk_slowness: 1,
            application_hangs: false,
            groups_hang_until: BTreeMap::new(),
            paused_until: None,
            held: Vec::new(),
            flipped: None,
            rotten: 0,
            after_disk: None,
            is_starting: false,
            is_out: is_spare,
            joining: None,
            running: None,
            config,
            groups: plan.places.into(),
            epoch: Epoch::FIRST,
            clock: Arc::new(ManualClock::new()),
            time: 0,
            clock_rate: plan.clock_rates[id as usize - 1],
            wall: plan.wall_clocks[id as usize - 1],
            slept: 0,
            boot_seed,
        }
    }

    /// Starts its process with another list of members.
    pub fn start_with(&mut self, members: Vec<Member>) -> Result<(), StartError> {
        let before = std::mem::replace(&mut self.config.members, members);
        let started = self.start();
        self.config.members = before;
        started
    }

    /// Where it is.
    pub fn own_entry(&self) -> &Member {
        let mut members = self.config.members.iter();
        members.find(|member| member.server == self.id).expect("a configuration lists its server")
    }

    /// The servers of the cluster, as its configuration lists them.
    pub fn members(&self) -> &[Member] {
        &self.config.members
    }

    /// Starts its process.
    pub fn start(&mut self) -> Result<(), StartError> {
        self.life += 1;
        self.is_starting = false;
        self.groups_hang_until.clear();
        let clock = Clock::Manual(Arc::clone(&self.clock));
        let files: Arc<dyn Files> = Arc::new(self.disk.clone());
        let environment = Environment {
            boot: self.id << 32 | self.life,
            clock: clock.clone(),
            files,
            prepare_beside: false,
            election_seed: Some(self.boot_seed ^ self.life << 8),
        };
        let state = Recorder::default();
        let records = state.records();
        let machine = match &self.joining {
            None => SimServer::open(&self.config, &environment, state)?,
            Some(Joining { epoch, first_state: (header, file) }) => {
                self.config.join = Some(epoch.clone());
                SimServer::open_newcomer(&self.config, &environment, state, (Arc::clone(header), file))?
            }
        };
        self.joining = None;
        let client = machine.client();
        let life = Life::new(environment.boot).expect("servers are numbered from 1");
        let groups = self.groups;
        let mut last = vec![EntryId::default(); groups];
        let mut floors = vec![0; groups];
        for group in (0..groups).filter(|group| machine.has_group(*group)) {
            let (floor, end) = machine.log(group).ends();
            (last[group], floors[group]) = (end, floor.index);
        }
        self.running = Some(Running {
            callers: Callers::new(&client, life, clock),
            witness: Witness::new(&client, records),
            inbox: vec![VecDeque::new(); groups + 1],
            scheduled: 0,
            last,
            keeping_at: None,
            time_at: None,
            transferees: vec![0; groups],
            floors,
            machine,
        });
        Ok(())
    }

    /// Flips a bit back that is in a log of an ended epoch, which this start does not use.
    pub fn forgive_unused_log(&mut self) {
        let Some((path, ..)) = &self.flipped else { return };
        let number = |of: &str| {
            let mut names = path.iter().filter_map(|name| name.to_str());
            names.find_map(|name| name.strip_prefix(of)?.parse::<usize>().ok())
        };
        let log = (number("epoch-").unwrap_or(1) as u32, number("group-"));
        let running = self.running.as_ref().expect("just started");
        let mut used = (0..self.groups).filter(|group| running.machine.has_group(*group));
        let is_used = used.any(|group| {
            let (epoch, index) = running.machine.epoch_and_group(group);
            (epoch.get(), Some(index + 1)) == log
        });
        if !is_used && let Some(flipped) = self.flipped.take() {
            self.disk.flip_back(&flipped);
        }
    }

    /// Whether a thread waits for something that hangs.
    pub fn hangs(&self, thread: Thread) -> bool {
        match thread {
            Thread::Log(_) | Thread::Snapshots => self.disk.hangs(),
            Thread::Application => self.application_hangs,
            Thread::Group(first) => self.group_hangs_until(first) > self.time,
            Thread::Sequencer | Thread::Front => false,
        }
    }

    /// Until when this thread of groups last got no turn, or will.
    pub fn group_hangs_until(&self, first: usize) -> u64 {
        self.groups_hang_until.get(&first).copied().unwrap_or(0)
    }

    /// Schedules a round for those of these threads that have work, and adds them to `woken`.
    pub fn wake(&mut self, threads: &[Thread], woken: &mut Vec<Thread>) {
        let groups = self.groups;
        let Some(running) = &self.running else { return };
        // In the order of the checks' cost: this is done after every event.
        woken.extend(threads.iter().filter(|thread| {
            running.scheduled & thread.bit(groups) == 0 && running.wants(**thread) && !self.hangs(**thread)
        }));
        let bits = woken.iter().fold(0, |bits, thread| bits | thread.bit(groups));
        self.running.as_mut().expect("just seen").scheduled |= bits;
    }

    /// Sets its clock.
    pub fn set_clock(&mut self, now: u64) {
        if std::mem::replace(&mut self.time, now) != now {
            self.clock.set(Duration::from_micros(now));
            // Machines were started at different times, and their clocks run at different rates.
            let shown = |micros: u64| Duration::from_nanos(micros * 10 * self.clock_rate);
            let started_before = Duration::from_secs(3600) * self.id as u32;
            self.clock.set_boot_time(started_before + shown(now), shown(self.slept));
            let wall = self.wall.shows(now);
            if let Some(running) = &mut self.running {
                running.callers.set_wall(wall);
            }
        }
    }
}

impl Running {
    /// Whether a thread has work, so that it would not sleep.
    pub fn wants(&self, thread: Thread) -> bool {
        match thread {
            Thread::Group(first) => self.beside(first).any(|group| self.group_wants(group)),
            Thread::Log(first) => self.beside(first).any(|group| self.machine.has_writes(group)),
            Thread::Sequencer => self.machine.wants_merge(),
            Thread::Application => self.machine.wants_execution(),
            Thread::Snapshots => {
                let has_mail = self.inbox.last().is_some_and(|inbox| !inbox.is_empty());
                let supplies = self.machine.supply_due().is_some_and(|due| due.is_zero());
                has_mail || supplies || self.machine.wants_keeping()
            }
            Thread::Front => self.callers.wants_turn(),
        }
    }

    /// How long the snapshots thread would sleep; `None` if only a wake-up ends its sleep.
    pub fn keeping_due(&self) -> Option<Duration> {
        [self.machine.keeping_due(), self.machine.supply_due()].into_iter().flatten().min()
    }

    fn group_wants(&self, group: usize) -> bool {
        self.machine.has_group(group) && self.has_work(group)
    }

    fn has_work(&self, group: usize) -> bool {
        !self.inbox[group].is_empty() || self.machine.wants_turn(group)
    }

    /// The groups on the thread that drives this one.
    pub fn beside(&self, group: usize) -> Range<usize> {
        self.machine.groups_beside(group)
    }

    /// Those of the groups on a thread that this server has.
    pub fn here_beside(&self, first: usize) -> impl Iterator<Item = usize> {
        self.beside(first).filter(|group| self.machine.has_group(*group))
    }

    /// Those of the groups on a thread that have work for its round. One that is alone always has a turn. A
    /// planted bug may have blocked some.
    pub fn due_beside(&self, first: usize) -> Vec<usize> {
        let is_alone = self.beside(first).len() == 1;
        let due = |group: &usize| is_alone || self.group_wants(*group);
        self.here_beside(first).filter(due).filter(|group| !self.machine.is_blocked(*group)).collect()
    }

    /// Gives a group the events of its links.
    pub fn read_inbox(&mut self, group: usize) {
        while let Some(event) = self.inbox[group].pop_front() {
            self.machine.handle(group, event);
        }
    }

    /// Groups that the server has made since the last call.
    pub fn take_new_groups(&mut self) -> Vec<usize> {
        let groups = self.machine.take_new_groups();
        for group in &groups {
            let (floor, end) = self.machine.log(*group).ends();
            (self.last[*group], self.floors[*group]) = (end, floor.index);
        }
        groups
    }
}
