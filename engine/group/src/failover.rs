//! What a replica does when its leader's process has ended: it does not wait for an election timeout.
//!
//! That a process has ended is seen by its connections, which its system closes. The server around a replica
//! finds out ([`Driver::peer_ended`](crate::Driver::peer_ended)); it may be wrong, since something on the way
//! can close connections, too. So the news does no more than this: the replica forgets its leader, so that it
//! grants pre-votes, and campaigns with a pre-vote of its own. A replica that is alone in its belief wins
//! none, and its leader's next heartbeat makes it a follower again. A promise to vote for nobody holds
//! whatever a replica believes.
//!
//! The survivors campaign one after the other, so that they do not split the votes: first the wanted leader,
//! then the others in an order that differs from group to group. If one of them has the longer log, it
//! campaigns as soon as it is asked for a vote that it cannot give, but once in a term: to campaign again would give
//! up the votes that are on their way. If the votes are split nevertheless, they begin
//! again in the next term. Who has stood leaves the votes of that term twice as much time, since they may take longer
//! to come than a candidate waits for them.

use std::collections::BTreeSet;

use raft::eraftpb::Message;

use super::config::DriverConfig;

/// Election timeouts after which an early election is left to the ordinary ones.
const LASTS: u64 = 2;
/// Ticks between two candidates at first. One may pass at once.
const STAGGER: u64 = 2;
/// Ticks for which a question for a pre-vote is kept that comes before the news that the leader has ended.
const EARLY: u64 = 1;

/// A replica's part in replacing leaders whose processes have ended.
#[derive(Debug)]
pub(crate) struct Failover {
    server: u64,
    voters: Vec<u64>,
    wanted_leader: u64,
    /// Which of the others begins, if the wanted leader does not.
    turn: usize,
    lasts: u64,
    /// Servers whose processes have ended, as far as this one knows.
    ended: BTreeSet<u64>,
    vacancy: Option<Vacancy>,
    /// The last question for a pre-vote that came while this replica knew a leader, and when it came.
    early: Option<(u64, Message)>,
}

/// A term whose leader has ended.
#[derive(Debug)]
struct Vacancy {
    term: u64,
    since: u64,
    /// When this replica campaigns next, in ticks.
    campaigns_at: u64,
    /// Whether it has campaigned in this term, or stands in it.
    has_campaigned: bool,
    /// Ticks between two candidates when somebody stands in another term.
    stagger: u64,
}

impl Failover {
    pub fn new(config: &DriverConfig) -> Failover {
        let mut voters = config.voters.clone();
        voters.sort_unstable();
        Failover {
            server: config.server,
            // Wanted leaders rotate with the groups; among those of one server, this rotates, too.
            turn: usize::from(config.group) / voters.len().max(1),
            voters,
            wanted_leader: config.wanted_leader,
            lasts: LASTS * u64::from(config.election_ticks),
            ended: BTreeSet::new(),
            vacancy: None,
            early: None,
        }
    }

    /// Notes that a server's process has ended.
    pub fn ended(&mut self, server: u64) {
        self.ended.insert(server);
    }

    /// Notes that a server is connected.
    pub fn is_back(&mut self, server: u64) {
        self.ended.remove(&server);
    }

    /// Whether a server's process has ended, as far as this one knows.
    pub fn has_ended(&self, server: u64) -> bool {
        self.ended.contains(&server)
    }

    /// The leader of this term has ended.
    pub fn begins(&mut self, term: u64, now: u64) {
        let campaigns_at = now + STAGGER * self.rank() as u64;
        self.vacancy =
            Some(Vacancy { term, since: now, campaigns_at, has_campaigned: false, stagger: STAGGER });
    }

    /// How many of the survivors campaign before this one.
    fn rank(&self) -> usize {
        let survivors = || self.voters.iter().filter(|voter| !self.ended.contains(voter));
        let first = survivors().filter(|voter| **voter == self.wanted_leader);
        let others: Vec<&u64> = survivors().filter(|voter| **voter != self.wanted_leader).collect();
        let turn = self.turn % others.len().max(1);
        let others = others.iter().cycle().skip(turn).take(others.len()).copied();
        first.chain(others).position(|voter| *voter == self.server).unwrap_or(0)
    }

    /// Whether a replica of this term, that knows this leader or stands for election itself, is to campaign. Call
    /// [`campaigns`](Self::campaigns) if it does.
    pub fn is_due(&mut self, now: u64, (term, leader): (u64, u64), stands: bool) -> bool {
        self.vacancy.take_if(|vacancy| now - vacancy.since >= self.lasts);
        if let Some(Vacancy { since, stagger, .. }) = self.vacancy.take_if(|vacancy| vacancy.term != term) {
            // Somebody stands in a later term. If nobody wins there, since the votes are split, or since whoever
            // has won is deposed by a candidate that had not heard of it, the survivors campaign again one after
            // the other, rather than when their election timeouts have passed. If it is this one that stands, to
            // campaign again gives up the votes that are still to come, so its next term leaves them more time.
            let campaigns_at = now + stagger * (1 + self.rank() as u64);
            let stagger = if stands { 2 * stagger } else { stagger };
            self.vacancy = Some(Vacancy { term, since, campaigns_at, has_campaigned: stands, stagger });
        }
        leader == 0 && self.vacancy.as_ref().is_some_and(|vacancy| vacancy.campaigns_at <= now)
    }

