//! When a replica campaigns, and when a leader hands over.

use raft::eraftpb::{Message, MessageType};
use raft::{CAMPAIGN_TRANSFER, INVALID_ID, StateRole};

use super::Driver;
use super::turn::View;
use crate::planted::{self, Bug};
use crate::wire::Wire;

/// Election timeouts for which a server that lags leaves campaigns to others.
const STANDS_BACK: u64 = 4;

impl Driver {
    /// Advances raft-rs's clock, then campaigns, hands over or claims leadership if it is time.
    pub(super) fn tick_leadership(&mut self, view: &View) {
        if self.may_let_time_pass(view) {
            self.raft.tick();
            self.stood_back = 0;
        } else {
            self.stood_back += 1;
        }
        let may_campaign = self.may_lead(view);
        if self.placement.wants_to_campaign(self.ticks, self.leader(), self.term()) && may_campaign {
            // A refused pre-vote changes nothing, so errors and losses need no handling.
            let _ = self.raft.campaign();
        }
        self.placement.leads(self.leads(), self.ticks);
        if self.leads() {
            let heartbeat = u64::from(self.config.heartbeat_ticks);
            if self.raft.raft.lead_transferee.is_some()
                && self.placement.transfer_is_late(self.ticks, heartbeat)
            {
                self.raft.raft.abort_leader_transfer();
            }
            let unfit = view.stand_back && !view.drains || self.disk_is_stuck();
            let makes_way = self.placement.makes_way(view.read_only, self.ticks);
            let flees = self.placement.leaves_what_is_slow(view.is_slow, self.ticks);
            if unfit && self.placement.may_transfer(self.ticks) || makes_way {
                self.hand_leadership_over(None);
            } else if flees {
                tracing::warn!(
                    group = self.config.group + 1,
                    "the group commits late here, and others do not: leaving it to another server"
                );
                self.hand_leadership_over(None);
            }
        } else if view.may_claim && self.placement.wants_to_claim(self.ticks, self.leader()) {
            self.outbox.push((self.leader(), Wire::Claim));
        }
    }

    /// Forgets a leader whose process has ended: its connection in this group is closed, and others of it are.
    ///
    /// raft-rs ignores candidates for an election timeout after it has heard from a leader that it knows. Of
    /// what it keeps, only that knowledge goes: term, vote and clock stay as they are.
    pub(super) fn forget_ended_leader(&mut self) {
        let leader = self.leader();
        let is_gone = self.failover.has_ended(leader) && !self.placement.is_connected(leader);
        if self.role() != StateRole::Follower || !is_gone || self.contradicted.is_some() {
            return;
        }
        tracing::info!(
            group = self.config.group + 1,
            leader,
            "the leader's process has ended: electing another one"
        );
        self.raft.raft.leader_id = INVALID_ID;
        self.failover.begins(self.term(), self.ticks);
        self.end_promise_if_planted();
        if let Some(question) = self.failover.take_kept(self.ticks) {
            self.receive_raft(question.from, question);
        }
    }

    /// Campaigns in the group of a new epoch as soon as a quorum is connected.
    pub(super) fn campaign_at_first(&mut self, view: &View) {
        if self.may_lead(view) && self.placement.begins(self.term()) {
            // If it is lost, the next tick campaigns again.
            let _ = self.raft.campaign();
        }
    }

    /// Campaigns if a leader has ended and it is this replica's turn.
    pub(super) fn campaign_early(&mut self, view: &View) {
        let standing = (self.term(), self.leader());
        let stands = self.role() == StateRole::Candidate;
        if self.failover.is_due(self.ticks, standing, stands) && self.may_lead(view) {
            self.failover.campaigns(self.ticks);
            if planted::is(Bug::EndedLeaderDeposed) {
                return self.raft.raft.campaign(raft::CAMPAIGN_ELECTION);
            }
            // A refused pre-vote changes nothing, so errors and losses need no handling.
            let _ = self.raft.campaign();
        }
    }

