//! Makes the groups of an epoch on this server: their logs, their replicas, and the marks that say so.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use niagara_sequencer::GroupId;
use niagara_sequencer::epoch::{Chain, Cut, Record, Sealed, lanes_of, may_close};

use super::environment::Environment;
use super::group_parts::GroupParts;
use super::replica::{Replica, ReplicaShare};
use super::start::{OpenEpoch, OpenGroup, open_groups, remove_logs};
use super::start_error::StartError;
use super::transfers::since;
use crate::client::Shared;
use crate::config::Config;
use crate::identity::Identity;
use crate::progress::{Before, EpochProgress, NextEpoch, Wanted};
use crate::snapshot::Snapshots;
use crate::state_machine::StateMachine;

/// Time until the next look at logs.
const SOON: Duration = Duration::from_millis(1);
/// Time until the next attempt without room.
const RETRY: Duration = Duration::from_millis(200);

/// Makes the groups of the epochs that follow, and lets go of those that are over. Its owner, which may wait for the
/// disk, calls [`step`](Self::step).
pub(crate) struct EpochOpener<S: StateMachine> {
    config: Config,
    environment: Environment,
    identity: Arc<Identity>,
    shared: Arc<Shared<S>>,
    /// Epochs that are closed, and whose threads have yet to let go of the logs.
    closing: Vec<Arc<EpochProgress>>,
    /// Whether the last attempt to make an epoch's groups failed for lack of room.
    lacks_room: bool,
}

/// An epoch whose groups are there, and wait for threads.
pub(crate) struct OpenedEpoch {
    pub progress: Arc<EpochProgress>,
    pub chain: Chain,
    pub groups: Vec<GroupParts>,
}

impl<S: StateMachine> EpochOpener<S> {
    pub fn new(
        config: &Config,
        environment: &Environment,
        identity: &Arc<Identity>,
        shared: &Arc<Shared<S>>,
    ) -> EpochOpener<S> {
        EpochOpener {
            config: config.clone(),
            environment: environment.clone(),
            identity: Arc::clone(identity),
            shared: Arc::clone(shared),
            closing: Vec::new(),
            lacks_room: false,
        }
    }

    /// The replicas of an epoch's groups.
    pub fn replicas(
        &self,
        record: &Record,
        epoch: &Arc<EpochProgress>,
        groups: Vec<OpenGroup>,
        snapshots: Option<&Snapshots>,
    ) -> Vec<GroupParts> {
        self.shared.grow(epoch.layout.groups(), epoch.lanes);
        if epoch.number > self.shared.progress.epoch().number {
            self.shared.progress.is_made(epoch);
        }
        groups.iter().for_each(|group| epoch.raise_level(group.driver.level()));
        let groups = groups.into_iter().enumerate();
        groups.map(|(index, group)| self.replica(index, record, epoch, group, snapshots)).collect()
    }

    fn replica(
        &self,
        index: usize,
        record: &Record,
        epoch: &Arc<EpochProgress>,
        group: OpenGroup,
        snapshots: Option<&Snapshots>,
    ) -> GroupParts {
        let OpenGroup { driver, store, writer } = group;
        let shared = &self.shared;
        let before = self.shared.progress.epoch();
        let lanes_before = if epoch.number > before.number { before.lanes } else { 0 };
        let lanes = lanes_of(GroupId::new(index as u16 + 1), epoch.layout.groups(), epoch.lanes);
        let share = ReplicaShare {
            server: self.config.server,
            lanes: lanes.map(|lane| Arc::clone(&shared.lanes[usize::from(lane)].queue)).collect(),
            progress: Arc::clone(&shared.progress),
            epoch: Arc::clone(epoch),
            lanes_before,
            reads: Arc::clone(&shared.reads),
            sequencer: Arc::clone(&shared.sequencer),
            metrics: shared.metrics.groups[index].clone(),
            executed: Arc::clone(&shared.executed),
            peers: self.config.peers(record),
            tick: self.config.tick,
            clock: self.environment.clock.clone(),
            sound: |batch| batch.commands().all(|command| S::check(command.as_slice()).is_ok()),
        };
        let mut replica = Replica::new(index, driver, share);
        if let Some(snapshots) = snapshots {
            replica.kept(snapshots);
        }
        GroupParts { record: record.clone(), replica, store, writer }
    }

