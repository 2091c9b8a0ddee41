//! A server that is driven by hand, for a simulator with its own time, network and disk.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use niagara_log::{Held, LogError, LogStore};
use niagara_net::{Admission, Event, Frame, Hello, Refusal};
use niagara_sequencer::epoch::{Chain, Epoch, Record};
use niagara_sequencer::{GlobalPosition, Slot};

use super::application::Application;
use super::driven_group::complete;
use super::environment::Environment;
use super::epoch_opener::{EpochOpener, OpenedEpoch};
use super::first_state::take_first_state;
use super::followers::Hosting;
use super::group_parts::GroupParts;
use super::log_thread::Pending;
use super::parts::ServerParts;
use super::replica::Replica;
use super::sequencer::{STRETCHES_WAITING, Sequencer};
use super::snapshot_manager::SnapshotManager;
use super::start_error::StartError;
use super::stretch::Stretch;
use super::thread_layout::groups_beside;
use crate::client::{Client, Shared};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::Identity;
use crate::lane::Lane;
use crate::misuse::NoWaiting;
use crate::planted::{self, Bug};
use crate::progress::{Mail, RoomWatch};
use crate::snapshot::Header;
use crate::state_machine::StateMachine;

/// A server without threads. Each method does what one thread of an [`Engine`](crate::Engine) does in one
/// round of its loop, with the same code. The caller decides the order, as an operating system does for
/// threads.
///
/// | thread | methods |
/// |---|---|
/// | group | [`handle`](SimServer::handle), [`tick_group`](SimServer::tick_group), [`turn`](SimServer::turn) or [`turn_of_thread`](SimServer::turn_of_thread) |
/// | log | [`write_log`](SimServer::write_log) |
/// | sequencer | [`merge`](SimServer::merge), [`tick`](SimServer::tick) |
/// | application | [`execute`](SimServer::execute) |
/// | snapshots | [`handle_transfer`](SimServer::handle_transfer), [`keep_snapshots`](SimServer::keep_snapshots) |
///
/// Groups are given by their zero-based index.
///
/// ```
/// use niagara_log::SystemFiles;
/// use niagara_engine::internals::sim::{Clock, SimServer, Environment};
/// use niagara_engine::internals::example;
/// use niagara_engine::{Config, Durability, Member};
/// use std::sync::Arc;
///
/// // A cluster of one server with one group, in memory.
/// let addresses = vec!["nowhere:0".into()];
/// let members = vec![Member { server: 1, addresses, transfer: "nowhere:0".into() }];
/// let mut config = Config::new(1, 1, members);
/// config.durability = Durability::Memory;
/// let environment = Environment {
///     boot: 1,
///     clock: Clock::System,
///     files: Arc::new(SystemFiles),
///     prepare_beside: false,
///     election_seed: Some(1),
/// };
/// let mut machine = SimServer::open(&config, &environment, example::Counter::default())?;
/// let ticket = machine.client().propose("first".into())?;
/// while machine.pending_commands() > 0 {
///     machine.tick_group(0);
///     assert!(machine.turn(0).is_empty(), "there is nobody to send to");
///     machine.write_log(0)?;
///     machine.merge();
///     machine.execute();
/// }
/// assert_eq!(ticket.wait()?.reply, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SimServer<S: StateMachine> {
    config: Config,
    identity: Arc<Identity>,
    shared: Arc<Shared<S>>,
    clock: Clock,
    /// Whether queue lengths of the network are reported.
    queues_are_known: bool,
    /// The groups of all epochs of the cluster, one after the other. `None` for those that this server has not made, or
    /// has closed.
    groups: Vec<Option<SimGroup>>,
    /// The groups that were made since the last look.
    new_groups: Vec<usize>,
    sequencer: Sequencer,
    stretches: VecDeque<Stretch>,
    application: Application<S>,
    manager: SnapshotManager<S>,
    opener: EpochOpener<S>,
    followers: Hosting,
    /// What is to be sent to followers about snapshots.
    for_followers: Vec<(u64, Frame)>,
    room: RoomWatch,
}

impl<S: StateMachine> fmt::Debug for SimServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimServer").field("server", &self.config.server).finish_non_exhaustive()
    }
}

