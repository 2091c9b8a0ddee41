//! A state machine whose snapshots cost no copy: it keeps each command in a file that only grows, and a snapshot is a
//! hard link to that file, with the length that it had. Chunks are read from the link only if another server is far
//! behind, or if the journal is lost.
//!
//! ```text
//! cargo run -p niagara-engine --example journal -- /tmp/journal
//! ```

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use niagara_engine::{
    CHUNK_BYTES, Commands, Config, Durability, Engine, ForeignState, Frozen, GlobalPosition, MalformedState,
    Member, Restoring, StateMachine,
};

const JOURNAL: &str = "journal";
const OWNER: &str = "owner";
const LENGTH: &str = "length";
/// A record that is being received.
const RECEIVED: &str = "received";

/// Before each record: the length of its command, or `MARK` in front of a position.
const HEAD: usize = 4;
/// Everything up to a position has been executed.
const MARK: u32 = u32::MAX;

/// Commands, one after the other, in a file.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    file: File,
    length: u64,
    applied: u64,
    count: Arc<AtomicU64>,
    /// Records that have not been written yet.
    new: Vec<u8>,
}

impl Journal {
    /// Opens or creates the journal of a directory.
    ///
    /// # Errors
    /// If its file cannot be read or written.
    pub fn open(dir: &Path) -> io::Result<Journal> {
        fs::create_dir_all(dir)?;
        let path = dir.join(JOURNAL);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // What stands behind the last mark was not acknowledged: it is executed again.
        let Content { length, applied, count } = Content::of(&bytes);
        file.set_len(length)?;
        let count = Arc::new(AtomicU64::new(count));
        Ok(Journal { dir: dir.to_owned(), file, length, applied, count, new: Vec::new() })
    }

    fn write(&mut self, position: u64) -> io::Result<()> {
        self.new.extend_from_slice(&MARK.to_le_bytes());
        self.new.extend_from_slice(&position.to_le_bytes());
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&self.new)?;
        self.length += self.new.len() as u64;
        self.applied = position;
        self.new.clear();
        Ok(())
    }

    /// Puts a received journal in place of this one.
    fn replace(&mut self, position: GlobalPosition, received: &Path) -> io::Result<()> {
        let before = Arc::clone(&self.count);
        let mut file = OpenOptions::new().append(true).open(received)?;
        file.write_all(&[&MARK.to_le_bytes()[..], &position.get().to_le_bytes()].concat())?;
        file.sync_all()?;
        fs::rename(received, self.dir.join(JOURNAL))?;
        File::open(&self.dir)?.sync_all()?;
        *self = Journal::open(&self.dir)?;
        // Readers were handed out the former number.
        before.store(self.count.load(Ordering::Relaxed), Ordering::Release);
        self.count = before;
        Ok(())
    }
}

/// What a journal holds up to its last mark.
#[derive(Default)]
struct Content {
    length: u64,
    applied: u64,
    count: u64,
}

impl Content {
    fn of(bytes: &[u8]) -> Content {
        let (mut content, mut rest, mut count) = (Content::default(), bytes, 0);
        while let Some((head, after)) = rest.split_first_chunk::<HEAD>() {
            let head = u32::from_le_bytes(*head);
            if head != MARK {
                let Some((_, after)) = after.split_at_checked(head as usize) else { break };
                (count, rest) = (count + 1, after);
                continue;
            }
            let Some((position, after)) = after.split_first_chunk() else { break };
            rest = after;
            content.length = (bytes.len() - rest.len()) as u64;
            (content.applied, content.count) = (u64::from_le_bytes(*position), count);
        }
        content
    }
}

/// A store that cannot write cannot continue: this ends the process, and the next start resumes.
fn must<T>(done: io::Result<T>) -> T {
    done.unwrap_or_else(|error| panic!("the journal cannot be used: {error}"))
}

impl StateMachine for Journal {
    /// The number of the command.
    type Reply = u64;
    /// How many commands there are, and where the journal is.
    type Reader = (Arc<AtomicU64>, PathBuf);
    type Frozen = JournalView;
    type Restoring = Received;

    fn reader(&self) -> Self::Reader {
        (Arc::clone(&self.count), self.dir.clone())
    }

