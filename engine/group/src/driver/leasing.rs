//! What a replica does for [leases](crate::lease), if its cluster has them: a leader asks for promises, a
//! follower gives and keeps them.

use std::time::Duration;

use raft::eraftpb::{Message, MessageType};
use raft::{CAMPAIGN_TRANSFER, StateRole};

use super::Driver;
use crate::lease::{Lease, Promise};
use crate::planted::{self, Bug};
use crate::wire::Wire;

/// A replica's part in leases.
#[derive(Debug)]
pub(super) struct Leasing {
    promise_lasts: Duration,
    now: Duration,
    lease: Lease,
    /// `None` before the first reading of the clock: until then, nothing may be done.
    promise: Option<Promise>,
}

/// A leader's lease of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// When it ends, by the clock that [`Driver::time_is`] reports.
    pub until: Duration,
    /// The last place of the group that is committed.
    pub place: u64,
}

impl Leasing {
    pub fn new(promise_lasts: Duration, voters: usize) -> Leasing {
        let lease = Lease::new(promise_lasts, voters);
        Leasing { promise_lasts, now: Duration::ZERO, lease, promise: None }
    }

    fn must_not_vote(&self) -> bool {
        self.promise.as_ref().is_none_or(|promise| promise.holds(self.now))
    }
}

impl Driver {
    /// Whether the cluster has leases, so that the time matters.
    pub fn has_leases(&self) -> bool {
        self.leasing.is_some()
    }

    /// Reports the time, as a duration since the machine's start that includes its sleep. Call it after
    /// messages were received and before [`receive`](Self::receive), and before [`tick`](Self::tick) and
    /// [`turn`](Self::turn). Without leases, it does nothing.
    pub fn time_is(&mut self, now: Duration) {
        let Some(leasing) = &mut self.leasing else { return };
        leasing.now = now.max(leasing.now);
        leasing.promise.get_or_insert_with(|| {
            let mut promise = Promise::new(leasing.promise_lasts);
            // Nobody knows what was promised before this start.
            if !planted::is(Bug::PromiseForgotten) {
                promise.renew(now);
            }
            promise
        });
    }

    /// The lease that this replica holds as a leader, if it has one. Publish it before the messages of a turn
    /// leave.
    pub fn lease(&self) -> Option<HeldLease> {
        let leasing = self.leasing.as_ref().filter(|_| self.leads())?;
        let knows_what_is_committed =
            self.raft.raft.commit_to_current_term() || planted::is(Bug::LeaseBeforeCommit);
        let until = leasing.lease.until(self.term()).filter(|_| knows_what_is_committed)?;
        Some(HeldLease { until, place: self.slots.place_at(self.commit()) })
    }

    /// Whether this replica has given up its lease of a term that it leads, since it handed, or meant to hand,
    /// leadership over.
    pub fn has_given_up_its_lease(&self) -> bool {
        self.leads() && self.leasing.as_ref().is_some_and(|leasing| leasing.lease.is_given_up(self.term()))
    }

    /// Asks the followers for promises, at each heartbeat.
    pub(super) fn tick_lease(&mut self) {
        let (term, leads) = (self.term(), self.leads());
        let Some(leasing) = &mut self.leasing else { return };
        let is_due = self.ticks.is_multiple_of(u64::from(self.config.heartbeat_ticks));
        if !leads || !is_due || leasing.lease.is_given_up(term) {
            return;
        }
        let asked = leasing.now;
        leasing.lease.ask(term, asked);
        let followers = self.config.voters.iter().filter(|voter| **voter != self.config.server);
        for follower in followers {
            self.outbox.push((*follower, Wire::AskPromise { term, asked }));
        }
    }

    /// Promises the leader of this term to vote for nobody for a while.
    pub(super) fn promise(&mut self, from: u64, term: u64, asked: Duration) {
        let follows = self.role() == StateRole::Follower && self.leader() == from && self.term() == term;
        let Some(leasing) = self.leasing.as_mut().filter(|_| follows) else { return };
        if let Some(promise) = &mut leasing.promise {
            promise.renew(leasing.now);
            self.outbox.push((from, Wire::Promise { term, asked }));
        }
    }

    /// Notes a follower's promise.
    pub(super) fn is_promised(&mut self, from: u64, term: u64, asked: Duration) {
        let leads = self.leads() && self.term() == term && self.config.voters.contains(&from);
        if let Some(leasing) = self.leasing.as_mut().filter(|_| leads) {
            if planted::is(Bug::LeaseFromAnswer) {
                leasing.lease.ask(term, leasing.now);
                leasing.lease.promised(from, term, leasing.now);
            }
            leasing.lease.promised(from, term, asked);
        }
    }

