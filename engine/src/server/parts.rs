//! A server without threads: its logs opened, its parts put together. [`Engine`](super::Engine) adds threads
//! and sockets; a simulator drives the same parts by hand.

use std::sync::Arc;

use niagara_log::{Durability, LogStore, LogWriter, SyncMethod};
use niagara_sequencer::epoch::lanes_of;
use niagara_sequencer::{Balance, GlobalPosition, GroupId, Layout};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use super::application::Application;
use super::environment::Environment;
use super::executor::{Executor, Work};
use super::replica::{Replica, ReplicaShare};
use super::sequencer::{Sequencer, SnapshotLimits};
use super::snapshot_manager::{SnapshotManager, SnapshotManagerConfig, SnapshotManagerShare};
use super::start::{OpenGroup, RestoredSnapshot, open_group, open_snapshots};
use super::start_error::StartError;
use crate::apply::LaneSessions;
use crate::client::Shared;
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::Identity;
use crate::lane::{Lane, LaneLimits, LaneQueue, Origin};
use crate::metrics::{Metrics, MetricsCollector};
use crate::planted::{self, Bug};
use crate::progress::ByteLimits;
use crate::progress::{Bell, RoomWatch, SharedProgress};
use crate::read_gate::ReadGate;
use crate::snapshot::{Handover, Header};
use crate::state_machine::StateMachine;
use crate::subscription::{Feed, FeedLimits};

/// The parts of a server.
pub(crate) struct ServerParts<S: StateMachine> {
    pub identity: Arc<Identity>,
    pub shared: Arc<Shared<S>>,
    pub groups: Vec<GroupParts>,
    pub sequencer: Sequencer,
    pub application: Application<S>,
    pub manager: SnapshotManager<S>,
    /// Checks the room on the disk at each tick of the sequencer's clock, since that thread never waits for a
    /// write.
    pub room: RoomWatch,
    /// Wakes the sequencer's thread.
    pub bell: Arc<Bell>,
}

/// The parts of one group.
pub(crate) struct GroupParts {
    pub replica: Replica,
    pub store: LogStore,
    pub writer: LogWriter,
}

impl<S: StateMachine> ServerParts<S> {
    /// Reads the identity, and opens snapshots and logs. The state machine continues from the newest
    /// snapshot, or starts empty if there is none, and will execute the log from there. The server does not
    /// run yet: see [`ServerParts::begin`].
    pub fn open(
        config: &Config,
        environment: &Environment,
        mut state: S,
    ) -> Result<ServerParts<S>, StartError> {
        let layout = Layout::new(config.groups());
        let identity = Arc::new(Identity::open(config, &environment.files, environment.boot)?);
        let held = own_state(&mut state, config, &identity)?;
        let bounds = ByteLimits { behind: config.behind_bytes, merge: config.merge_bytes as u64 };
        let progress = Arc::new(SharedProgress::new(layout, config.members.len(), bounds));
        let RestoredSnapshot { files, store, snapshot } =
            open_snapshots::<S>(config, environment, &state.reader(), held)?;
        let header = snapshot.as_ref().map(|(header, _)| Arc::clone(header));
        let open = |group| open_group(config, group, environment, &identity, header.as_deref());
        let groups = (0..config.groups()).map(open).collect::<Result<Vec<_>, _>>()?;
        groups.iter().for_each(|group| progress.epoch.raise_level(group.driver.level()));
        let bell = Arc::<Bell>::default();
        let shared = Arc::new(share(
            config,
            &environment.clock,
            identity.incarnation(),
            &progress,
            &groups,
            state.reader(),
            &bell,
        ));
        let handover = Arc::<Handover<S>>::default();
        let share = SnapshotManagerShare {
            progress: Arc::clone(&progress),
            handover: Arc::clone(&handover),
            sequencer: Arc::clone(&bell),
            metrics: Arc::clone(&shared.metrics),
            reader: state.reader(),
            clock: environment.clock.clone(),
            identity: Arc::clone(&identity),
        };
        let manager = SnapshotManager::new(manager_config(config), share, store, files);
        let stores = groups.iter().map(|group| group.store.clone()).collect();
        let sequencer = sequencer(config, identity.incarnation(), layout, stores, &shared, header.as_deref());
        let mut application = application(config, identity.incarnation(), state, &shared, handover);
        if let Some((header, state)) = snapshot {
            application.executor.restore(&header, state, &mut application.work);
            application.executor.feed.start_after(header.position());
        }
        let of_group = |(index, group): (usize, OpenGroup)| {
            let OpenGroup { driver, store, writer } = group;
            let number = GroupId::new(index as u16 + 1);
            let lanes = lanes_of(number, config.groups(), shared.lanes.len() as u16);
            let share = ReplicaShare {
                server: config.server,
                lanes: lanes.map(|lane| Arc::clone(&shared.lanes[usize::from(lane)].queue)).collect(),
                progress: Arc::clone(&progress),
                reads: Arc::clone(&shared.reads),
                sequencer: Arc::clone(&bell),
                metrics: shared.metrics.groups[index].clone(),
                executed: Arc::clone(&shared.executed),
                peers: config.peers().collect(),
                tick: config.tick,
                clock: environment.clock.clone(),
                sound: |batch| batch.commands().all(|command| S::check(command.as_slice()).is_ok()),
            };
            let mut replica = Replica::new(index, driver, share);
            if let Some(snapshots) = manager.snapshots() {
                replica.kept(&snapshots);
            }
            GroupParts { replica, store, writer }
        };
        let groups = groups.into_iter().enumerate().map(of_group).collect();
        let room = room_watch(config, environment);
        Ok(ServerParts { identity, groups, shared, sequencer, application, manager, room, bell })
    }

