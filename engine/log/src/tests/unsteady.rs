//! A file system whose power fails at a given change, on top of the machine's own.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use parking_lot::Mutex;

use super::*;

/// The fate of unsynced data when the power fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unsynced {
    /// All of it is on the disk.
    Stays,
    /// The front half of each write is; names are as they were given.
    Torn,
    /// None of it is.
    Lost,
    /// Each write past the page cache has left noise; nothing else is on the disk.
    Noise,
}

/// Which writes past the page cache there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Direct {
    /// There are none.
    #[default]
    No,
    /// Files can be opened for them, and then they fail.
    Refused,
    /// Writes of multiples of so many bytes.
    Of(u64),
}

/// The file system. It syncs nothing, so it is fast.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsteady(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How many more changes precede the loss of power, and the fate of unsynced data.
    fails: Option<(usize, Unsynced)>,
    created: usize,
    direct: Direct,
    syncs: usize,
    /// Oldest first.
    unsynced: Vec<Change>,
}

/// A change that can be undone.
#[derive(Debug)]
enum Change {
    Written { file: Arc<File>, offset: u64, before: Vec<u8>, direct: bool },
    Renamed { from: PathBuf, to: PathBuf },
}

#[derive(Debug)]
struct Handle {
    disk: Unsteady,
    file: Arc<File>,
}

impl Unsteady {
    /// Fails the power in place of the change after so many others. A sync counts as one.
    pub(super) fn fails_after(&self, changes: usize, unsynced: Unsynced) {
        self.0.lock().fails = Some((changes, unsynced));
    }

    /// With writes past the page cache.
    pub(super) fn with(direct: Direct) -> Unsteady {
        let disk = Unsteady::default();
        disk.0.lock().direct = direct;
        disk
    }

    /// Number of syncs of files so far.
    pub(super) fn syncs(&self) -> usize {
        self.0.lock().syncs
    }

    /// Number of files created so far.
    pub(super) fn created(&self) -> usize {
        self.0.lock().created
    }

    fn change(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        match &mut state.fails {
            None => {}
            Some((0, unsynced)) => {
                let unsynced = *unsynced;
                state.power_fails(unsynced)?;
                return Err(io::Error::other("the power has failed"));
            }
            Some((left, _)) => *left -= 1,
        }
        Ok(())
    }

    fn note(&self, change: Change) {
        self.0.lock().unsynced.push(change);
    }

    fn handle(&self, file: Arc<File>) -> Arc<dyn LogFile> {
        Arc::new(Handle { disk: self.clone(), file })
    }
}

impl State {
    /// Undoes what is not on the disk, the latest first.
    fn power_fails(&mut self, unsynced: Unsynced) -> io::Result<()> {
        for change in mem::take(&mut self.unsynced).into_iter().rev() {
            match (unsynced, change) {
                (Unsynced::Stays, _) | (Unsynced::Torn, Change::Renamed { .. }) => {}
                (Unsynced::Torn, Change::Written { file, offset, before, .. }) => {
                    let half = before.len() / 2;
                    FileExt::write_all_at(&*file, &before[half..], offset + half as u64)?;
                }
                (Unsynced::Noise, Change::Written { file, offset, before, direct: true }) => {
                    let noise: Vec<u8> = (0..before.len()).map(|i| (i * 7 + i / 13) as u8).collect();
                    FileExt::write_all_at(&*file, &noise, offset)?;
                }
                (Unsynced::Lost | Unsynced::Noise, Change::Written { file, offset, before, .. }) => {
                    FileExt::write_all_at(&*file, &before, offset)?;
                }
                (Unsynced::Lost | Unsynced::Noise, Change::Renamed { from, to }) => fs::rename(to, from)?,
            }
        }
        Ok(())
    }
}

impl Files for Unsteady {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        SystemFiles.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        SystemFiles.list(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(self.handle(Arc::new(File::options().read(true).write(true).open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.change()?;
        self.0.lock().created += 1;
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(self.handle(Arc::new(file)))
    }

    fn open_direct(&self, path: &Path) -> io::Result<Arc<dyn DirectFile>> {
        if self.0.lock().direct == Direct::No {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "nothing bypasses this cache"));
        }
        let file = Arc::new(File::options().read(true).write(true).open(path)?);
        Ok(Arc::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        self.note(Change::Renamed { from: from.to_owned(), to: to.to_owned() });
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        fs::remove_file(path)
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        self.change()?;
        self.0.lock().unsynced.retain(|change| !matches!(change, Change::Renamed { .. }));
        Ok(())
    }

    fn salt(&self) -> u64 {
        SystemFiles.salt()
    }
}

impl LogFile for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(&*self.file, buffer, offset)
    }

    fn write_all_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.disk.change()?;
        self.write(parts, offset, false)
    }

    fn fill_with_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        self.write_all_at(&mut [IoSlice::new(&vec![0; (to - from) as usize])], from)
    }

    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        self.fill_with_zeros(from, to)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.change()?;
        self.disk.0.lock().syncs += 1;
        let synced = self.file.metadata()?.ino();
        self.disk.0.lock().unsynced.retain(|change| match change {
            Change::Written { file, .. } => file.metadata().is_ok_and(|written| written.ino() != synced),
            Change::Renamed { .. } => true,
        });
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Handle {
    fn write(&self, parts: &mut [IoSlice<'_>], offset: u64, direct: bool) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let mut before = vec![0; bytes.len()];
        // What follows the end of the file counts as zeros.
        let _ = self.file.read_at(&mut before, offset)?;
        self.disk.note(Change::Written { file: Arc::clone(&self.file), offset, before, direct });
        FileExt::write_all_at(&*self.file, &bytes, offset)
    }
}

impl DirectFile for Handle {
    fn alignment(&self) -> u64 {
        match self.disk.0.lock().direct {
            Direct::Of(bytes) => bytes,
            Direct::No | Direct::Refused => 1,
        }
    }

    fn write_durably(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let direct = self.disk.0.lock().direct;
        let Direct::Of(alignment) = direct else { return Err(io::ErrorKind::InvalidInput.into()) };
        let length: usize = parts.iter().map(|part| part.len()).sum();
        assert!(
            offset.is_multiple_of(alignment) && (length as u64).is_multiple_of(alignment),
            "{offset}, {length}"
        );
        assert!(offset + length as u64 <= self.length()?, "only what has been written before");
        self.disk.change()?;
        self.write(parts, offset, true)?;
        self.disk.change()?;
        // What other handles have written is no more durable than before.
        self.disk.0.lock().unsynced.retain(|change| !matches!(change, Change::Written { direct: true, .. }));
        Ok(())
    }
}
