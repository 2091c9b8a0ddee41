//! Starts a server's parts with threads and sockets, and stops them.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;

use niagara_log::thread::spawn;
use niagara_log::{Durability, Files};
use niagara_net::{LinkConfig, OpenError, Peer, Transport};

use super::environment::Environment;
use super::group_thread::{Disk, GroupThread};
use super::log_thread::{LogThread, Pending};
use super::parts::{GroupParts, ServerParts};
use super::sequencer::STRETCHES_WAITING;
use super::sequencer_thread::SequencerThread;
use super::snapshot_thread::SnapshotThread;
use super::start_error::StartError;
use super::ticks::Ticks;
use crate::client::{Client, Shared};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Link, MOST_PENDING, Pinning};
use crate::identity::{DirectoryLock, Identity, random};
use crate::misuse::NoWaiting;
use crate::progress::{Bell, GroupProgress, Mail};
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
    addresses: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
    groups: Vec<JoinHandle<()>>,
    sequencer: Option<JoinHandle<()>>,
    application: Option<JoinHandle<()>>,
    snapshots: Option<JoinHandle<()>>,
}

impl<S: StateMachine> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("server", &self.shared.server)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl<S: StateMachine> Engine<S> {
    /// Starts with these files and this clock. If `locks` says so, the data directory is the system's, and
    /// admits one server.
    pub(super) fn start_in(
        config: &Config,
        clock: Clock,
        files: Arc<dyn Files>,
        locks: bool,
        state: S,
    ) -> Result<Engine<S>, StartError> {
        config.check()?;
        let _span = tracing::error_span!(parent: None, "engine", server = config.server).entered();
        let cores = cores(config)?;
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
        let opened = open(config, &environment, state);
        let Opened { parts, transports, transfer } = match opened {
            Ok(opened) => opened,
            Err(error) => {
                lock.into_iter().for_each(DirectoryLock::undo);
                return Err(error);
            }
        };
        let mut engine = Engine {
            addresses: transports.iter().map(Transport::local_addr).collect(),
            shared: Arc::clone(&parts.shared),
            identity: Arc::clone(&parts.identity),
            _lock: lock,
            stop: Arc::default(),
            bell: Arc::clone(&parts.bell),
            groups: Vec::new(),
            sequencer: None,
            application: None,
            snapshots: None,
        };
        engine.start_threads(config, parts, (transports, transfer), cores).map_err(StartError::Thread)?;
        tracing::info!(
            server = config.server,
            groups = config.groups(),
            incarnation = engine.identity.incarnation(),
            durability = %config.durability,
            "the engine runs"
        );
        Ok(engine)
    }

