//! What is on a disk, and what happens at each change.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::content::{Change, Content, overwrite, tear, tear_blocks};
use super::renaming::Renaming;
use super::trouble::{FailingSync, Trouble};
use crate::parts::aim::{Aim, Kind, Step};
use crate::parts::chance::Chance;
use crate::parts::names::Names;

/// What a loss of power has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Writes of which nothing is left.
    pub lost: u64,
    /// Writes of which a part is left.
    pub torn: u64,
}

#[derive(Debug)]
pub(super) struct State {
    pub names: Names,
    pub durable_names: Names,
    /// Changes of names since the last sync of a directory, in order.
    pub renamings: Vec<Renaming>,
    pub contents: BTreeMap<u64, Content>,
    /// Directories, which are durable from the beginning.
    pub dirs: BTreeSet<OsString>,
    pub next_file: u64,
    pub chance: Chance,
    pub trouble: Trouble,
    /// Whether files can be written directly.
    pub direct: bool,
    /// The server has died in the middle of a change: nothing that it tries has an effect.
    pub dead: bool,
    /// How often the power has failed.
    pub boots: u64,
    /// The aimed-at step at which the server died.
    pub struck: Option<Aim>,
    /// The last sync that has failed.
    pub failed: Option<Aim>,
}

impl State {
    /// An empty disk.
    pub fn new(chance: Chance) -> State {
        State {
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
        }
    }

    /// Counts a change. Fails if the server dies of it, or is dead, or there is no room.
    pub fn change(&mut self, step: Step, kind: Kind, takes_room: bool) -> io::Result<()> {
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

    pub fn write(&mut self, file: u64, at: usize, data: Vec<u8>) {
        let content = self.contents.get_mut(&file).expect("an open file is there");
        overwrite(&mut content.bytes, at, &data);
        content.unsynced.push(Change::Written(at, data));
    }

    pub fn sync(&mut self, file: u64) -> io::Result<()> {
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
    pub fn write_directly(&mut self, file: u64, at: usize, data: Vec<u8>) -> io::Result<()> {
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
    pub fn sync_fails(&mut self, step: Step, kind: Kind) -> bool {
        let this = Aim { step, kind };
        let is_it = |sync: &mut FailingSync| sync.0.is_none_or(|aim| aim == this);
        let fails = self.trouble.sync_fails.take_if(is_it).is_some();
        if fails {
            self.failed = Some(this);
        }
        fails
    }

    pub fn rename(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.names);
        self.renamings.push(renaming);
    }

    pub fn lose_unsynced(&mut self) -> Losses {
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

    /// The file of an existing name.
    pub fn named(&self, path: &Path) -> u64 {
        self.names.get(path).expect("a name that was listed just now, or is put back")
    }

    pub fn file(&self, path: &Path) -> io::Result<u64> {
        if self.dead {
            return Err(gone());
        }
        self.check_no_dir(path)?;
        self.names.get(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub fn check_dir(&self, dir: &Path) -> io::Result<()> {
        // The root, and the base of relative paths, always exist.
        let is_there = dir.file_name().is_none() || self.dirs.contains(dir.as_os_str());
        if is_there { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Whether a file can have that name.
    pub fn check_place(&self, path: &Path) -> io::Result<()> {
        self.check_dir(path.parent().unwrap_or(path))?;
        self.check_no_dir(path)
    }

    fn check_no_dir(&self, path: &Path) -> io::Result<()> {
        if self.dirs.contains(path.as_os_str()) { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
    }
}

fn gone() -> io::Error {
    io::Error::other("the simulated server has died")
}
