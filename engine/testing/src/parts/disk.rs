//! A server's disk: it forgets what was not synced, tears interrupted writes, fills up and breaks.
//!
//! It promises what the log's format assumes of a disk (`engine/log/src/FORMAT.md`) and nothing more. A crash
//! of the process leaves everything that was written. A loss of power leaves all, nothing, or any mixture of
//! old and new bytes of each unsynced write, and a part of the unsynced names. A direct write during which
//! the power fails leaves any of its blocks: some written, some not, one half, one full of noise.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use niagara_log::{self, DirectFile, Files, LogFile, SegmentReport};

use super::aim::{Aim, Kind, Step};
use super::chance::Chance;
use super::names::Names;

/// Length of a log segment's header, in bytes.
const SEGMENT_HEADER: usize = 64;
/// Length of a block, in bytes. Short, so that writes have several and small segments hold many.
pub const BLOCK: usize = 64;

/// A disk; all clones are the same disk.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<State>>);

/// What is wrong with a disk, or will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The server dies in the middle of a change, after so many others.
    pub dies_after: Option<u64>,
    /// The server dies at this step: in the middle of it, or, if the flag is set, after it and before any
    /// other change.
    pub dies_at: Option<(Aim, bool)>,
    /// There is no room at all.
    pub full: bool,
    /// There is some room, but less than the engine's reserve.
    pub nearly_full: bool,
    /// No write or sync returns.
    pub hangs: bool,
    /// There is no room for snapshots.
    pub no_room_for_snapshots: bool,
    /// This sync fails, and what it was to make durable is lost with the power.
    pub sync_fails: Option<FailingSync>,
}

/// The sync that fails: the next one of this kind, or the next of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailingSync(pub Option<Aim>);

/// What an operator's hand or a repaired file system removes from a server's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of a group's log, by its number.
    Log(usize),
    /// The last segment of a log, used or not.
    LastSegment(usize),
    /// The first segment of several: it may be missed by nobody, if all of it is compacted.
    FirstSegment(usize),
    /// The end of a log's first segment file.
    EndOfSegment(usize),
    /// All snapshots: they are missed by nobody, if the logs reach back to their beginning.
    Snapshots,
    /// The identity.
    Identity,
    /// A part of the identity.
    PartOfIdentity,
}

/// Contents of a disk at one moment.
#[derive(Clone, Debug)]
pub struct Image {
    names: Names,
    durable_names: Names,
    renamings: Vec<Renaming>,
    contents: BTreeMap<u64, Content>,
    trouble: Trouble,
}

/// What a loss of power has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Writes of which nothing is left.
    pub lost: u64,
    /// Writes of which a part is left.
    pub torn: u64,
}

#[derive(Debug)]
struct State {
    names: Names,
    durable_names: Names,
    /// Changes of names since the last sync of a directory, in order.
    renamings: Vec<Renaming>,
    contents: BTreeMap<u64, Content>,
    /// Directories, which are durable from the beginning.
    dirs: BTreeSet<OsString>,
    next_file: u64,
    chance: Chance,
    trouble: Trouble,
    /// Whether files can be written directly.
    direct: bool,
    /// The server has died in the middle of a change: nothing that it tries has an effect.
    dead: bool,
    /// How often the power has failed.
    boots: u64,
    /// The aimed-at step at which the server died.
    struck: Option<Aim>,
    /// The last sync that has failed.
    failed: Option<Aim>,
}

#[derive(Clone, Debug)]
enum Renaming {
    Created(PathBuf, u64),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

/// A file's bytes: as they are, and as they would be after a loss of power if no unsynced write survived.
#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    kind: Kind,
}

/// A change of a file that is not durable.
#[derive(Clone, Debug)]
enum Change {
    Written(usize, Vec<u8>),
    /// Written directly; the write has not returned.
    Direct(usize, Vec<u8>),
    /// Durable, unlike changes before it.
    Kept(usize, Vec<u8>),
    Emptied,
}

#[derive(Debug)]
struct Handle {
    disk: Disk,
    file: u64,
}

impl Disk {
    /// An empty disk. `chance` decides what a loss of power takes.
    pub fn new(chance: Chance) -> Disk {
        Disk(Arc::new(Mutex::new(State {
            names: Names::default(),
            durable_names: Names::default(),
            renamings: Vec::new(),
            contents: BTreeMap::new(),
            dirs: BTreeSet::new(),
            next_file: 1,
            chance,
            trouble: Trouble::default(),
            direct: true,
            dead: false,
            boots: 0,
            struck: None,
            failed: None,
        })))
    }

