//! Snapshots, and the logs that they replace.

use std::sync::Arc;

use niagara_sequencer::compaction_point;
use niagara_sequencer::epoch::{Cut, snapshot_is_due};

use super::plan::{Mistake, Plan};
use super::state::{Snapshot, State};

impl State {
    /// Number of entries of a log that fill places up to a round.
    pub(super) fn floor(&self, epoch: usize, group: usize, round: u64) -> usize {
        self.groups[epoch][group].log.partition_point(|entry| entry.place <= round)
    }

    /// The cut up to which a server's snapshots replace its logs, where that is news.
    pub(super) fn compactable(&self, plan: &Plan, server: usize) -> Option<Cut> {
        let this = &self.servers[server];
        let mut cuts = this.cuts();
        if plan.has(Mistake::CompactsToTheNewest) {
            cuts.extend(cuts.last().copied());
        }
        let older = compaction_point(&cuts)?;
        let epoch = older.epoch.get() as usize - 1;
        let news = |group| {
            let replica = this.replicas[epoch][group];
            self.floor(epoch, group, older.round).min(replica.known.min(replica.disk)) > replica.gone
        };
        (this.up && self.groups_of(plan, epoch).any(news)).then_some(older)
    }

    /// Drops what the snapshots replace of the logs.
    pub(super) fn compact(&mut self, plan: &Plan, server: usize) {
        let cut = self.compactable(plan, server).expect("there is something to drop");
        let epoch = cut.epoch.get() as usize - 1;
        for group in self.groups_of(plan, epoch) {
            let floor = self.floor(epoch, group, cut.round);
            let replica = &mut self.servers[server].replicas[epoch][group];
            replica.gone = floor.min(replica.known.min(replica.disk)).max(replica.gone);
        }
    }

    /// Writes a snapshot of where a server's merge is, which is at a cut.
    pub(super) fn snapshot(&mut self, plan: &Plan, server: usize) {
        let at = &self.servers[server].at;
        let at_start = at.cut().round == 0 && at.epoch() > 0;
        let at = match at_start && plan.has(Mistake::BoundaryBelongsToTheEnded) {
            true => at.named_as_the_ended(plan),
            false => at.clone(),
        };
        self.keep(server, Snapshot { at: Arc::new(at), received: false });
        self.go_on(plan, server);
    }

    pub(super) fn keep(&mut self, server: usize, snapshot: Snapshot) {
        let kept = &mut self.servers[server].kept;
        kept.push(snapshot);
        let surplus = kept.len().saturating_sub(2);
        kept.drain(..surplus);
    }

    /// Whether a server has something new to write into a snapshot.
    pub(super) fn may_snapshot(&self, server: usize) -> bool {
        let this = &self.servers[server];
        let news = this.kept.last().is_none_or(|newest| newest.at.cut() < this.at.cut());
        this.up && this.at.is_at_cut() && this.at.position.get() > 0 && news
    }

    /// Whether retirement wants a snapshot.
    pub(super) fn snapshot_is_due(&self, plan: &Plan, server: usize) -> bool {
        let this = &self.servers[server];
        self.may_snapshot(server)
            && !plan.has(Mistake::NoSnapshotIsDue)
            && snapshot_is_due(this.marks.first_open(), this.at.cut(), &this.cuts())
    }
}
