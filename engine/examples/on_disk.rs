//! A state machine that keeps its state on disk, in redb: a start goes on where the state is, executes nothing
//! again, and needs no snapshot. Start it, kill it with `kill -9`, start it again:
//!
//! ```text
//! cargo run -p niagara-engine --example on_disk -- /tmp/on-disk
//! ```

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use niagara_engine::{
    CHUNK_BYTES, Client, Commands, Config, Durability, Engine, ForeignState, Frozen, GlobalPosition,
    MalformedState, Member, Restoring, StateMachine,
};
use redb::{Database, Range, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

const COUNTS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("counts");
/// The position up to which `COUNTS` holds everything, and whose state it is.
const FACTS: TableDefinition<'_, &str, u128> = TableDefinition::new("facts");

const APPLIED: &str = "applied";
const CLUSTER: &str = "cluster";
const SERVER: &str = "server";

/// Counts how often each command was executed.
pub struct Counts {
    database: Arc<Database>,
    /// What has been executed since the last [`persist`](StateMachine::persist).
    open: Option<WriteTransaction>,
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").finish_non_exhaustive()
    }
}

impl Counts {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// If it is not a redb file, or is in use.
    pub fn open(path: &Path) -> Result<Counts, redb::Error> {
        let database = Database::create(path)?;
        let create = database.begin_write()?;
        create.open_table(COUNTS)?;
        create.open_table(FACTS)?;
        create.commit()?;
        Ok(Counts { database: Arc::new(database), open: None })
    }

    fn fact(&self, name: &str) -> Result<Option<u128>, redb::Error> {
        Ok(self.database.begin_read()?.open_table(FACTS)?.get(name)?.map(|fact| fact.value()))
    }

    fn own(&self, cluster: u128, server: u64) -> Result<Option<(u128, u128)>, redb::Error> {
        if let (Some(cluster), Some(server)) = (self.fact(CLUSTER)?, self.fact(SERVER)?) {
            return Ok(Some((cluster, server)));
        }
        let transaction = self.database.begin_write()?;
        {
            let mut facts = transaction.open_table(FACTS)?;
            facts.insert(CLUSTER, cluster)?;
            facts.insert(SERVER, u128::from(server))?;
        }
        transaction.commit()?;
        Ok(None)
    }

    fn count(&mut self, commands: Commands<'_>, replies: &mut Vec<u64>) -> Result<(), redb::Error> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(self.database.begin_write()?),
        };
        let mut counts = open.open_table(COUNTS)?;
        for command in commands {
            let count = counts.get(command.as_slice())?.map_or(0, |count| count.value()) + 1;
            counts.insert(command.as_slice(), count)?;
            replies.push(count);
        }
        Ok(())
    }

    fn commit(&mut self, position: GlobalPosition) -> Result<(), redb::Error> {
        let Some(transaction) = self.open.take() else { return Ok(()) };
        transaction.open_table(FACTS)?.insert(APPLIED, u128::from(position.get()))?;
        transaction.commit()?;
        Ok(())
    }

    /// Replaces everything in one transaction, so that a crash leaves the old state or the new one.
    fn replace(&mut self, position: GlobalPosition, chunks: &[Bytes]) -> Result<(), redb::Error> {
        self.open = None;
        let transaction = self.database.begin_write()?;
        transaction.delete_table(COUNTS)?;
        {
            let mut counts = transaction.open_table(COUNTS)?;
            for chunk in chunks {
                let mut rest = &chunk[..];
                while let Some((command, count)) = read_count(&mut rest) {
                    counts.insert(command, count)?;
                }
            }
            transaction.open_table(FACTS)?.insert(APPLIED, u128::from(position.get()))?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Reads how often a command was executed, as `CountsView` wrote it.
fn read_count<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], u64)> {
    let length = rest.try_get_u32_le().ok()? as usize;
    let (command, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((command, rest.try_get_u64_le().ok()?))
}

/// A store that cannot write cannot go on: this ends the process, and the next start resumes.
fn must<T>(done: Result<T, redb::Error>) -> T {
    done.unwrap_or_else(|error| panic!("the state on disk cannot be used: {error}"))
}

impl StateMachine for Counts {
    type Reply = u64;
    type Reader = Arc<Database>;
    type Frozen = CountsView;
    type Restoring = CountsChunks;

    fn reader(&self) -> Arc<Database> {
        Arc::clone(&self.database)
    }

    fn claim(&mut self, cluster: u128, server: u64) -> Result<(), ForeignState> {
        match must(self.own(cluster, server)) {
            Some(owner) if owner != (cluster, server.into()) => {
                Err(ForeignState(format!("it is that of server {} of cluster {:032x}", owner.1, owner.0)))
            }
            _ => Ok(()),
        }
    }

    fn applied(&self) -> GlobalPosition {
        GlobalPosition::new(must(self.fact(APPLIED)).unwrap_or(0) as u64)
    }

    fn apply(&mut self, _position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<u64>) {
        must(self.count(commands, replies));
    }

    fn persist(&mut self, position: GlobalPosition) {
        must(self.commit(position));
    }

    /// A read transaction is a view that later commits do not change.
    fn freeze(&mut self) -> CountsView {
        let view = || Ok(self.database.begin_read()?.open_table(COUNTS)?.range::<&[u8]>(..)?);
        CountsView(must(view()))
    }

    fn restoring(_reader: &Arc<Database>) -> CountsChunks {
        CountsChunks(Vec::new())
    }

    fn restore(&mut self, position: GlobalPosition, state: CountsChunks) -> Result<(), MalformedState> {
        must(self.replace(position, &state.0));
        Ok(())
    }
}

/// A view of the state at one moment.
pub struct CountsView(Range<'static, &'static [u8], u64>);

impl fmt::Debug for CountsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountsView").finish_non_exhaustive()
    }
}

