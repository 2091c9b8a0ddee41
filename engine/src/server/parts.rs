//! A server without threads: its logs opened, its parts put together. [`Engine`](super::Engine) adds threads
//! and sockets; a simulator drives the same parts by hand.

use std::sync::Arc;

use niagara_log::{Files, SyncMethod};
use niagara_sequencer::epoch::{Chain, Epoch, Marks, Record};

use super::application::Application;
use super::environment::Environment;
use super::epoch_opener::EpochOpener;
use super::group_parts::GroupParts;
use super::sequencer::Sequencer;
use super::server_core::{Core, FirstLogs, Opened, byte_limits, open_directory, room_watch};
use super::snapshot_manager::SnapshotManager;
use super::start::{OpenEpoch, OpenGroup, open_groups};
use super::start_error::{StartError, check_level};
use crate::client::Shared;
use crate::config::Config;
use crate::identity::Identity;
use crate::planted::{self, Bug};
use crate::progress::{Bell, EpochProgress, NextEpoch, RoomWatch, SharedProgress};
use crate::snapshot::Header;
use crate::state_machine::StateMachine;

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
        state: S,
        join: impl FnOnce(&Arc<Identity>, &Arc<dyn Files>) -> Result<(), StartError>,
    ) -> Result<ServerParts<S>, StartError> {
        let Opened { identity, state, snapshots } = open_directory(config, environment, state, join)?;
        let header = snapshots.snapshot.as_ref().map(|(header, _)| Arc::clone(header));
        let FoundEpochs { chain, opened, is_new } =
            open_epochs(config, environment, &identity, header.as_deref())?;
        let mut opened = opened.into_iter();
        let (first, groups) = opened.next().expect("a server continues in some epoch");
        let logs = FirstLogs {
            chain: chain.clone(),
            progress: Arc::new(SharedProgress::new(
                EpochProgress::new(&chain, first.epoch),
                first.terms.members.len(),
                byte_limits(config),
            )),
            log_sync: log_sync(&groups),
            stores: groups.iter().map(|group| group.store.clone()).collect(),
        };
        let core = Core::new(config, environment, &identity, state, snapshots, logs);
        let Core { shared, sequencer, application, manager, bell } = core;
        let progress = Arc::clone(&shared.progress);
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

/// How logs make writes durable: all alike, unless their directories have file systems of their own. Then it is
/// the slowest way that counts.
fn log_sync(groups: &[OpenGroup]) -> SyncMethod {
    let mut methods = groups.iter().map(|group| group.writer.sync_method());
    let slowest = methods.clone().find(|method| matches!(method, SyncMethod::Fdatasync(_)));
    let method = slowest.or_else(|| methods.next()).cloned().unwrap_or(SyncMethod::None);
    tracing::info!(log_sync = %method, "opened the logs");
    method
}
