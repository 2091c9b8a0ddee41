//! What an operator has to know: what waits on this server behind something slow, and what to do about it.

use std::sync::atomic::Ordering::SeqCst;

use super::SharedProgress;
use super::epoch::EpochProgress;
use super::refusals::PeerRefusal;
use crate::metrics::Metrics;
use crate::status::Waiting;

/// How much waits, and where.
pub(crate) fn waiting(progress: &SharedProgress) -> Waiting {
    let of_epoch =
        |epoch: &EpochProgress| -> u64 { epoch.groups.iter().map(|group| group.unsynced.load(SeqCst)).sum() };
    Waiting {
        unsynced_bytes: progress.open_epochs().iter().map(|epoch| of_epoch(epoch)).sum(),
        executing_bytes: progress.bounds.executing(),
        behind_bytes: progress.bounds.behind(),
        behind: progress.bounds.is_behind(),
        disk_free_bytes: progress.room.free(),
        read_only: progress.room.is_lacking(),
    }
}

/// What is wrong, and what to do about it.
pub(crate) fn alarms(progress: &SharedProgress, members: &[u64]) -> Vec<String> {
    let refusals = progress.refusals.between(members).into_iter();
    let mut alarms: Vec<String> = refusals.map(refused).collect();
    let Waiting { behind_bytes, behind, disk_free_bytes, read_only, executing_bytes, .. } = waiting(progress);
    if read_only {
        alarms.push(format!(
            "the disk is nearly full ({disk_free_bytes} bytes free): this server accepts no commands until \
             there is room; remove other files, or give the file system more space"
        ));
    }
    for (group, number) in progress.epoch().groups.iter().zip(1..) {
        if group.disk_is_stuck.load(SeqCst) {
            let (ticks, bytes) = (group.disk_wait_ticks.load(SeqCst), group.unsynced.load(SeqCst));
            alarms.push(format!(
                "group {number}: the disk has not finished a write for {ticks} ticks ({bytes} bytes wait): \
                 check the disk"
            ));
        }
    }
    if behind {
        let awaited = progress.epoch().awaited.load(SeqCst) + 1;
        let why = match executing_bytes {
            0 => format!("its merge waits for group {awaited}, whose leader may be out of reach"),
            _ => "execution does not keep up".to_owned(),
        };
        alarms.push(format!(
            "this server is {behind_bytes} bytes behind and accepts only the entries that it waits for: {why}"
        ));
    }
    alarms
}

fn refused(PeerRefusal { peer, by_us, why }: PeerRefusal) -> String {
    let peer = peer.unwrap_or_default();
    match by_us {
        true => format!("this server refuses server {peer}: {why}"),
        false => format!("server {peer} refuses this server, which therefore takes no part with it: {why}"),
    }
}

/// Updates the corresponding metrics.
pub(crate) fn measure(progress: &SharedProgress, metrics: &Metrics) {
    let Waiting { executing_bytes, behind_bytes, behind, disk_free_bytes, read_only, .. } = waiting(progress);
    metrics.executing_bytes.set(executing_bytes as i64);
    metrics.behind_bytes.set(behind_bytes as i64);
    metrics.is_behind.set(behind.into());
    metrics.disk_free_bytes.set(disk_free_bytes.min(i64::MAX as u64) as i64);
    metrics.read_only.set(read_only.into());
    let epoch = progress.epoch();
    metrics.disk_is_stuck.set(epoch.disk_is_stuck().into());
    metrics.epoch.set(epoch.number.get().into());
    metrics.running_groups.set(epoch.groups.len() as i64);
    metrics.level.set(epoch.record.terms.level.into());
    metrics.open_epochs.set(progress.open_epochs().len() as i64);
}
