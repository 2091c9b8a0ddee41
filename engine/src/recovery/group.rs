//! What a group is continued from.

use niagara_log::EntryId;
use niagara_sequencer::epoch::Record;

use super::choice::{Choice, choose};
use super::error::RecoveryError;
use super::found::FoundGroup;
use super::source::{FoundLog, Source};
use crate::progress::channel_of;

/// Chooses what to continue a group from.
pub(super) fn look_at_group(
    record: &Record,
    group: u16,
    base: EntryId,
    sources: &[Source],
    logs: &[FoundLog],
) -> Result<FoundGroup, RecoveryError> {
    let copies: Vec<_> = logs.iter().map(|log| log.copy).collect();
    let from = match choose(base, &copies) {
        Choice::Snapshot => None,
        Choice::Copy(index) => Some(index),
        Choice::OutOfReach(index) => {
            return Err(RecoveryError::OutOfReach {
                group,
                dir: sources[index].dir.clone(),
                floor: copies[index].floor.index,
                found: base.index,
            });
        }
    };
    let committed = logs.iter().map(|log| log.committed).chain([base.index]).max().unwrap_or(0);
    let channel = channel_of(record.epoch, usize::from(group) - 1);
    let is_whole = |(log, source): (&FoundLog, &Source)| {
        let is_member = record.is_member(source.testimony.server);
        is_member && log.flaw.is_none() && source.testimony.doubt.is_none()
    };
    // One that came to a later epoch by a snapshot may lack anything in the logs of this one.
    let led_to_the_end = |(log, source): (&FoundLog, &Source)| {
        source.sealed(record.epoch, group).is_some_and(|sealed| log.copy.last.index >= sealed)
    };
    let flaw = |(log, source): (&FoundLog, &Source)| {
        log.flaw.as_ref().map(|flaw| format!("{}: {flaw}", source.log_dir(channel).display()))
    };
    Ok(FoundGroup {
        epoch: record.epoch.get(),
        group,
        members: record.terms.members.clone(),
        is_held: logs.iter().zip(sources).any(|pair| is_whole(pair) && led_to_the_end(pair)),
        from,
        floor: from.map_or(base, |from| copies[from].floor),
        last: from.map_or(base, |from| copies[from].last),
        committed,
        uncertain: from.map_or(0, |from| logs[from].commands_above(committed)),
        whole: logs.iter().zip(sources).filter(|pair| is_whole(*pair)).count(),
        flaws: logs.iter().zip(sources).filter_map(flaw).collect(),
    })
}
