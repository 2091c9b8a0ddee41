//! A server without threads: its logs opened, its parts put together. [`Engine`](super::Engine) adds threads
//! and sockets; a simulator drives the same parts by hand.

use std::sync::Arc;

use niagara_log::{Durability, Files, LogStore, SyncMethod};
use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::{Chain, Epoch, Link, Marks, Record};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use super::application::Application;
use super::environment::Environment;
use super::epoch_opener::EpochOpener;
use super::executor::{Executor, Work};
use super::group_parts::GroupParts;
use super::sequencer::{Sequencer, SnapshotLimits};
use super::snapshot_manager::{SnapshotManager, SnapshotManagerConfig, SnapshotManagerShare};
use super::start::{OpenEpoch, OpenGroup, RestoredSnapshot, open_groups, open_snapshots, snapshot_files};
use super::start_error::{StartError, check_level};
use crate::apply::LaneSessions;
use crate::client::Shared;
use crate::clock::Clock;
use crate::config::Config;
use crate::growing::Growing;
use crate::identity::Identity;
use crate::lane::LaneLimits;
use crate::metrics::{Metrics, MetricsCollector};
use crate::planted::{self, Bug};
use crate::progress::ByteLimits;
use crate::progress::{Bell, EpochProgress, NextEpoch, RoomWatch, SharedProgress};
use crate::read_gate::ReadGate;
use crate::snapshot::{Handover, Header};
use crate::state_machine::StateMachine;
use crate::subscription::{Feed, FeedLimits};

/// The parts of a server.
pub(crate) struct ServerParts<S: StateMachine> {
    /// The epochs that this server knows.
    pub chain: Chain,
    pub identity: Arc<Identity>,
    pub shared: Arc<Shared<S>>,
    pub groups: Vec<GroupParts>,
    pub sequencer: Sequencer,
    pub application: Application<S>,
    pub manager: SnapshotManager<S>,
    /// Makes the groups of the epochs that follow, on the thread of the snapshots.
    pub opener: EpochOpener<S>,
    /// Checks the room on the disk at each tick of the sequencer's clock, since that thread never waits for a
    /// write.
    pub room: RoomWatch,
    /// Wakes the sequencer's thread.
    pub bell: Arc<Bell>,
}

impl<S: StateMachine> ServerParts<S> {
    /// Reads the identity, and opens snapshots and logs. The state machine continues from the newest
    /// snapshot, or starts empty if there is none, and will execute the log from there. One that joins a running cluster
    /// fetches a snapshot with `join` first. The server does not run yet: see [`ServerParts::begin`].
    pub fn open(
        config: &Config,
        environment: &Environment,
        mut state: S,
        join: impl FnOnce(&Arc<Identity>, &Arc<dyn Files>) -> Result<(), StartError>,
    ) -> Result<ServerParts<S>, StartError> {
        let identity = Arc::new(Identity::open(config, &environment.files, environment.boot)?);
        let held = own_state(&mut state, config, &identity)?;
        let files = snapshot_files(config, environment);
        let open = || open_snapshots::<S>(config, Arc::clone(&files), &state.reader(), held);
        let mut opened = open()?;
        if identity.joins() && opened.snapshot.is_none() {
            join(&identity, &files)?;
            opened = open()?;
        }
        let RestoredSnapshot { files, store, snapshot } = opened;
        let header = snapshot.as_ref().map(|(header, _)| Arc::clone(header));
        let FoundEpochs { chain, opened, is_new } =
            open_epochs(config, environment, &identity, header.as_deref())?;
        let mut opened = opened.into_iter();
        let (first, groups) = opened.next().expect("a server continues in some epoch");
        let servers = first.terms.members.len();
        let bounds = ByteLimits { behind: config.behind_bytes, merge: config.merge_bytes as u64 };
        let progress =
            Arc::new(SharedProgress::new(EpochProgress::new(&chain, first.epoch), servers, bounds));
        let bell = Arc::<Bell>::default();
        let clock = &environment.clock;
        let shared = Arc::new(share(config, clock, &identity, &progress, &groups, state.reader(), &bell));
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
        let manager = SnapshotManager::new(manager_config(config, &chain), share, store, files);
        let stores = groups.iter().map(|group| group.store.clone()).collect();
        let chain_so_far = chain_until(&chain, first.epoch);
        let sequencer = sequencer(
            config,
            identity.incarnation(),
            chain_so_far.clone(),
            stores,
            &shared,
            header.as_deref(),
        );
        let mut application =
            application(config, identity.incarnation(), chain_so_far, state, &shared, handover);
        if let Some((header, state)) = snapshot {
            application.executor.restore(&header, state, &mut application.work);
            application.executor.feed.start_after(header.position());
        }
        let opener = EpochOpener::new(config, environment, &identity, &shared);
        let kept = manager.snapshots();
        let mut groups = opener.replicas(&first, progress.epoch(), groups, kept.as_ref());
        // An epoch that had ended shortly before the last stop is merged to its end first.
        for (record, opened) in opened {
            let stores = opened.iter().map(|group| group.store.clone()).collect();
            let progress = Arc::new(EpochProgress::new(&chain, record.epoch));
            groups.extend(opener.replicas(&record, &progress, opened, None));
            shared.progress.succession.is_ready(NextEpoch { progress, stores });
        }
        if is_new {
            identity.starts_epoch(&chain, None)?;
        }
        let room = room_watch(config, environment);
        Ok(ServerParts {
            chain,
            identity,
            groups,
            shared,
            sequencer,
            application,
            manager,
            opener,
            room,
            bell,
        })
    }

