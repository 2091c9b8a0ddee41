//! A server that is driven by hand: for a simulator, which brings time, network and disk of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use niagara_log::{Held, LogError, LogStore};
use niagara_net::{Admission, Event, Frame, Hello, Refusal};

use super::application::Application;
use super::environment::Environment;
use super::group_thread::complete;
use super::log_thread::Pending;
use super::parts::{GroupParts, ServerParts};
use super::sequencer::{STRETCHES_WAITING, Sequencer};
use super::snapshot_manager::SnapshotManager;
use super::start_error::StartError;
use super::stretch::Stretch;
use crate::client::{Client, Shared};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::Identity;
use crate::lane::Lane;
use crate::planted::{self, Bug};
use crate::progress::{Mail, RoomWatch};
use crate::snapshot::Header;
use crate::state_machine::StateMachine;

/// A server without threads. Each method is what one of the threads of an [`Engine`](crate::Engine) does in one round of
/// its loop, with the same code; the caller decides the order, as an operating system does with threads.
///
/// | thread | methods |
/// |---|---|
/// | group | [`handle`](SimServer::handle), [`tick_group`](SimServer::tick_group), [`turn`](SimServer::turn) |
/// | log | [`write_log`](SimServer::write_log) |
/// | sequencer | [`merge`](SimServer::merge), [`tick`](SimServer::tick) |
/// | application | [`execute`](SimServer::execute) |
/// | snapshots | [`handle_transfer`](SimServer::handle_transfer), [`keep_snapshots`](SimServer::keep_snapshots) |
///
/// Groups are named by their zero-based index.
///
/// ```
/// use niagara_log::SystemFiles;
/// use niagara_engine::sim::{Clock, SimServer, Environment};
/// use niagara_engine::{Config, Durability, Member, example};
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
    peers: Vec<u64>,
    /// Somebody says how much the network has queued.
    queues_are_known: bool,
    groups: Vec<GroupParts>,
    writes: Vec<Pending>,
    sequencer: Sequencer,
    stretches: VecDeque<Stretch>,
    application: Application<S>,
    manager: SnapshotManager<S>,
    room: RoomWatch,
}

/// How one replica stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Raft's term.
    pub term: u64,
    /// The server that it has voted for in that term; 0 for none.
    pub vote: u64,
    /// Whether it leads.
    pub leads: bool,
    /// The leader that it knows of; 0 for none.
    pub leader: u64,
    /// Raft index of the last committed entry that it knows of.
    pub commit: u64,
    /// Raft index of the last entry.
    pub last: u64,
    /// To whom it is handing over; 0 for nobody.
    pub transferee: u64,
}

/// Bytes of entries that wait somewhere on a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingBytes {
    /// For the server's own disk, in the group with the most: its zero-based index, and the bytes.
    pub unsynced: (usize, u64),
    /// Pulled out of the logs, for the merge.
    pub pulled: u64,
    /// Merged, for execution.
    pub executing: u64,
    /// In the logs of all groups, for being merged.
    pub behind: u64,
    /// That is too much.
    pub is_behind: bool,
    /// There is no room on the disk for commands.
    pub is_read_only: bool,
}

/// What a server has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Times that a lane was sent again.
    pub lanes_sent_again: u64,
    /// Copies of commands that were not executed again.
    pub duplicates: u64,
    /// Sub-batches that were skipped since earlier ones were missing.
    pub gaps: u64,
    /// Messages of leaders whose entries were not taken.
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

impl<S: StateMachine> SimServer<S> {
    /// Opens the logs. The first [`turn`](SimServer::turn) of each group publishes what they hold.
    ///
    /// # Errors
    /// When a log is damaged, or has lost what was acknowledged.
    pub fn open(config: &Config, environment: &Environment, state: S) -> Result<SimServer<S>, StartError> {
        config.check()?;
        let parts = ServerParts::open(config, environment, state)?;
        parts.begin(config)?;
        let ServerParts { identity, shared, groups, sequencer, application, manager, room, bell: _ } = parts;
        Ok(SimServer {
            config: config.clone(),
            identity,
            shared,
            clock: environment.clock.clone(),
            peers: config.peers().collect(),
            queues_are_known: false,
            writes: groups.iter().map(|_| Pending::default()).collect(),
            groups,
            sequencer,
            stretches: VecDeque::new(),
            application,
            manager,
            room,
        })
    }

