//! Who a server is, across restarts: its ids, its starts, what its logs have held, and whom it has met.
//!
//! A server that has lost its log has forgotten what it voted for and acknowledged; if it came back under its old id,
//! two leaders could be elected in one term, or acknowledged commands could vanish. Four things keep it from that:
//!
//! * **Marks.** What each log has held ([`Held`]) stands in the file `identity`, apart from the logs, so a log that vanished or
//!   lost its end is refused at the start.
//! * **The mark of a received snapshot.** A log is reset to the floor of a snapshot only if that one is named here, which it was
//!   before it got its name on disk.
//! * **The store id**, drawn when the directory is made. Peers remember it, and refuse another one under the same server id.
//! * **Incarnation and lives.** Each start raises the one, and draws a random number for the other. Peers remember the latest
//!   that they have met, durably, before they let it in; so a directory that was put back from an old copy, which is consistent
//!   with itself, meets somebody who knows better.
//!
//! The ids of the members are part of it as well: with another list a server would take part in another cluster.
//!
//! The file is replaced as a whole (temporary file, sync, rename, sync of the directory). A `memory` server has none: with each
//! start it is another store.

mod error;
mod lock;
mod record;

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_net::{Admission, Hello, LIVES, Refusal};
use parking_lot::Mutex;

pub use error::IdentityError;
pub(crate) use lock::DirectoryLock;

use niagara_log::{Durability, Files, Held, LogMarks};

use self::record::{Met, Record};
use crate::config::Config;
use crate::planted::{self, Bug};

/// A server's identity. Until [`begin`](Identity::begin) it is as the last start left it, so that a start which fails changes
/// nothing of it.
#[derive(Debug)]
pub(crate) struct Identity {
    server: u64,
    /// This start's number, and the random one that tells it from all others.
    incarnation: u64,
    life: u64,
    /// The run of the machine.
    boot: String,
    place: Option<RecordFile>,
    record: Mutex<Record>,
}

#[derive(Debug)]
struct RecordFile {
    files: Arc<dyn Files>,
    path: PathBuf,
}

/// So many received snapshots are noted: the two that are kept, and one that is on its way, twice.
const RECEIVED_NOTED: usize = 4;

impl Identity {
    /// Reads who the server of this data directory is, and checks that it is the configured one and may run. A directory that
    /// is empty gets an identity, durably, before anything else is put into it. `life` is a number that no other start has.
    pub fn open(config: &Config, files: &Arc<dyn Files>, life: u64) -> Result<Identity, IdentityError> {
        let dir = &config.data_dir;
        let path = dir.join("identity");
        let boot = files.boot_id();
        let found =
            read(&**files, &path).map_err(|source| IdentityError::Io { path: path.clone(), source })?;
        let place = match (config.durability, &found) {
            (Durability::Memory, Some(_)) => return Err(IdentityError::WouldForget(dir.clone())),
            (Durability::Memory, None) => None,
            (Durability::Fsync | Durability::Os, _) => Some(RecordFile { files: Arc::clone(files), path }),
        };
        let record = match &place {
            None => new_record(config, &**files, life),
            Some(place) => match found {
                Some(bytes) => {
                    let text = str::from_utf8(&bytes).map_err(|_| "it is no text".to_owned());
                    let record = text.and_then(Record::parse);
                    let damaged = |what| IdentityError::Damaged { path: place.path.clone(), what };
                    let record = record.map_err(damaged)?;
                    check(&record, config, &boot)?;
                    record
                }
                None => {
                    place.check_empty(dir, config.groups())?;
                    // Whoever has locked the directory has made it; but not every owner of files takes a lock.
                    let io = |source| IdentityError::Io { path: dir.clone(), source };
                    files.create_dir(dir).map_err(io)?;
                    let record = new_record(config, &**files, life);
                    place.save(&record)?;
                    record
                }
            },
        };
        let incarnation = record.incarnation + 1;
        Ok(Identity { server: config.server, incarnation, life, boot, place, record: Mutex::new(record) })
    }

    /// The server is about to run, with logs that hold this, by group number: everything that can fail at a start has been
    /// done. Durable when it returns.
    pub fn begin(&self, config: &Config, logs: BTreeMap<u16, Held>) -> Result<(), IdentityError> {
        self.change(|record| {
            record.incarnation = self.incarnation;
            record.lives = self.lives_after(&record.lives);
            record.boot.clone_from(&self.boot);
            record.clean = false;
            record.durability = config.durability;
            record.members = Some(config.servers());
            // All logs fit the snapshot by now.
            record.received.clear();
            note_held(record, logs);
        })
    }

    /// Notes that everything has been synced and the server stops, and what its logs hold.
    pub fn stopped_cleanly(&self, logs: BTreeMap<u16, Held>) -> Result<(), IdentityError> {
        self.change(|record| {
            record.clean = true;
            note_held(record, logs);
        })
    }

