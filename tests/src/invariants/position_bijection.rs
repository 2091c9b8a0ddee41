use std::collections::BTreeSet;

use niagara_group::batch::EntryFill;

use super::{Broken, Record, hold};

/// A slot has one position, and a group fills it once: places rise along each committed log, and what is
/// executed at position g is in slot (p, r) with g = base + (p - 1) * R + r, by the epoch that g is in.
#[derive(Debug)]
pub struct PositionBijection {
    last: Vec<u64>,
    commands: Vec<BTreeSet<u64>>,
}

impl PositionBijection {
    /// For so many groups.
    pub fn new(groups: usize) -> PositionBijection {
        PositionBijection { last: vec![0; groups], commands: vec![BTreeSet::new(); groups] }
    }

    /// The next entry of a group's log is committed.
    pub fn committed(&mut self, group: usize, record: &Record) -> Result<(), Broken> {
        let (EntryFill::Commands { place } | EntryFill::Skip { place }) = record.fill else { return Ok(()) };
        let last = std::mem::replace(&mut self.last[group], place);
        if matches!(record.fill, EntryFill::Commands { .. }) {
            self.commands[group].insert(place);
        }
        hold(place > last, "position_bijection", || {
            format!("group {} fills place {place} after place {last}", group + 1)
        })
    }

    /// A command is executed at a position, in the slot with this place of this group.
    pub fn executed(&self, position: u64, (place, group): (u64, usize)) -> Result<(), Broken> {
        hold(self.commands[group].contains(&place), "position_bijection", || {
            format!(
                "a command is executed at position {position}, but slot ({place}, {}) holds none",
                group + 1
            )
        })
    }
}