    /// Changes what is wrong with it.
    pub fn trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.state().trouble);
    }

    /// Takes no direct writes from the next start of a server on.
    pub fn forbid_direct_writes(&self) {
        self.state().direct = false;
    }

    /// Whether a write or a sync would hang now.
    pub fn hangs(&self) -> bool {
        self.state().trouble.hangs
    }

    /// Whether the server has died in the middle of a change.
    pub fn has_died(&self) -> bool {
        self.state().dead
    }

    /// The aimed-at step, if the server has died there since the last call.
    pub fn take_struck(&self) -> Option<Aim> {
        self.state().struck.take()
    }

    /// The sync that has failed since the last call, if any.
    pub fn take_failed(&self) -> Option<Aim> {
        self.state().failed.take()
    }

    /// Ends the process: what it wrote stays. The disk is ready for the next process.
    pub fn process_ends(&self) {
        let mut state = self.state();
        state.dead = false;
        (state.trouble.dies_after, state.trouble.dies_at) = (None, None);
    }

    /// Fails the power: what was not synced is lost, torn, or kept after all. The disk is ready for the next
    /// process.
    pub fn power_fails(&self) -> Losses {
        let mut state = self.state();
        state.dead = false;
        (state.trouble.dies_after, state.trouble.dies_at) = (None, None);
        state.boots += 1;
        state.lose_unsynced()
    }

    /// Flips a bit of a synced record that is followed by others synced later, so that it cannot be mistaken
    /// for a torn write; or a bit of the newest snapshot. Returns file, byte and mask for
    /// [`flip_back`](Self::flip_back); `None` if there is no such record.
    pub fn flip_bit(&self, chance: &mut Chance) -> Option<(PathBuf, usize, u8)> {
        let candidates = self.records_followed_by_others();
        if candidates.is_empty() {
            return None;
        }
        let (mut path, mut end) = chance.pick(&candidates).clone();
        let mut state = self.state();
        let newest = state.names.all().rfind(|path| path.extension().is_some_and(|name| name == "snap"));
        if let Some(snapshot) = newest
            && chance.one_in(3)
        {
            path = snapshot.to_owned();
            end = state.contents[&state.named(&path)].bytes.len();
        }
        let file = state.named(&path);
        let at = chance.below(end as u64) as usize;
        let mask = 1 << chance.below(8);
        state.flip(file, at, mask);
        Some((path, at, mask))
    }

    /// Log segments that are followed by records in a later segment, and where their own records end. What
    /// comes after that does not count.
    fn records_followed_by_others(&self) -> Vec<(PathBuf, usize)> {
        let dirs: BTreeSet<PathBuf> = {
            let state = self.state();
            let logs = state.names.all().filter(|path| path.extension().is_some_and(|name| name == "log"));
            logs.filter_map(|path| path.parent()).map(Path::to_owned).collect()
        };
        let mut followed = Vec::new();
        for dir in dirs {
            let found = niagara_log::inspect(&dir, self, &mut |_| {}).expect("names can be listed");
            let mut used: Vec<_> = found.segments.iter().filter(|segment| segment.frames > 0).collect();
            used.pop();
            let end = |segment: &SegmentReport| (segment.frames_start + segment.frame_bytes) as usize;
            followed.extend(used.into_iter().map(|segment| (dir.join(&segment.file), end(segment))));
        }
        followed
    }

    /// Undoes [`flip_bit`](Self::flip_bit), as an operator with a copy does.
    pub fn flip_back(&self, (path, at, mask): &(PathBuf, usize, u8)) {
        let mut state = self.state();
        let file = state.named(path);
        state.flip(file, *at, *mask);
    }

    /// A copy of everything, to be [put back](Self::put_back).
    pub fn image(&self) -> Image {
        let state = self.state();
        Image {
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            renamings: state.renamings.clone(),
            contents: state.contents.clone(),
            trouble: state.trouble,
        }
    }

    /// Replaces all contents with a copy.
    pub fn put_back(&self, image: Image) {
        let mut state = self.state();
        let Image { names, durable_names, renamings, contents, trouble } = image;
        (state.names, state.durable_names, state.renamings) = (names, durable_names, renamings);
        (state.contents, state.trouble) = (contents, trouble);
    }

    /// Loses something for good; `false` if there is nothing of that kind.
    pub fn lose(&self, loss: Loss) -> bool {
        let mut state = self.state();
        let named =
            |name: String| move |path: &Path| path.components().any(|part| part.as_os_str() == name.as_str());
        let of_log = |path: &Path, group: usize| {
            let is_segment = path.extension().is_some_and(|extension| extension == "log");
            is_segment && named(format!("group-{group}"))(path)
        };
        let (lost, left): (Vec<PathBuf>, Option<usize>) = match loss {
            Loss::Log(group) => {
                (state.names.all().filter(|path| of_log(path, group)).map(Path::to_owned).collect(), None)
            }
            Loss::LastSegment(group) => {
                // There may also be a segment that a server died preparing: it was never in use, and nobody
                // misses it.
                let marked = state.last_marked_segment(group).map(|number| format!("{number:016x}.log"));
                let is_it = |path: &&Path| {
                    of_log(path, group) && marked.as_ref().is_some_and(|name| path.ends_with(name))
                };
                (state.names.all().find(is_it).map(Path::to_owned).into_iter().collect(), None)
            }
            Loss::FirstSegment(group) => {
                let mut segments = state.names.all().filter(|path| of_log(path, group));
                let (first, second) = (segments.next(), segments.next());
                (second.and(first).map(Path::to_owned).into_iter().collect(), None)
            }
            Loss::Snapshots => {
                let is_snapshot =
                    |path: &&Path| path.extension().is_some_and(|extension| extension == "snap");
                (state.names.all().filter(is_snapshot).map(Path::to_owned).collect(), None)
            }
            Loss::EndOfSegment(group) => {
                let first = state.names.all().find(|path| of_log(path, group)).map(Path::to_owned);
                (first.into_iter().collect(), Some(SEGMENT_HEADER))
            }
            Loss::Identity | Loss::PartOfIdentity => {
                let found = state.names.all().find(|path| path.ends_with("identity")).map(Path::to_owned);
                (found.into_iter().collect(), (loss == Loss::PartOfIdentity).then_some(SEGMENT_HEADER))
            }
        };
        for path in &lost {
            match left {
                None => {
                    state.names.remove(path);
                    state.durable_names.remove(path);
                }
                Some(left) => {
                    let file = state.named(path);
                    let content = state.contents.get_mut(&file).expect("a named file is there");
                    content.bytes.truncate(left);
                    content.durable.truncate(left);
                    content.unsynced.clear();
                }
            }
        }
        !lost.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding a disk")
    }
}

