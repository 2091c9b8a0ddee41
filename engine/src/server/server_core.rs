//! What merges and executes logs, and keeps snapshots: the same on a member, which has logs of its own, and on a follower,
//! which is fed with the members'.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use niagara_log::{Durability, Files, LogStore, SyncMethod};
use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::{Chain, Epoch, Link};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use super::application::Application;
use super::environment::Environment;
use super::executor::{Executor, Work};
use super::sequencer::{Sequencer, SnapshotLimits};
use super::snapshot_manager::{SnapshotManager, SnapshotManagerConfig, SnapshotManagerShare};
use super::start::{RestoredSnapshot, log_directory, open_snapshots, snapshot_files};
use super::start_error::StartError;
use crate::apply::LaneSessions;
use crate::client::Shared;
use crate::clock::Clock;
use crate::config::Config;
use crate::growing::Growing;
use crate::identity::Identity;
use crate::lane::LaneLimits;
use crate::metrics::{Metrics, MetricsCollector};
use crate::planted::{self, Bug};
use crate::probing::Prober;
use crate::progress::{Bell, ByteLimits, RoomWatch, SharedProgress};
use crate::read_gate::ReadGate;
use crate::snapshot::{Handover, Header};
use crate::state_machine::StateMachine;
use crate::subscription::{Feed, FeedLimits};

/// What a server's directory holds: who it is, and its snapshots.
pub(super) struct Opened<S: StateMachine> {
    pub identity: Arc<Identity>,
    pub state: S,
    pub snapshots: RestoredSnapshot<S>,
}

/// Reads the identity, and opens snapshots. A server that has none and needs one fetches it with `fetch` first.
pub(super) fn open_directory<S: StateMachine>(
    config: &Config,
    environment: &Environment,
    mut state: S,
    fetch: impl FnOnce(&Arc<Identity>, &Arc<dyn Files>) -> Result<(), StartError>,
) -> Result<Opened<S>, StartError> {
    let identity = Arc::new(Identity::open(config, &environment.files, environment.boot)?);
    let held = own_state(&mut state, config, &identity)?;
    let files = snapshot_files(config, environment);
    let open = || open_snapshots::<S>(config, Arc::clone(&files), &state.reader(), held);
    let mut snapshots = open()?;
    if snapshots.snapshot.is_none() && (identity.joins() || config.follows()) {
        fetch(&identity, &files)?;
        snapshots = open()?;
    }
    Ok(Opened { identity, state, snapshots })
}

/// The logs that a server continues with.
pub(super) struct FirstLogs {
    /// The epochs that it knows.
    pub chain: Chain,
    /// Progress, beginning with the epoch of the logs.
    pub progress: Arc<SharedProgress>,
    /// How they are made durable.
    pub log_sync: SyncMethod,
    /// One for each group of that epoch.
    pub stores: Vec<LogStore>,
}

/// What merges and executes logs, whether they are this server's own or fed by members, and keeps snapshots.
pub(super) struct Core<S: StateMachine> {
    pub shared: Arc<Shared<S>>,
    pub sequencer: Sequencer,
    pub application: Application<S>,
    pub manager: SnapshotManager<S>,
    pub bell: Arc<Bell>,
}

impl<S: StateMachine> Core<S> {
    /// Continues from the newest snapshot with these logs.
    pub fn new(
        config: &Config,
        environment: &Environment,
        identity: &Arc<Identity>,
        state: S,
        RestoredSnapshot { files, store, snapshot }: RestoredSnapshot<S>,
        FirstLogs { chain, progress, log_sync, stores }: FirstLogs,
    ) -> Core<S> {
        let header = snapshot.as_ref().map(|(header, _)| Arc::clone(header));
        let bell = Arc::<Bell>::default();
        let incarnation = identity.incarnation();
        let clock = &environment.clock;
        let shared = Arc::new(share(config, clock, identity, &progress, log_sync, state.reader(), &bell));
        let handover = Arc::<Handover<S>>::default();
        let share = SnapshotManagerShare {
            progress: Arc::clone(&progress),
            handover: Arc::clone(&handover),
            sequencer: Arc::clone(&bell),
            metrics: Arc::clone(&shared.metrics),
            reader: state.reader(),
            clock: environment.clock.clone(),
            identity: Arc::clone(identity),
        };
        let manager = SnapshotManager::new(manager_config(config, &chain), share, store, files);
        let chain_so_far = chain_until(&chain, progress.epoch().number);
        let sequencer =
            sequencer(config, incarnation, chain_so_far.clone(), stores, &shared, header.as_deref());
        let takes_commands = if config.follows() { 0 } else { incarnation };
        let mut application = application(config, takes_commands, chain_so_far, state, &shared, handover);
        if let Some((header, state)) = snapshot {
            let answers_early = config.join.is_some() && planted::is(Bug::NewcomerAnswersEarly);
            let state = state.filter(|_| !answers_early);
            application.executor.restore(&header, state, &mut application.work);
            application.executor.feed.start_after(header.position());
        }
        Core { shared, sequencer, application, manager, bell }
    }
}

/// What may wait in memory.
pub(super) fn byte_limits(config: &Config) -> ByteLimits {
    ByteLimits { behind: config.behind_bytes, merge: config.merge_bytes as u64 }
}

/// The epochs up to this one.
fn chain_until(chain: &Chain, epoch: Epoch) -> Chain {
    let mut until = Chain::genesis(chain.links()[0].record.terms.clone()).expect("it is a chain");
    for Link { record, .. } in chain.links().iter().skip(1).take_while(|link| link.record.epoch <= epoch) {
        let before = Epoch::new(record.epoch.get() - 1);
        let last_round = chain.last_round(before).expect("it is followed");
        until.extend(last_round, record.terms.clone()).expect("it is a chain");
    }
    until
}