    /// Forgets a leader that asks for votes of a later term: it has stepped down, and leads this one no more. raft-rs
    /// would ignore it until an election timeout has passed since it was last heard as the leader.
    pub(super) fn forget_leader_that_stands(&mut self, message: &Message) {
        let asks = matches!(message.msg_type, MessageType::MsgRequestPreVote | MessageType::MsgRequestVote);
        let is_later = message.term > self.term() && self.role() == StateRole::Follower;
        if asks && is_later && message.from == self.leader() && self.contradicted.is_none() {
            self.raft.raft.leader_id = INVALID_ID;
        }
    }

    /// Keeps a question for a pre-vote that raft-rs would ignore. Returns whether it did.
    pub(super) fn keeps(&mut self, message: &Message) -> bool {
        let raft = &self.raft.raft;
        let is_ignored = message.msg_type == MessageType::MsgRequestPreVote
            && message.context != CAMPAIGN_TRANSFER
            && raft.state == StateRole::Follower
            && message.term > raft.term
            && raft.leader_id != INVALID_ID
            && raft.election_elapsed < raft.election_timeout();
        if is_ignored {
            self.failover.keep(self.ticks, message.clone());
        }
        is_ignored
    }

    /// Whether raft-rs's clock may advance. The clock of a follower whose server lags stops just below the
    /// election timeout: another server would lead better, and this one still grants votes. If nobody leads
    /// for long, no other can: the others lag too, or have shorter logs. The clock also stops while the log
    /// is being reset, since raft-rs looks for entries in it when it campaigns.
    fn may_let_time_pass(&self, view: &View) -> bool {
        let raft = &self.raft.raft;
        let nobody_else_can = self.stood_back >= STANDS_BACK * u64::from(self.config.election_ticks);
        (!view.stand_back || nobody_else_can) && self.is_fit() && !self.must_not_vote()
            || raft.state == StateRole::Leader
            || raft.election_elapsed + 1 < raft.randomized_election_timeout()
    }

    /// Whether nothing keeps this server from leading.
    fn may_lead(&self, view: &View) -> bool {
        !view.stand_back && self.is_fit() && !self.must_not_vote()
    }

    fn is_fit(&self) -> bool {
        self.resetting.is_none() && self.contradicted.is_none() && !self.disk_is_stuck()
    }

    /// Transfers leadership to `to`, or to the best follower: active and close behind. Does nothing if there
    /// is none.
    pub(super) fn hand_leadership_over(&mut self, to: Option<u64>) {
        let raft = &self.raft.raft;
        let candidates = raft.prs().iter().filter(|(id, _)| {
            **id != self.config.server && to.is_none_or(|to| to == **id) && self.unfit(**id).is_none()
        });
        let mut best = candidates.max_by_key(|(_, progress)| progress.matched).map(|(id, _)| *id);
        if planted::is(Bug::HandedToTheFurthest) {
            let others = raft.prs().iter().filter(|(id, _)| **id != self.config.server);
            best = others.min_by_key(|(_, progress)| progress.matched).map(|(id, _)| *id);
        }
        if let Some(best) = best {
            self.placement.transferred(self.ticks);
            self.give_lease_up();
            self.raft.transfer_leader(best);
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::MessageType;

    use super::super::fixture::NoCommands;
    use super::super::{DriverConfig, Output};
    use super::*;

    /// Ticks at which a replica that hears nobody requests votes.
    fn campaigns(view: &View, ticks: u64) -> Vec<u64> {
        let config = DriverConfig { wanted_leader: 2, ..DriverConfig::small() };
        let mut driver = Driver::in_memory(config);
        let mut campaigns = Vec::new();
        for tick in 1..=ticks {
            let mut output = Output::default();
            driver.tick(view);
            driver.turn(view, &[&NoCommands], &mut output);
            let asks = |wire: &Wire| matches!(wire, Wire::Raft(message) if message.msg_type == MessageType::MsgRequestPreVote);
            if output.messages.iter().any(|(_, wire)| asks(wire)) {
                campaigns.push(tick);
            }
        }
        campaigns
    }

    #[test]
    fn a_server_that_lags_leaves_it_to_others_to_campaign_but_not_for_ever() {
        assert!(campaigns(&View::default(), 20)[0] < 20);
        let lagging = View { stand_back: true, ..View::default() };
        let tries = campaigns(&lagging, 300);
        assert!((51..60).contains(&tries[0]), "{tries:?}");
        assert!((4..=6).contains(&tries.len()), "nor is it in the way of others: {tries:?}");
    }
}
