//! Leases: how a leader knows for a while, without asking anybody, that no other server leads its group.
//!
//! With each heartbeat, a leader asks its followers for a *promise*: to vote for nobody, not even for
//! themselves, for an election timeout. A follower counts that time from when it answers, by its own clock.
//! When a quorum, the leader included, has promised, the leader holds a *lease*. It counts it from when it
//! *sent* the question, by its own clock, so however long the messages took, its lease began first.
//!
//! **The rule.** While a leader of term T holds its lease, no server has been elected in a later term, so
//! nothing is committed in the group that this leader has not committed itself.
//!
//! Why: an election needs votes of a quorum, and that shares a server with the quorum of the lease. Say it is
//! the server s. A leader votes for nobody while it leads, and gives its lease up when it stops. A follower
//! that has promised grants no vote until its promise has ended:
//!
//! - s counts the promise from a later moment than the leader its lease, and for longer. A clock runs at
//!   80 to 125 % of real time, so a promise of length P lasts at least P / 1.25, and a lease of length L at
//!   most L / 0.8. So L = 0.64 P is the longest safe lease. (Clocks of machines differ by less than 0.1 %.
//!   The bound costs nothing: leases are renewed five times as often as promises end.)
//! - Both are read from a clock that also advances while the machine sleeps. Each server compares only
//!   readings of its own.
//! - A process that has just started does not know what it promised before. So it begins with a promise.
//! - A vote that was granted before the promise is for a later term than T, and s would have refused to promise:
//!   it promises only to the leader of its own term.
//!
//! There is one exception. A leader that hands leadership over tells a follower to campaign at once, and the
//! others vote in spite of their promises. So it gives its lease up *for the rest of its term* before it says
//! so, since nobody knows when the message arrives. Such a campaign is only for the next term, T + 1. Voters
//! that have promised to a leader of T therefore promised to the one that gave its lease up; and if one has
//! promised to a leader of an earlier term, that lease had ended before the leader of T was elected.
//!
//! A lease says nothing of what earlier leaders have committed until the leader has committed an entry of its own term
//! (Raft, section 5.4.2). From then on, its commit index covers all of that.
//!
//! **What a read needs.** A write that was acknowledged anywhere stands at a merged position of some server's
//! global log, and that server had merged every slot before it. So a position at or beyond the slot (p + 1, r)
//! is acknowledged only if that slot is committed, and its group r then has a leader that knows so. If this server holds the lease of r
//! and p is the last place that it knows to be committed, slot (p + 1, r) is not committed, so every
//! acknowledged write is below it. That slot is the read's barrier, the same as if a quorum had answered
//! with p (`niagara_sequencer::ReadBarriers`). Any group will do; that of the slot which the merge awaits has the nearest barrier.
//!
//! Others learn of a commit from this leader's messages, so p has to be published before those leave; and so
//! has the end of a lease before the message that hands leadership over. Who reads looks at the lease first,
//! then at p, and then at the clock: the lease was held, and p was current, at the moment of the first look.

use std::time::Duration;

use crate::planted::{self, Bug};

/// Length of a lease per length of a promise: clocks run at 80 to 125 % of real time.
const PART: (u32, u32) = (80 * 100, 125 * 100);

/// A leader's lease: who has promised, and when it asked them.
///
/// Times are readings of one clock of this server, as durations since some moment in the past.
#[derive(Debug)]
pub struct Lease {
    /// How long a follower promises not to vote.
    promise: Duration,
    /// Number of voters, this server included.
    voters: usize,
    term: u64,
    /// When the last question of this term was sent.
    asked: Option<Duration>,
    /// For each follower, when the latest question was sent that it has answered with a promise.
    promised: Vec<(u64, Duration)>,
    given_up: bool,
}

impl Lease {
    /// For a group with this many voters, whose followers promise not to vote for as long as `promise`.
    pub fn new(promise: Duration, voters: usize) -> Lease {
        Lease { promise, voters, term: 0, asked: None, promised: Vec::new(), given_up: false }
    }

    /// Notes that a leader of this term asks its followers now. What is sent to them has to include this
    /// moment.
    pub fn ask(&mut self, term: u64, now: Duration) {
        self.begin(term);
        self.asked = Some(now);
    }

    /// Notes that a follower has promised, in answer to the question that was sent at `asked`. An answer to
    /// what was never asked changes nothing.
    pub fn promised(&mut self, from: u64, term: u64, asked: Duration) {
        if term != self.term || self.asked.is_none_or(|last| asked > last) {
            return;
        }
        match self.promised.iter_mut().find(|(follower, _)| *follower == from) {
            Some((_, latest)) => *latest = asked.max(*latest),
            None => self.promised.push((from, asked)),
        }
    }

