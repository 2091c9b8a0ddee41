//! Starts a server's parts with threads and sockets, and stops them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;

use niagara_log::Durability;
use niagara_log::thread::spawn;
use niagara_net::Transport;

use super::application::Application;
use super::channels::{Listening, open_group};
use super::environment::Environment;
use super::followers::{FollowThread, Follower, FollowerParts, Hosting, follow_first_state, open_as_guest};
use super::group_parts::GroupParts;
use super::group_threads::{Beginning, GroupThreads, RunningThreads, drive};
use super::join::fetch_first_state;
use super::parts::ServerParts;
use super::sequencer::{STRETCHES_WAITING, Sequencer};
use super::sequencer_thread::SequencerThread;
use super::server_core::Core;
use super::snapshot_thread::SnapshotThread;
use super::start_error::StartError;
use super::surroundings::{MakeTransport, Surroundings};
use super::thread_layout::{self, ThreadPart, groups_of};
use super::ticks::Ticks;
use super::transfers::Transfers;
use crate::client::{Client, Shared};
use crate::config::{Config, ConfigError, Member, Threads};
use crate::identity::{DirectoryLock, Identity, random};
use crate::misuse::NoWaiting;
use crate::progress::{Bell, GroupProgress, Mail, RoomWatch};
use crate::state_machine::StateMachine;

/// A running server.
///
/// ```
/// use bytes::Bytes;
/// use niagara_engine::{
///     Commands, Config, Consistency, Durability, Encoded, Engine, GlobalPosition, MalformedState, Member, StateMachine,
/// };
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering::SeqCst}};
///
/// #[derive(Default)]
/// struct Counter(Arc<AtomicUsize>);
///
/// impl StateMachine for Counter {
///     type Reply = usize;
///     type Reader = Arc<AtomicUsize>;
///     type Frozen = Encoded;
///     type Restoring = Encoded;
///     fn reader(&self) -> Self::Reader {
///         Arc::clone(&self.0)
///     }
///     fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<usize>) {
///         replies.extend(commands.map(|_| self.0.fetch_add(1, SeqCst) + 1));
///     }
///     fn freeze(&mut self) -> Encoded {
///         Encoded::new(self.0.load(SeqCst).to_le_bytes().to_vec())
///     }
///     fn restoring(_: &Self::Reader) -> Encoded {
///         Encoded::default()
///     }
///     fn restore(&mut self, _: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
///         let count = state.bytes().try_into().map_err(|_| MalformedState("a count has eight bytes"))?;
///         self.0.store(usize::from_le_bytes(count), SeqCst);
///         Ok(())
///     }
/// }
///
/// // A cluster of one server with two groups, in memory.
/// let addresses = vec!["127.0.0.1:0".to_string(); 2];
/// let mut config = Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "127.0.0.1:0".into() }]);
/// config.durability = Durability::Memory;
/// let engine = Engine::start(config, Counter::default())?;
/// let client = engine.client();
///
/// let first = client.propose(Bytes::from_static(b"count this"))?.wait()?;
/// assert_eq!(first.reply, 1);
/// let counter = client.read(Consistency::Strong).wait()?;
/// assert_eq!(counter.load(SeqCst), 1);
/// engine.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Engine<S: StateMachine> {
    shared: Arc<Shared<S>>,
    identity: Arc<Identity>,
    _lock: Option<DirectoryLock>,
    /// This server, as the configuration lists it; `None` for a follower.
    own: Option<Member>,
    listening: Listening,
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
    groups: Arc<RunningThreads>,
    sequencer: Option<JoinHandle<()>>,
    application: Option<JoinHandle<()>>,
    snapshots: Option<JoinHandle<()>>,
}

impl<S: StateMachine> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("server", &self.shared.server)
            .field("addresses", &self.addresses())
            .finish_non_exhaustive()
    }
}

