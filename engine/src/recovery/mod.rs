//! A new cluster out of what is left of one that has lost its majority for good.
//!
//! Such a cluster cannot continue: nobody may elect a leader without a majority. [`Recovery`] reads the data directories that
//! are left, says what they hold and what they cannot hold, and makes the data directories of a new cluster, with an id of its
//! own. It may have other servers and another number of groups. Nothing does this by itself, since only a person knows that
//! the missing servers will not come back: if they did, two clusters would continue from the same state.
//!
//! 1. `source.rs` reads each directory, without changing it; `choice.rs` chooses a copy of each group's log; `found.rs` is the
//!    account of that. `beyond.rs` tells whether the cluster may have gone on in an epoch that is in none of them.
//! 2. `replay.rs` puts the newest snapshot and the chosen logs into a server that is a majority by itself, and runs it: it
//!    merges the logs, fills gaps with no-ops and executes, by the rules of any server, and takes a snapshot.
//! 3. `founding.rs` makes of that snapshot a data directory for each server of the new cluster.

mod beyond;
mod choice;
mod error;
mod found;
mod founding;
mod group;
mod replay;
mod source;
mod together;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use niagara_log::{Files, SystemFiles};
use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::{Chain, Epoch};

pub use error::RecoveryError;
pub use found::{Found, FoundDirectory, FoundGroup, FoundNext, FoundSnapshot};

use self::beyond::next_epochs;
use self::founding::Workshop;
use self::group::look_at_group;
use self::replay::Replay;
use self::source::{Source, read_whole};
use self::together::{check_belong_together, check_given_once, doubt_old_copies};
use crate::config::Config;
use crate::snapshot::{Header, SnapshotError};
use crate::state_machine::StateMachine;

/// What is left of a cluster, in data directories that no server uses meanwhile.
///
/// ```
/// use niagara_engine::{Config, Durability, Engine, Recovery};
/// # use niagara_engine::internals::example::Counter;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = tempfile::tempdir()?;
/// let mut lost = Config::local(1, 2)?.remove(0);
/// (lost.durability, lost.data_dir) = (Durability::Os, dir.path().join("lost"));
/// let engine = Engine::start(lost.clone(), Counter::default())?;
/// engine.client().propose("count".into())?.wait()?;
/// engine.stop();
///
/// // Three servers and four groups continue.
/// let mut new = Config::local(3, 4)?;
/// for config in &mut new {
///     config.durability = Durability::Os;
///     config.data_dir = dir.path().join(format!("new-{}", config.server));
/// }
/// let recovery = Recovery::open(&[lost.data_dir])?;
/// assert!(recovery.found().is_complete(), "nothing that was acknowledged can be missing");
/// let position = recovery.run(&new, Counter::default(), &mut |_| {})?;
/// println!("the new cluster begins after position {position}");
///
/// let engine = Engine::start(new.remove(0), Counter::default())?;
/// assert!(engine.client().applied() >= position);
/// # engine.stop();
/// # Ok(())
/// # }
/// ```
pub struct Recovery {
    files: Arc<dyn Files>,
    sources: Vec<Source>,
    found: Found,
    /// The latest term of each group, in any directory.
    terms: Vec<u64>,
    /// All epochs that any server knew, and the first one that the snapshot is not beyond.
    chain: Chain,
    first: Epoch,
}

impl Recovery {
    /// Reads what is left in the data directories of servers of one cluster, and locks them. This reads all of the newest
    /// snapshot and of the logs, and changes nothing.
    ///
    /// # Errors
    /// If a directory is no server's or in use, or is given twice, if they do not belong together, or if no log can be continued from what is
    /// there.
    pub fn open(directories: &[PathBuf]) -> Result<Recovery, RecoveryError> {
        check_given_once(directories)?;
        let files: Arc<dyn Files> = Arc::new(SystemFiles);
        let directories: Vec<_> = directories.iter().map(|dir| (dir.clone(), Arc::clone(&files))).collect();
        Recovery::from(&directories, files)
    }

    /// Reads what is left in directories that may each be in a file system of its own.
    fn from(
        directories: &[(PathBuf, Arc<dyn Files>)],
        files: Arc<dyn Files>,
    ) -> Result<Recovery, RecoveryError> {
        let open = |(dir, files): &(PathBuf, Arc<dyn Files>)| Source::open(dir, Arc::clone(files));
        let mut sources = directories.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        check_belong_together(&sources)?;
        doubt_old_copies(&mut sources);
        let mut found = account_of(&sources)?;
        let base = newest_snapshot(&sources, &mut found)?;
        let chain = longest_chain(&sources, base.as_deref())?;
        let first = base.as_ref().map_or(Epoch::FIRST, |base| base.cut().epoch);
        found.members.clone_from(&chain.newest().record.terms.members);
        found.members.sort_unstable();
        found.epoch = chain.newest().record.epoch.get();
        let (mut terms, mut ends) = (Vec::new(), Vec::new());
        for record in chain.links().iter().map(|link| &link.record).filter(|record| record.epoch >= first) {
            let base = base.as_ref().filter(|base| base.cut().epoch == record.epoch);
            for group in 1..=record.terms.groups {
                let entry = base.map(|base| base.floors[usize::from(group) - 1].entry).unwrap_or_default();
                let logs = sources.iter().map(|source| source.log((record.epoch, group), entry));
                let logs = logs.collect::<Result<Vec<_>, _>>()?;
                terms.push(logs.iter().map(|log| log.term).chain([entry.term]).max().unwrap_or(0));
                let mut looked = look_at_group(record, group, entry, &sources, &logs)?;
                if chain.last_round(record.epoch).is_some() {
                    // Whoever went on held all of it, committed. What is above the end is void.
                    looked.uncertain = 0;
                }
                ends.extend(looked.from.into_iter().flat_map(|from| logs[from].ends().cloned()));
                found.groups.push(looked);
            }
        }
        found.next = next_epochs(&chain, &ends, &sources);
        Ok(Recovery { files, sources, found, terms, chain, first })
    }