    /// What the server says of itself when a connection begins. Channels are the groups' from 1 on, and 0 is that for snapshots.
    pub fn hello(&self, channel: u16) -> Hello {
        self.identity.hello(&self.config, channel)
    }

    /// Whether the server that says this of itself may connect on a channel.
    ///
    /// # Errors
    /// What the other server is to be told.
    pub fn admit(&self, channel: u16, peer: &Hello) -> Result<(), Refusal> {
        if !planted::is(Bug::MembersNotCompared) {
            niagara_net::check_cluster(&self.hello(channel), peer)?;
        }
        self.identity.admit(peer)
    }

    /// Another server has refused this one.
    pub fn refused(&self, refusal: &Refusal) {
        self.identity.refused(refusal);
    }

    /// Whether this server has parted from the others: [`Client::is_diverged`].
    pub fn is_diverged(&self) -> bool {
        self.shared.progress.divergence.is_diverged()
    }

    /// A handle for the server's clients.
    pub fn client(&self) -> Client<S> {
        Client::new(Arc::clone(&self.shared))
    }

    /// Something has happened on a group's links.
    pub fn handle(&mut self, group: usize, event: Event) {
        self.groups[group].replica.handle(event);
    }

    /// A step of a group's clock; a turn follows.
    pub fn tick_group(&mut self, group: usize) {
        self.groups[group].replica.look();
        self.groups[group].replica.tick();
    }

    /// Whether a group's thread would go round once more rather than sleep.
    pub fn wants_turn(&self, group: usize) -> bool {
        !self.groups[group].replica.may_sleep()
    }

    /// Whether a group's thread stands still; never, unless it is made to by a planted bug.
    pub fn is_blocked(&self, group: usize) -> bool {
        let merged = || self.shared.progress.groups[group].waits.merged();
        planted::is(Bug::BlockingHandOff) && self.standing(group).commit > merged() + 1
    }

    /// The network has so many bytes queued from a group to a peer, or no connection to it. To be said before each turn; a
    /// network of which nothing is ever said takes everything at once.
    pub fn queue_holds(&mut self, group: usize, peer: u64, bytes: Option<usize>) {
        self.queues_are_known = true;
        self.groups[group].replica.driver.queue_holds(peer, bytes);
    }

    /// Bytes that wait for a peer on a group's link, in the engine and in the network.
    pub fn waiting_bytes(&self, group: usize, peer: u64) -> usize {
        self.groups[group].replica.driver.waiting_bytes(peer)
    }

    /// A turn of a group's thread; what it sends.
    pub fn turn(&mut self, group: usize) -> Vec<(u64, Frame)> {
        let replica = &mut self.groups[group].replica;
        if !self.queues_are_known {
            self.peers.iter().for_each(|peer| replica.driver.queue_holds(*peer, Some(0)));
        }
        replica.read_mail();
        replica.look();
        replica.turn();
        self.writes[group].add(replica.output.writes.drain(..));
        let sent = replica.output.messages.drain(..).map(|(to, wire)| (to, wire.encode())).collect();
        replica.publish(self.clock.now());
        sent
    }

    /// Whether something of a group's waits to be written.
    pub fn has_writes(&self, group: usize) -> bool {
        !self.writes[group].is_empty()
    }

    /// Writes whatever of a group's waits to be written, syncs it, and tells the group's thread.
    ///
    /// # Errors
    /// When the log cannot be written: the server's process ends then, so the machine must not be used any more.
    pub fn write_log(&mut self, group: usize) -> Result<(), LogError> {
        let GroupParts { replica, writer, .. } = &mut self.groups[group];
        let room = &self.shared.progress.room;
        if let Some(ready) = self.writes[group].write(writer, room, &replica.metrics)? {
            self.shared.progress.groups[group].send(Mail::Persisted(ready));
        }
        Ok(())
    }

    /// Stops as a server does that is told to: takes no more commands, completes and syncs the logs, and notes that; `false` if
    /// it could not be noted. What callers wait for ends.
    ///
    /// # Errors
    /// When a log cannot be written: then the process ends as it does at any other time.
    pub fn stop(&mut self) -> Result<bool, LogError> {
        self.shared.close();
        for group in 0..self.groups.len() {
            self.turn(group);
            self.write_log(group)?;
            let GroupParts { replica, writer, .. } = &mut self.groups[group];
            let hard_state = replica.driver.hard_state();
            if complete(writer, &self.writes[group], hard_state)? {
                replica.leaves(Held { segment: 0, last: replica.driver.last_entry(), hard_state });
            }
        }
        Ok(self.identity.stopped_cleanly(self.shared.progress.left()).is_ok())
    }