impl<S: StateMachine> Engine<S> {
    /// Starts in these surroundings.
    pub(super) fn start_in(
        mut config: Config,
        surroundings: Surroundings,
        state: S,
    ) -> Result<Engine<S>, StartError> {
        config.check()?;
        if config.members.is_empty() {
            return Err(StartError::Config(ConfigError::Unfit(
                "a follower has to know a member: list some among the members (or start it with `niagara serve --follow URL`)"
                    .into(),
            )));
        }
        let _span = tracing::error_span!(parent: None, "engine", server = config.server).entered();
        let Surroundings { clock, files, locks, transport } = surroundings;
        let lock = match config.durability {
            Durability::Fsync | Durability::Os if locks => Some(DirectoryLock::take(&config.data_dir)?),
            Durability::Memory | Durability::Fsync | Durability::Os => None,
        };
        let environment = Environment {
            boot: random() as u64 | 1,
            clock,
            files,
            prepare_beside: true,
            election_seed: None,
        };
        let started = if config.follows() {
            config.threads = Threads::Count(0);
            Engine::start_follower(&config, &environment, &transport, state)
        } else {
            Engine::start_member(&mut config, &environment, &transport, state)
        };
        match started {
            Ok(mut engine) => {
                engine._lock = lock;
                Ok(engine)
            }
            Err(error) => {
                lock.into_iter().for_each(DirectoryLock::undo);
                Err(error)
            }
        }
    }

    fn start_member(
        config: &mut Config,
        environment: &Environment,
        transport: &MakeTransport,
        state: S,
    ) -> Result<Engine<S>, StartError> {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let layout = thread_layout::parts(config, &cores)?;
        let as_configured = config.clone();
        config.threads = Threads::Count(layout.len() as u16);
        let opened = open(config, environment, transport, &layout, state)?;
        let mut engine = Engine::without_threads(&opened.parts.shared, &opened.parts.identity);
        engine.own = Some(config.own().clone());
        engine.listening = opened.listening.clone();
        let threads = GroupThreads {
            config: as_configured,
            identity: Arc::clone(&engine.identity),
            progress: Arc::clone(&engine.shared.progress),
            listening: opened.listening.clone(),
            clock: environment.clock.clone(),
            cores,
            make_transport: Arc::clone(transport),
            layout: layout.clone(),
            running: Arc::clone(&engine.groups),
        };
        engine.start_threads(config, opened, &layout, threads).map_err(StartError::Thread)?;
        tracing::info!(
            server = config.server,
            groups = config.groups(),
            threads = layout.len(),
            pinned = layout.iter().any(|part| part.core.is_some()),
            incarnation = engine.identity.incarnation(),
            durability = %config.durability,
            "the engine runs"
        );
        Ok(engine)
    }

    fn start_follower(
        config: &Config,
        environment: &Environment,
        make_transport: &MakeTransport,
        state: S,
    ) -> Result<Engine<S>, StartError> {
        let fetch = |identity: &_, files: &_| follow_first_state(config, identity, files, make_transport);
        let parts = FollowerParts::open(config, environment, state, fetch)?;
        let mut transport = make_transport().map_err(StartError::Transfer)?;
        open_as_guest(&mut *transport, config, &parts.identity, &parts.members)?;
        parts.core.shared.progress.snapshots.set_waker(transport.waker());
        parts.begin(config)?;
        let FollowerParts { identity, core, logs, members, room } = parts;
        let Core { shared, sequencer, application, manager, .. } = core;
        let mut engine = Engine::without_threads(&shared, &identity);
        let follower = Follower::new(config, &shared, manager, logs);
        let progress = Arc::clone(&shared.progress);
        let following = FollowThread::new(config, &identity, &progress, follower, transport, members);
        let started = engine.start_core(config, sequencer, application, room).and_then(|()| {
            engine.snapshots = Some(spawn("snapshots".into(), move || {
                let _snapshots = NoWaiting::inside("the thread that follows the members");
                following.run();
            })?);
            Ok(())
        });
        started.map_err(StartError::Thread)?;
        tracing::info!(
            server = config.server,
            incarnation = identity.incarnation(),
            durability = %config.durability,
            "the engine follows"
        );
        Ok(engine)
    }

