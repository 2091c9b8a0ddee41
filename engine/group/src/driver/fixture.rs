//! Shared by the driver's tests: a driver with its log in memory, and a lane without commands.

use niagara_log::{Durability, HardState, LogConfig};

use super::{Driver, Output, Write};
use crate::batch::SubBatch;
use crate::config::DriverConfig;
use crate::lane_source::LaneSource;
use crate::slots::SlotIndex;

/// A lane that stays empty.
pub struct NoCommands;

impl LaneSource for NoCommands {
    fn is_empty(&self) -> bool {
        true
    }
    fn bytes(&self) -> usize {
        0
    }
    fn take(&self, _: usize, _: &mut Vec<SubBatch>) {}
    fn next_command(&self) -> u64 {
        1
    }
    fn gap_attempt(&self) -> Option<u32> {
        None
    }
}

impl Driver {
    /// A driver with an empty log in memory.
    pub fn in_memory(config: DriverConfig) -> Driver {
        let log_config = LogConfig::new("nowhere", Durability::Memory, 1);
        let (store, _) = niagara_log::open(&log_config, &mut |_| {}).expect("it is new");
        Driver::new(config, store, HardState::default(), SlotIndex::default())
    }

    /// The disk finishes everything that was handed to it.
    pub(crate) fn disk_finishes(&mut self, output: &mut Output) {
        for write in std::mem::take(&mut output.writes) {
            if let Write::Ready { ready, .. } = write {
                self.persisted(ready);
            }
        }
    }
}