    /// Starts running: the last step of a start, after which other servers may see this one. Until then, the
    /// record of whether it was stopped cleanly stays unchanged.
    pub fn begin(&self, config: &Config) -> Result<(), StartError> {
        let held = (1..).zip(&self.groups).map(|(number, group)| (number, group.store.held())).collect();
        Ok(self.identity.begin(config, held)?)
    }
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

/// Logs may have file systems of their own.
fn room_watch(config: &Config, environment: &Environment) -> RoomWatch {
    let logs = (1..=config.groups()).map(|number| config.data_dir.join(format!("group-{number}")));
    let dirs = match config.durability {
        Durability::Memory => Vec::new(),
        Durability::Fsync | Durability::Os => logs.chain([config.data_dir.clone()]).collect(),
    };
    RoomWatch::new(Arc::clone(&environment.files), dirs, config.disk_reserve_bytes)
}

fn sequencer<S: StateMachine>(
    config: &Config,
    incarnation: u64,
    layout: Layout,
    mut stores: Vec<LogStore>,
    shared: &Shared<S>,
    snapshot: Option<&Header>,
) -> Sequencer {
    if planted::is(Bug::MergeOrderAfterRestart) && incarnation > 1 {
        stores.rotate_left(1);
    }
    Sequencer::new(
        layout,
        stores,
        Arc::clone(&shared.progress),
        Arc::clone(&shared.reads),
        Arc::clone(&shared.metrics),
        config.tick,
        SnapshotLimits { entries: config.snapshot_entries, bytes: config.snapshot_bytes },
        Balance::new(layout.groups(), config.entry_bytes as u64, (config.window * config.entry_bytes) as u64),
        snapshot,
    )
}

fn manager_config(config: &Config) -> SnapshotManagerConfig {
    // An answer takes a moment; a sender's restart takes about an election timeout.
    let election = config.tick * config.election_ticks;
    SnapshotManagerConfig {
        cluster: config.cluster,
        groups: config.groups(),
        in_memory: config.durability == Durability::Memory,
        write_rate: config.snapshot_write_rate,
        transfer_rate: config.snapshot_transfer_rate,
        piece_bytes: config.snapshot_piece_bytes,
        retry: 2 * election,
        give_up: 20 * election,
    }
}

fn application<S: StateMachine>(
    config: &Config,
    incarnation: u64,
    state: S,
    shared: &Shared<S>,
    handover: Arc<Handover<S>>,
) -> Application<S> {
    let held = state.applied();
    shared.progress.snapshots.set_replaying(held > GlobalPosition::ZERO);
    let servers: Vec<u64> = config.members.iter().map(|member| member.server).collect();
    let executor = Executor {
        unshown: Vec::new(),
        state,
        server: config.server,
        cluster: config.cluster,
        incarnation,
        sessions: LaneSessions::new(&servers, config.groups()),
        chain: config.first_epoch(),
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

/// How logs make writes durable: all alike, unless their directories have file systems of their own. Then it is
/// the slowest way that counts.
fn log_sync(groups: &[OpenGroup]) -> SyncMethod {
    let mut methods = groups.iter().map(|group| group.writer.sync_method());
    let slowest = methods.clone().find(|method| matches!(method, SyncMethod::Fdatasync(_)));
    let method = slowest.or_else(|| methods.next()).cloned().unwrap_or(SyncMethod::None);
    tracing::info!(log_sync = %method, "opened the logs");
    method
}

fn share<S: StateMachine>(
    config: &Config,
    clock: &Clock,
    incarnation: u64,
    progress: &Arc<SharedProgress>,
    groups: &[OpenGroup],
    reader: S::Reader,
    bell: &Arc<Bell>,
) -> Shared<S> {
    let layout = progress.epoch.layout;
    let limits = LaneLimits {
        commands: config.lane_commands,
        bytes: config.lane_bytes,
        window: config.window,
        tick: config.tick,
    };
    let lane = |lane| {
        let origin = Origin { server: config.server, incarnation, lane };
        Lane::new(Arc::new(LaneQueue::new(origin, config.entry_bytes)), limits)
    };
    let metrics = Arc::new(Metrics::new(config.groups()));
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
        members: config.members.iter().map(|member| member.server).collect(),
        durability: config.durability,
        log_sync: log_sync(groups),
        mode: config.reads,
        layout,
        command_bytes: config.command_bytes,
        deadline: config.deadline,
        clock: clock.clone(),
        leaderless_ticks,
        group_threads: config.group_threads(),
        lanes: Arc::new((0..config.groups()).map(lane).collect()),
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