impl State {
    /// Counts a change. Fails if the server dies of it, or is dead, or there is no room.
    fn change(&mut self, step: Step, kind: Kind, takes_room: bool) -> io::Result<()> {
        if self.dead {
            return Err(gone());
        }
        if let Some(left) = &mut self.trouble.dies_after {
            if *left == 0 {
                self.dead = true;
                return Err(gone());
            }
            *left -= 1;
        }
        if let Some((aim, after)) = self.trouble.dies_at.take_if(|(aim, _)| *aim == Aim { step, kind }) {
            self.struck = Some(aim);
            if !after {
                self.dead = true;
                return Err(gone());
            }
            self.trouble.dies_after = Some(0);
        }
        if takes_room && self.trouble.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn write(&mut self, file: u64, at: usize, data: Vec<u8>) {
        let content = self.contents.get_mut(&file).expect("an open file is there");
        overwrite(&mut content.bytes, at, &data);
        content.unsynced.push(Change::Written(at, data));
    }

    fn sync(&mut self, file: u64) -> io::Result<()> {
        let kind = self.contents[&file].kind;
        self.change(Step::Sync, kind, false)?;
        if self.sync_fails(Step::Sync, kind) {
            // As in Linux, the pages count as clean afterwards, and a second sync would report success.
            self.contents.get_mut(&file).expect("an open file is there").unsynced.clear();
            return Err(io::Error::other("simulated failure of a sync"));
        }
        let content = self.contents.get_mut(&file).expect("an open file is there");
        for change in content.unsynced.drain(..) {
            match change {
                Change::Written(at, data) | Change::Direct(at, data) | Change::Kept(at, data) => {
                    overwrite(&mut content.durable, at, &data);
                }
                Change::Emptied => content.durable.clear(),
            }
        }
        Ok(())
    }

    /// Writes past the page cache. It is as if the write were synced at once, and nothing else.
    fn write_directly(&mut self, file: u64, at: usize, data: Vec<u8>) -> io::Result<()> {
        let was_dead = self.dead;
        let kind = self.contents[&file].kind;
        let begun = self.change(Step::Write, kind, true);
        let ended = begun.and_then(|()| self.change(Step::Sync, kind, false));
        let content = self.contents.get_mut(&file).expect("an open file is there");
        if ended.is_err() {
            if self.dead && !was_dead {
                overwrite(&mut content.bytes, at, &data);
                content.unsynced.push(Change::Direct(at, data));
            }
            return ended;
        }
        overwrite(&mut content.bytes, at, &data);
        if self.sync_fails(Step::Sync, kind) {
            // It can be read from the disk's cache, which the power takes.
            return Err(io::Error::other("simulated failure of a direct write"));
        }
        let content = self.contents.get_mut(&file).expect("an open file is there");
        match content.unsynced.is_empty() {
            true => overwrite(&mut content.durable, at, &data),
            false => content.unsynced.push(Change::Kept(at, data)),
        }
        Ok(())
    }

    /// Whether this sync is the one that fails.
    fn sync_fails(&mut self, step: Step, kind: Kind) -> bool {
        let this = Aim { step, kind };
        let is_it = |sync: &mut FailingSync| sync.0.is_none_or(|aim| aim == this);
        let fails = self.trouble.sync_fails.take_if(is_it).is_some();
        if fails {
            self.failed = Some(this);
        }
        fails
    }

    fn rename(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.names);
        self.renamings.push(renaming);
    }