    /// Gives the lease up: the leader is about to hand leadership over.
    pub(super) fn give_lease_up(&mut self) {
        let term = self.term();
        if let Some(leasing) = &mut self.leasing
            && !planted::is(Bug::LeaseKeptInTransfer)
        {
            leasing.lease.give_up(term);
        }
    }

    /// Leadership is handed over only by a leader that has given its lease up.
    pub(super) fn assert_lease_is_over(&self, message: &Message) {
        let leasing = self.leasing.as_ref().filter(|_| message.msg_type == MessageType::MsgTimeoutNow);
        assert!(
            leasing.is_none_or(|leasing| leasing.lease.is_given_up(message.term))
                || planted::is(Bug::LeaseKeptInTransfer),
            "read_is_fresh: a leader hands leadership over while it may hold its lease of term {}",
            message.term
        );
    }

    /// Whether this replica has promised not to vote, and so must not campaign, either.
    pub(super) fn must_not_vote(&self) -> bool {
        self.leasing.as_ref().is_some_and(Leasing::must_not_vote) && !planted::is(Bug::PromiseBroken)
    }

    /// The bug in which a replica that believes its leader's process to have ended forgets its promise.
    pub(super) fn end_promise_if_planted(&mut self) {
        if let Some(leasing) = &mut self.leasing
            && planted::is(Bug::EndEndsPromise)
        {
            leasing.promise = Some(Promise::new(leasing.promise_lasts));
        }
    }

    /// Whether a message asks for a vote that a promise forbids. A campaign that the leader has called for is
    /// an exception: that leader has given its lease up.
    pub(super) fn asks_to_break_a_promise(&self, message: &Message) -> bool {
        let asks_for_vote =
            matches!(message.msg_type, MessageType::MsgRequestVote | MessageType::MsgRequestPreVote);
        asks_for_vote && message.context != CAMPAIGN_TRANSFER && self.must_not_vote()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::NoCommands;
    use super::super::{DriverConfig, Output, View};
    use super::*;

    const PROMISE: Duration = Duration::from_millis(500);

    fn driver() -> Driver {
        Driver::in_memory(DriverConfig { promise: Some(PROMISE), ..DriverConfig::small() })
    }

    /// What the replica answers to a message.
    fn answers(driver: &mut Driver, wire: Wire) -> Vec<Wire> {
        let mut output = Output::default();
        driver.receive(2, wire);
        driver.turn(&View::default(), &[&NoCommands], &mut output);
        driver.disk_finishes(&mut output);
        driver.turn(&View::default(), &[&NoCommands], &mut output);
        output.messages.into_iter().map(|(_, wire)| wire).collect()
    }

    fn message(msg_type: MessageType, term: u64) -> Message {
        Message { msg_type, from: 2, to: 1, term, ..Message::default() }
    }

    fn vote(term: u64, context: &'static [u8]) -> Wire {
        let message = message(MessageType::MsgRequestVote, term);
        Wire::Raft(Box::new(Message { context: context.into(), ..message }))
    }

    #[test]
    fn who_has_just_started_votes_for_nobody() {
        let mut driver = driver();
        driver.time_is(Duration::from_secs(7));
        let pre_vote = || Wire::Raft(Box::new(message(MessageType::MsgRequestPreVote, 1)));
        assert_eq!(answers(&mut driver, pre_vote()), []);
        assert_eq!(answers(&mut driver, vote(1, b"")), []);
        driver.time_is(Duration::from_secs(7) + PROMISE);
        assert_eq!(answers(&mut driver, pre_vote()).len(), 1);
        assert_eq!(answers(&mut driver, vote(1, b"")).len(), 1);
    }

    #[test]
    fn who_has_promised_votes_only_in_a_campaign_that_the_leader_has_called_for() {
        let mut driver = driver();
        driver.time_is(Duration::ZERO);
        driver.time_is(PROMISE);
        let (term, asked) = (3, Duration::from_secs(9));
        let ask = || Wire::AskPromise { term, asked };
        assert_eq!(answers(&mut driver, ask()), [], "nobody leads, as far as it knows");
        answers(&mut driver, Wire::Raft(Box::new(message(MessageType::MsgHeartbeat, term))));
        assert_eq!(answers(&mut driver, ask()), [Wire::Promise { term, asked }]);
        // A message of a later term makes it forget the leader, but not the promise.
        answers(&mut driver, Wire::Raft(Box::new(message(MessageType::MsgAppendResponse, 4))));
        assert_eq!((driver.leader(), driver.term()), (0, 4));
        assert_eq!(answers(&mut driver, ask()), [], "its leader is no longer that one");
        assert_eq!(answers(&mut driver, vote(5, b"")), []);
        assert_eq!(answers(&mut driver, vote(5, CAMPAIGN_TRANSFER)).len(), 1);
        driver.time_is(2 * PROMISE);
        assert_eq!(answers(&mut driver, vote(6, b"")).len(), 1);
    }
}