    /// A round of the sequencer's thread; `false` if there was nothing to do, or execution is too far behind.
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

    /// A round of the application's thread; `false` if there was nothing to do.
    pub fn execute(&mut self) -> bool {
        let Some(stretch) = self.stretches.pop_front() else { return false };
        self.application.execute(stretch);
        true
    }

    /// Something has happened on the links of the channel for snapshots.
    pub fn handle_transfer(&mut self, event: Event) {
        self.manager.handle(self.clock.now(), event);
    }

    /// A round of the thread that keeps the snapshots; what it sends.
    pub fn keep_snapshots(&mut self) -> Vec<(u64, Frame)> {
        let sent = self.manager.step(self.clock.now());
        sent.into_iter().map(|(to, message)| (to, message.encode())).collect()
    }

    /// Whether that thread would go round once more rather than sleep.
    pub fn wants_keeping(&self) -> bool {
        self.manager.is_due(self.clock.now())
    }

    /// How long it would sleep at the most; nothing for as long as nobody wakes it.
    pub fn keeping_due(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.manager.next_due(now).map(|due| due.saturating_duration_since(now))
    }

    /// The snapshots that are durable here, oldest first.
    pub fn snapshots(&self) -> impl DoubleEndedIterator<Item = &Arc<Header>> + ExactSizeIterator + Clone {
        self.manager.store().kept().iter().map(|kept| &kept.header)
    }

    /// How many snapshots were found damaged at the start.
    pub fn damaged_snapshots(&self) -> usize {
        self.manager.store().damaged().len()
    }

    /// A step of the sequencer's clock, by which deadlines pass, too.
    pub fn tick(&mut self) {
        let now = self.clock.now();
        self.shared.expire(now);
        self.room.tick(&self.shared.progress);
        self.sequencer.tick(now);
    }

    /// Bytes that wait on this server behind something slow.
    pub fn waiting(&self) -> WaitingBytes {
        let progress = &self.shared.progress;
        let unsynced = self.groups.iter().map(|group| group.replica.driver.unsynced_bytes());
        WaitingBytes {
            unsynced: unsynced.enumerate().max_by_key(|(_, bytes)| *bytes).expect("there is a group"),
            pulled: progress.bounds.pulled(),
            executing: progress.bounds.executing(),
            behind: progress.bounds.behind(),
            is_behind: progress.bounds.is_behind(),
            is_read_only: progress.room.is_lacking(),
        }
    }

    /// Whether the sequencer's thread would go round once more rather than sleep.
    pub fn wants_merge(&self) -> bool {
        self.stretches.len() < STRETCHES_WAITING && self.sequencer.has_news()
    }

    /// Whether something waits for execution.
    pub fn wants_execution(&self) -> bool {
        !self.stretches.is_empty()
    }

    /// The zero-based index of the group that the server takes for the anchor, and the level that it knows of.
    pub fn anchor_and_level(&self) -> (usize, u64) {
        (self.shared.progress.anchor.load(SeqCst) as usize, self.shared.progress.level())
    }

    /// Commands of this server's lanes that are not executed.
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
            untaken: metrics.groups.iter().map(|group| group.untaken.get()).sum(),
            pad_requests: metrics.pad_requests.get(),
            snapshots: metrics.snapshots.get(),
            snapshots_received: metrics.snapshots_received.get(),
            snapshot_failures: metrics.snapshot_failures.get(),
            damaged_transfers: self.manager.damaged_transfers(),
        }
    }

    /// How a group's replica stands.
    pub fn standing(&self, group: usize) -> Standing {
        let driver = &self.groups[group].replica.driver;
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

    /// How this server's lane in a group stands, in words.
    pub fn describe_lane(&self, group: usize) -> String {
        format!(
            "{}; {}",
            self.shared.lanes[group].describe(),
            self.groups[group].replica.driver.describe_lane()
        )
    }

    /// A group's local log.
    pub fn log(&self, group: usize) -> &LogStore {
        &self.groups[group].store
    }
}