    /// The highest segment of a group's log that is marked in the identity.
    fn last_marked_segment(&self, group: usize) -> Option<u64> {
        let identity = self.names.all().find(|path| path.ends_with("identity"))?;
        let text = std::str::from_utf8(&self.contents[&self.named(identity)].bytes).ok()?;
        let numbers = text.lines().find_map(|line| line.strip_prefix(&format!("log {group} = ")))?;
        numbers.split(' ').next()?.parse().ok()
    }

    fn lose_unsynced(&mut self) -> Losses {
        let mut losses = Losses::default();
        for content in self.contents.values_mut() {
            for change in std::mem::take(&mut content.unsynced) {
                match (change, self.chance.below(3)) {
                    (Change::Kept(at, data), _) => overwrite(&mut content.durable, at, &data),
                    (_, 0) => losses.lost += 1,
                    (Change::Emptied, _) => content.durable.clear(),
                    (Change::Written(at, data) | Change::Direct(at, data), 1) => {
                        overwrite(&mut content.durable, at, &data);
                    }
                    (Change::Written(at, data), _) => {
                        losses.torn += 1;
                        tear(&mut content.durable, at, &data, &mut self.chance);
                    }
                    (Change::Direct(at, data), _) => {
                        losses.torn += 1;
                        tear_blocks(&mut content.durable, at, &data, &mut self.chance);
                    }
                }
            }
            content.bytes.clone_from(&content.durable);
        }
        let kept = self.chance.below(self.renamings.len() as u64 + 1) as usize;
        for renaming in self.renamings.drain(..).take(kept) {
            renaming.apply(&mut self.durable_names);
        }
        self.names.clone_from(&self.durable_names);
        losses
    }

    fn flip(&mut self, file: u64, at: usize, mask: u8) {
        let content = self.contents.get_mut(&file).expect("a named file is there");
        content.bytes[at] ^= mask;
        if let Some(byte) = content.durable.get_mut(at) {
            *byte ^= mask;
        }
    }