    /// Starts running: the last step of a start, after which other servers may see this one. Until then, the
    /// record of whether it was stopped cleanly stays unchanged.
    pub fn begin(&self, config: &Config) -> Result<(), StartError> {
        let held = self.groups.iter().map(|group| (group.replica.channel(), group.store.held())).collect();
        Ok(self.identity.begin(config, held)?)
    }
}

/// What a start finds of epochs.
struct FoundEpochs {
    /// All that this server knows.
    chain: Chain,
    /// Those whose groups are open, from the one that it continues in.
    opened: Vec<(Record, Vec<OpenGroup>)>,
    /// Whether the newest is known from a received snapshot only, and has yet to be noted.
    is_new: bool,
}

/// Opens the logs of the epochs from the snapshot's to the newest one that this server takes part in.
fn open_epochs(
    config: &Config,
    environment: &Environment,
    identity: &Arc<Identity>,
    header: Option<&Header>,
) -> Result<FoundEpochs, StartError> {
    let first_epoch = || (config.first_epoch(identity.first_level()), Marks::founder());
    let (known, marks) = identity.epochs().unwrap_or_else(first_epoch);
    let first = header.map_or(Epoch::FIRST, |header| header.cut().epoch);
    if marks.has_closed(first) {
        return Err(StartError::EpochClosed { epoch: first.get() });
    }
    let started = marks.newest_started().unwrap_or(Epoch::FIRST);
    let chain = header.map(|header| &header.chain).filter(|_| first > started).unwrap_or(&known).clone();
    let Record { epoch, ref terms, .. } = chain.newest().record;
    check_level(config, terms.level)?;
    if !config.alone && !chain.newest().record.is_member(config.server) {
        return Err(StartError::Removed { server: config.server, epoch: epoch.get() });
    }
    let links = chain.links().iter().map(|link| &link.record);
    let mut lanes_before = 0;
    let before = |record: &Record| links.clone().take_while(|link| link.epoch < record.epoch).last();
    let mut open = |record: &Record| {
        let is_of_it =
            |header: &&Header| header.cut().epoch == record.epoch || planted::is(Bug::FloorsOfAnotherEpoch);
        let snapshot = header.filter(is_of_it);
        let sealed = marks.sealed().iter().find(|sealed| sealed.epoch == record.epoch);
        let epoch = OpenEpoch { record, snapshot, sealed, lanes_before, before: before(record) };
        lanes_before = record.lanes;
        Ok((record.clone(), open_groups(config, environment, identity, epoch)?))
    };
    let from = if planted::is(Bug::EndedEpochSkipped) { first.max(started) } else { first };
    let opened = links
        .clone()
        .filter(|record| record.epoch >= from)
        .map(&mut open)
        .collect::<Result<_, StartError>>()?;
    Ok(FoundEpochs { chain, opened, is_new: first > started })
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
        groups: config.groups(),
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
    identity: &Identity,
    progress: &Arc<SharedProgress>,
    groups: &[OpenGroup],
    reader: S::Reader,
    bell: &Arc<Bell>,
) -> Shared<S> {
    let layout = progress.epoch().layout;
    let limits = LaneLimits {
        commands: config.lane_commands,
        bytes: config.lane_bytes,
        window: config.window,
        tick: config.tick,
    };
    let metrics = Arc::new(Metrics::new(layout.groups()));
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
        durability: config.durability,
        log_sync: log_sync(groups),
        mode: config.reads,
        command_bytes: config.command_bytes,
        deadline: config.deadline,
        clock: clock.clone(),
        leaderless_ticks,
        group_threads: config.group_threads(),
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
