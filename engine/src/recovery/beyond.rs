//! Whether the cluster may have gone on in an epoch that none of the servers had begun.

use niagara_sequencer::epoch::{Chain, EpochEnd};

use super::found::{FoundNext, is_enough};
use super::source::Source;
use crate::config::ServerId;

/// The epochs that may have followed the newest one of `chain`, by the ends of it that stand in the logs which are continued.
///
/// If the newest epoch has ended, its end was committed, so it is in these logs whenever they hold all that was acknowledged in
/// that epoch. Which of several ends counts is known when they are merged, and an uncertain one may never have counted. So each of
/// those that could have counted stands for an epoch.
pub(super) fn next_epochs(chain: &Chain, ends: &[EpochEnd], sources: &[Source]) -> Vec<FoundNext> {
    let now = chain.newest().record.epoch;
    let mut found: Vec<FoundNext> = Vec::new();
    for end in ends.iter().filter(|end| end.epoch == now && chain.check(&end.next).is_ok()) {
        let mut members = end.next.members.clone();
        members.sort_unstable();
        if found.iter().all(|next| next.members != members) {
            let not_begun = not_begun(&members, sources);
            let is_ruled_out = is_enough(members.len(), not_begun);
            found.push(FoundNext { epoch: now.next().get(), members, not_begun, is_ruled_out });
        }
    }
    found
}

/// So many directories are of these members, and prove that each had acknowledged nothing in the epoch: they do not know it.
fn not_begun(members: &[ServerId], sources: &[Source]) -> usize {
    let proves =
        |source: &&Source| members.contains(&source.testimony.server) && source.testimony.doubt.is_none();
    sources.iter().filter(proves).count()
}