    /// Makes what is wanted, if this server holds everything before it, and lets go of what is over. `kept` are the
    /// cuts of the durable snapshots, the older first.
    ///
    /// # Errors
    /// If a log cannot be made, or the marks cannot be written: this server must not continue.
    pub fn step(&mut self, kept: &[Cut]) -> Result<Option<OpenedEpoch>, StartError> {
        self.close_what_is_over(kept)?;
        let progress = Arc::clone(&self.shared.progress);
        let succession = &progress.succession;
        let may_start = |wanted: &Wanted| !self.is_member(wanted) || self.is_held(wanted);
        let Some(wanted) = succession.take_wanted_if(may_start) else { return Ok(None) };
        if !self.is_member(&wanted) {
            progress.removal.is_known(&wanted.chain.newest().record);
            progress.watchers.changed();
            return Ok(None);
        }
        match self.open(&wanted) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.is_lack_of_room() => {
                if !std::mem::replace(&mut self.lacks_room, true) {
                    tracing::error!(%error, "cannot make the groups of the next epoch: retrying until there is room");
                }
                succession.want(wanted);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// In what time there is something to [look at again](Self::step): logs that have to become durable or free, or room.
    pub fn looks_again(&self) -> Option<Duration> {
        let waits = self.shared.progress.succession.is_wanted() || !self.closing.is_empty();
        waits.then_some(if self.lacks_room { RETRY } else { SOON })
    }

    /// Whether the epoch has this server.
    fn is_member(&self, Wanted { chain, .. }: &Wanted) -> bool {
        self.config.alone || chain.newest().record.is_member(self.config.server)
    }

    /// Whether this server can come to the beginning of the epoch from its own disk alone. Until then it must not
    /// acknowledge anything there.
    fn is_held(&self, wanted: &Wanted) -> bool {
        let Before::Merged(Sealed { epoch, committed, .. }) = &wanted.after else { return true };
        let before = self.shared.progress.epochs().find(|before| before.number == *epoch);
        let before = before.expect("global_prefix: an epoch that was merged is known");
        let mut logs = before.groups.iter().zip(committed);
        logs.all(|(group, index)| group.persisted.load(SeqCst) >= *index)
    }

    fn open(&mut self, Wanted { chain, after }: &Wanted) -> Result<OpenedEpoch, StartError> {
        let record = &chain.newest().record;
        let (snapshot, sealed) = match after {
            Before::Merged(sealed) => (None, Some(sealed.clone())),
            Before::Replaced(header) => (Some(&**header), None),
        };
        let epoch =
            OpenEpoch { record, snapshot, sealed: None, lanes_before: self.shared.progress.epoch().lanes };
        let groups = open_groups(&self.config, &self.environment, &self.identity, epoch)?;
        self.identity.starts_epoch(chain, sealed)?;
        self.lacks_room = false;
        tracing::info!(
            epoch = record.epoch.get(),
            groups = record.terms.groups,
            position = %record.base,
            "an epoch begins"
        );
        let stores = groups.iter().map(|group| group.store.clone()).collect();
        let progress = Arc::new(EpochProgress::new(chain, record.epoch, since(chain, record.epoch)));
        let groups = self.replicas(record, &progress, groups, None);
        self.shared.progress.succession.is_ready(NextEpoch { progress: Arc::clone(&progress), stores });
        Ok(OpenedEpoch { progress, chain: chain.clone(), groups })
    }

    /// Closes the epochs that both kept snapshots are beyond, and removes the logs that nobody uses any more.
    fn close_what_is_over(&mut self, kept: &[Cut]) -> Result<(), StartError> {
        let progress = &self.shared.progress;
        let merged = progress.epoch().number;
        let over = progress.epochs().filter(|epoch| epoch.number < merged && !epoch.is_closed());
        for epoch in over.filter(|epoch| epoch.has_no_lanes() && may_close(epoch.number, kept)) {
            match self.identity.closes_epoch(epoch.number).map_err(StartError::Identity) {
                Err(error) if error.is_lack_of_room() => break,
                closed => closed?,
            }
            epoch.close();
            self.closing.push(Arc::clone(epoch));
            tracing::info!(epoch = epoch.number.get(), "an epoch is over, and its groups are closed");
        }
        let is_left =
            |epoch: &Arc<EpochProgress>| epoch.groups.iter().all(|group| group.left.lock().is_some());
        for epoch in self.closing.extract_if(.., |epoch| is_left(epoch)) {
            let channels = (0..epoch.groups.len()).map(|index| epoch.channel(index));
            remove_logs(&self.config, &*self.environment.files, channels);
        }
        Ok(())
    }
}