    fn claim(&mut self, cluster: u128, server: u64) -> Result<(), ForeignState> {
        let (path, mine) = (self.dir.join(OWNER), format!("server {server} of cluster {cluster:032x}"));
        match fs::read_to_string(&path) {
            Ok(owner) if owner == mine => Ok(()),
            Ok(owner) => Err(ForeignState(format!("it is that of {owner}"))),
            Err(_) => {
                must(fs::write(path, mine));
                Ok(())
            }
        }
    }

    fn applied(&self) -> GlobalPosition {
        GlobalPosition::new(self.applied)
    }

    fn apply(&mut self, _position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<u64>) {
        for command in commands {
            self.new.extend_from_slice(&(command.as_slice().len() as u32).to_le_bytes());
            self.new.extend_from_slice(command.as_slice());
            replies.push(self.count.fetch_add(1, Ordering::Release) + 1);
        }
    }

    fn persist(&mut self, position: GlobalPosition) {
        must(self.write(position.get()));
    }

    /// The file only grows, so its length is the whole view.
    fn freeze(&mut self) -> JournalView {
        JournalView { path: self.dir.join(JOURNAL), length: self.length, read: 0 }
    }

    fn restoring((_, dir): &Self::Reader) -> Received {
        let path = dir.join(RECEIVED);
        Received { file: must(File::create(&path)), path }
    }

    fn restore(
        &mut self,
        position: GlobalPosition,
        Received { path, file }: Received,
    ) -> Result<(), MalformedState> {
        drop(file);
        must(self.replace(position, &path));
        Ok(())
    }
}

/// A journal up to a length.
#[derive(Debug)]
pub struct JournalView {
    path: PathBuf,
    length: u64,
    read: u64,
}

impl Frozen for JournalView {
    const SAVES_FILES: bool = true;

    fn save_files(&mut self, directory: &Path) -> io::Result<()> {
        let link = directory.join(JOURNAL);
        fs::hard_link(&self.path, &link)?;
        File::open(link)?.sync_all()?;
        let mut length = File::create(directory.join(LENGTH))?;
        length.write_all(&self.length.to_le_bytes())?;
        length.sync_all()
    }

    fn open_files(directory: &Path) -> io::Result<JournalView> {
        let length = fs::read(directory.join(LENGTH))?;
        let length = length.try_into().map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        let (path, length) = (directory.join(JOURNAL), u64::from_le_bytes(length));
        if fs::metadata(&path)?.len() < length {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(JournalView { path, length, read: 0 })
    }

    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool {
        let more = (self.length - self.read).min(CHUNK_BYTES as u64) as usize;
        chunk.resize(more, 0);
        must(File::open(&self.path).and_then(|file| file.read_exact_at(chunk, self.read)));
        self.read += more as u64;
        more > 0
    }
}

/// A journal that is being received.
#[derive(Debug)]
pub struct Received {
    path: PathBuf,
    file: File,
}

impl Restoring for Received {
    fn add_chunk(&mut self, chunk: &Bytes) -> Result<(), MalformedState> {
        must(self.file.write_all(chunk));
        Ok(())
    }
}

/// A cluster of one server, with its log beside the journal.
///
/// # Errors
/// If the directory cannot be used.
pub fn start(dir: &Path) -> Result<Engine<Journal>, Box<dyn Error>> {
    let addresses = vec!["127.0.0.1:0".to_string()];
    let mut config = Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "127.0.0.1:0".into() }]);
    (config.data_dir, config.durability) = (dir.join("log"), Durability::Fsync);
    Ok(Engine::start(config, Journal::open(&dir.join("state"))?)?)
}

/// Runs the example in the directory that is its argument.
///
/// # Errors
/// If it cannot start, or stops.
pub fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("name a directory for the log and the journal")?;
    let engine = start(Path::new(&dir))?;
    let client = engine.client();
    for number in 0..1000 {
        client.propose(format!("command {number}").into())?.wait()?;
    }
    let snapshot = client.snapshot().wait()?;
    let files = snapshot.own_files.ok_or("the file system has no hard links")?;
    println!("a snapshot of everything up to position {} is in {}", snapshot.position, files.display());
    engine.stop();
    Ok(())
}
