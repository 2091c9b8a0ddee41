//! What bad disks, operators and repairs of file systems do to a server's directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use niagara_log::SegmentReport;

use super::Disk;
use super::state::State;
use crate::parts::chance::Chance;

/// Length of a log segment's header, in bytes.
const SEGMENT_HEADER: usize = 64;

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

impl Disk {
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
}

impl State {
    /// The highest segment of a group's log that is marked in the identity.
    fn last_marked_segment(&self, group: usize) -> Option<u64> {
        let identity = self.names.all().find(|path| path.ends_with("identity"))?;
        let text = std::str::from_utf8(&self.contents[&self.named(identity)].bytes).ok()?;
        let numbers = text.lines().find_map(|line| line.strip_prefix(&format!("log {group} = ")))?;
        numbers.split(' ').next()?.parse().ok()
    }

    fn flip(&mut self, file: u64, at: usize, mask: u8) {
        let content = self.contents.get_mut(&file).expect("a named file is there");
        content.bytes[at] ^= mask;
        if let Some(byte) = content.durable.get_mut(at) {
            *byte ^= mask;
        }
    }
}
