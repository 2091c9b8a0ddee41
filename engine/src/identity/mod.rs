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
//!
//! | module | what it does |
//! |---|---|
//! | `record`, `epochs` | what is known, as text |
//! | `file` | keeps it |
//! | `start` | compares it with the configuration |
//! | `greeting`, `levels` | what peers are told of it, and tell |
//! | `admission` | compares it with peers |
//! | `marks` | what each log has held |
//! | `lock`, `outside` | one process at a time; data directories of others |

mod admission;
mod epochs;
mod error;
mod file;
mod greeting;
mod levels;
mod lock;
mod marks;
mod outside;
mod record;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use niagara_log::{Durability, Files, Held, LogMarks};
use niagara_net::LIVES;
use niagara_sequencer::epoch::{Chain, Epoch, Marks, Sealed};
use parking_lot::Mutex;

pub use error::IdentityError;
pub(crate) use levels::PeerLevels;
pub(crate) use lock::DirectoryLock;
pub(crate) use outside::{Owner, Testimony, look, make};

use self::file::RecordFile;
use self::marks::GroupMarks;
use self::record::Record;
use crate::config::Config;

/// What a data directory shows of its server's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// It has had no part in a cluster.
    None,
    /// It founded a cluster whose only member it still is, as far as it knows.
    Alone,
    /// It has been a member beside others.
    Member,
}

/// What the data directory shows of its server's past.
pub(crate) fn past(config: &Config, files: &dyn Files) -> Result<Past, IdentityError> {
    if config.durability == Durability::Memory {
        return Ok(Past::None);
    }
    let record = file::find(files, &config.data_dir.join("identity"))?;
    Ok(record.map_or(Past::None, |record| record.past()))
}

/// A server's identity. Until [`begin`](Identity::begin) it remains as the last start left it, so a failed
/// start changes nothing.
#[derive(Debug)]
pub(crate) struct Identity {
    server: u64,
    /// Number of this start. The life distinguishes it from all other starts.
    incarnation: u64,
    life: u64,
    /// The servers that this one had met before this start.
    met_before: BTreeSet<u64>,
    /// The current run of the machine.
    boot: String,
    place: Option<RecordFile>,
    record: Mutex<Record>,
    /// The newest segment of each log that is being made for the next epoch, by channel: recorded when all are there.
    making: Mutex<BTreeMap<u32, u64>>,
    /// The highest level that each peer knows, as it has said when it connected last.
    peer_levels: PeerLevels,
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
        let found = file::read(&**files, &path)?;
        let place = match (config.durability, &found) {
            (Durability::Memory, Some(_)) => return Err(IdentityError::WouldForget(dir.clone())),
            (Durability::Memory, None) => None,
            (Durability::Fsync | Durability::Os, _) => Some(RecordFile { files: Arc::clone(files), path }),
        };
        let record = match &place {
            None => {
                start::check_first(config)?;
                start::first_record(config, &**files, life)
            }
            Some(place) => match found {
                Some(bytes) => {
                    let record = file::understand(&place.path, &bytes)?;
                    start::check(&record, config, &boot)?;
                    record
                }
                None => {
                    place.check_empty(dir, config.groups())?;
                    start::check_first(config)?;
                    // The lock creates the directory, but not every owner of files takes a lock.
                    let io = |source| IdentityError::Io { path: dir.clone(), source };
                    files.create_dir(dir).map_err(io)?;
                    let record = start::first_record(config, &**files, life);
                    place.save(&record)?;
                    record
                }
            },
        };
        let incarnation = record.incarnation + 1;
        let met_before = record.peers.keys().copied().collect();
        Ok(Identity {
            server: config.server,
            incarnation,
            life,
            met_before,
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

/// Keeps what is known of the last segments: the logs' owner knows entries and hard states only.
fn note_held(record: &mut Record, logs: BTreeMap<u32, Held>) {
    for (channel, held) in logs {
        let known = record.logs.entry(channel).or_default();
        *known = Held { segment: held.segment.max(known.segment), ..held };
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
