//! A server without threads: its logs opened, its parts put together. [`Engine`](super::Engine) adds threads and
//! sockets; a simulator drives the same parts by hand.

use std::sync::Arc;

use niagara_sequencer::Layout;

use super::application::{Application, Executor, Work};
use super::assembly::StartError;
use super::board::Board;
use super::replica::{Replica, ReplicaShare};
use super::sequencer::Sequencer;
use super::shared::Shared;
use super::thread::Bell;
use crate::apply::Ledger;
use crate::batch::EntryFill;
use crate::clock::Clock;
use crate::config::Config;
use crate::group::{Driver, DriverConfig, SlotIndex};
use crate::lane::{Lane, LaneQueue, Limits, Origin};
use crate::log::{self, Files, LogConfig, LogStore, LogWriter, Replayed};
use crate::metrics::Metrics;
use crate::planted::{self, Bug};
use crate::read_gate::ReadGate;
use crate::state_machine::StateMachine;

/// What a server takes from the world around it, apart from messages.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Which of the server's lives this is: raised with each start, and durable before it.
    pub incarnation: u64,
    /// A number that no other start of any server has.
    pub boot: u64,
    /// The time, for deadlines.
    pub clock: Clock,
    /// Where the logs are.
    pub files: Arc<dyn Files>,
    /// Whether threads prepare log segments beside the writes.
    pub prepare_beside: bool,
    /// Election time-outs are drawn at random for each election, or follow from this seed, one for each replica.
    pub election_seed: Option<u64>,
}

/// The parts of a server.
pub(crate) struct Parts<S: StateMachine> {
    pub shared: Arc<Shared<S>>,
    pub groups: Vec<GroupParts>,
    pub sequencer: Sequencer,
    pub application: Application<S>,
    /// Wakes the sequencer's thread.
    pub bell: Arc<Bell>,
}

/// The parts of one group.
pub(crate) struct GroupParts {
    pub replica: Replica,
    pub store: LogStore,
    pub writer: LogWriter,
}

/// One group's log and what follows from it.
struct OpenGroup {
    driver: Driver<LogStore>,
    store: LogStore,
    writer: LogWriter,
    queue: Arc<LaneQueue>,
}

impl<S: StateMachine> Parts<S> {
    /// Opens the logs. The state machine begins empty, and is to execute the whole log again.
    pub fn open(config: &Config, outside: &Outside, state: S) -> Result<Parts<S>, StartError> {
        let layout = Layout::new(config.groups());
        let board = Arc::new(Board::new(usize::from(config.groups())));
        let open = |group| open_group(config, group, outside);
        let groups = (0..config.groups()).map(open).collect::<Result<Vec<_>, _>>()?;
        groups.iter().for_each(|group| board.raise_level(group.driver.level()));
        let queues = groups.iter().map(|group| Arc::clone(&group.queue));
        let shared = Arc::new(share(config, &outside.clock, layout, &board, queues, state.reader()));
        let bell = Arc::<Bell>::default();
        let mut stores: Vec<LogStore> = groups.iter().map(|group| group.store.clone()).collect();
        if planted::is(Bug::MergeOrderAfterRestart) && outside.incarnation > 1 {
            stores.rotate_left(1);
        }
        let sequencer = Sequencer::new(
            layout,
            stores,
            Arc::clone(&board),
            Arc::clone(&shared.reads),
            Arc::clone(&shared.metrics),
            config.tick,
        );
        let application = application(config, outside.incarnation, state, &shared);
        let groups = groups.into_iter().enumerate().map(|(index, group)| {
            let OpenGroup { driver, store, writer, queue } = group;
            let share = ReplicaShare {
                server: config.server,
                queue,
                board: Arc::clone(&board),
                reads: Arc::clone(&shared.reads),
                sequencer: Arc::clone(&bell),
                metrics: shared.metrics.groups[index].clone(),
            };
            GroupParts { replica: Replica::new(index, driver, share), store, writer }
        });
        Ok(Parts { groups: groups.collect(), shared, sequencer, application, bell })
    }
}

fn application<S: StateMachine>(
    config: &Config,
    incarnation: u64,
    state: S,
    shared: &Shared<S>,
) -> Application<S> {
    let servers: Vec<u64> = config.members.iter().map(|member| member.server).collect();
    let executor = Executor {
        state,
        server: config.server,
        incarnation,
        ledger: Ledger::new(&servers, config.groups()),
        lanes: Arc::clone(&shared.lanes),
        board: Arc::clone(&shared.board),
        executed: Arc::clone(&shared.executed),
        metrics: Arc::clone(&shared.metrics),
    };
    Application { executor, reads: Arc::clone(&shared.reads), work: Work::default() }
}

