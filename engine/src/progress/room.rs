//! Room on the disk. Below a reserve, a server refuses commands, so that the accepted ones can be finished,
//! votes and terms can be written, and a snapshot can be taken, which lets the logs be compacted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use niagara_log::Files;

use super::{SharedProgress, channel_of};

/// Ticks between two checks of the disk. At 1 GB/s, some 200 MB are written meanwhile, less than the reserve.
const TICKS_BETWEEN_LOOKS: u32 = 4;

/// What is known about room on the disk.
#[derive(Debug, Default)]
pub(crate) struct Room {
    free: AtomicU64,
    is_low: AtomicBool,
    /// Number of logs whose next write waits for room.
    waiting_logs: AtomicUsize,
}

impl Room {
    /// Whether there is too little room for commands.
    pub fn is_lacking(&self) -> bool {
        self.is_low.load(SeqCst) || self.waiting_logs.load(SeqCst) > 0
    }

    /// Bytes free at the last check.
    pub fn free(&self) -> u64 {
        self.free.load(SeqCst)
    }

    /// Reports that a log cannot be written for lack of room.
    pub fn log_waits(&self) {
        self.waiting_logs.fetch_add(1, SeqCst);
    }

    /// Reports that such a log has been written.
    pub fn log_goes_on(&self) {
        self.waiting_logs.fetch_sub(1, SeqCst);
    }

    /// Records the free bytes; `true` if they have just fallen below the reserve. Room counts as sufficient
    /// again at five quarters of the reserve, so that a server does not keep switching.
    fn note(&self, free: u64, reserve: u64) -> bool {
        self.free.store(free, SeqCst);
        let was_low = self.is_low.load(SeqCst);
        let is_low = free < if was_low { reserve.saturating_add(reserve / 4) } else { reserve };
        self.is_low.store(is_low, SeqCst);
        if was_low && !is_low {
            tracing::info!(
                free_bytes = free,
                "there is room on the disk again: this server accepts commands"
            );
        }
        is_low && !was_low
    }
}

/// Where the log of a channel is, in the data directory.
type LogDirectory = fn(u32) -> PathBuf;

/// Checks the disk regularly.
pub(crate) struct RoomWatch {
    files: Arc<dyn Files>,
    /// `None` if the server keeps everything in memory.
    data_dir: Option<PathBuf>,
    log_directory: LogDirectory,
    reserve: u64,
    until_look: u32,
    failed: bool,
}

impl RoomWatch {
    /// Watches the file systems of the data directory and of the logs in it, which may have some of their own.
    pub fn new(
        files: Arc<dyn Files>,
        data_dir: Option<PathBuf>,
        log_directory: LogDirectory,
        reserve: u64,
    ) -> Self {
        RoomWatch { files, data_dir, log_directory, reserve, until_look: 0, failed: false }
    }

    /// Checks the disk if it is time.
    pub fn tick(&mut self, progress: &SharedProgress) {
        let Some(data_dir) = &self.data_dir else { return };
        if self.until_look > 0 {
            self.until_look -= 1;
            return;
        }
        self.until_look = TICKS_BETWEEN_LOOKS - 1;
        match self.least_free(data_dir, progress) {
            Ok(free) => {
                self.failed = false;
                if progress.room.note(free, self.reserve) {
                    tracing::error!(
                        free_bytes = free,
                        disk_reserve_bytes = self.reserve,
                        "the disk is nearly full: this server accepts no commands until there is room; \
                         remove other files, or give the file system more space"
                    );
                    // The logs that a snapshot makes superfluous may be what fills the disk.
                    progress.snapshots.want();
                }
            }
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::warn!(%error, "cannot determine how much room is left on the disk");
            }
            Err(_) => {}
        }
    }

    /// The logs of an epoch are made with it, and go when it is closed.
    fn least_free(&self, data_dir: &Path, progress: &SharedProgress) -> io::Result<u64> {
        let mut least = self.files.free_bytes(data_dir)?;
        for epoch in progress.open_epochs() {
            for group in 0..epoch.groups.len() {
                let dir = data_dir.join((self.log_directory)(channel_of(epoch.number, group)));
                match self.files.free_bytes(&dir) {
                    Ok(free) => least = least.min(free),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(least)
    }
}

#[cfg(test)]
mod tests {
    use niagara_log::SystemFiles;
    use niagara_sequencer::epoch::{Chain, Epoch, Terms};

    use super::*;
    use crate::progress::{ByteLimits, EpochProgress};

    #[test]
    fn there_is_enough_again_only_well_above_the_reserve() {
        let room = Room::default();
        assert!(!room.note(100, 100) && !room.is_lacking());
        assert!(room.note(99, 100) && room.is_lacking());
        assert!(!room.note(124, 100) && room.is_lacking(), "it is said once");
        assert!(!room.note(125, 100) && !room.is_lacking());
    }

    /// One that joined later has none of the first epoch's, and an epoch that is closed leaves none.
    #[test]
    fn the_disk_is_watched_whichever_logs_are_there() {
        let terms = Terms { groups: 2, members: vec![1], level: 1, ..Terms::default() };
        let epoch = EpochProgress::new(&Chain::genesis(terms).unwrap(), Epoch::FIRST);
        let limits = ByteLimits { behind: 1 << 20, merge: 1 << 20 };
        let progress = SharedProgress::new(epoch, 1, limits);
        progress.is_made(&Arc::clone(progress.epoch()));
        let dir = tempfile::tempdir().unwrap();
        let place = |channel| PathBuf::from(format!("log-{channel}"));
        let look = || {
            RoomWatch::new(Arc::new(SystemFiles), Some(dir.path().to_owned()), place, u64::MAX)
                .tick(&progress);
            progress.room.is_low.swap(false, SeqCst)
        };
        assert!(look(), "without logs");
        std::fs::create_dir(dir.path().join(place(2))).unwrap();
        assert!(look(), "with one log");
    }

    #[test]
    fn a_log_that_waits_for_room_is_lack_of_room() {
        let room = Room::default();
        room.log_waits();
        assert!(room.is_lacking());
        room.log_goes_on();
        assert!(!room.is_lacking());
    }
}
