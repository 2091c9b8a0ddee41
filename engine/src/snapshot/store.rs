//! The directory of a server's snapshots: how files get their names, which are kept, and what a start finds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_log::Files;
use niagara_sequencer::epoch::{Chain, Cut, Epoch, Link, Record};

use super::error::SnapshotError;
use super::header::Header;
use super::own_files;
use super::reader::SnapshotReader;
use super::writer::SnapshotWriter;
use crate::frozen::Frozen;
use crate::planted::{self, Bug};

/// Snapshots to keep. If the newest is damaged, the previous one is still there, with the logs that it needs.
const KEPT: usize = 2;

/// The extension of a snapshot's file.
pub(crate) const SNAPSHOT: &str = "snap";
const UNFINISHED: &str = "tmp";
const PART: &str = "part";

/// The snapshots' directory. A file has its final name only once all of it is durable.
#[derive(Debug)]
pub(crate) struct SnapshotStore {
    files: Arc<dyn Files>,
    dir: PathBuf,
    /// Oldest first.
    kept: Vec<Arc<Kept>>,
    /// Files that were found damaged. They are removed once there is something better.
    damaged: Vec<PathBuf>,
}

/// A durable snapshot.
#[derive(Debug)]
pub(crate) struct Kept {
    pub header: Arc<Header>,
    pub path: PathBuf,
    /// Length of the file, in bytes.
    pub bytes: u64,
}

impl Kept {
    /// Directory of the state machine's own files, if they are its content.
    pub fn own_files(&self) -> Option<PathBuf> {
        self.header.own_files.then(|| own_files::directory(&self.path))
    }
}

impl SnapshotStore {
    /// Opens the directory, and creates it if it does not exist. Removes what a crash left unfinished, except
    /// parts of snapshots from other servers: their transfer resumes.
    pub fn open(files: Arc<dyn Files>, dir: PathBuf) -> Result<SnapshotStore, SnapshotError> {
        files.create_dir(&dir).map_err(SnapshotError::io("create the directory of snapshots", &dir))?;
        let store = SnapshotStore { files, dir, kept: Vec::new(), damaged: Vec::new() };
        for path in store.list(UNFINISHED)? {
            store.remove(&path)?;
        }
        // The former process may have died between a rename and its sync. The logs are about to be reset,
        // durably, to the floors of what is listed here, so a loss of power must not remove its name.
        store.sync_names()?;
        Ok(store)
    }

