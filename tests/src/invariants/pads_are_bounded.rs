use niagara_group::batch::EntryFill;

use super::{Broken, Record, hold};

/// Each command entry costs any other group at most two skips, or one if its leader learns of the command and
/// of the anchor at once (`sequencer/src/padding.rs`). A group that is ahead sometimes skips again, and so
/// may a new leader.
#[derive(Debug)]
pub struct PadsAreBounded {
    commands: Vec<u64>,
    skips: Vec<u64>,
    elections: u64,
}

/// Skips of a group that need no reason: the first ones ahead of an empty log.
const FREE: u64 = 4;

impl PadsAreBounded {
    /// For so many groups.
    pub fn new(groups: usize) -> PadsAreBounded {
        PadsAreBounded { commands: vec![0; groups], skips: vec![0; groups], elections: 0 }
    }

    /// A replica has become leader.
    pub fn elected(&mut self) {
        self.elections += 1;
    }

    /// The next entry of a group's log is committed.
    pub fn committed(&mut self, group: usize, record: &Record) -> Result<(), Broken> {
        match record.fill {
            EntryFill::Nothing => return Ok(()),
            EntryFill::Commands { .. } => {
                self.commands[group] += 1;
                return Ok(());
            }
            EntryFill::Skip { .. } => self.skips[group] += 1,
        }
        // Levels come from appended entries, including some that never commit: those of a deposed leader, a
        // few per election.
        let commands: u64 = self.commands.iter().sum();
        let allowed = 2 * commands + 8 * self.elections + FREE;
        hold(self.skips[group] <= allowed, "pads_are_bounded", || {
            format!(
                "group {} has committed {} skips, for {commands} entries with commands and {} elections in all groups",
                group + 1,
                self.skips[group],
                self.elections
            )
        })
    }

    /// A leader has appended an entry, at a time when its server did or did not know this group as the
    /// anchor, and knew this level.
    pub fn appended(
        &self,
        group: usize,
        fill: &EntryFill,
        is_anchor: bool,
        level: u64,
    ) -> Result<(), Broken> {
        let EntryFill::Skip { place } = *fill else { return Ok(()) };
        hold(!is_anchor || place <= level, "pads_are_bounded", || {
            format!("group {} is the anchor, and skips to place {place}, ahead of level {level}", group + 1)
        })
    }
}
