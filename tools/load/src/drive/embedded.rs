//! Servers within this process: three engines with the key-value state machine over loopback, and their ports as a transport.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Waker};
use niagara_engine::{Completion, Config, Consistency, Engine, Member, Pinning, Port, Wake};
use niagara_kvstore::command::{Condition, encode_incr_by, encode_set_head};
use niagara_kvstore::{Kv, Reply};
use tempfile::TempDir;

use super::alarm::Sleeper;
use super::clock::Clock;
use super::operation::{Done, Operation, Outcome, Trouble, Verb};
use super::options::EmbeddedOptions;
use super::transport::{Event, Transport};
use crate::failure::Failure;
use crate::loopback;

const SERVERS: u64 = 3;
/// Elections take well below a second; on a machine that is very busy, a few.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The servers. They end when this is dropped.
pub(super) struct EmbeddedCluster {
    engines: Vec<Engine<Kv>>,
    /// Their data, which goes last.
    _dir: TempDir,
}

impl EmbeddedCluster {
    /// Starts the servers, and waits until all groups have leaders.
    pub fn start(options: &EmbeddedOptions) -> Result<EmbeddedCluster, Failure> {
        let dir = match &options.data_dir {
            Some(dir) => tempfile::tempdir_in(dir),
            None => tempfile::tempdir(),
        };
        let dir = dir.map_err(Failure::io(
            "cannot make a directory for the servers' data (--data-dir names another)",
        ))?;
        let members: Vec<Member> = (1..)
            .zip(loopback::free_addresses(SERVERS, options.groups)?)
            .map(|(server, (addresses, transfer))| Member { server, addresses, transfer })
            .collect();
        let engines = (1..=SERVERS)
            .map(|server| start(options, server, members.clone(), dir.path()))
            .collect::<Result<_, _>>()?;
        let cluster = EmbeddedCluster { engines, _dir: dir };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    fn wait_until_ready(&self) -> Result<(), Failure> {
        let until = Instant::now() + READY_WITHIN;
        let is_ready = |engine: &Engine<Kv>| {
            let client = engine.client();
            client.has_quorum() && client.read(Consistency::Strong).wait().is_ok()
        };
        while !self.engines.iter().all(is_ready) {
            if Instant::now() > until {
                return Err(Failure::new("not all groups elected a leader: is the machine overloaded?"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn start(
    options: &EmbeddedOptions,
    server: u64,
    members: Vec<Member>,
    dir: &Path,
) -> Result<Engine<Kv>, Failure> {
    let mut config = Config::new(0x10ad, server, members);
    config.durability = options.durability;
    config.data_dir = dir.join(format!("server-{server}"));
    // Three servers share the machine: pinned alike, they would all stand on the same cores.
    config.pinning = Pinning::Off;
    Engine::start(config, Kv::new()).map_err(|error| Failure::new(format!("server {server}: {error}")))
}

/// Connections of one thread: each stands for operations through one server's port.
pub(super) struct Ports {
    /// By server.
    ports: Vec<Port<Kv>>,
    /// The server of the first connection.
    first: usize,
    /// Keys that are to be read, by place.
    keys: Vec<Vec<u8>>,
    /// What is known at once, by server: refusals, and reads that need not wait.
    at_once: Vec<(usize, Completion<Reply>)>,
    command: Vec<u8>,
    done: Vec<Completion<Reply>>,
    sleeper: Sleeper,
    events: Events,
}

struct WakeUp(Waker);

impl Wake for WakeUp {
    fn wake(&self) {
        self.0.wake().expect("an eventfd of this process takes a one");
    }
}

impl Ports {
    /// Ports for so many places, the first connection of which is to this server.
    pub fn new(cluster: &EmbeddedCluster, places: usize, first: usize) -> Result<Ports, Failure> {
        let sleeper = Sleeper::new()?;
        let wake: Arc<WakeUp> = Arc::new(WakeUp(sleeper.waker()?));
        let port = |engine: &Engine<Kv>| engine.client().port(Arc::<WakeUp>::clone(&wake));
        Ok(Ports {
            ports: cluster.engines.iter().map(port).collect(),
            first,
            keys: vec![Vec::new(); places],
            at_once: Vec::new(),
            command: Vec::new(),
            done: Vec::new(),
            sleeper,
            events: Events::with_capacity(16),
        })
    }

    fn encode(&mut self, operation: &Operation) {
        self.command.clear();
        if operation.verb == Verb::Set {
            encode_set_head(&mut self.command, &operation.key, &Condition::Always, false);
            self.command.extend_from_slice(&operation.value);
        } else {
            encode_incr_by(&mut self.command, &operation.key, 1);
        }
    }
}

impl Transport for Ports {
    fn takes(&self, _: usize) -> bool {
        true
    }

    fn send(&mut self, _: u64, connection: usize, place: usize, operation: &Operation) {
        let (server, token) = ((self.first + connection) % self.ports.len(), place as u64);
        if let Verb::Get(consistency) = operation.verb {
            self.keys[place].clone_from(&operation.key);
            if self.ports[server].read(token, consistency) {
                let applied = self.ports[server].client().applied();
                self.at_once.push((server, Completion::Readable { token, applied }));
            }
            return;
        }
        self.encode(operation);
        let port = &mut self.ports[server];
        let lane = port.choose_lane();
        if let Err(refused) = port.propose(lane, token, &self.command) {
            self.at_once.push((server, Completion::Refused { token, refused }));
        }
    }

    fn turn(&mut self, clock: Clock, until: u64, heard: &mut impl FnMut(u64, Event<'_>)) {
        let Ports { ports, keys, at_once, done, sleeper, events, .. } = self;
        ports.iter_mut().for_each(Port::flush);
        let may_sleep = at_once.is_empty() && ports.iter().all(Port::may_sleep);
        if may_sleep {
            sleeper.sleep(clock, until, events);
        }
        ports.iter().for_each(Port::awake);
        let now = clock.now();
        let mut tell = |port: &Port<Kv>, completion: &Completion<Reply>| {
            hear(port, completion, keys, &mut |event| heard(now, event));
        };
        at_once.drain(..).for_each(|(server, completion)| tell(&ports[server], &completion));
        for port in ports {
            port.collect(done);
            done.drain(..).for_each(|completion| tell(port, &completion));
        }
    }
}

/// What a completion says about an operation. Reads look at the state now that they may.
fn hear(
    port: &Port<Kv>,
    completion: &Completion<Reply>,
    keys: &[Vec<u8>],
    heard: &mut impl FnMut(Event<'_>),
) {
    let mut tell =
        |token: u64, outcome: Outcome<'_>| heard(Event::Outcome { place: token as usize, outcome });
    match completion {
        Completion::Applied { token, reply: Reply::Failed(error), .. } => {
            tell(*token, Outcome::Failed(Trouble::Rejected, error.to_string().as_bytes()));
        }
        Completion::Applied { token, position, .. } => {
            tell(*token, Outcome::Done(Done { position: position.get(), value: None }));
        }
        Completion::Readable { token, applied } => {
            // The look is brief, and what hears of it does not come back to the reader.
            port.reader().with(&keys[*token as usize], |found| {
                let value = found.map(|found| found.value.bytes());
                tell(*token, Outcome::Done(Done { position: applied.get(), value }));
            });
        }
        Completion::Refused { token, refused } => {
            tell(*token, Outcome::Failed(Trouble::of(*refused), refused.to_string().as_bytes()));
        }
        Completion::Unknown { token, .. } => tell(*token, Outcome::Failed(Trouble::Unknown, b"")),
        Completion::ReadFailed { token } | Completion::Detached { token, .. } => {
            tell(*token, Outcome::Failed(Trouble::NoQuorum, b""));
        }
        Completion::Answered { .. } => unreachable!("this driver attaches no reads"),
    }
}