    /// The file of an existing name.
    fn named(&self, path: &Path) -> u64 {
        self.names.get(path).expect("a name that was listed just now, or is put back")
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        if self.dead {
            return Err(gone());
        }
        self.check_no_dir(path)?;
        self.names.get(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        // The root, and the base of relative paths, always exist.
        let is_there = dir.file_name().is_none() || self.dirs.contains(dir.as_os_str());
        if is_there { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Whether a file can have that name.
    fn check_place(&self, path: &Path) -> io::Result<()> {
        self.check_dir(path.parent().unwrap_or(path))?;
        self.check_no_dir(path)
    }

    fn check_no_dir(&self, path: &Path) -> io::Result<()> {
        if self.dirs.contains(path.as_os_str()) { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
    }
}

impl Renaming {
    fn is_in(&self, dir: &Path) -> bool {
        let (Renaming::Created(path, _) | Renaming::Renamed(path, _) | Renaming::Removed(path)) = self;
        path.parent() == Some(dir)
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Renaming::Created(path, file) => names.insert(path, *file),
            Renaming::Renamed(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to, file);
                }
            }
            Renaming::Removed(path) => {
                names.remove(path);
            }
        }
    }
}

/// Writes all of the bytes, and fills a gap before them with zeros.
fn overwrite(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    lengthen(bytes, at);
    let kept = data.len().min(bytes.len() - at);
    bytes[at..at + kept].copy_from_slice(&data[..kept]);
    bytes.extend_from_slice(&data[kept..]);
}

/// Writes the bytes whose index in `data` satisfies `keep`.
fn overwrite_some(bytes: &mut Vec<u8>, at: usize, data: &[u8], keep: impl Fn(usize) -> bool) {
    lengthen(bytes, at + data.len());
    for (place, byte) in data.iter().enumerate().filter(|(place, _)| keep(*place)) {
        bytes[at + place] = *byte;
    }
}

fn lengthen(bytes: &mut Vec<u8>, length: usize) {
    bytes.resize(bytes.len().max(length), 0);
}

/// Writes only the front, the back, or a mixture of the bytes.
fn tear(bytes: &mut Vec<u8>, at: usize, data: &[u8], chance: &mut Chance) {
    let cut = chance.below(data.len() as u64 + 1) as usize;
    let pieces = chance.bits();
    match chance.below(3) {
        0 => overwrite_some(bytes, at, data, |place| place < cut),
        1 => overwrite_some(bytes, at, data, |place| place >= cut),
        _ => overwrite_some(bytes, at, data, |place| pieces >> (place / 16 % 64) & 1 == 1),
    }
}

/// Writes any of the blocks, and leaves one of them half written or full of noise. A block that already holds
/// what is written keeps it.
fn tear_blocks(bytes: &mut Vec<u8>, at: usize, data: &[u8], chance: &mut Chance) {
    lengthen(bytes, at + data.len());
    let spoilt = chance.below((data.len() / BLOCK) as u64) as usize;
    for (number, block) in data.chunks(BLOCK).enumerate() {
        let there = &mut bytes[at + number * BLOCK..][..block.len()];
        match (number == spoilt, chance.below(2)) {
            _ if *there == *block => {}
            (true, 0) => there[..BLOCK / 2].copy_from_slice(&block[..BLOCK / 2]),
            (true, _) => there.fill_with(|| chance.below(256) as u8),
            (false, 0) => {}
            (false, _) => there.copy_from_slice(block),
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the simulated server has died")
}

impl Files for Disk {
    fn boot_id(&self) -> String {
        self.state().boots.to_string()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Step::SyncNames, Kind::Other, false)?;
        if dir.ancestors().any(|dir| state.names.get(dir).is_some()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let missing = dir.ancestors().filter(|dir| dir.file_name().is_some());
        state.dirs.extend(missing.map(|dir| dir.as_os_str().to_owned()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.state();
        state.check_dir(dir)?;
        let all = state.names.all().chain(state.dirs.iter().map(Path::new));
        Ok(all.filter(|path| path.parent() == Some(dir)).map(Path::to_owned).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = self.state().file(path)?;
        Ok(Arc::new(Handle { disk: self.clone(), file }))
    }

    fn open_direct(&self, path: &Path) -> io::Result<Arc<dyn DirectFile>> {
        let state = self.state();
        let file = state.file(path)?;
        if !state.direct {
            let reason = "the simulated disk takes no direct writes";
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        }
        Ok(Arc::new(Handle { disk: self.clone(), file }))
    }

    fn block_bytes(&self) -> u64 {
        BLOCK as u64
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state();
        state.change(Step::Name, Kind::Other, true)?;
        state.check_place(path)?;
        let kind = Kind::of_file(path);
        if kind.is_snapshot() && state.trouble.no_room_for_snapshots {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(file) = state.names.get(path) {
            let content = state.contents.get_mut(&file).expect("a named file is there");
            if !content.bytes.is_empty() {
                content.bytes.clear();
                content.unsynced.push(Change::Emptied);
            }
            return Ok(Arc::new(Handle { disk: self.clone(), file }));
        }
        let file = state.next_file;
        state.next_file += 1;
        state.contents.insert(file, Content { kind, ..Content::default() });
        state.rename(Renaming::Created(path.to_owned(), file));
        Ok(Arc::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Step::Name, Kind::of_file(from), false)?;
        state.file(from)?;
        state.check_place(to)?;
        state.rename(Renaming::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Step::Remove, Kind::of_file(path), false)?;
        state.file(path)?;
        state.rename(Renaming::Removed(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let kind = Kind::of_dir(dir);
        state.change(Step::SyncNames, kind, false)?;
        state.check_dir(dir)?;
        if state.sync_fails(Step::SyncNames, kind) {
            return Err(io::Error::other("simulated failure of a sync of names"));
        }
        // The names in other directories stay as uncertain as they are.
        let (synced, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.renamings).into_iter().partition(|renaming| renaming.is_in(dir));
        state.renamings = others;
        synced.into_iter().for_each(|renaming| renaming.apply(&mut state.durable_names));
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let trouble = self.state().trouble;
        Ok(if trouble.full || trouble.nearly_full { 0 } else { u64::MAX })
    }

    fn salt(&self) -> u64 {
        self.state().chance.bits()
    }
}

impl LogFile for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().contents[&self.file].bytes.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let state = self.disk.state();
        let at = offset as usize;
        let bytes = state.contents[&self.file].bytes.get(at..at + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let data = parts.iter().map(|part| &**part).collect::<Vec<&[u8]>>().concat();
        let mut state = self.disk.state();
        let was_dead = state.dead;
        let kind = state.contents[&self.file].kind;
        let no_room = state.trouble.no_room_for_snapshots && kind.is_snapshot();
        if no_room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let result = state.change(Step::Write, kind, true);
        // A server that dies in the middle of a write may have handed it over.
        if !data.is_empty() && (result.is_ok() || state.dead && !was_dead) {
            state.write(self.file, offset as usize, data);
        }
        result
    }

    fn fill_with_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        self.write_all_at(&mut [IoSlice::new(&vec![0; to.saturating_sub(from) as usize])], from)
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        // Existing bytes are kept, so only what follows them is a change.
        let end = if from < to { to } else { 0 };
        self.fill_with_zeros(self.length()?.min(end), end)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.state().sync(self.file)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}

impl DirectFile for Handle {
    fn alignment(&self) -> u64 {
        BLOCK as u64
    }

    fn write_durably(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let data = parts.iter().map(|part| &**part).collect::<Vec<&[u8]>>().concat();
        let at = offset as usize;
        let mut state = self.disk.state();
        let length = state.contents[&self.file].bytes.len();
        if data.is_empty() {
            return Ok(());
        }
        assert!(at.is_multiple_of(BLOCK) && data.len().is_multiple_of(BLOCK), "{at}, {} bytes", data.len());
        assert!(at + data.len() <= length, "{at} and {} bytes, in a file of {length}", data.len());
        state.write_directly(self.file, at, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(seed: u64) -> Disk {
        let disk = Disk::new(Chance::new(seed));
        disk.create_dir(Path::new("d")).unwrap();
        disk
    }

    fn written(disk: &Disk, path: &str) -> Arc<dyn LogFile> {
        let file = disk.create(Path::new(path)).unwrap();
        file.write_all_at(&mut [IoSlice::new(b"old")], 0).unwrap();
        file.sync_all().unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        file
    }

    fn read(disk: &Disk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(Path::new(path)).ok()?;
        let mut bytes = vec![0; file.length().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        Some(bytes)
    }

    #[test]
    fn what_was_synced_outlives_the_power_and_the_rest_may_not() {
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let disk = disk(seed);
            let file = written(&disk, "d/a");
            file.write_all_at(&mut [IoSlice::new(b"new")], 0).unwrap();
            disk.create(Path::new("d/b")).unwrap();
            assert_eq!(read(&disk, "d/a").unwrap(), b"new");
            disk.power_fails();
            outcomes.insert((read(&disk, "d/a").unwrap(), read(&disk, "d/b").is_some()));
        }
        assert!(outcomes.contains(&(b"old".to_vec(), false)) && outcomes.contains(&(b"new".to_vec(), true)));
        assert!(outcomes.iter().any(|(bytes, _)| bytes != b"old" && bytes != b"new"), "none was torn");
    }

    #[test]
    fn a_process_that_ends_loses_nothing_and_a_failed_sync_says_so() {
        let disk = disk(1);
        let file = written(&disk, "d/a");
        file.write_all_at(&mut [IoSlice::new(b"new")], 0).unwrap();
        disk.process_ends();
        assert_eq!(read(&disk, "d/a").unwrap(), b"new");
        disk.trouble(|trouble| trouble.sync_fails = Some(FailingSync(None)));
        assert!(file.sync_all().is_err());
        disk.power_fails();
        assert_eq!(read(&disk, "d/a").unwrap(), b"old");
    }

    #[test]
    fn a_dead_server_changes_nothing_more() {
        let disk = disk(1);
        let file = written(&disk, "d/a");
        disk.trouble(|trouble| trouble.dies_after = Some(0));
        assert!(file.sync_all().is_err());
        assert!(disk.remove(Path::new("d/a")).is_err());
        disk.process_ends();
        assert!(disk.remove(Path::new("d/a")).is_ok());
    }

    /// Four blocks, and the file's other writes.
    fn with_direct(disk: &Disk) -> (Arc<dyn LogFile>, Arc<dyn DirectFile>) {
        let file = disk.create(Path::new("d/a")).unwrap();
        file.fill_with_zeros(0, 6 * BLOCK as u64).unwrap();
        file.sync_all().unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        (file, disk.open_direct(Path::new("d/a")).unwrap())
    }

    #[test]
    fn a_direct_write_that_has_returned_is_durable_and_nothing_else_is() {
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let disk = disk(seed);
            let (file, direct) = with_direct(&disk);
            file.write_all_at(&mut [IoSlice::new(&[1; 2 * BLOCK])], 0).unwrap();
            direct.write_durably(&mut [IoSlice::new(&[2; BLOCK])], BLOCK as u64).unwrap();
            disk.power_fails();
            let found = read(&disk, "d/a").unwrap();
            assert_eq!(found[BLOCK..2 * BLOCK], [2; BLOCK]);
            outcomes.insert(found[0]);
        }
        assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_direct_write_that_is_interrupted_leaves_any_of_its_blocks_and_spoils_no_other() {
        let mut outcomes = std::collections::BTreeSet::new();
        let (mut halves, mut noises) = (0, 0);
        for seed in 0..400 {
            let disk = disk(seed);
            let (_file, direct) = with_direct(&disk);
            disk.trouble(|trouble| trouble.dies_after = Some(1));
            assert!(direct.write_durably(&mut [IoSlice::new(&[7; 4 * BLOCK])], BLOCK as u64).is_err());
            disk.power_fails();
            let found = read(&disk, "d/a").unwrap();
            assert_eq!(
                (found[..BLOCK].to_vec(), found[5 * BLOCK..].to_vec()),
                (vec![0; BLOCK], vec![0; BLOCK])
            );
            let blocks: Vec<&[u8]> = found[BLOCK..5 * BLOCK].chunks(BLOCK).collect();
            let is = |byte: u8| move |found: &u8| *found == byte;
            let half =
                |block: &&&[u8]| block[..BLOCK / 2].iter().all(is(7)) && block[BLOCK / 2..].iter().all(is(0));
            let noise = |block: &&&[u8]| !block.iter().all(|byte| [0, 7].contains(byte));
            halves += blocks.iter().filter(half).count();
            noises += blocks.iter().filter(noise).count();
            let whole: Vec<bool> = blocks.iter().map(|block| block.iter().all(is(7))).collect();
            outcomes.insert(whole);
        }
        assert_eq!(outcomes.len(), 16, "any subset: {outcomes:?}");
        assert!(halves > 20 && noises > 20, "{halves} halves, {noises} of noise");
    }

    /// A log whose last write starts in a block of its own loses nothing of what is before it.
    #[test]
    fn a_block_that_is_written_as_it_is_keeps_its_bytes() {
        for seed in 0..100 {
            let disk = disk(seed);
            let (_file, direct) = with_direct(&disk);
            direct.write_durably(&mut [IoSlice::new(&[7; BLOCK])], 0).unwrap();
            disk.trouble(|trouble| trouble.dies_after = Some(1));
            assert!(direct.write_durably(&mut [IoSlice::new(&[7; BLOCK])], 0).is_err());
            disk.power_fails();
            assert_eq!(read(&disk, "d/a").unwrap()[..BLOCK], [7; BLOCK]);
        }
    }
}
