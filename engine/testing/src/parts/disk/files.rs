//! A disk as a server uses it.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_log::{DirectFile, Files, LogFile};

use super::content::{Change, Content};
use super::renaming::Renaming;
use super::{BLOCK, Disk};
use crate::parts::aim::{Kind, Step};

#[derive(Debug)]
struct Handle {
    disk: Disk,
    file: u64,
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
