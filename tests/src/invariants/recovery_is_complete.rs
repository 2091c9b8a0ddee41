use std::path::PathBuf;
use std::sync::Arc;

use niagara_engine::RecoveryError;
use niagara_engine::internals::recovery::survey;
use niagara_log::{EntryId, Files, Replayed, inspect};

use super::{Broken, Record, hold};

const NAME: &str = "recovery_is_complete";

/// What any server knows of a cluster.
pub trait Known {
    /// What is committed in a group, given by its epoch and zero-based index, up to the end of the epoch.
    fn committed(&self, epoch: u32, group: usize) -> Vec<Record>;

    /// Whether anything is committed in an epoch after this one.
    fn goes_on_after(&self, epoch: u32) -> bool;
}

/// What a recovery from these disks calls complete holds everything that any server knows to be committed, in all epochs. Returns
/// whether it calls it complete; `None` if one of them is of a server that has acknowledged nothing.
pub fn check_recovery(
    disks: &[(PathBuf, Arc<dyn Files>)],
    known: &impl Known,
) -> Result<Option<bool>, Broken> {
    let found = match survey(disks) {
        Err(RecoveryError::HasNoLogs { .. }) => return Ok(None),
        found => found.map_err(|error| Broken::new(NAME, error.to_string()))?,
    };
    if !found.is_complete() {
        return Ok(Some(false));
    }
    hold(!known.goes_on_after(found.epoch), NAME, || {
        format!(
            "what the cluster has acknowledged after epoch {} is in none of {:?}",
            found.epoch, found.directories
        )
    })?;
    for chosen in &found.groups {
        let committed = known.committed(chosen.epoch, usize::from(chosen.group) - 1);
        let index = committed.len() as u64;
        if index <= chosen.floor.index {
            continue;
        }
        // By log matching, equal terms at an index mean equal logs up to it.
        let wanted = EntryId { index, term: committed[committed.len() - 1].term };
        let has = match chosen.from {
            None => None,
            Some(from) => {
                let (dir, files) = &disks[from];
                term_at(index, &dir.join(log_directory(chosen.epoch, chosen.group)), &**files)?
            }
        };
        hold(has == Some(wanted.term), NAME, || {
            format!(
                "a group would be continued from {chosen:?}, with term {has:?} at an entry that is committed as {wanted:?}"
            )
        })?;
    }
    Ok(Some(true))
}

/// Where a group's log is in a data directory.
pub fn log_directory(epoch: u32, group: u16) -> PathBuf {
    match epoch {
        1 => format!("group-{group}").into(),
        later => PathBuf::from(format!("epoch-{later}")).join(format!("group-{group}")),
    }
}

/// The term that a log has at an index in the end.
fn term_at(index: u64, log: &std::path::Path, files: &dyn Files) -> Result<Option<u64>, Broken> {
    let mut term = None;
    let found = inspect(log, files, &mut |replayed| match replayed {
        Replayed::Entry(entry) if entry.index <= index => {
            term = (entry.index == index).then_some(entry.term);
        }
        Replayed::Entry(_) => {}
        Replayed::Reset(floor) => term = (floor.index == index).then_some(floor.term),
    });
    let found = found.map_err(|error| Broken::new(NAME, error.to_string()))?;
    Ok(term.or((found.floor.index == index).then_some(found.floor.term)))
}