impl Frozen for CountsView {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool {
        let before = chunk.len();
        while chunk.len() - before < CHUNK_BYTES {
            let Some(entry) = self.0.next() else { break };
            let (command, count) = must(entry.map_err(redb::Error::from));
            chunk.extend_from_slice(&(command.value().len() as u32).to_le_bytes());
            chunk.extend_from_slice(command.value());
            chunk.extend_from_slice(&count.value().to_le_bytes());
        }
        chunk.len() > before
    }
}

/// A state that is being read from a snapshot. One that does not fit into memory would go to a file here.
#[derive(Debug)]
pub struct CountsChunks(Vec<Bytes>);

impl Restoring for CountsChunks {
    fn add_chunk(&mut self, chunk: &Bytes) -> Result<(), MalformedState> {
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            read_count(&mut rest).ok_or(MalformedState("a chunk holds no whole counts"))?;
        }
        self.0.push(chunk.clone());
        Ok(())
    }
}

/// A cluster of one server, with its log beside the state.
pub fn config(dir: &Path) -> Config {
    let addresses = vec!["127.0.0.1:0".to_string(); 2];
    let mut config = Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "127.0.0.1:0".into() }]);
    (config.data_dir, config.durability) = (dir.join("log"), Durability::Fsync);
    config
}

/// Where the state is.
pub fn state_file(dir: &Path) -> std::path::PathBuf {
    dir.join("counts.redb")
}

/// Proposes commands, each another one, and reports each that is acknowledged.
///
/// # Errors
/// If the server stops, or nobody reads the reports.
pub fn write(client: &Client<Counts>, numbers: impl Iterator<Item = u64>) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    for number in numbers {
        let applied = client.propose(format!("command {number}").into())?.wait()?;
        writeln!(
            out,
            "acknowledged {number} at position {}, executed {} times",
            applied.position, applied.reply
        )?;
    }
    Ok(())
}

/// Runs the example in the directory that is its argument.
///
/// # Errors
/// If it cannot start.
pub fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("name a directory for the log and the state")?;
    let dir = Path::new(&dir);
    std::fs::create_dir_all(dir)?;
    let state = Counts::open(&state_file(dir))?;
    let begin = u64::from(std::process::id()) << 32;
    println!("the state holds everything up to position {}", state.applied());
    let engine = Engine::start(config(dir), state)?;
    write(&engine.client(), (begin..).take(1000))?;
    engine.stop();
    Ok(())
}