    /// A snapshot of this id has been received and is about to be kept: logs may be reset to its floors. Those before it stay
    /// noted, since it may never get its name, and a start goes by the one before it then.
    pub fn received(&self, id: u128) -> Result<(), IdentityError> {
        self.change(|record| {
            let first = (record.received.len() + 1).saturating_sub(RECEIVED_NOTED);
            record.received.drain(..first);
            record.received.push(id);
        })
    }

    /// Whether the logs may be reset to the floors of the snapshot of this id, which was made by that server. A directory of a
    /// release that kept no marks says by who made it whether it was received.
    pub fn was_received(&self, id: u128, made_by: u64) -> bool {
        let record = self.record.lock();
        let unmarked = self.place.is_some() && record.members.is_none();
        record.received.contains(&id) || unmarked && made_by != self.server
    }

    /// Counts the starts of this server; never repeats while its log lives.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What this server says of itself on a channel.
    pub fn hello(&self, config: &Config, channel: u16) -> Hello {
        let record = self.record.lock();
        let begun = record.incarnation == self.incarnation;
        Hello {
            cluster: config.cluster,
            server: config.server,
            channel: channel.into(),
            channels: config.groups().into(),
            store: record.store,
            incarnation: self.incarnation,
            lives: if begun { record.lives } else { self.lives_after(&record.lives) },
            application: config.application,
            members: config.servers(),
        }
    }

    /// Where what a group's log has held is kept, by the group's number.
    pub fn marks(self: &Arc<Identity>, group: u16) -> Arc<dyn LogMarks> {
        Arc::new(GroupMarks { identity: Arc::clone(self), group })
    }

    /// Whether each write to the logs was synced, in all lives that have begun.
    pub fn was_synced(&self) -> bool {
        self.record.lock().durability == Durability::Fsync
    }

    fn lives_after(&self, before: &[u64; LIVES]) -> [u64; LIVES] {
        let mut lives = *before;
        lives.rotate_right(1);
        lives[0] = self.life;
        lives
    }

    /// Changes what is remembered, durably. When that fails it is as it was.
    fn change(&self, change: impl FnOnce(&mut Record)) -> Result<(), IdentityError> {
        let mut record = self.record.lock();
        let mut changed = record.clone();
        change(&mut changed);
        if changed != *record {
            if let Some(place) = &self.place {
                place.save(&changed)?;
            }
            *record = changed;
        }
        Ok(())
    }
}

impl Admission for Identity {
    /// A peer is who it was: the same store under the same server id, in a later start of it or the same. A start that was not
    /// met before is remembered, durably, before the peer is let in.
    fn admit(&self, peer: &Hello) -> Result<(), Refusal> {
        let (here, there) = (self.server, peer.server);
        let known = self.record.lock().peers.get(&there).copied();
        let met = Met { store: peer.store, incarnation: peer.incarnation, life: peer.lives[0] };
        if let Some(known) = known {
            if known.store != peer.store {
                return Err(Refusal::Store(format!(
                    "server {there} comes with another log than server {here} knows it by, so it may have forgotten what it \
                     acknowledged: replace it under a new id"
                )));
            }
            if is_old_copy(&known, peer) && !planted::is(Bug::IncarnationNotCompared) {
                return Err(Refusal::OldCopy(format!(
                    "the data directory of server {there} was put back from an old copy: this is its start {}, and server {here} \
                     has met start {} of it. Put back the newest state, or replace it under a new id",
                    peer.incarnation, known.incarnation
                )));
            }
            if known == met {
                return Ok(());
            }
        }
        let noted = self.change(|record| {
            record.peers.insert(there, met);
        });
        noted.map_err(|error| Refusal::Store(format!("server {here} cannot note a new peer: {error}")))
    }

    /// A refusal that no later start makes good is remembered.
    fn refused(&self, refusal: &Refusal) {
        if !matches!(refusal, Refusal::OldCopy(_)) {
            return;
        }
        tracing::error!("this server takes part in nothing any more: {refusal}");
        if let Err(error) = self.change(|record| record.old_copy = true) {
            tracing::error!(%error, "could not note that the data directory is an old copy");
        }
    }
}

/// Whether a peer's start comes before, or not after, the one that was met last.
fn is_old_copy(known: &Met, peer: &Hello) -> bool {
    let Some(since) = peer.incarnation.checked_sub(known.incarnation) else { return true };
    let life = peer.lives.get(since as usize).copied().unwrap_or(0);
    // Starts of so long ago that it does not name them, and those of releases that named none, cannot be told apart.
    known.life != 0 && life != 0 && life != known.life
}

impl RecordFile {
    /// Puts the record into the place of the one before.
    fn save(&self, record: &Record) -> Result<(), IdentityError> {
        self.replace(record.to_text().as_bytes())
            .map_err(|source| IdentityError::Io { path: self.path.clone(), source })
    }