    fn without_threads(shared: &Arc<Shared<S>>, identity: &Arc<Identity>) -> Engine<S> {
        Engine {
            own: None,
            listening: Listening::default(),
            shared: Arc::clone(shared),
            identity: Arc::clone(identity),
            _lock: None,
            stop: Arc::default(),
            bell: Arc::clone(&shared.sequencer),
            groups: Arc::default(),
            sequencer: None,
            application: None,
            snapshots: None,
        }
    }

    /// Starts the threads that merge and execute.
    fn start_core(
        &mut self,
        config: &Config,
        sequencer: Sequencer,
        application: Application<S>,
        mut room: RoomWatch,
    ) -> io::Result<()> {
        let (out, input) = crossbeam_channel::bounded(STRETCHES_WAITING);
        self.application = Some(spawn("application".into(), move || {
            let _execution = NoWaiting::inside("`apply`, `freeze` or `restore`");
            application.run(&input);
        })?);
        let for_deadlines = Arc::clone(&self.shared);
        let sequencer = SequencerThread {
            sequencer,
            bell: Arc::clone(&self.bell),
            ticks: Ticks::new(self.shared.clock.clone(), config.tick),
            out,
            on_tick: Box::new(move |now| {
                for_deadlines.expire(now);
                room.tick(&for_deadlines.progress);
            }),
            stop: Arc::clone(&self.stop),
        };
        self.sequencer = Some(spawn("sequencer".into(), move || {
            let _sequencer = NoWaiting::inside("a call from the sequencer's thread");
            sequencer.run();
        })?);
        Ok(())
    }

    fn start_threads(
        &mut self,
        config: &Config,
        opened: Opened<S>,
        layout: &[ThreadPart],
        threads: GroupThreads,
    ) -> io::Result<()> {
        let Opened { parts, transports, transfer: (transfer, transfers, followers), .. } = opened;
        let ServerParts { shared, groups, sequencer, application, manager, opener, room, bell, .. } = parts;
        self.start_core(config, sequencer, application, room)?;
        let mut parts: Vec<Vec<GroupParts>> = layout.iter().map(|_| Vec::new()).collect();
        for group in groups {
            parts[thread_of(&group, layout.len())].push(group);
        }
        for ((part, transport), groups) in layout.iter().zip(transports).zip(parts) {
            start_groups(config, &shared, part, transport, groups, &self.groups)?;
        }
        let keeping = SnapshotThread {
            manager,
            opener,
            groups: threads,
            sequencer: bell,
            progress: Arc::clone(&shared.progress),
            transport: transfer,
            transfers,
            followers,
        };
        self.snapshots = Some(spawn("snapshots".into(), move || {
            let _snapshots = NoWaiting::inside("the thread that writes and reads snapshots");
            keeping.run();
        })?);
        Ok(())
    }

    /// A handle for any thread.
    pub fn client(&self) -> Client<S> {
        Client::new(Arc::clone(&self.shared))
    }

    /// Reports that the clock that the engine was [started under](Self::start_under) has moved.
    #[doc(hidden)]
    pub fn clock_moved(&self) {
        self.shared.progress.epochs().flat_map(|epoch| &epoch.groups).for_each(GroupProgress::wake);
        self.bell.ring();
    }