    /// Reads the newest whole snapshot with `restore`, and keeps it and the earlier ones. `restore` starts
    /// afresh with each file. `None` if there is no snapshot. `groups` is how many a cluster begins with, if that is known.
    ///
    /// # Errors
    /// If a file cannot be read, belongs to another cluster or version, or holds what the state machine does
    /// not understand: no older file would help then.
    pub fn restore_newest<T>(
        &mut self,
        cluster: u128,
        groups: Option<u16>,
        mut restore: impl FnMut(&mut SnapshotReader) -> Result<T, SnapshotError>,
    ) -> Result<Option<(Arc<Kept>, T)>, SnapshotError> {
        let mut paths = self.list(SNAPSHOT)?;
        paths.sort_unstable();
        if planted::is(Bug::SnapshotsByRound) {
            let round = |path: &PathBuf| path.to_string_lossy().rsplit(['/', '-']).next().map(str::to_owned);
            paths.sort_by_key(round);
        }
        let mut restored = None;
        for path in paths.into_iter().rev() {
            let opened = SnapshotReader::open(&*self.files, &path).and_then(|mut reader| {
                check_owner(&reader, cluster, groups)?;
                let state = if restored.is_none() { Some(restore(&mut reader)?) } else { None };
                Ok((reader, state))
            });
            let (reader, state) = match opened {
                Ok(opened) => opened,
                Err(error @ SnapshotError::Damaged { .. }) => {
                    tracing::error!(%error, "skipping a damaged snapshot; the previous one is used if there is one");
                    self.damaged.push(path);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let kept = Arc::new(Kept { header: Arc::clone(reader.header()), path, bytes: reader.length() });
            if let Some(state) = state {
                restored = Some((Arc::clone(&kept), state));
            }
            self.kept.insert(0, kept);
        }
        self.remove_orphans()?;
        Ok(restored)
    }

    /// Removes the state machine's files that no snapshot refers to.
    fn remove_orphans(&self) -> Result<(), SnapshotError> {
        if !self.has_own_files() {
            return Ok(());
        }
        let snapshots = self.list(SNAPSHOT)?;
        for directory in self.list(own_files::EXTENSION)? {
            let snapshot = directory.with_extension(SNAPSHOT);
            let kept = self.kept.iter().find(|kept| kept.path == snapshot);
            if kept.map_or(!snapshots.contains(&snapshot), |kept| !kept.header.own_files) {
                own_files::remove(&directory)?;
            }
        }
        Ok(())
    }

    /// Whether state machines can save files of their own here.
    pub fn has_own_files(&self) -> bool {
        self.files.are_of_the_system()
    }

    /// Has a view save its files for a snapshot of this cut.
    pub fn save_files<F: Frozen>(&self, cut: Cut, frozen: &mut F) -> Result<(), SnapshotError> {
        own_files::save(&*self.files, &own_files::directory(&self.path(cut)), frozen)
    }

    /// The kept snapshots, oldest first.
    pub fn kept(&self) -> &[Arc<Kept>] {
        &self.kept
    }

    /// The newest snapshot.
    pub fn newest(&self) -> Option<&Arc<Kept>> {
        self.kept.last()
    }

    /// Files that were found damaged.
    pub fn damaged(&self) -> &[PathBuf] {
        &self.damaged
    }

    /// Starts a snapshot of this server's own, beside the others.
    pub fn begin(&self, header: &Header) -> Result<SnapshotWriter, SnapshotError> {
        SnapshotWriter::create(&*self.files, &self.unfinished(), header)
    }

    /// Completes that snapshot. When this returns, it is kept.
    pub fn finish(&mut self, writer: SnapshotWriter, header: Arc<Header>) -> Result<(), SnapshotError> {
        let bytes = writer.finish()?;
        self.keep(&self.unfinished(), header, bytes)
    }

    /// Completes a snapshot that has in chunks what a kept one has in files of the state machine's own, and replaces
    /// that one.
    pub fn replace(&mut self, writer: SnapshotWriter, header: Arc<Header>) -> Result<(), SnapshotError> {
        let bytes = writer.finish()?;
        let path = self.path(header.cut());
        let place = self.kept.iter().position(|kept| kept.path == path);
        let place = place.expect("compaction_floor: a snapshot whose content is copied is kept");
        self.name(&self.unfinished(), &path)?;
        self.kept[place] = Arc::new(Kept { header, path: path.clone(), bytes });
        own_files::remove(&own_files::directory(&path))
    }

    /// Abandons the snapshot with this header, and frees its room.
    pub fn abandon(&self, header: &Header) {
        // What cannot be removed is overwritten by the next attempt, or removed by the next start.
        let _ = self.files.remove(&self.unfinished());
        if header.own_files {
            let _ = own_files::remove(&own_files::directory(&self.path(header.cut())));
        }
    }

    /// Path of a partly received file.
    pub fn part(&self, id: u128) -> PathBuf {
        self.dir.join(format!("{id:032x}.{PART}"))
    }

    /// Id of the partly received file.
    pub fn part_id(&self) -> Option<u128> {
        let parts = self.list(PART).ok()?;
        u128::from_str_radix(parts.first()?.file_stem()?.to_str()?, 16).ok()
    }

    /// Removes the parts of all files but this one.
    pub fn remove_other_parts(&self, id: u128) -> Result<(), SnapshotError> {
        let mine = self.part(id);
        self.list(PART)?.iter().filter(|path| **path != mine).try_for_each(|path| self.remove(path))
    }

    /// Names a complete, checked and synced part. When this returns, it is kept.
    pub fn adopt(&mut self, header: Arc<Header>, bytes: u64) -> Result<(), SnapshotError> {
        let part = self.part(header.id);
        self.keep(&part, header, bytes)
    }

    /// Removes a part that turned out not to be a snapshot.
    pub fn remove_part(&self, id: u128) -> Result<(), SnapshotError> {
        self.remove(&self.part(id))
    }

    /// Removes, oldest first, what is neither among the newest nor in use.
    pub fn prune(&mut self, in_use: impl Fn(&Kept) -> bool) -> Result<(), SnapshotError> {
        let old = self.kept.len().saturating_sub(KEPT);
        if old == 0 {
            return Ok(());
        }
        let (go, stay): (Vec<_>, Vec<_>) =
            self.kept.drain(..).enumerate().partition(|(age, kept)| *age < old && !in_use(kept));
        self.kept = stay.into_iter().map(|(_, kept)| kept).collect();
        for (_, kept) in go {
            self.remove_snapshot(&kept.path)?;
        }
        Ok(())
    }

    fn keep(&mut self, from: &Path, header: Arc<Header>, bytes: u64) -> Result<(), SnapshotError> {
        let newest = self.newest().map(|kept| kept.header.cut());
        assert!(
            newest.is_none_or(|newest| newest < header.cut()),
            "compaction_floor: a snapshot of cut {} comes after one of {newest:?}",
            header.cut()
        );
        let path = self.path(header.cut());
        self.name(from, &path)?;
        self.damaged.retain(|damaged| *damaged != path);
        self.kept.push(Arc::new(Kept { header, path, bytes }));
        for path in std::mem::take(&mut self.damaged) {
            if let Err(error) = self.remove_snapshot(&path) {
                tracing::warn!(%error, "cannot remove a damaged snapshot");
            }
        }
        Ok(())
    }

    /// Gives a durable file its final name, durably.
    fn name(&self, from: &Path, path: &Path) -> Result<(), SnapshotError> {
        let renamed = self.files.rename(from, path);
        renamed.map_err(SnapshotError::io("rename the finished snapshot to", path))?;
        self.sync_names()
    }

    /// Names are in the order of the cuts. Those of the first epoch are as they were before there were others.
    fn path(&self, Cut { epoch, round }: Cut) -> PathBuf {
        match epoch {
            Epoch::FIRST => self.dir.join(format!("{round:016x}.{SNAPSHOT}")),
            later => self.dir.join(format!("epoch-{:08x}-{round:016x}.{SNAPSHOT}", later.get())),
        }
    }

    fn unfinished(&self) -> PathBuf {
        self.dir.join(format!("writing.{UNFINISHED}"))
    }

    fn sync_names(&self) -> Result<(), SnapshotError> {
        self.files
            .sync_dir(&self.dir)
            .map_err(SnapshotError::io("sync the directory of snapshots", &self.dir))
    }

    /// Removes a snapshot, with the state machine's files if it has any.
    fn remove_snapshot(&self, path: &Path) -> Result<(), SnapshotError> {
        self.remove(path)?;
        if self.has_own_files() { own_files::remove(&own_files::directory(path)) } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> Result<(), SnapshotError> {
        self.files.remove(path).map_err(SnapshotError::io("remove", path))
    }

    fn list(&self, extension: &str) -> Result<Vec<PathBuf>, SnapshotError> {
        let listed = self.files.list(&self.dir);
        let mut paths = listed.map_err(SnapshotError::io("list the directory of snapshots", &self.dir))?;
        paths.retain(|path| path.extension().is_some_and(|found| found == extension));
        Ok(paths)
    }
}

/// Whether a snapshot is of a cluster, which began with so many groups if that is known.
pub(crate) fn check_owner(
    reader: &SnapshotReader,
    cluster: u128,
    groups: Option<u16>,
) -> Result<(), SnapshotError> {
    let words = |cluster: u128, groups: u16| format!("{cluster:032x} with {groups} groups");
    let header = reader.header();
    let groups = groups.unwrap_or(header.layout().groups());
    // After a change, what the configuration says of groups is a hint.
    let has_changed = header.cut().epoch > Epoch::FIRST;
    if header.cluster == cluster && (has_changed || header.layout().groups() == groups) {
        return Ok(());
    }
    Err(SnapshotError::Foreign {
        path: reader.path().to_owned(),
        found: words(header.cluster, header.layout().groups()),
        expected: words(cluster, groups),
    })
}

/// Whether a snapshot is of a cluster at a level that this program knows.
pub(crate) fn check_level(reader: &SnapshotReader, known: u32) -> Result<(), SnapshotError> {
    match reader.header().record().terms.level {
        level if level > known => Err(SnapshotError::Level { path: reader.path().to_owned(), level, known }),
        _ => Ok(()),
    }
}

/// Whether a snapshot of another server is of a cluster that has gone through the epochs that this server knows. It would make
/// the groups of the newest one as the snapshot says.
pub(crate) fn check_chain(reader: &SnapshotReader, known: &Chain) -> Result<(), SnapshotError> {
    let found = &reader.header().chain;
    let differs = found.links().iter().zip(known.links()).find(|(found, known)| found.hash != known.hash);
    let Some((found, known)) = differs else { return Ok(()) };
    let words = |link: &Link| {
        let Record { epoch, terms, .. } = &link.record;
        format!("with {} groups of the members {:?} in epoch {epoch}", terms.groups, terms.members)
    };
    let path = reader.path().to_owned();
    Err(SnapshotError::Foreign { path, found: words(found), expected: words(known) })
}