/// A group, and what has yet to be written of it.
struct SimGroup {
    parts: GroupParts,
    writes: Pending,
}

/// State of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Raft term.
    pub term: u64,
    /// Server that it has voted for in that term; 0 for none.
    pub vote: u64,
    /// Whether it leads.
    pub leads: bool,
    /// Leader that it knows of; 0 for none.
    pub leader: u64,
    /// Raft index of the last entry that it knows to be committed.
    pub commit: u64,
    /// Raft index of the last entry.
    pub last: u64,
    /// Server that it is handing leadership to; 0 for none.
    pub transferee: u64,
}

/// Bytes of entries that wait in various places of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingBytes {
    /// The group with the most bytes waiting for the disk: its zero-based index, and the bytes.
    pub unsynced: (usize, u64),
    /// Bytes pulled from the logs that wait for the merge.
    pub pulled: u64,
    /// Bytes merged that wait for execution.
    pub executing: u64,
    /// Bytes in the logs of all groups that wait to be merged.
    pub behind: u64,
    /// The same, as the groups that are open say.
    pub behind_of_groups: u64,
    /// Whether `behind` is so much that only the awaited group's entries are accepted.
    pub is_behind: bool,
    /// Whether the disk has no room for commands.
    pub is_read_only: bool,
}

/// What a server has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Times that a lane was resent.
    pub lanes_sent_again: u64,
    /// Copies of commands that were not executed again.
    pub duplicates: u64,
    /// Sub-batches that were skipped since earlier ones were missing.
    pub gaps: u64,
    /// Strong reads answered by a lease.
    pub lease_reads: u64,
    /// Messages of leaders whose entries were refused.
    pub untaken: u64,
    /// Times that the merge asked a group's leader to pad.
    pub pad_requests: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Snapshots received.
    pub snapshots_received: u64,
    /// Snapshots that could not be written or received.
    pub snapshot_failures: u64,
    /// Received files that turned out to be damaged.
    pub damaged_transfers: u64,
}

/// The place of an epoch's first group among those of all epochs.
fn first_place(chain: &Chain, epoch: Epoch) -> usize {
    let records = chain.links().iter().map(|link| &link.record);
    let earlier = records.filter(|record| record.epoch < epoch);
    earlier.map(|record| usize::from(record.terms.groups)).sum()
}

impl<S: StateMachine> SimServer<S> {
    /// Opens the logs. The first [`turn`](SimServer::turn) of each group publishes what they hold.
    ///
    /// # Errors
    /// If a log is damaged, or has lost what was acknowledged.
    pub fn open(config: &Config, environment: &Environment, state: S) -> Result<SimServer<S>, StartError> {
        Self::open_with(config, environment, state, None)
    }

    /// The same for a server that joins a running cluster, with what it receives: the file of another server's snapshot.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if it is no snapshot.
    pub fn open_newcomer(
        config: &Config,
        environment: &Environment,
        state: S,
        (header, received): (Arc<Header>, &[u8]),
    ) -> Result<SimServer<S>, StartError> {
        Self::open_with(config, environment, state, Some((header, received)))
    }

    fn open_with(
        config: &Config,
        environment: &Environment,
        state: S,
        received: Option<(Arc<Header>, &[u8])>,
    ) -> Result<SimServer<S>, StartError> {
        config.check()?;
        let parts = ServerParts::open(config, environment, state, |identity, files| match received {
            Some(received) => take_first_state(config, identity, files, received),
            None => Err(StartError::NotAMember { server: config.server }),
        })?;
        parts.begin(config)?;
        let ServerParts {
            chain,
            identity,
            shared,
            groups,
            sequencer,
            application,
            manager,
            opener,
            room,
            ..
        } = parts;
        let mut followers = Hosting::new(config, &shared);
        followers.add_logs(&groups);
        let mut server = SimServer {
            followers,
            for_followers: Vec::new(),
            config: config.clone(),
            identity,
            shared,
            clock: environment.clock.clone(),
            queues_are_known: false,
            groups: Vec::new(),
            new_groups: Vec::new(),
            sequencer,
            stretches: VecDeque::new(),
            application,
            manager,
            opener,
            room,
        };
        server.add_groups(&chain, groups);
        Ok(server)
    }

