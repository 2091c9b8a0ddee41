//! Who a server is, across restarts: its ids, its starts, what its logs have held, and which peers it has
//! met.
//!
//! A server that has lost its log has forgotten its votes and acknowledgements. If it came back under its old
//! id, two leaders could be elected in one term, or acknowledged commands could vanish. Four things prevent
//! that:
//!
//! * **Marks.** What each log has held ([`Held`]) is recorded in the file `identity`, apart from the logs, so
//!   a start refuses a log that has vanished or lost its end.
//! * **The mark of a received snapshot.** A log is reset to a snapshot's floor only if `identity` names that
//!   snapshot as received. This is written before the snapshot gets its name on disk.
//! * **The store id**, drawn when the directory is created. Peers remember it, and refuse another one under
//!   the same server id.
//! * **Incarnation and lives.** Each start raises the incarnation and draws a random number for its life.
//!   Peers remember the latest that they have met, durably, before they admit it. So a directory that was
//!   restored from an old copy, which is consistent in itself, meets a peer that knows better.
//!
//! The ids of the members are recorded too: with another list, a server would take part in another cluster.
//!
//! The file is replaced as a whole (temporary file, sync, rename, sync of the directory). A `memory` server
//! has no file: it is a new store at each start.

mod epochs;
mod error;
mod levels;
mod lock;
mod outside;
mod record;

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_net::{Admission, Hello, LIVES, Levels, Refusal};
use parking_lot::Mutex;

pub use error::IdentityError;
pub(crate) use levels::PeerLevels;
pub(crate) use lock::DirectoryLock;
pub(crate) use outside::{Testimony, look, make};

use niagara_log::{Durability, Files, Held, LogMarks};
use niagara_sequencer::epoch::{Chain, Epoch, Marks, Record as EpochRecord, Sealed};

use self::record::{Met, Record};
use crate::config::{Config, FIRST_LEVEL};
use crate::planted::{self, Bug};
use crate::role::ServerRole;

/// Whether the data directory is of a server that has had a part in its cluster: one that is to join needs no invitation
/// then.
pub(crate) fn has_started(config: &Config, files: &dyn Files) -> Result<bool, IdentityError> {
    let path = config.data_dir.join("identity");
    if config.durability == Durability::Memory {
        return Ok(false);
    }
    let Some(bytes) =
        read(files, &path).map_err(|source| IdentityError::Io { path: path.clone(), source })?
    else {
        return Ok(false);
    };
    let text = str::from_utf8(&bytes).map_err(|_| "it is no text".to_owned());
    let record = text.and_then(Record::parse).map_err(|what| IdentityError::Damaged { path, what })?;
    Ok(!record.joins || record.epochs.is_some())
}

/// A server's identity. Until [`begin`](Identity::begin) it remains as the last start left it, so a failed
/// start changes nothing.
#[derive(Debug)]
pub(crate) struct Identity {
    server: u64,
    /// Number of this start. The life distinguishes it from all other starts.
    incarnation: u64,
    life: u64,
    /// The current run of the machine.
    boot: String,
    place: Option<RecordFile>,
    record: Mutex<Record>,
    /// The newest segment of each log that is being made for the next epoch, by channel: recorded when all are there.
    making: Mutex<BTreeMap<u32, u64>>,
    /// The highest level that each peer knows, as it has said when it connected last.
    peer_levels: PeerLevels,
}

#[derive(Debug)]
struct RecordFile {
    files: Arc<dyn Files>,
    path: PathBuf,
}

/// How many received snapshots are recorded: the two that are kept and one on its way, twice.
const RECEIVED_NOTED: usize = 4;

