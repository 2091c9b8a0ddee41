//! A start with parts of the embedding program's own.

use std::fmt;
use std::sync::Arc;

use niagara_log::{Files, SystemFiles};
use niagara_net::{OpenError, Switchboard, TcpTransport, Transport};

use super::assembly::Engine;
use super::start_error::StartError;
use super::surroundings::{MakeTransport, Surroundings};
use crate::clock::Clock;
use crate::config::Config;
use crate::state_machine::StateMachine;

/// Starts an [`Engine`] with other files or another network than the system's.
///
/// ```
/// use niagara_engine::{Config, EngineBuilder, MemoryFiles};
/// use std::sync::Arc;
///
/// # use niagara_engine::internals::example::Counter;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::local(1, 1)?.remove(0);
/// config.durability = niagara_engine::Durability::Fsync;
/// let files = Arc::new(MemoryFiles::default());
/// let engine = EngineBuilder::new(config).files(files).start(Counter::default())?;
/// engine.stop();
/// # Ok(())
/// # }
/// ```
pub struct EngineBuilder {
    config: Config,
    files: Option<Arc<dyn Files>>,
    clock: Clock,
    transport: MakeTransport,
}

impl<S: StateMachine> Engine<S> {
    /// Opens the data directory and the sockets, and starts the threads. The state machine must be empty: it
    /// is restored from the newest snapshot, and executes the log from there. One that keeps its state on disk
    /// resumes from the position that it [reports](StateMachine::applied).
    pub fn start(config: Config, state: S) -> Result<Engine<S>, StartError> {
        EngineBuilder::new(config).start(state)
    }

    /// Starts under a clock that the caller moves, reporting so with [`clock_moved`](Self::clock_moved):
    /// ticks happen only then. So tests show that whatever has to be prompt does not wait for a tick. Links
    /// and snapshots use the system's time.
    #[doc(hidden)]
    pub fn start_under(clock: Clock, config: Config, state: S) -> Result<Engine<S>, StartError> {
        EngineBuilder::new(config).clock(clock).start(state)
    }
}

impl EngineBuilder {
    /// A start on the system's files and sockets, until they are replaced.
    pub fn new(config: Config) -> EngineBuilder {
        // Groups on different threads may have the same address.
        let board = Arc::<Switchboard>::default();
        let transport = move || Ok(Box::new(TcpTransport::sharing(&board)?) as Box<dyn Transport>);
        EngineBuilder { config, files: None, clock: Clock::System, transport: Arc::new(transport) }
    }

    /// Keeps logs, snapshots and identity in these files, such as encrypted ones, or in a file system of the
    /// program's own. Durability is then what they promise. The engine takes no lock: see to it that no two
    /// servers use the same files.
    #[must_use]
    pub fn files(mut self, files: Arc<dyn Files>) -> EngineBuilder {
        self.files = Some(files);
        self
    }

    /// Connects servers by a network of the program's own: encrypted, in one process, over another protocol.
    /// `make` is called once for each thread that drives groups, also for those that are added when groups are, and once
    /// for the thread that sends and receives snapshots. [`Transport`] says what it has to promise.
    ///
    /// The members' addresses have to be `host:port` all the same: they are what the transport dials, and where
    /// it listens. Groups may share an address, on different threads, too.
    #[must_use]
    pub fn transport(
        mut self,
        make: impl Fn() -> Result<Box<dyn Transport>, OpenError> + Send + Sync + 'static,
    ) -> EngineBuilder {
        self.transport = Arc::new(make);
        self
    }

    fn clock(mut self, clock: Clock) -> EngineBuilder {
        self.clock = clock;
        self
    }

    /// Starts the server, as [`Engine::start`] does.
    ///
    /// # Errors
    /// Those of [`Engine::start`].
    pub fn start<S: StateMachine>(self, state: S) -> Result<Engine<S>, StartError> {
        let EngineBuilder { config, files, clock, transport } = self;
        let locks = files.is_none();
        let files = files.unwrap_or_else(|| Arc::new(SystemFiles));
        Engine::start_in(config, Surroundings { clock, files, locks, transport }, state)
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