    /// Notes that the replica campaigns. It repeats that with each tick, since questions can be lost, and others
    /// may be bound by promises that end soon.
    pub fn campaigns(&mut self, now: u64) {
        if let Some(vacancy) = &mut self.vacancy {
            (vacancy.campaigns_at, vacancy.has_campaigned) = (now + 1, true);
        }
    }

    /// The replica has refused a pre-vote since its own log is longer: it campaigns at once, unless it has in this term.
    pub fn has_longer_log(&mut self, now: u64) {
        if let Some(vacancy) = self.vacancy.as_mut().filter(|vacancy| !vacancy.has_campaigned) {
            vacancy.campaigns_at = vacancy.campaigns_at.min(now);
        }
    }

    /// Keeps a question for a pre-vote that raft-rs would ignore, since it knows a leader: the news of that
    /// leader's end may be a moment late.
    pub fn keep(&mut self, now: u64, question: Message) {
        self.early = Some((now, question));
    }

    /// The question that was kept, if it is not too old.
    pub fn take_kept(&mut self, now: u64) -> Option<Message> {
        let (at, question) = self.early.take()?;
        (now - at <= EARLY).then_some(question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failover(server: u64, group: u16, wanted_leader: u64) -> Failover {
        Failover::new(&DriverConfig { server, group, wanted_leader, ..DriverConfig::small() })
    }

    /// The survivors of server 1 in the order in which they campaign for a group.
    fn order(group: u16, wanted_leader: u64) -> Vec<u64> {
        let mut ranked: Vec<(usize, u64)> = [2, 3]
            .map(|server| {
                let mut failover = failover(server, group, wanted_leader);
                failover.ended(1);
                (failover.rank(), server)
            })
            .into();
        ranked.sort_unstable();
        assert_eq!([ranked[0].0, ranked[1].0], [0, 1]);
        ranked.into_iter().map(|(_, server)| server).collect()
    }

    #[test]
    fn the_wanted_leader_goes_first_and_what_an_ended_one_led_is_spread() {
        assert_eq!(order(1, 2), [2, 3]);
        assert_eq!(order(2, 3), [3, 2]);
        assert_eq!((order(0, 1), order(3, 1)), (vec![2, 3], vec![3, 2]));
    }

    #[test]
    fn one_campaigns_at_once_and_again_until_there_is_a_leader_or_it_takes_too_long() {
        let due = |failover: &mut Failover, standing, until| -> Vec<u64> {
            let due = (7..until).filter(|now| {
                let due = failover.is_due(*now, standing, false);
                if due {
                    failover.campaigns(*now);
                }
                due
            });
            due.collect()
        };
        let begun = || {
            let mut failover = failover(2, 0, 1);
            failover.ended(1);
            failover.begins(4, 7);
            failover
        };
        assert_eq!(due(&mut begun(), (4, 0), 100), (7..27).collect::<Vec<_>>());
        assert_eq!(due(&mut begun(), (4, 3), 100), [0; 0], "there is another leader");
        assert_eq!(
            due(&mut begun(), (5, 0), 100),
            (9..27).collect::<Vec<_>>(),
            "somebody stands for election, and may not win"
        );
        let mut deposed = begun();
        assert!(!deposed.is_due(8, (5, 2), false), "it leads");
        assert_eq!(
            due(&mut deposed, (6, 0), 100),
            (9..27).collect::<Vec<_>>(),
            "a late candidate has deposed it"
        );
        let mut second = failover(3, 0, 1);
        second.ended(1);
        second.begins(4, 7);
        assert_eq!(due(&mut second, (4, 0), 11), [9, 10]);
        second.begins(4, 11);
        assert!(!second.is_due(11, (4, 0), false));
        second.has_longer_log(11);
        assert!(second.is_due(11, (4, 0), false));
        second.campaigns(11);
        second.has_longer_log(11);
        assert!(!second.is_due(11, (4, 0), false), "the answers to its questions are on their way");
        second.has_longer_log(12);
        assert!(!second.is_due(12, (5, 0), true), "it stands in that term");
    }

    #[test]
    fn votes_get_more_time_in_each_term() {
        let mut failover = failover(2, 0, 1);
        failover.ended(1);
        failover.begins(4, 100);
        let mut now = 100;
        for (term, wait) in [(4, 0), (5, 2), (6, 4), (7, 8)] {
            let begin = now;
            while !failover.is_due(now, (term, 0), term > 4) {
                now += 1;
            }
            assert_eq!(now - begin, wait, "in term {term}");
            failover.campaigns(now);
        }
    }

    #[test]
    fn a_question_that_comes_a_moment_early_is_kept_for_a_moment() {
        let mut failover = failover(2, 0, 1);
        failover.keep(7, Message::default());
        assert_eq!(failover.take_kept(8), Some(Message::default()));
        assert_eq!(failover.take_kept(8), None);
        failover.keep(7, Message::default());
        assert_eq!(failover.take_kept(9), None);
    }
}