    /// What was found, and what may be missing.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Executes what was found, and makes a data directory for each of these servers, which are all servers of a new cluster.
    /// Start them when it has returned. `state` is empty, as at any start. `progress` learns the position up to which commands
    /// have been executed, from time to time. Returns the position above which the new cluster continues the global log.
    ///
    /// While it works, it uses a directory beside each of them, `DATA_DIR.recovering`.
    ///
    /// # Errors
    /// If the configurations are not those of a new cluster, or something cannot be read, executed or written. What was made is removed
    /// again then, and it may be tried once more.
    pub fn run<S: StateMachine>(
        &self,
        into: &[Config],
        state: S,
        progress: &mut dyn FnMut(GlobalPosition),
    ) -> Result<GlobalPosition, RecoveryError> {
        founding::check(into, self.found.cluster)?;
        let workshops = into.iter().map(Workshop::open).collect::<Result<Vec<_>, _>>()?;
        let taken = Replay { recovery: self, dir: workshops[0].replay() }.run(state, progress)?;
        let snapshot = taken.path.ok_or(RecoveryError::Empty)?;
        founding::found::<S>(into, &workshops, &snapshot, &self.files)
    }
}

/// What a recovery would find on these disks.
pub fn survey(disks: &[(PathBuf, Arc<dyn Files>)]) -> Result<Found, RecoveryError> {
    Ok(Recovery::from(disks, Arc::new(SystemFiles))?.found)
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery").field("found", &self.found).finish_non_exhaustive()
    }
}

/// The epochs of whoever knew most of them. Each server went through the same ones.
fn longest_chain(sources: &[Source], base: Option<&Header>) -> Result<Chain, RecoveryError> {
    let mut longest = sources.first().ok_or(RecoveryError::NoDirectory)?.chain()?;
    for (source, chain) in sources.iter().map(|source| (source, source.chain())) {
        let chain = chain?;
        if longest.links().iter().zip(chain.links()).any(|(one, other)| one != other) {
            let one = sources[0].dir.clone();
            let what = "their clusters went through different epochs".to_owned();
            return Err(RecoveryError::Differ { one, other: source.dir.clone(), what });
        }
        if chain.links().len() > longest.links().len() {
            longest = chain;
        }
    }
    let of_base = base.map(|base| &base.chain).filter(|chain| chain.links().len() > longest.links().len());
    Ok(of_base.cloned().unwrap_or(longest))
}

fn account_of(sources: &[Source]) -> Result<Found, RecoveryError> {
    let first = sources.first().ok_or(RecoveryError::NoDirectory)?;
    let directory = |source: &Source| FoundDirectory {
        dir: source.dir.clone(),
        server: source.testimony.server,
        durability: source.testimony.durability,
        clean: source.testimony.clean,
        doubt: source.testimony.doubt.clone(),
        removed: source.testimony.removed,
    };
    Ok(Found {
        cluster: first.testimony.cluster,
        // Replaced by those of the newest epoch, when that is known.
        members: first.testimony.members.clone(),
        epoch: Epoch::FIRST.get(),
        next: Vec::new(),
        directories: sources.iter().map(directory).collect(),
        snapshot: None,
        damaged_snapshots: Vec::new(),
        groups: Vec::new(),
    })
}

/// Finds the newest snapshot that is whole.
fn newest_snapshot(sources: &[Source], found: &mut Found) -> Result<Option<Arc<Header>>, RecoveryError> {
    let mut snapshots = Vec::new();
    for source in sources {
        snapshots.extend(source.snapshots()?.into_iter().map(|path| (path, &source.files)));
    }
    // Names are in the order of the cuts.
    snapshots.sort_by(|(one, _), (other, _)| other.file_name().cmp(&one.file_name()));
    for (path, files) in snapshots {
        match read_whole(&path, &**files) {
            Ok(reader) => {
                let header = Arc::clone(reader.header());
                found.snapshot = Some(FoundSnapshot { path, position: header.position() });
                return Ok(Some(header));
            }
            Err(error @ SnapshotError::Damaged { .. }) => found.damaged_snapshots.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
