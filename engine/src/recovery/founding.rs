//! The data directories of a new cluster, which begins with the state of a snapshot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use niagara_group::GroupFloor;
use niagara_log::{Durability, EntryId, Files};
use niagara_sequencer::{GlobalPosition, GroupId, Layout};

use super::error::{RecoveryError, io};
use crate::apply::{Digests, LaneSessions};
use crate::config::Config;
use crate::frozen::{MalformedState, Restoring};
use crate::identity::{self, random};
use crate::snapshot::{Header, SnapshotError, SnapshotReader, SnapshotStore, SnapshotWriter, read_into};
use crate::state_machine::StateMachine;

/// Checks that these are the configurations of servers of a new cluster, with data directories that are new, too.
pub(super) fn check(into: &[Config], lost: u128) -> Result<(), RecoveryError> {
    let unfit = |what: String| Err(RecoveryError::Unfit(what));
    let Some(first) = into.first() else {
        return unfit("name the configuration of at least one server of the new cluster".into());
    };
    if first.cluster == lost {
        return unfit(format!(
            "the new cluster has the id of the lost one, {lost:032x}: give it an id of its own, or servers of both could meet"
        ));
    }
    for (index, config) in into.iter().enumerate() {
        config.check()?;
        let server = config.server;
        if (config.cluster, config.groups(), config.servers())
            != (first.cluster, first.groups(), first.servers())
        {
            return unfit(format!("servers {} and {server} are not of one cluster", first.server));
        }
        if into[..index].iter().any(|other| other.server == server) {
            return unfit(format!("server {server} is named twice"));
        }
        if into[..index].iter().any(|other| other.data_dir == config.data_dir) {
            return unfit(format!(
                "two servers have the data directory {}: each needs one of its own",
                config.data_dir.display()
            ));
        }
        if config.durability == Durability::Memory {
            return unfit(format!(
                "server {server} keeps its data in memory, and would start without what was recovered: set durability to `fsync` or `os`"
            ));
        }
        check_empty(&config.data_dir)?;
    }
    Ok(())
}

fn check_empty(dir: &Path) -> Result<(), RecoveryError> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io("list", dir)(error)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(RecoveryError::NotEmpty(dir.to_owned())),
        },
    }
}

/// A directory for work in progress beside a data directory, removed in the end.
pub(super) struct Workshop {
    dir: PathBuf,
    data_dir: PathBuf,
}

impl Workshop {
    /// Opens it, and empties it if an attempt was cut short.
    pub fn open(config: &Config) -> Result<Workshop, RecoveryError> {
        let data_dir = config.data_dir.clone();
        let mut name = data_dir.as_os_str().to_owned();
        name.push(".recovering");
        let workshop = Workshop { dir: name.into(), data_dir };
        workshop.clear().map_err(io("remove", &workshop.dir))?;
        fs::create_dir_all(&workshop.dir).map_err(io("create", &workshop.dir))?;
        Ok(workshop)
    }

    /// Where what was found is executed.
    pub fn replay(&self) -> PathBuf {
        self.dir.join("replay")
    }

    /// Where the new data directory is made.
    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Gives the new data directory its name, durably.
    fn hand_over(&self, files: &dyn Files) -> Result<(), RecoveryError> {
        let dir = &self.data_dir;
        fs::rename(self.data(), dir).map_err(io("rename the new data directory to", dir))?;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        files.sync_dir(parent).map_err(io("sync", parent))
    }

    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot remove the directory of the recovery");
        }
    }
}

/// Makes a data directory for each server out of this snapshot, and returns the position that they begin at. The directories get
/// their names when all are complete: a server that started in an incomplete one would begin with nothing.
pub(super) fn found<S: StateMachine>(
    into: &[Config],
    workshops: &[Workshop],
    snapshot: &Path,
    files: &Arc<dyn Files>,
) -> Result<GlobalPosition, RecoveryError> {
    let mut begins_at = GlobalPosition::ZERO;
    for (config, workshop) in into.iter().zip(workshops) {
        let mut config = config.clone();
        config.data_dir = workshop.data();
        let mut old = SnapshotReader::open(&**files, snapshot)?;
        // The state may hold what needs the level that the old cluster was at.
        config.first_level = config.first_level.max(old.header().record().terms.level);
        let header = Arc::new(continued(&config, old.header()));
        begins_at = header.position();
        identity::make(&config, files, random() as u64, 0, Some(header.id), None)?;
        let mut store = SnapshotStore::open(Arc::clone(files), config.data_dir.join("snapshots"))?;
        let mut rewritten = Rewritten { writer: store.begin(&header)?, failed: None };
        let read = read_into::<S::Frozen>(&mut old, &mut rewritten);
        rewritten.failed.map_or(read, Err)?;
        store.finish(rewritten.writer, header)?;
    }
    workshops.iter().try_for_each(|workshop| workshop.hand_over(&**files))?;
    Ok(begins_at)
}

/// The header of a snapshot with which a server of the new cluster begins.
///
/// The global log continues at the end of the first round, by the new number of groups, that is not below the old position. Each
/// group's log begins above a floor that no log of the old cluster reached. A server without a data directory has to fetch this
/// snapshot, then, and cannot take the others' first entries for the beginning.
fn continued(config: &Config, old: &Header) -> Header {
    let servers = config.servers();
    let layout = Layout::new(config.groups());
    let round = old.position().get().div_ceil(u64::from(config.groups()));
    let last =
        |number: fn(&EntryId) -> u64| old.floors.iter().map(|floor| number(&floor.entry)).max().unwrap_or(0);
    let entry = EntryId { index: last(|entry| entry.index) + 1, term: last(|entry| entry.term) + 1 };
    let floor = GroupFloor { entry, voters: servers.clone(), learners: Vec::new() };
    Header {
        id: random(),
        cluster: config.cluster,
        server: config.server,
        created_ms: old.created_ms,
        round,
        anchor: GroupId::new(1),
        commands: old.commands,
        duplicates: old.duplicates,
        noops: old.noops + layout.round_end(round).get() - old.position().get(),
        chain: config.first_epoch(config.first_level),
        floors: vec![floor; usize::from(config.groups())],
        // The servers of the new cluster have accepted no command.
        sessions: LaneSessions::new(&servers, config.groups()),
        digests: Digests::default(),
        own_files: false,
    }
}

/// Another snapshot with the same state.
struct Rewritten {
    writer: SnapshotWriter,
    failed: Option<SnapshotError>,
}

impl Restoring for Rewritten {
    fn add_chunk(&mut self, chunk: &Bytes) -> Result<(), MalformedState> {
        self.writer.add_chunk(chunk).map_err(|error| {
            self.failed = Some(error);
            MalformedState("it cannot be written")
        })
    }
}