/// Returns what a state machine holds on disk, which has to belong to the data directory.
fn own_state<S: StateMachine>(
    state: &mut S,
    config: &Config,
    identity: &Identity,
) -> Result<GlobalPosition, StartError> {
    state.claim(config.cluster, config.server)?;
    let applied = state.applied();
    if applied > GlobalPosition::ZERO && identity.incarnation() == 1 {
        return Err(StartError::StateWithoutLog { applied });
    }
    Ok(applied)
}

/// What checks the room on the disk.
pub(super) fn room_watch(config: &Config, environment: &Environment) -> RoomWatch {
    let data_dir = match config.durability {
        Durability::Memory => None,
        Durability::Fsync | Durability::Os => Some(config.data_dir.clone()),
    };
    RoomWatch::new(Arc::clone(&environment.files), data_dir, log_directory, config.disk_reserve_bytes)
}

fn sequencer<S: StateMachine>(
    config: &Config,
    incarnation: u64,
    chain: Chain,
    mut stores: Vec<LogStore>,
    shared: &Shared<S>,
    snapshot: Option<&Header>,
) -> Sequencer {
    if planted::is(Bug::MergeOrderAfterRestart) && incarnation > 1 {
        stores.rotate_left(1);
    }
    Sequencer::new(
        chain,
        stores,
        Arc::clone(&shared.progress),
        Arc::clone(&shared.reads),
        Arc::clone(&shared.metrics),
        config.tick,
        SnapshotLimits { entries: config.snapshot_entries, bytes: config.snapshot_bytes },
        (config.entry_bytes as u64, (config.window * config.entry_bytes) as u64),
        snapshot,
    )
}

fn manager_config(config: &Config, known: &Chain) -> SnapshotManagerConfig {
    // An answer takes a moment; a sender's restart takes about an election timeout.
    let election = config.tick * config.election_ticks;
    SnapshotManagerConfig {
        cluster: config.cluster,
        groups: config.known_groups(),
        known: known.clone(),
        known_level: config.known_level,
        in_memory: config.durability == Durability::Memory,
        write_rate: config.snapshot_write_rate,
        transfer_rate: config.snapshot_transfer_rate,
        piece_bytes: config.snapshot_piece_bytes,
        patience_ticks: config.election_ticks,
        retry: 2 * election,
        give_up: 20 * election,
    }
}

fn application<S: StateMachine>(
    config: &Config,
    incarnation: u64,
    chain: Chain,
    state: S,
    shared: &Arc<Shared<S>>,
    handover: Arc<Handover<S>>,
) -> Application<S> {
    let held = state.applied();
    shared.progress.snapshots.set_replaying(held > GlobalPosition::ZERO);
    let executor = Executor {
        unshown: Vec::new(),
        state,
        server: config.server,
        cluster: config.cluster,
        incarnation,
        sessions: LaneSessions::new(&chain.newest().record.terms.members, chain.newest().record.lanes),
        chain,
        lanes: Arc::clone(&shared.lanes),
        progress: Arc::clone(&shared.progress),
        executed: Arc::clone(&shared.executed),
        metrics: Arc::clone(&shared.metrics),
        feed: Arc::clone(&shared.feed),
        held,
    };
    let (reads, sequencer) = (Arc::clone(&shared.reads), Arc::clone(&shared.sequencer));
    Application { executor, reads, work: Work::default(), handover, sequencer }
}

fn share<S: StateMachine>(
    config: &Config,
    clock: &Clock,
    identity: &Identity,
    progress: &Arc<SharedProgress>,
    log_sync: SyncMethod,
    reader: S::Reader,
    bell: &Arc<Bell>,
) -> Shared<S> {
    let layout = progress.epoch().layout;
    progress.group_threads.store(config.group_threads().into(), SeqCst);
    let limits = LaneLimits {
        commands: config.lane_commands,
        bytes: config.lane_bytes,
        window: config.window,
        tick: config.tick,
    };
    let metrics = Metrics::new(layout.groups());
    let metrics = Arc::new(if config.follows() { metrics.of_follower() } else { metrics });
    let feed = FeedLimits { bytes: config.subscription_bytes as u64, history: config.keep_history };
    // Raft drops a question silently; a leader answers within about a heartbeat, or not at all.
    let retry_ticks = 3 * config.heartbeat_ticks;
    let leaderless_ticks = 4 * config.election_ticks;
    let gate =
        ReadGate::new(layout, Arc::clone(progress), Arc::clone(&metrics), retry_ticks, leaderless_ticks);
    let mut registry = Registry::default();
    let collector = MetricsCollector::new(Arc::clone(&metrics), &[]);
    registry.sub_registry_with_prefix("niagara").register_collector(Box::new(collector));
    Shared {
        server: config.server,
        cluster: config.cluster,
        contacts: config.contacts(),
        prober: Prober::of(config),
        durability: config.durability,
        log_sync,
        mode: config.reads,
        command_bytes: config.command_bytes,
        deadline: config.deadline,
        clock: clock.clone(),
        leaderless_ticks,
        incarnation: identity.incarnation(),
        known_level: config.known_level,
        peer_levels: identity.peer_levels(),
        entry_bytes: config.entry_bytes,
        lane_limits: limits,
        lanes: Arc::new(Growing::new()),
        progress: Arc::clone(progress),
        reads: Arc::new(gate),
        executed: Arc::default(),
        feed: Arc::new(Feed::new(feed)),
        metrics,
        registry: Mutex::new(registry),
        reader,
        sequencer: Arc::clone(bell),
    }
}
