//! Makes the groups of an epoch on this server: their logs, their replicas, and the marks that say so.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use niagara_sequencer::GroupId;
use niagara_sequencer::epoch::{Chain, Cut, Epoch, Record, Sealed, lanes_of, may_close};

use super::environment::Environment;
use super::group_parts::GroupParts;
use super::replica::{Replica, ReplicaShare};
use super::start::{OpenEpoch, OpenGroup, open_groups, remove_logs};
use super::start_error::{StartError, check_level};
use crate::client::Shared;
use crate::config::Config;
use crate::identity::Identity;
use crate::planted::{self, Bug};
use crate::progress::{Before, EpochProgress, NextEpoch, Wanted, channel_of};
use crate::snapshot::Snapshots;
use crate::state_machine::StateMachine;

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
    /// When to try again to make an epoch's groups, if the last attempt has failed for lack of room.
    retry_at: Option<Instant>,
    /// Whether epochs that this process has not opened may have logs: an earlier process has not closed them, or not removed
    /// all, or had begun to make those of an epoch that a snapshot has led beyond.
    has_left_some: bool,
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
            retry_at: None,
            has_left_some: identity.epochs().is_some() || shared.progress.epoch().number > Epoch::FIRST,
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
        let OpenGroup { driver, store, writer, lanes_before } = group;
        let shared = &self.shared;
        let known_level = self.config.known_level;
        let is_sound =
            move |command: &[u8]| S::check(command).is_ok() && S::needed_level(command) <= known_level;
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
            identity: Arc::clone(&self.identity),
            sound: Box::new(move |batch| batch.commands().all(|command| is_sound(command.as_slice()))),
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
        if self.has_left_some {
            self.close_what_was_left(kept)?;
        }
        let progress = Arc::clone(&self.shared.progress);
        let succession = &progress.succession;
        let now = self.environment.clock.now();
        if self.retry_at.is_some_and(|at| at > now) {
            return Ok(None);
        }
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
                if self.retry_at.replace(now + RETRY).is_none() {
                    tracing::error!(%error, "cannot make the groups of the next epoch: retrying until there is room");
                }
                succession.want_again(wanted);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// When to [try again](Self::step) what there was no room for. Everything else that it waits for wakes its owner.
    pub fn next_due(&self) -> Option<Instant> {
        self.retry_at
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
        planted::is(Bug::StartedBeforeHeld)
            || logs.all(|(group, index)| group.persisted.load(SeqCst) >= *index)
    }

    fn open(&mut self, Wanted { chain, after }: &Wanted) -> Result<OpenedEpoch, StartError> {
        let record = &chain.newest().record;
        let before = chain.links().iter().rev().nth(1).map(|link| &link.record);
        check_level(&self.config, record.terms.level)?;
        let (snapshot, sealed) = match after {
            Before::Merged(sealed) => (None, Some(sealed.clone())),
            Before::Replaced(header) => (Some(&**header), None),
        };
        let epoch = OpenEpoch {
            record,
            snapshot,
            sealed: None,
            lanes_before: self.shared.progress.newest_made().lanes,
            before,
        };
        let groups = 0..usize::from(record.terms.groups);
        self.identity.makes_logs(groups.map(|group| channel_of(record.epoch, group)));
        let groups = open_groups(&self.config, &self.environment, &self.identity, epoch)?;
        self.identity.starts_epoch(chain, sealed)?;
        self.retry_at = None;
        self.has_left_some |= snapshot.is_some();
        tracing::info!(
            epoch = record.epoch.get(),
            groups = record.terms.groups,
            level = record.terms.level,
            position = %record.base,
            "an epoch begins"
        );
        let stores = groups.iter().map(|group| group.store.clone()).collect();
        let progress = Arc::new(EpochProgress::new(chain, record.epoch));
        let groups = self.replicas(record, &progress, groups, None);
        self.shared.progress.succession.is_ready(NextEpoch { progress: Arc::clone(&progress), stores });
        Ok(OpenedEpoch { progress, chain: chain.clone(), groups })
    }

    /// Closes epochs that are over and that this process has not opened, and removes their logs.
    fn close_what_was_left(&mut self, kept: &[Cut]) -> Result<(), StartError> {
        let Some((chain, marks)) = self.identity.epochs() else { return Ok(()) };
        let progress = &self.shared.progress;
        let running = progress.epoch().number;
        let ended = chain.links().iter().map(|link| &link.record).take_while(|record| record.epoch < running);
        for Record { epoch, terms, .. } in ended {
            match progress.epochs().find(|opened| opened.number == *epoch) {
                Some(opened) if opened.is_closed() => continue,
                // Those after it are closed later than it.
                Some(_) => return Ok(()),
                None => {}
            }
            if !marks.has_closed(*epoch) {
                if !may_close(*epoch, kept) {
                    return Ok(());
                }
                match self.identity.closes_epoch(*epoch).map_err(StartError::Identity) {
                    Err(error) if error.is_lack_of_room() => return Ok(()),
                    closed => closed?,
                }
            }
            let channels = (0..usize::from(terms.groups)).map(|group| channel_of(*epoch, group));
            remove_logs(&self.config, &*self.environment.files, channels);
        }
        // Those between the one that is merged and the newest may be leapt over.
        self.has_left_some = running < chain.newest().record.epoch;
        Ok(())
    }

    /// Closes the epochs that both kept snapshots are beyond, and removes the logs that nobody uses any more.
    fn close_what_is_over(&mut self, kept: &[Cut]) -> Result<(), StartError> {
        let progress = &self.shared.progress;
        let merged = progress.epoch().number;
        let over = progress.epochs().filter(|epoch| epoch.number < merged && !epoch.is_closed());
        let beyond = |epoch: &EpochProgress| match planted::is(Bug::ClosedByOneSnapshot) {
            true => kept.last().is_some_and(|newest| newest.epoch > epoch.number),
            false => may_close(epoch.number, kept),
        };
        let is_left = |epoch: &EpochProgress| epoch.has_no_lanes() || planted::is(Bug::ClosedWithLanes);
        for epoch in over.filter(|epoch| is_left(epoch) && beyond(epoch)) {
            match self.identity.closes_epoch(epoch.number).map_err(StartError::Identity) {
                Err(error) if error.is_lack_of_room() => break,
                closed => closed?,
            }
            epoch.close();
            progress.bounds.groups_go(epoch.groups.len());
            self.closing.push(Arc::clone(epoch));
            tracing::info!(epoch = epoch.number.get(), "an epoch is over, and its groups are closed");
        }
        let have_ended =
            |epoch: &Arc<EpochProgress>| epoch.groups.iter().all(|group| group.left.lock().is_some());
        for epoch in self.closing.extract_if(.., |epoch| have_ended(epoch)) {
            let channels = (0..epoch.groups.len()).map(|index| epoch.channel(index));
            remove_logs(&self.config, &*self.environment.files, channels);
        }
        Ok(())
    }
}