    /// Address that each group listens on, in order of the groups that there are now. Empty if the transport is one of the
    /// program's own that does not listen, and on a follower.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let Some(own) = &self.own else { return Vec::new() };
        let groups = 0..self.shared.progress.epoch().groups.len();
        groups.filter_map(|group| self.listening.at(own.address_of(group))).collect()
    }

    /// Stops the server: refuses commands, ends what callers wait for, syncs the logs, ends the threads and
    /// releases the data directory. Dropping the engine does the same.
    pub fn stop(self) {
        drop(self);
    }

    fn shut_down(&mut self) {
        self.shared.close();
        // First the thread that makes groups, so that none come later.
        self.shared.progress.snapshots.stop();
        self.snapshots.take().into_iter().for_each(join);
        self.shared.progress.tell_groups(&Mail::Stop);
        self.groups.end();
        self.groups.join();
        self.stop.store(true, SeqCst);
        self.bell.ring();
        let others = [self.sequencer.take(), self.application.take()];
        others.into_iter().flatten().for_each(join);
        if let Err(error) = self.identity.stopped_cleanly(self.shared.progress.left()) {
            tracing::warn!(%error, "cannot record the clean stop");
        }
        self.shared.progress.watchers.stopped();
        tracing::info!(server = self.shared.server, "the engine has stopped");
    }
}

impl<S: StateMachine> Drop for Engine<S> {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Everything that a start opens. Other servers may see this one from then on.
struct Opened<S: StateMachine> {
    parts: ServerParts<S>,
    /// One for each group thread.
    transports: Vec<Box<dyn Transport>>,
    /// That of the snapshots, and of followers.
    transfer: (Box<dyn Transport>, Transfers, Hosting),
    /// Where the server listens.
    listening: Listening,
}

fn open<S: StateMachine>(
    config: &Config,
    environment: &Environment,
    make_transport: &MakeTransport,
    layout: &[ThreadPart],
    state: S,
) -> Result<Opened<S>, StartError> {
    let parts = ServerParts::open(config, environment, state, |identity, files| {
        fetch_first_state(config, identity, files, make_transport)
    })?;
    let progress = &parts.shared.progress;
    let (mut transports, listening) = (Vec::new(), Listening::default());
    for part in layout {
        let first = part.groups.start as u16 + 1;
        transports.push(make_transport().map_err(|source| StartError::Link { group: first, source })?);
    }
    for group in &parts.groups {
        let transport: &mut Box<dyn Transport> = &mut transports[thread_of(group, layout.len())];
        let GroupParts { record, replica, .. } = group;
        open_group(&mut **transport, config, record, replica.group as u16, &parts.identity, &listening)?;
        replica.set_waker(transport.waker());
    }
    let mut transfer = make_transport().map_err(StartError::Transfer)?;
    let mut transfers = Transfers::new(config, &parts.identity);
    transfers.follow(&mut *transfer, &parts.chain)?;
    let mut followers = Hosting::new(config, &parts.shared);
    if let Some(listening) = transfers.listening() {
        followers.open(&mut *transfer, config, &parts.identity, listening)?;
    }
    followers.add_logs(&parts.groups);
    progress.snapshots.set_waker(transfer.waker());
    parts.begin(config)?;
    Ok(Opened { parts, transports, transfer: (transfer, transfers, followers), listening })
}

/// The thread that drives a group.
fn thread_of(group: &GroupParts, threads: usize) -> usize {
    let groups = group.record.terms.groups.into();
    let mut parts = (0..threads).map(|thread| groups_of(thread, threads, groups));
    parts.position(|part| part.contains(&group.replica.group)).expect("each group has a thread")
}

/// Starts a thread that drives these groups, and the one that makes their logs durable.
fn start_groups<S: StateMachine>(
    config: &Config,
    shared: &Shared<S>,
    part: &ThreadPart,
    transport: Box<dyn Transport>,
    groups: Vec<GroupParts>,
    running: &RunningThreads,
) -> io::Result<()> {
    let numbers = match (part.groups.start + 1, part.groups.end) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    let (groups, logs) = drive(config, &shared.progress, format!("log-{numbers}"), groups.into_iter())?;
    let ticks = Ticks::new(shared.clock.clone(), config.tick);
    running.start(Beginning { name: numbers, ticks, core: part.core, transport, groups, logs })
}

fn join(thread: JoinHandle<()>) {
    thread.join().expect("a panic in a thread of the engine ends the process");
}