fn share<S: StateMachine>(
    config: &Config,
    clock: &Clock,
    layout: Layout,
    board: &Arc<Board>,
    queues: impl Iterator<Item = Arc<LaneQueue>>,
    reader: S::Reader,
) -> Shared<S> {
    let limits = Limits { commands: config.lane_commands, bytes: config.lane_bytes };
    let metrics = Arc::new(Metrics::new(config.groups()));
    // Raft drops a question silently; a leader answers within a heartbeat or so, or not at all.
    let retry_ticks = 3 * config.heartbeat_ticks;
    Shared {
        server: config.server,
        cluster: config.cluster,
        durability: config.durability.name(),
        command_bytes: config.command_bytes,
        deadline: config.deadline,
        clock: clock.clone(),
        leaderless_ticks: 4 * config.election_ticks,
        lanes: Arc::new(queues.map(|queue| Lane::new(queue, limits)).collect()),
        board: Arc::clone(board),
        reads: Arc::new(ReadGate::new(layout, Arc::clone(board), Arc::clone(&metrics), retry_ticks)),
        executed: Arc::default(),
        metrics,
        reader,
    }
}

fn open_group(config: &Config, group: u16, outside: &Outside) -> Result<OpenGroup, StartError> {
    let number = group + 1;
    let (store, writer, slots) = open_log(config, group, outside)?;
    let hard_state = store.hard_state();
    if hard_state.commit > store.last_index() {
        let (last, commit) = (store.last_index(), hard_state.commit);
        return Err(StartError::LostEntries { group: number, last, commit });
    }
    let mut voters: Vec<u64> = config.members.iter().map(|member| member.server).collect();
    voters.sort_unstable();
    let election = config.election_ticks;
    let driver_config = DriverConfig {
        server: config.server,
        lane: group,
        wanted_leader: voters[usize::from(group) % voters.len()],
        voters,
        boot: outside.boot,
        heartbeat_ticks: config.heartbeat_ticks,
        election_ticks: election,
        // Above the lease (`election_ticks`), so that a server that stands back can hold its clock between the two.
        campaign_ticks: match outside.election_seed {
            None => election + 1..2 * election,
            Some(seed) => {
                let at = election + 1 + (spread(seed ^ u64::from(number)) % u64::from(election - 1)) as u32;
                at..at + 1
            }
        },
        window: config.window,
        entry_bytes: config.entry_bytes,
        foreign_bytes: config.lane_bytes,
    };
    let origin = Origin { server: config.server, incarnation: outside.incarnation, lane: group };
    let queue = Arc::new(LaneQueue::new(origin, config.entry_bytes));
    let driver = Driver::new(driver_config, store.clone(), hard_state, slots);
    Ok(OpenGroup { driver, store, writer, queue })
}

/// A number that differs in all bits for seeds that are neighbours (the finaliser of SplitMix64).
fn spread(seed: u64) -> u64 {
    let bits = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Opens the log, and learns from its entries which slots they fill.
fn open_log(
    config: &Config,
    group: u16,
    outside: &Outside,
) -> Result<(LogStore, LogWriter, SlotIndex), StartError> {
    let number = group + 1;
    let id = crc32fast::hash(format!("{:032x}/{}/{number}", config.cluster, config.server).as_bytes());
    let dir = config.data_dir.join(format!("group-{number}"));
    let mut log_config = LogConfig::new(dir, config.durability, u64::from(id) << 16 | u64::from(number));
    log_config.segment_bytes = config.segment_bytes;
    log_config.cache_bytes = config.log_cache_bytes;
    log_config.files = Arc::clone(&outside.files);
    log_config.prepare_beside = outside.prepare_beside;
    let mut slots = SlotIndex::default();
    let mut damaged = None;
    let opened = log::open(&log_config, &mut |replayed| match replayed {
        Replayed::Entry(entry) => match EntryFill::of(&entry.context) {
            Ok(fill) => slots.append(entry.index, &fill),
            Err(error) => damaged = Some((entry.index, error)),
        },
        // What the dropped entries had filled says nothing of those that follow.
        Replayed::Reset(_) => slots = SlotIndex::default(),
    });
    let (store, writer) = opened.map_err(|source| StartError::Log { group: number, source })?;
    assert!(damaged.is_none(), "group {number}: checked records hold an impossible entry: {damaged:?}");
    Ok((store, writer, slots))
}