impl Identity {
    /// Reads the identity in this data directory, and checks that it is the configured one and may run. An
    /// empty directory gets an identity, durably, before anything else is put into it. `life` is a number
    /// that no other start has.
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
                    // The lock creates the directory, but not every owner of files takes a lock.
                    let io = |source| IdentityError::Io { path: dir.clone(), source };
                    files.create_dir(dir).map_err(io)?;
                    let record = new_record(config, &**files, life);
                    place.save(&record)?;
                    record
                }
            },
        };
        let incarnation = record.incarnation + 1;
        Ok(Identity {
            server: config.server,
            incarnation,
            life,
            boot,
            place,
            record: Mutex::new(record),
            making: Mutex::default(),
            peer_levels: PeerLevels::default(),
        })
    }

    /// Records that the server is about to run, and what its logs hold, by channel. Everything that can
    /// fail at a start has been done. Durable when it returns.
    pub fn begin(&self, config: &Config, logs: BTreeMap<u32, Held>) -> Result<(), IdentityError> {
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

    /// Records a clean stop, with everything synced, and what the logs hold.
    pub fn stopped_cleanly(&self, logs: BTreeMap<u32, Held>) -> Result<(), IdentityError> {
        self.change(|record| {
            record.clean = true;
            note_held(record, logs);
        })
    }

    /// Records that the snapshot with this id has been received and is about to be kept, so logs may be reset
    /// to its floors. Earlier ones stay recorded: this one may never get its name, and then the next start
    /// uses the previous one.
    pub fn received(&self, id: u128) -> Result<(), IdentityError> {
        self.change(|record| {
            let first = (record.received.len() + 1).saturating_sub(RECEIVED_NOTED);
            record.received.drain(..first);
            record.received.push(id);
        })
    }

    /// Whether logs may be reset to the floors of the snapshot with this id, written by the server `made_by`.
    /// For a directory of a release without marks, the writer tells whether the snapshot was received.
    pub fn was_received(&self, id: u128, made_by: u64) -> bool {
        let record = self.record.lock();
        let unmarked = self.place.is_some() && record.members.is_none();
        record.received.contains(&id) || unmarked && made_by != self.server
    }

    /// Number of this server's starts. Never repeats while its log exists.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The level of the first epoch.
    pub fn first_level(&self) -> u32 {
        self.record.lock().first_level
    }

    /// The highest level that each peer knows.
    pub fn peer_levels(&self) -> PeerLevels {
        self.peer_levels.clone()
    }

    /// What this server tells its peers about itself on a channel.
    pub fn hello(&self, config: &Config, channel: u32, epoch: Option<&EpochRecord>) -> Hello {
        let record = self.record.lock();
        // What belongs to no epoch names the first one: later ones are not known everywhere.
        let first = record.epochs.as_ref().map(|(chain, _)| &chain.links()[0].record);
        let epoch = epoch.or(first);
        let begun = record.incarnation == self.incarnation;
        Hello {
            cluster: config.cluster,
            server: config.server,
            channel,
            channels: epoch.map_or(config.groups(), |epoch| epoch.terms.groups).into(),
            store: record.store,
            incarnation: self.incarnation,
            lives: if begun { record.lives } else { self.lives_after(&record.lives) },
            application: config.application,
            members: epoch.map_or_else(|| config.servers(), |epoch| sorted(&epoch.terms.members)),
            promise_us: config.promise().map_or(0, |promise| promise.as_micros() as u64),
            levels: (config.known_level > FIRST_LEVEL).then_some(Levels {
                in_force: epoch.map_or(record.first_level, |epoch| epoch.terms.level),
                known: config.known_level,
            }),
        }
    }

    /// What this server says on the channel for the snapshots of the members of an epoch.
    pub fn transfer_hello(&self, config: &Config, channel: u32, record: &EpochRecord) -> Hello {
        let hello = self.hello(config, channel, Some(record));
        // Number 0 is older than epochs, and counts with those of the groups.
        if channel == 0 { hello } else { Hello { channels: 1, ..hello } }
    }

    /// What both ends say on the channel of followers. Neither has to know the same epochs or members, nor promises votes.
    pub fn feed_hello(&self, config: &Config, channel: u32) -> Hello {
        let hello = self.hello(config, channel, None);
        Hello { channels: 1, members: Vec::new(), promise_us: 0, ..hello }
    }

    /// Whether the server joins a cluster that runs, and has no part in it yet.
    pub fn joins(&self) -> bool {
        let record = self.record.lock();
        record.joins && record.epochs.is_none()
    }

    /// Records that the cluster goes on without this server from this epoch on. Durable when it returns.
    pub fn is_removed(&self, epoch: Epoch) -> Result<(), IdentityError> {
        self.change(|record| record.removed = Some(epoch.get()))
    }

    /// Marks of the log of the group with this channel.
    pub fn marks_of(self: &Arc<Identity>, channel: u32) -> Arc<dyn LogMarks> {
        Arc::new(GroupMarks { identity: Arc::clone(self), channel })
    }

    /// The epochs that this server knows, and what it has done with them.
    pub fn epochs(&self) -> Option<(Chain, Marks)> {
        self.record.lock().epochs.clone()
    }

    /// The logs with these channels are about to be made. Nothing is acknowledged in them before
    /// [`starts_epoch`](Self::starts_epoch), so what they hold is recorded with that, rather than once for each.
    pub fn makes_logs(&self, channels: impl Iterator<Item = u32>) {
        self.making.lock().extend(channels.map(|channel| (channel, 0)));
    }

    /// Records that the groups of an epoch, the newest one of `chain`, are there, empty but for what a snapshot replaces, and
    /// that this server takes part in it: everything before is held. `sealed` says what of that is in logs. Durable when it
    /// returns.
    pub fn starts_epoch(&self, chain: &Chain, sealed: Option<Sealed>) -> Result<(), IdentityError> {
        let epoch = chain.newest().record.epoch;
        let mut making = self.making.lock();
        self.change(|record| {
            let first = if record.joins { Marks::newcomer() } else { Marks::founder() };
            let mut marks = record.epochs.take().map_or(first, |(_, marks)| marks);
            let open = marks.first_open();
            let mut all = marks.sealed().to_vec();
            all.extend(sealed);
            all.retain(|sealed| sealed.epoch >= open);
            for (channel, segment) in &*making {
                let known = record.logs.entry(*channel).or_default();
                known.segment = known.segment.max(*segment);
            }
            marks.create(epoch);
            marks.start(epoch, all);
            record.epochs = Some((chain.clone(), marks));
        })?;
        making.clear();
        Ok(())
    }

    /// Records that an epoch and all before it are closed: their logs are about to go, and are never made again. Durable when
    /// it returns.
    pub fn closes_epoch(&self, epoch: Epoch) -> Result<(), IdentityError> {
        self.change(|record| {
            if let Some((_, marks)) = &mut record.epochs {
                marks.close(epoch);
                record.logs.retain(|channel, _| channel >> 16 >= epoch.get());
            }
        })
    }

    /// Whether every write to the logs was synced, in all lives so far.
    pub fn was_synced(&self) -> bool {
        self.record.lock().durability == Durability::Fsync
    }

    fn lives_after(&self, before: &[u64; LIVES]) -> [u64; LIVES] {
        let mut lives = *before;
        lives.rotate_right(1);
        lives[0] = self.life;
        lives
    }

    /// Changes the record durably. If that fails, the record stays as it was.
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
    /// Checks that a peer is who it was: the same store under the same server id, in the same start or a
    /// later one. A new start is recorded durably before the peer is admitted.
    fn admit(&self, peer: &Hello) -> Result<(), Refusal> {
        let (here, there) = (self.server, peer.server);
        self.check_first_level(peer)?;
        self.peer_levels.note(there, peer.levels().known);
        let known = self.record.lock().peers.get(&there).copied();
        let met = Met { store: peer.store, incarnation: peer.incarnation, life: peer.lives[0] };
        if let Some(known) = known {
            if known.store != peer.store {
                return Err(Refusal::Store(format!(
                    "server {there} has another log than the one that server {here} knows, so it may have \
                     forgotten what it acknowledged: leave it stopped, and see docs/recovery.md"
                )));
            }
            if is_old_copy(&known, peer) && !planted::is(Bug::IncarnationNotCompared) {
                return Err(Refusal::OldCopy(format!(
                    "the data directory of server {there} was restored from an old copy: this is its start \
                     {}, but server {here} has met its start {}. Restore the newest state, or leave it \
                     stopped, and see docs/recovery.md",
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
        noted.map_err(|error| Refusal::Store(format!("server {here} cannot record a new peer: {error}")))
    }

    /// Records a refusal that no later start can remedy.
    fn refused(&self, refusal: &Refusal) {
        if !matches!(refusal, Refusal::OldCopy(_)) {
            return;
        }
        tracing::error!("this server no longer takes part in anything: {refusal}");
        if let Err(error) = self.change(|record| record.old_copy = true) {
            tracing::error!(%error, "cannot record that the data directory is an old copy");
        }
    }
}

/// Whether a peer's start does not follow from the one met last.
fn is_old_copy(known: &Met, peer: &Hello) -> bool {
    let Some(since) = peer.incarnation.checked_sub(known.incarnation) else { return true };
    let life = peer.lives.get(since as usize).copied().unwrap_or(0);
    // Starts too old for the peer to name, and those of releases without lives, cannot be told apart.
    known.life != 0 && life != 0 && life != known.life
}

impl Identity {
    /// Whether a cluster that begins, begins at the same level at both ends: their epochs would differ otherwise.
    fn check_first_level(&self, peer: &Hello) -> Result<(), Refusal> {
        let (ours, theirs) = (self.first_level(), peer.levels().in_force);
        // Later ones follow from the first. The numbers below are of its groups, and 0 is that of the snapshots.
        let is_of_first_epoch = (1..1 << 16).contains(&peer.channel);
        if !is_of_first_epoch || ours == theirs {
            return Ok(());
        }
        Err(Refusal::Level(format!(
            "server {} begins a cluster at level {ours}, and server {} at level {theirs}: set the same first level on all \
             servers of a new cluster",
            self.server, peer.server
        )))
    }
}

impl RecordFile {
    /// Replaces the record on disk.
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

    /// Refuses a directory with logs or snapshots but no identity. Identity is the first thing in a data
    /// directory, so this one has lost it.
    fn check_empty(&self, dir: &Path, groups: u16) -> Result<(), IdentityError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Io { path, source }
        };
        let mut dirs: Vec<PathBuf> = (1..=groups).map(|group| dir.join(format!("group-{group}"))).collect();
        // Also those of a cluster with more groups.
        let named = |path: &PathBuf| {
            path.is_dir() && path.file_name().is_some_and(|name| is_of_logs(&name.to_string_lossy()))
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

/// Whether a directory is called as those of logs are.
fn is_of_logs(name: &str) -> bool {
    name.starts_with("group-") || name.starts_with("epoch-")
}

/// Files in a directory; none if it does not exist.
fn list(files: &dyn Files, dir: &Path) -> io::Result<Vec<PathBuf>> {
    match files.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}

/// Contents of a file; `None` if it does not exist.
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
        joins: config.join.is_some(),
        follows: config.follows(),
        removed: None,
        first_level: config.first_level,
        old_copy: false,
        received: Vec::new(),
        peers: BTreeMap::new(),
        logs: BTreeMap::new(),
        epochs: None,
    }
}

fn check(record: &Record, config: &Config, boot: &str) -> Result<(), IdentityError> {
    let found = if record.follows { ServerRole::Follower } else { ServerRole::Member };
    if found != config.role {
        let (dir, wanted) = (config.data_dir.clone(), config.role);
        return Err(IdentityError::OtherRole { dir, found, wanted });
    }
    let found = (record.cluster, record.server, record.groups);
    let wanted = (config.cluster, config.server, config.groups());
    let words = |(cluster, server, groups): (u128, u64, u16)| {
        format!("server {server} of cluster {cluster:032x} with {groups} groups")
    };
    let dir = || config.data_dir.clone();
    // After a change, what the configuration says of groups and members is a hint; and always to a follower.
    let has_changed = record.epochs.is_some() || record.follows;
    let found = if has_changed { (found.0, found.1, wanted.2) } else { found };
    if found != wanted {
        return Err(IdentityError::Foreign { dir: dir(), found: words(found), wanted: words(wanted) });
    }
    let wanted = config.servers();
    if let Some(found) = &record.members
        && *found != wanted
        && !has_changed
        && !planted::is(Bug::MembersNotCompared)
    {
        let words = |servers: &[u64]| servers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        return Err(IdentityError::Members { dir: dir(), found: words(found), wanted: words(&wanted) });
    }
    if let Some(epoch) = record.removed {
        return Err(IdentityError::Removed { server: record.server, epoch, dir: dir() });
    }
    if record.joins && !has_changed && config.join.is_none() {
        return Err(IdentityError::HasNotJoined { server: record.server, dir: dir() });
    }
    if record.old_copy {
        return Err(IdentityError::OldCopy(dir()));
    }
    if record.lost_writes(boot) && !record.follows {
        return Err(IdentityError::LostWrites { server: record.server, dir: dir() });
    }
    Ok(())
}

fn sorted(members: &[u64]) -> Vec<u64> {
    let mut members = members.to_vec();
    members.sort_unstable();
    members
}

/// Keeps what is known of the last segments: the logs' owner knows entries and hard states only.
fn note_held(record: &mut Record, logs: BTreeMap<u32, Held>) {
    for (channel, held) in logs {
        let known = record.logs.entry(channel).or_default();
        *known = Held { segment: held.segment.max(known.segment), ..held };
    }
}

/// Marks of one group's log.
#[derive(Debug)]
struct GroupMarks {
    identity: Arc<Identity>,
    channel: u32,
}

impl LogMarks for GroupMarks {
    fn held(&self) -> Held {
        let record = self.identity.record.lock();
        // A release without marks created the first segment at its first start, before it met any peer.
        let has_run = record.incarnation > 1 || !record.peers.is_empty();
        let unmarked = Held { segment: u64::from(record.members.is_none() && has_run), ..Held::default() };
        record.logs.get(&self.channel).copied().unwrap_or(unmarked)
    }

    fn prepared(&self, segment: u64) -> io::Result<()> {
        if let Some(newest) = self.identity.making.lock().get_mut(&self.channel) {
            *newest = segment.max(*newest);
            return Ok(());
        }
        let noted = self.identity.change(|record| {
            let known = record.logs.entry(self.channel).or_default();
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