    /// Gives the lease up for the rest of this term, since the leader is about to hand leadership over.
    pub fn give_up(&mut self, term: u64) {
        self.begin(term);
        self.given_up = true;
    }

    /// Whether it was given up for this term.
    pub fn is_given_up(&self, term: u64) -> bool {
        self.term == term && self.given_up
    }

    /// Until when the leader of this term holds its lease; `None` if it has none.
    pub fn until(&self, term: u64) -> Option<Duration> {
        if self.term != term || self.given_up {
            return None;
        }
        let needed = self.voters / 2;
        let mut moments: Vec<Duration> = self.promised.iter().map(|(_, asked)| *asked).collect();
        moments.sort_unstable();
        let since = if needed == 0 { self.asked } else { moments.into_iter().rev().nth(needed - 1) };
        Some(since? + self.length())
    }

    fn length(&self) -> Duration {
        if planted::is(Bug::LeaseWithoutDrift) { self.promise } else { self.promise * PART.0 / PART.1 }
    }

    fn begin(&mut self, term: u64) {
        if self.term != term {
            (self.term, self.asked, self.given_up) = (term, None, false);
            self.promised.clear();
        }
    }
}

/// What a follower has promised: to grant no vote until some moment.
#[derive(Debug)]
pub struct Promise {
    lasts: Duration,
    until: Duration,
}

impl Promise {
    /// No promise yet; each will last this long.
    pub fn new(lasts: Duration) -> Promise {
        Promise { lasts, until: Duration::ZERO }
    }

    /// Promises anew, from now on.
    pub fn renew(&mut self, now: Duration) {
        self.until = self.until.max(now + self.lasts);
    }

    /// Whether this server must not vote.
    pub fn holds(&self, now: Duration) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISE: Duration = Duration::from_millis(500);
    const LENGTH: Duration = Duration::from_millis(320);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_lease_begins_when_the_question_was_sent_that_a_quorum_has_answered() {
        let mut lease = Lease::new(PROMISE, 5);
        lease.ask(7, ms(1000));
        lease.promised(2, 7, ms(1000));
        assert_eq!(lease.until(7), None, "two of five have promised");
        lease.ask(7, ms(1100));
        lease.promised(3, 7, ms(1100));
        assert_eq!(lease.until(7), Some(ms(1000) + LENGTH));
        lease.promised(2, 7, ms(1100));
        assert_eq!(lease.until(7), Some(ms(1100) + LENGTH));
        lease.promised(2, 7, ms(1000));
        assert_eq!(lease.until(7), Some(ms(1100) + LENGTH), "a late answer takes nothing back");
        lease.promised(4, 7, ms(1101));
        lease.promised(5, 6, ms(1100));
        lease.promised(2, 7, ms(1101));
        assert_eq!(lease.until(7), Some(ms(1100) + LENGTH), "nobody was asked that");
    }

    #[test]
    fn the_longest_lease_at_the_slowest_clock_ends_with_the_shortest_promise() {
        let lease = PROMISE * PART.0 / PART.1;
        assert_eq!(lease, LENGTH);
        assert_eq!(lease * 100 / 80, PROMISE * 100 / 125);
    }

    #[test]
    fn a_lease_that_is_given_up_does_not_come_back_before_the_next_term() {
        let mut lease = Lease::new(PROMISE, 3);
        lease.ask(7, ms(0));
        lease.promised(2, 7, ms(0));
        assert!(lease.until(7).is_some() && lease.until(8).is_none());
        lease.give_up(7);
        lease.ask(7, ms(100));
        lease.promised(2, 7, ms(100));
        assert!(lease.until(7).is_none() && lease.is_given_up(7));
        lease.ask(8, ms(200));
        assert_eq!(lease.until(8), None, "promises to the leader of an earlier term are none to this one");
        lease.promised(2, 8, ms(200));
        assert_eq!(lease.until(8), Some(ms(200) + LENGTH));
    }

    #[test]
    fn a_server_alone_promises_to_itself() {
        let mut lease = Lease::new(PROMISE, 1);
        assert_eq!(lease.until(1), None);
        lease.ask(1, ms(50));
        assert_eq!(lease.until(1), Some(ms(50) + LENGTH));
    }

    #[test]
    fn a_promise_lasts_from_when_it_was_last_given() {
        let mut promise = Promise::new(PROMISE);
        assert!(!promise.holds(ms(100)));
        promise.renew(ms(100));
        assert!(promise.holds(ms(599)) && !promise.holds(ms(600)));
        promise.renew(ms(700));
        assert!(promise.holds(ms(1199)) && !promise.holds(ms(1200)));
        promise.renew(ms(650));
        assert!(promise.holds(ms(1199)), "an earlier reading shortens nothing");
    }
}