    fn start_threads(
        &mut self,
        config: &Config,
        parts: ServerParts<S>,
        (transports, transfer): (Vec<Transport>, Transport),
        cores: Vec<Option<core_affinity::CoreId>>,
    ) -> io::Result<()> {
        let ServerParts { shared, groups, sequencer, application, manager, mut room, bell, identity: _ } =
            parts;
        let (out, input) = crossbeam_channel::bounded(STRETCHES_WAITING);
        self.application = Some(spawn("application".into(), move || {
            let _execution = NoWaiting::inside("`apply`, `freeze` or `restore`");
            application.run(&input);
        })?);
        let keeping = SnapshotThread { manager, progress: Arc::clone(&shared.progress), transport: transfer };
        self.snapshots = Some(spawn("snapshots".into(), move || {
            let _snapshots = NoWaiting::inside("the thread that writes and reads snapshots");
            keeping.run();
        })?);
        let for_deadlines = Arc::clone(&shared);
        let sequencer = SequencerThread {
            sequencer,
            bell,
            ticks: Ticks::new(shared.clock.clone(), config.tick),
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
        for (index, ((group, transport), core)) in groups.into_iter().zip(transports).zip(cores).enumerate() {
            let GroupParts { replica, writer, .. } = group;
            let disk = if config.durability == Durability::Fsync {
                let (progress, metrics) = (Arc::clone(&shared.progress), replica.metrics.clone());
                Disk::Thread(LogThread::start(index, writer, progress, metrics)?)
            } else {
                Disk::Inline(Box::new(writer), Pending::default())
            };
            let peers = config.peers().collect();
            let ticks = Ticks::new(shared.clock.clone(), config.tick);
            let thread = GroupThread { replica, ticks, core, transport, peers, disk };
            self.groups.push(spawn(format!("group-{}", index + 1), move || {
                let _group = NoWaiting::inside("a call from a group's thread");
                thread.run();
            })?);
        }
        Ok(())
    }

    /// A handle for any thread.
    pub fn client(&self) -> Client<S> {
        Client::new(Arc::clone(&self.shared))
    }

    /// Reports that the clock that the engine was [started under](Self::start_under) has moved.
    #[doc(hidden)]
    pub fn clock_moved(&self) {
        self.shared.progress.groups.iter().for_each(GroupProgress::wake);
        self.bell.ring();
    }

    /// Address that each group listens on, in order of the groups.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops the server: refuses commands, ends what callers wait for, syncs the logs, ends the threads and
    /// releases the data directory. Dropping the engine does the same.
    pub fn stop(self) {
        drop(self);
    }

    fn shut_down(&mut self) {
        self.shared.close();
        for group in &self.shared.progress.groups {
            group.send(Mail::Stop);
        }
        let threads = self.groups.drain(..);
        threads.for_each(join);
        self.stop.store(true, SeqCst);
        self.bell.ring();
        self.shared.progress.snapshots.stop();
        let others = [self.sequencer.take(), self.application.take(), self.snapshots.take()];
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
    transports: Vec<Transport>,
    transfer: Transport,
}

fn open<S: StateMachine>(
    config: &Config,
    environment: &Environment,
    state: S,
) -> Result<Opened<S>, StartError> {
    let parts = ServerParts::open(config, environment, state)?;
    let transport = |group| open_link(config, group, &parts.identity);
    let transports = (0..config.groups()).map(transport).collect::<Result<Vec<_>, _>>()?;
    let transfer = open_transfer(config, &parts.identity)?;
    parts.shared.progress.snapshots.set_waker(transfer.waker());
    for (transport, group_progress) in transports.iter().zip(&parts.shared.progress.groups) {
        group_progress.set_waker(transport.waker());
    }
    parts.begin(config)?;
    Ok(Opened { parts, transports, transfer })
}

fn join(thread: JoinHandle<()>) {
    thread.join().expect("a panic in a thread of the engine ends the process");
}

/// Room in a message beside its entries' commands.
const MESSAGE_HEADS_BYTES: usize = 16 << 10;
/// Larger buffers are not worth the memory that they pin.
const READ_BUFFER_BYTES_MAX: usize = 1 << 20;

fn open_link(config: &Config, group: u16, identity: &Arc<Identity>) -> Result<Transport, StartError> {
    let number = group + 1;
    let at = usize::from(group);
    let own = config.members.iter().find(|member| member.server == config.server).expect("checked");
    let link = config.links.get(at).cloned().unwrap_or_default();
    let listen = match link {
        Link { listen: Some(listen), .. } => listen,
        Link { .. } => resolve(&own.addresses[at]).map_err(|source| StartError::Address {
            group: number,
            address: own.addresses[at].clone(),
            source,
        })?,
    };
    let hello = identity.hello(config, number);
    let others = config.members.iter().filter(|member| member.server != config.server);
    let peers =
        others.map(|member| Peer { server: member.server, address: member.addresses[at].clone() }).collect();
    let mut link_config = LinkConfig::new(hello, listen, peers);
    link_config.bind_address = link.bind_address;
    link_config.bind_device = link.bind_device;
    link_config.max_frame_bytes = config.frame_bytes();
    // The replica stops when its own bound is exceeded, so one message may come on top; nothing is ever
    // dropped here.
    link_config.send_queue_bytes = config.send_queue_bytes + link_config.max_frame_bytes;
    link_config.max_pending_connections = MOST_PENDING + config.members.len();
    // A leader that is ahead by its whole window sends that in one message.
    let message_bytes = config.entry_bytes * (config.window + 1) + MESSAGE_HEADS_BYTES;
    link_config.read_buffer_bytes = message_bytes.clamp(link_config.read_buffer_bytes, READ_BUFFER_BYTES_MAX);
    link_config.seed = random() as u64;
    let admission = Arc::<Identity>::clone(identity);
    let opened = open_transport(config, number, link_config, admission);
    opened.map_err(|source| StartError::Link { group: number, source })
}

/// Opens a channel on the socket that listens for it already, if there is one.
fn open_transport(
    config: &Config,
    channel: u16,
    link_config: LinkConfig,
    admission: Arc<Identity>,
) -> Result<Transport, OpenError> {
    match config.listeners.take(channel) {
        Some(listener) => Transport::open_on(listener, link_config, admission),
        None => Transport::open(link_config, admission),
    }
}

/// Opens the snapshot channel: number 0, beside those of the groups.
fn open_transfer(config: &Config, identity: &Arc<Identity>) -> Result<Transport, StartError> {
    let own = config.members.iter().find(|member| member.server == config.server).expect("checked");
    let listen = resolve(&own.transfer)
        .map_err(|source| StartError::TransferAddress { address: own.transfer.clone(), source })?;
    let hello = identity.hello(config, 0);
    let others = config.members.iter().filter(|member| member.server != config.server);
    let peers = others.map(|member| Peer { server: member.server, address: member.transfer.clone() });
    let mut link_config = LinkConfig::new(hello, listen, peers.collect());
    link_config.max_pending_connections = MOST_PENDING + config.members.len();
    link_config.seed = random() as u64;
    let admission = Arc::<Identity>::clone(identity);
    open_transport(config, 0, link_config, admission).map_err(StartError::Transfer)
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    address
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no address"))
}

/// The core for each group's thread.
fn cores(config: &Config) -> Result<Vec<Option<core_affinity::CoreId>>, ConfigError> {
    let groups = usize::from(config.groups());
    let there = core_affinity::get_core_ids().unwrap_or_default();
    match &config.pinning {
        Pinning::Auto if there.len() > groups => Ok(there.into_iter().take(groups).map(Some).collect()),
        Pinning::Auto | Pinning::Off => Ok(vec![None; groups]),
        Pinning::Cores(wanted) if wanted.len() != groups => Err(ConfigError::Unfit(format!(
            "pinning names {} cores: name one for each of the {groups} groups",
            wanted.len()
        ))),
        Pinning::Cores(wanted) => wanted
            .iter()
            .map(|id| {
                there.iter().find(|core| core.id == *id).copied().map(Some).ok_or_else(|| {
                    let ids: Vec<String> = there.iter().map(|core| core.id.to_string()).collect();
                    ConfigError::Unfit(format!(
                        "pinning: there is no core {id}; this process may use {}",
                        ids.join(", ")
                    ))
                })
            })
            .collect(),
    }
}