    fn replace(&self, content: &[u8]) -> io::Result<()> {
        let temporary = self.path.with_extension("new");
        let file = self.files.create(&temporary)?;
        file.write_all_at(&mut [IoSlice::new(content)], 0)?;
        if planted::is(Bug::IdentityNotSynced) {
            return self.files.rename(&temporary, &self.path);
        }
        let synced = file.sync_all();
        if !planted::is(Bug::IdentitySyncIgnored) {
            synced?;
        }
        self.files.rename(&temporary, &self.path)?;
        self.files.sync_dir(self.path.parent().expect("the file is in the data directory"))
    }

    /// An identity is the first thing in a data directory. So one that holds anything else has lost it.
    fn check_empty(&self, dir: &Path, groups: u16) -> Result<(), IdentityError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Io { path, source }
        };
        let mut dirs: Vec<PathBuf> = (1..=groups).map(|group| dir.join(format!("group-{group}"))).collect();
        // Of a cluster with more groups, too.
        let named = |path: &PathBuf| {
            path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("group-"))
        };
        let there = list(&*self.files, dir).map_err(io(dir))?;
        dirs.extend(there.into_iter().filter(named));
        dirs.push(dir.join("snapshots"));
        for held in dirs {
            if !list(&*self.files, &held).map_err(io(&held))?.is_empty() {
                let found = held.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(IdentityError::NoIdentity { dir: dir.to_owned(), found });
            }
        }
        Ok(())
    }
}

/// The files in a directory; none if it does not exist.
fn list(files: &dyn Files, dir: &Path) -> io::Result<Vec<PathBuf>> {
    match files.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}

/// A file's content; nothing if it does not exist.
fn read(files: &dyn Files, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match files.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = vec![0; file.length()? as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

fn new_record(config: &Config, files: &dyn Files, life: u64) -> Record {
    Record {
        cluster: config.cluster,
        server: config.server,
        groups: config.groups(),
        store: u128::from(life) << 64 | u128::from(files.salt()),
        incarnation: 0,
        lives: [0; LIVES],
        durability: config.durability,
        boot: files.boot_id(),
        clean: true,
        members: Some(config.servers()),
        old_copy: false,
        received: Vec::new(),
        peers: BTreeMap::new(),
        logs: BTreeMap::new(),
    }
}

fn check(record: &Record, config: &Config, boot: &str) -> Result<(), IdentityError> {
    let found = (record.cluster, record.server, record.groups);
    let wanted = (config.cluster, config.server, config.groups());
    let words = |(cluster, server, groups): (u128, u64, u16)| {
        format!("server {server} of cluster {cluster:032x} with {groups} groups")
    };
    let dir = || config.data_dir.clone();
    if found != wanted {
        return Err(IdentityError::Foreign { dir: dir(), found: words(found), wanted: words(wanted) });
    }
    let wanted = config.servers();
    if let Some(found) = &record.members
        && *found != wanted
        && !planted::is(Bug::MembersNotCompared)
    {
        let words = |servers: &[u64]| servers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        return Err(IdentityError::Members { dir: dir(), found: words(found), wanted: words(&wanted) });
    }
    if record.old_copy {
        return Err(IdentityError::OldCopy(dir()));
    }
    if record.durability == Durability::Os && !record.clean && record.boot != boot {
        return Err(IdentityError::LostWrites { server: record.server, dir: dir() });
    }
    Ok(())
}

/// What is known of the last segments stays: the logs' owner knows of entries and hard states only.
fn note_held(record: &mut Record, logs: BTreeMap<u16, Held>) {
    for (group, held) in logs {
        let known = record.logs.entry(group).or_default();
        *known = Held { segment: held.segment.max(known.segment), ..held };
    }
}

/// What a group's log has held.
#[derive(Debug)]
struct GroupMarks {
    identity: Arc<Identity>,
    group: u16,
}

impl LogMarks for GroupMarks {
    fn held(&self) -> Held {
        let record = self.identity.record.lock();
        // A release that kept no marks made a first segment at its first start, before it met anybody.
        let has_run = record.incarnation > 1 || !record.peers.is_empty();
        let unmarked = Held { segment: u64::from(record.members.is_none() && has_run), ..Held::default() };
        record.logs.get(&self.group).copied().unwrap_or(unmarked)
    }

    fn prepared(&self, segment: u64) -> io::Result<()> {
        let noted = self.identity.change(|record| {
            let known = record.logs.entry(self.group).or_default();
            known.segment = known.segment.max(segment);
        });
        noted.map_err(|error| match error {
            IdentityError::Io { source, .. } => source,
            other => io::Error::other(other),
        })
    }
}

/// A random number from the operating system.
pub(crate) fn random() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests;
