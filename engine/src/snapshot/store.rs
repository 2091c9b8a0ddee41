//! The directory of a server's snapshots: how files get their names, which are kept, and what a start finds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_log::Files;

use super::error::SnapshotError;
use super::header::Header;
use super::reader::SnapshotReader;
use super::writer::SnapshotWriter;
use crate::planted::{self, Bug};

/// How many snapshots are kept: should the newest be damaged, the one before is still there, with the logs that it needs.
const KEPT: usize = 2;

const SNAPSHOT: &str = "snap";
const UNFINISHED: &str = "tmp";
const PART: &str = "part";

/// The snapshots' directory. A file has its final name only when all of it is durable.
#[derive(Debug)]
pub(crate) struct SnapshotStore {
    files: Arc<dyn Files>,
    dir: PathBuf,
    /// Oldest first.
    kept: Vec<Arc<Kept>>,
    /// Files that were found damaged. They go when there is something better.
    damaged: Vec<PathBuf>,
}

/// A snapshot that is durable.
#[derive(Debug)]
pub(crate) struct Kept {
    pub header: Arc<Header>,
    pub path: PathBuf,
    /// Length of the file.
    pub bytes: u64,
}

impl SnapshotStore {
    /// Opens the directory, and creates it if it does not exist. What a crash has left unfinished goes, but for parts of
    /// snapshots on their way from other servers: those are gone on with.
    pub fn open(files: Arc<dyn Files>, dir: PathBuf) -> Result<SnapshotStore, SnapshotError> {
        files.create_dir(&dir).map_err(SnapshotError::io("create the directory of snapshots", &dir))?;
        let store = SnapshotStore { files, dir, kept: Vec::new(), damaged: Vec::new() };
        for path in store.list(UNFINISHED)? {
            store.remove(&path)?;
        }
        // The former process may have died between a rename and its sync. The logs are about to be reset, durably, to the floors
        // of what is listed here, so a loss of power may not take its name away.
        if !planted::is(Bug::SnapshotNamesTrusted) {
            store.sync_names()?;
        }
        Ok(store)
    }

    /// Reads the newest snapshot that is whole, chunk by chunk, with `restore`, and keeps it and those before it. `restore`
    /// begins anew with each file. Nothing if there is none.
    ///
    /// # Errors
    /// When a file cannot be read, is of another cluster or version, or holds what the state machine does not understand: no
    /// older file would help then.
    pub fn restore_newest<T>(
        &mut self,
        cluster: u128,
        groups: u16,
        mut restore: impl FnMut(&mut SnapshotReader) -> Result<T, SnapshotError>,
    ) -> Result<Option<(Arc<Kept>, T)>, SnapshotError> {
        let mut paths = self.list(SNAPSHOT)?;
        paths.sort_unstable();
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
                    tracing::error!(%error, "passing over a damaged snapshot; the one before it is used if there is one");
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
        Ok(restored)
    }

    /// The snapshots that are there, oldest first.
    pub fn kept(&self) -> &[Arc<Kept>] {
        &self.kept
    }

    /// The newest.
    pub fn newest(&self) -> Option<&Arc<Kept>> {
        self.kept.last()
    }

    /// Files that were found damaged.
    pub fn damaged(&self) -> &[PathBuf] {
        &self.damaged
    }

    /// Begins a snapshot of this server's own, beside those that are there.
    pub fn begin(&self, header: &Header) -> Result<SnapshotWriter, SnapshotError> {
        SnapshotWriter::create(&*self.files, &self.unfinished(), header)
    }

    /// Ends it: when this has returned it is kept.
    pub fn finish(&mut self, writer: SnapshotWriter, header: Arc<Header>) -> Result<(), SnapshotError> {
        let bytes = writer.finish()?;
        self.keep(&self.unfinished(), header, bytes)
    }

    /// Gives up what was begun, and frees its room.
    pub fn abandon(&self) {
        // A file that cannot be removed is overwritten by the next try.
        let _ = self.files.remove(&self.unfinished());
    }

    /// Where the bytes of another server's file are gathered.
    pub fn part(&self, id: u128) -> PathBuf {
        self.dir.join(format!("{id:032x}.{PART}"))
    }

    /// The file of which a part is there.
    pub fn part_id(&self) -> Option<u128> {
        let parts = self.list(PART).ok()?;
        u128::from_str_radix(parts.first()?.file_stem()?.to_str()?, 16).ok()
    }

    /// Removes the parts of other files than this one.
    pub fn remove_other_parts(&self, id: u128) -> Result<(), SnapshotError> {
        let mine = self.part(id);
        self.list(PART)?.iter().filter(|path| **path != mine).try_for_each(|path| self.remove(path))
    }

    /// Gives a complete, checked and synced part its name: when this has returned it is kept.
    pub fn adopt(&mut self, header: Arc<Header>, bytes: u64) -> Result<(), SnapshotError> {
        let part = self.part(header.id);
        self.keep(&part, header, bytes)
    }

    /// Removes a part that turned out to be no snapshot.
    pub fn remove_part(&self, id: u128) -> Result<(), SnapshotError> {
        self.remove(&self.part(id))
    }

    /// Removes what is neither among the newest nor in use, the oldest first.
    pub fn prune(&mut self, in_use: impl Fn(&Kept) -> bool) -> Result<(), SnapshotError> {
        let old = self.kept.len().saturating_sub(KEPT);
        if old == 0 {
            return Ok(());
        }
        let (go, stay): (Vec<_>, Vec<_>) =
            self.kept.drain(..).enumerate().partition(|(age, kept)| *age < old && !in_use(kept));
        self.kept = stay.into_iter().map(|(_, kept)| kept).collect();
        for (_, kept) in go {
            self.remove(&kept.path)?;
        }
        Ok(())
    }

    fn keep(&mut self, from: &Path, header: Arc<Header>, bytes: u64) -> Result<(), SnapshotError> {
        let newest = self.newest().map(|kept| kept.header.round);
        assert!(
            newest.is_none_or(|newest| newest < header.round),
            "compaction_floor: a snapshot of round {} comes after one of round {newest:?}",
            header.round
        );
        let path = self.dir.join(format!("{:016x}.{SNAPSHOT}", header.round));
        self.files
            .rename(from, &path)
            .map_err(SnapshotError::io("rename the finished snapshot to", &path))?;
        self.sync_names()?;
        self.damaged.retain(|damaged| *damaged != path);
        self.kept.push(Arc::new(Kept { header, path, bytes }));
        for path in std::mem::take(&mut self.damaged) {
            if let Err(error) = self.remove(&path) {
                tracing::warn!(%error, "a damaged snapshot stays where it is");
            }
        }
        Ok(())
    }

    fn unfinished(&self) -> PathBuf {
        self.dir.join(format!("writing.{UNFINISHED}"))
    }

    fn sync_names(&self) -> Result<(), SnapshotError> {
        self.files
            .sync_dir(&self.dir)
            .map_err(SnapshotError::io("sync the directory of snapshots", &self.dir))
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

pub(crate) fn check_owner(reader: &SnapshotReader, cluster: u128, groups: u16) -> Result<(), SnapshotError> {
    let words = |cluster: u128, groups: u16| format!("{cluster:032x} with {groups} groups");
    let header = reader.header();
    if (header.cluster, header.layout().groups()) == (cluster, groups) {
        return Ok(());
    }
    Err(SnapshotError::Foreign {
        path: reader.path().to_owned(),
        found: words(header.cluster, header.layout().groups()),
        expected: words(cluster, groups),
    })
}