    /// Adds groups in their places among those of all epochs.
    fn add_groups(&mut self, chain: &Chain, groups: Vec<GroupParts>) {
        for parts in groups {
            let place = first_place(chain, parts.record.epoch) + parts.replica.group;
            self.groups.resize_with(self.groups.len().max(place + 1), || None);
            self.groups[place] = Some(SimGroup { parts, writes: Pending::default() });
            self.new_groups.push(place);
        }
    }

    /// Goes on with the next epoch, if there is one to be made, and lets go of those that are over. The thread of the
    /// snapshots does it.
    ///
    /// # Errors
    /// If the disk fails. The server's process would end then.
    pub fn open_epochs(&mut self) -> Result<(), StartError> {
        if let Some(OpenedEpoch { chain, groups, .. }) = self.opener.step(&self.manager.kept_cuts())? {
            self.followers.add_logs(&groups);
            self.add_groups(&chain, groups);
        }
        Ok(())
    }

    /// Places of the groups that were made since the last call. The caller connects and ticks them.
    pub fn take_new_groups(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.new_groups)
    }

    /// Whether this server has the group at this place among those of all epochs.
    pub fn has_group(&self, group: usize) -> bool {
        self.groups.get(group).is_some_and(Option::is_some)
    }

    /// The epochs up to the one that is executed.
    pub fn chain(&self) -> &Chain {
        &self.application.executor.chain
    }

    /// The places of the groups of the epoch that is executed.
    pub fn running_groups(&self) -> Range<usize> {
        let Record { epoch, terms, .. } = &self.chain().newest().record;
        let first = first_place(self.chain(), *epoch);
        first..first + usize::from(terms.groups)
    }

    /// The slot at a position that has been executed: its place p, and the place of its group among those of all epochs.
    pub fn slot_at(&self, position: GlobalPosition) -> (u64, usize) {
        let records = self.chain().links().iter().map(|link| &link.record);
        let record = records.rev().find(|record| record.base < position);
        let record = record.expect("the first epoch begins below all positions");
        let Slot { place, group } = record.layout().slot_at(position);
        (place, first_place(self.chain(), record.epoch) + group.index())
    }

    /// A group's epoch, and its zero-based index there.
    pub fn epoch_and_group(&self, place: usize) -> (Epoch, usize) {
        let GroupParts { record, replica, .. } = self.parts(place);
        (record.epoch, replica.group)
    }

    /// Number of a group's channel.
    pub fn channel(&self, group: usize) -> u32 {
        self.parts(group).replica.channel()
    }

    fn parts(&self, group: usize) -> &GroupParts {
        &self.groups[group].as_ref().expect("the server has the group").parts
    }

    fn parts_mut(&mut self, group: usize) -> &mut GroupParts {
        &mut self.groups[group].as_mut().expect("the server has the group").parts
    }

    /// What the server tells about itself when a connection begins. Channel 0 is for snapshots, the groups'
    /// channels start at 1.
    pub fn hello(&self, channel: u32) -> Hello {
        let mut groups = self.groups.iter().flatten().map(|group| &group.parts);
        let group = groups.find(|parts| parts.replica.channel() == channel);
        self.identity.hello(&self.config, channel, group.map(|parts| &parts.record))
    }

    /// Whether the server that sent this may connect on a channel.
    ///
    /// # Errors
    /// The refusal to send to it.
    pub fn admit(&self, channel: u32, peer: &Hello) -> Result<(), Refusal> {
        if !planted::is(Bug::MembersNotCompared) {
            niagara_net::check_cluster(&self.hello(channel), peer)?;
        }
        self.identity.admit(peer)
    }

    /// Reports that another server has refused this one.
    pub fn refused(&self, refusal: &Refusal) {
        self.identity.refused(refusal);
    }

    /// Whether this server has diverged from the others; see [`Client::is_diverged`].
    pub fn is_diverged(&self) -> bool {
        self.shared.progress.divergence.is_diverged()
    }

    /// A handle for the server's clients.
    pub fn client(&self) -> Client<S> {
        Client::new(Arc::clone(&self.shared))
    }

    /// Handles an event on a group's links.
    pub fn handle(&mut self, group: usize, event: Event) {
        self.parts_mut(group).replica.handle(event);
    }

    /// Advances a group's clock by one tick. Follow it with a turn.
    pub fn tick_group(&mut self, group: usize) {
        self.parts_mut(group).replica.look();
        self.parts_mut(group).replica.tick();
    }

    /// Whether a group's thread would run another round rather than sleep.
    pub fn wants_turn(&self, group: usize) -> bool {
        !self.parts(group).replica.may_sleep()
    }

    /// Whether a group's thread is blocked, which only a planted bug can cause.
    pub fn is_blocked(&self, group: usize) -> bool {
        let merged = || self.parts(group).replica.merged();
        planted::is(Bug::BlockingHandOff) && self.standing(group).commit > merged() + 1
    }

    /// Reports how many bytes the network has queued from a group to a peer; `None` without a connection.
    /// Call it before each turn. If it is never called, the network accepts everything at once.
    pub fn queue_holds(&mut self, group: usize, peer: u64, bytes: Option<usize>) {
        self.queues_are_known = true;
        self.parts_mut(group).replica.driver.queue_holds(peer, bytes);
    }

    /// Bytes that wait for a peer on a group's link, in the engine and in the network.
    pub fn waiting_bytes(&self, group: usize, peer: u64) -> usize {
        self.parts(group).replica.driver.waiting_bytes(peer)
    }

    /// The groups that share a thread with this one, with itself: see [`Config::threads`]. Where it says
    /// nothing, and in later epochs, each group has a thread.
    pub fn groups_beside(&self, group: usize) -> Range<usize> {
        groups_beside(group, self.config.group_threads().into(), self.config.groups().into())
    }

    /// Runs a turn of a group's thread, and returns what it sends.
    pub fn turn(&mut self, group: usize) -> Vec<(u64, Frame)> {
        self.turn_of_thread(&[group]).pop().expect("of one group")
    }

    /// Runs a turn of a thread for these of its groups, and returns what each sends.
    pub fn turn_of_thread(&mut self, groups: &[usize]) -> Vec<Vec<(u64, Frame)>> {
        let mut ended = Vec::new();
        for &group in groups {
            let queues_are_known = self.queues_are_known;
            let peers = self.config.peers(&self.parts(group).record);
            let replica = &mut self.parts_mut(group).replica;
            if !queues_are_known {
                peers.iter().for_each(|peer| replica.driver.queue_holds(*peer, Some(0)));
            }
            if replica.read_mail() {
                ended.push(group);
            }
            replica.look();
        }
        let mut turn = |&group: &usize| {
            let SimGroup { parts, writes } = self.groups[group].as_mut().expect("the server has the group");
            parts.replica.turn();
            writes.add(parts.replica.output.writes.drain(..));
            parts.replica.take_frames().collect()
        };
        let sent = groups.iter().map(&mut turn).collect();
        let now = self.clock.now();
        groups.iter().for_each(|&group| self.parts_mut(group).replica.publish(now));
        for group in ended {
            self.end_group(group);
        }
        sent
    }

    /// Lets go of a group of an epoch that is over. What it had yet to write counts for nothing any more.
    fn end_group(&mut self, group: usize) {
        let SimGroup { parts, .. } = self.groups[group].take().expect("the server has the group");
        let GroupParts { replica, .. } = parts;
        replica.leaves(Held {
            segment: 0,
            last: replica.driver.last_entry(),
            hard_state: replica.driver.hard_state(),
        });
    }

    /// Whether a group has something to write.
    pub fn has_writes(&self, group: usize) -> bool {
        self.groups.get(group).and_then(Option::as_ref).is_some_and(|group| !group.writes.is_empty())
    }

    /// Writes and syncs what a group has to write, and notifies the group's thread.
    ///
    /// # Errors
    /// If the log cannot be written. The server's process would end then, so the machine must not be used any
    /// more.
    pub fn write_log(&mut self, group: usize) -> Result<(), LogError> {
        let Some(Some(SimGroup { parts: GroupParts { replica, writer, .. }, writes })) =
            self.groups.get_mut(group)
        else {
            return Ok(());
        };
        let room = &self.shared.progress.room;
        if let Some(ready) = writes.write(writer, room, &replica.metrics)? {
            replica.send(Mail::Persisted(ready));
        }
        Ok(())
    }

    /// Stops cleanly: refuses commands, completes and syncs the logs, and records the clean stop; `false` if
    /// it could not be recorded. Callers stop waiting.
    ///
    /// # Errors
    /// If a log cannot be written: then the process would end, as at any other time.
    pub fn stop(&mut self) -> Result<bool, LogError> {
        self.shared.close();
        for group in (0..self.groups.len()).filter(|group| self.has_group(*group)).collect::<Vec<_>>() {
            self.turn(group);
            self.write_log(group)?;
            let Some(SimGroup { parts: GroupParts { replica, writer, .. }, writes }) =
                &mut self.groups[group]
            else {
                continue;
            };
            let hard_state = replica.driver.hard_state();
            if complete(writer, writes, hard_state)? {
                replica.leaves(Held { segment: 0, last: replica.driver.last_entry(), hard_state });
            }
        }
        Ok(self.identity.stopped_cleanly(self.shared.progress.left()).is_ok())
    }

    /// Runs a round of the sequencer's thread; `false` if there was nothing to do, or execution is too far
    /// behind.
    pub fn merge(&mut self) -> bool {
        if self.stretches.len() >= STRETCHES_WAITING {
            return false;
        }
        let stretch = self.sequencer.merge_some();
        let merged = !stretch.is_empty();
        if merged {
            self.stretches.push_back(stretch);
        }
        merged
    }

    /// Runs a round of the application's thread; `false` if there was nothing to do.
    pub fn execute(&mut self) -> bool {
        let Some(stretch) = self.stretches.pop_front() else { return false };
        let _execution = NoWaiting::inside("`apply`, `freeze` or `restore`");
        self.application.execute(stretch);
        true
    }

    /// Handles an event on the links of the snapshot channel.
    pub fn handle_transfer(&mut self, event: Event) {
        self.manager.handle(self.clock.now(), event);
    }

    /// Runs a round of the snapshots' thread, and returns what it sends.
    pub fn keep_snapshots(&mut self) -> Vec<(u64, Frame)> {
        let sent = self.manager.step(self.clock.now());
        let sent = sent.into_iter().map(|(to, message)| (to, message.encode()));
        let (for_followers, sent) = sent.partition(|(to, _)| self.followers.supplier.has(*to));
        self.for_followers.extend::<Vec<_>>(for_followers);
        sent
    }

    /// Handles an event on the channel of followers. `false`: the sender is to be disconnected.
    pub fn handle_follower(&mut self, event: Event) -> bool {
        self.followers.handle(self.clock.now(), event, &mut self.manager)
    }

    /// What there is for followers now.
    pub fn supply(&mut self) -> Vec<(u64, Frame)> {
        let mut sent = std::mem::take(&mut self.for_followers);
        sent.extend(self.followers.step(self.clock.now(), &self.manager));
        sent
    }

    /// In what time there is something for followers, unless something happens before.
    pub fn supply_due(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.followers.supplier.due(now).map(|due| due.saturating_duration_since(now))
    }

    /// Whether that thread would run another round rather than sleep. What is for followers does not count.
    pub fn wants_keeping(&self) -> bool {
        let now = self.clock.now();
        self.manager.is_due(now) || self.opener.next_due().is_some_and(|due| due <= now)
    }

    /// The longest time that it would sleep; `None` if only a wake-up ends its sleep.
    pub fn keeping_due(&self) -> Option<Duration> {
        let now = self.clock.now();
        let due = [self.manager.next_due(now), self.opener.next_due()].into_iter().flatten().min();
        due.map(|due| due.saturating_duration_since(now))
    }

    /// Durable snapshots, oldest first.
    pub fn snapshots(&self) -> impl DoubleEndedIterator<Item = &Arc<Header>> + ExactSizeIterator + Clone {
        self.manager.store().kept().iter().map(|kept| &kept.header)
    }

    /// The file of the newest snapshot; `None` if there is none, or part of its content is in other files.
    pub fn newest_snapshot(&self) -> Option<(Arc<Header>, Vec<u8>)> {
        let kept = self.manager.store().newest().filter(|kept| !kept.header.own_files)?;
        Some((Arc::clone(&kept.header), self.manager.read_file(&kept.path).ok()?))
    }

    /// The epoch from which on the cluster goes on without this server, if it is needed by nobody any more.
    pub fn removed(&self) -> Option<u32> {
        self.shared.progress.removal.since().map(Epoch::get)
    }

    /// The other members of a group.
    pub fn peers(&self, group: usize) -> Vec<u64> {
        self.config.peers(&self.parts(group).record)
    }

    /// The epoch that goes on without this server, as far as it knows. It takes no commands any more.
    pub fn leaves(&self) -> Option<u32> {
        self.shared.progress.removal.next().map(|next| next.epoch.get())
    }

    /// Number of snapshots that were found damaged at the start.
    pub fn damaged_snapshots(&self) -> usize {
        self.manager.store().damaged().len()
    }

    /// Advances the sequencer's clock by one tick, which also expires deadlines.
    pub fn tick(&mut self) {
        let now = self.clock.now();
        self.shared.expire(now);
        self.room.tick(&self.shared.progress);
        self.sequencer.tick(now);
    }

    /// Bytes that wait on this server behind something slow.
    pub fn waiting(&self) -> WaitingBytes {
        let progress = &self.shared.progress;
        let groups = self.groups.iter().flatten().map(|group| &group.parts.replica);
        let unsynced = groups.clone().map(|replica| replica.driver.unsynced_bytes());
        WaitingBytes {
            unsynced: unsynced.enumerate().max_by_key(|(_, bytes)| *bytes).expect("there is a group"),
            pulled: progress.bounds.pulled(),
            executing: progress.bounds.executing(),
            behind: progress.bounds.behind(),
            behind_of_groups: groups.map(Replica::behind).sum(),
            is_behind: progress.bounds.is_behind(),
            is_read_only: progress.room.is_lacking(),
        }
    }

    /// Whether the sequencer's thread would run another round rather than sleep.
    pub fn wants_merge(&self) -> bool {
        self.stretches.len() < STRETCHES_WAITING && self.sequencer.has_news()
    }

    /// Whether something waits for execution.
    pub fn wants_execution(&self) -> bool {
        !self.stretches.is_empty()
    }

    /// Whether a group is its epoch's anchor, and the epoch's level, as far as the server knows them.
    pub fn anchor_and_level(&self, group: usize) -> (bool, u64) {
        let replica = &self.parts(group).replica;
        let epoch = replica.epoch();
        (epoch.anchor.load(SeqCst) as usize == replica.group, epoch.level())
    }

    /// Number of commands in this server's lanes that are not executed.
    pub fn pending_commands(&self) -> usize {
        self.shared.lanes.iter().map(Lane::pending).sum()
    }

    /// What this server has counted since its start.
    pub fn figures(&self) -> Figures {
        let metrics = &self.shared.metrics;
        Figures {
            lanes_sent_again: metrics.groups.iter().map(|group| group.attempts.get()).sum(),
            duplicates: metrics.duplicates.get(),
            gaps: metrics.gaps.get(),
            lease_reads: metrics.lease_reads.get(),
            untaken: metrics.groups.iter().map(|group| group.untaken.get()).sum(),
            pad_requests: metrics.pad_requests.get(),
            snapshots: metrics.snapshots.get(),
            snapshots_received: metrics.snapshots_received.get(),
            snapshot_failures: metrics.snapshot_failures.get(),
            damaged_transfers: self.manager.damaged_transfers(),
        }
    }

    /// State of a group's replica.
    pub fn standing(&self, group: usize) -> Standing {
        let driver = &self.parts(group).replica.driver;
        Standing {
            term: driver.term(),
            vote: driver.hard_state().vote,
            leads: driver.leads(),
            leader: driver.leader(),
            commit: driver.commit(),
            last: driver.last_index(),
            transferee: driver.transferee(),
        }
    }

    /// State of this server's lane in a group, in words.
    pub fn describe_lane(&self, group: usize) -> String {
        let replica = &self.parts(group).replica;
        let lane = &self.shared.lanes[replica.group];
        format!("{}; {}", lane.describe(), replica.driver.describe_lane(replica.group as u16))
    }

    /// A group's local log.
    pub fn log(&self, group: usize) -> &LogStore {
        &self.parts(group).store
    }
}
