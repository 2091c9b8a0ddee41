//! A server that is driven by hand, for a simulator with its own time, network and disk.

mod epochs;
mod figures;
mod snapshots;

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use niagara_log::{Held, LogError, LogStore};
use niagara_net::{Admission, Event, Frame, Hello, Refusal};

pub use self::figures::{Figures, Standing, WaitingBytes};
use super::application::Application;
use super::driven_group::complete;
use super::environment::Environment;
use super::epoch_opener::EpochOpener;
use super::first_state::take_first_state;
use super::followers::Hosting;
use super::group_parts::GroupParts;
use super::log_thread::Pending;
use super::parts::ServerParts;
use super::sequencer::{STRETCHES_WAITING, Sequencer};
use super::snapshot_manager::SnapshotManager;
use super::start_error::StartError;
use super::stretch::Stretch;
use super::thread_layout::groups_beside;
use crate::client::{Client, Shared};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::Identity;
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

    /// The other members of a group.
    pub fn peers(&self, group: usize) -> Vec<u64> {
        self.config.peers(&self.parts(group).record)
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
        let SimGroup { parts, mut writes } = self.groups[group].take().expect("the server has the group");
        let GroupParts { replica, .. } = parts;
        writes.give_up(&self.shared.progress.room);
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

    /// Advances the sequencer's clock by one tick, which also expires deadlines.
    pub fn tick(&mut self) {
        let now = self.clock.now();
        self.shared.expire(now);
        self.room.tick(&self.shared.progress);
        self.sequencer.tick(now);
    }

    /// Whether the sequencer's thread would run another round rather than sleep.
    pub fn wants_merge(&self) -> bool {
        self.stretches.len() < STRETCHES_WAITING && self.sequencer.has_news()
    }

    /// Whether something waits for execution.
    pub fn wants_execution(&self) -> bool {
        !self.stretches.is_empty()
    }

    /// A group's local log.
    pub fn log(&self, group: usize) -> &LogStore {
        &self.parts(group).store
    }
}
