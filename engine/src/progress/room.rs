//! Room on the disk. Below a reserve, a server refuses commands, so that the accepted ones can be finished,
//! votes and terms can be written, and a snapshot can be taken, which lets the logs be compacted.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use niagara_log::Files;

use super::SharedProgress;

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

/// Checks the disk regularly.
pub(crate) struct RoomWatch {
    files: Arc<dyn Files>,
    dirs: Vec<PathBuf>,
    reserve: u64,
    until_look: u32,
    failed: bool,
}

impl RoomWatch {
    /// Watches the file systems of these directories; none if the server keeps everything in memory.
    pub fn new(files: Arc<dyn Files>, dirs: Vec<PathBuf>, reserve: u64) -> Self {
        RoomWatch { files, dirs, reserve, until_look: 0, failed: false }
    }

    /// Checks the disk if it is time.
    pub fn tick(&mut self, progress: &SharedProgress) {
        if self.dirs.is_empty() {
            return;
        }
        if self.until_look > 0 {
            self.until_look -= 1;
            return;
        }
        self.until_look = TICKS_BETWEEN_LOOKS - 1;
        match self.least_free() {
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

    fn least_free(&self) -> io::Result<u64> {
        let mut least = u64::MAX;
        for dir in &self.dirs {
            least = least.min(self.files.free_bytes(dir)?);
        }
        Ok(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_enough_again_only_well_above_the_reserve() {
        let room = Room::default();
        assert!(!room.note(100, 100) && !room.is_lacking());
        assert!(room.note(99, 100) && room.is_lacking());
        assert!(!room.note(124, 100) && room.is_lacking(), "it is said once");
        assert!(!room.note(125, 100) && !room.is_lacking());
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
