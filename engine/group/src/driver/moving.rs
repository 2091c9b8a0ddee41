//! Leadership that moves because somebody wants it to: an operator, or a server that is about to stop.

use raft::ProgressState;

use super::Driver;
use super::turn::View;
use crate::planted::{self, Bug};

/// Another server of a group, as the group's leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Follower {
    /// Its id.
    pub server: u64,
    /// Entries of the leader's log that it has not acknowledged.
    pub behind: u64,
    /// Why it cannot take over now; `None` if it can.
    pub unfit: Option<Unfit>,
}

/// Why a server cannot take over a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// The leader does not reach it.
    #[error("the leader cannot reach it: start it, or mend its links")]
    Unreachable,
    /// It lacks too much of the log, so that writes would wait for it.
    #[error("it is {entries} entries behind, of at most {limit}: wait until it has caught up")]
    Behind {
        /// Entries of the leader's log that it has not acknowledged.
        entries: u64,
        /// The most that it may be behind.
        limit: u64,
    },
}

/// Why a leadership has not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotMoved {
    /// Only the leader can hand a group over, and this server does not lead it.
    #[error("this server does not lead the group: {}", ask_the_leader(*leader))]
    NotLeading {
        /// The leader, as far as this server knows; 0 for none.
        leader: u64,
    },
    /// The cluster has no such group.
    #[error("there is no group {group}: the cluster has groups 1 to {groups}")]
    NoSuchGroup {
        /// Number of the group.
        group: u16,
        /// Number of groups.
        groups: u16,
    },
    /// The cluster has no such server.
    #[error("server {to} is no member of the cluster")]
    NoMember {
        /// Id of the server.
        to: u64,
    },
    /// The server could not lead well.
    #[error("server {to} cannot take over: {why}")]
    Unfit {
        /// Id of the server.
        to: u64,
        /// What is wrong with it.
        why: Unfit,
    },
    /// Another transfer is under way.
    #[error("the group is being handed over to server {to}: try again in a moment")]
    UnderWay {
        /// Id of the server that is about to lead.
        to: u64,
    },
    /// The server was asked to take over, and did not do so in time.
    #[error(
        "server {to} did not take over in time: it may be draining, behind, or out of reach; look at its status"
    )]
    NoAnswer {
        /// Id of the server.
        to: u64,
    },
    /// Nothing became of it within the time that the caller waited.
    #[error("nothing was heard of it in time: look who leads before you try again")]
    Late,
    /// This server stops.
    #[error("this server is being stopped")]
    Stopping,
}

fn ask_the_leader(leader: u64) -> String {
    match leader {
        0 => "the group has no leader at the moment; try again later".to_owned(),
        leader => format!("ask server {leader}, which does"),
    }
}

impl Driver {
    /// Server that should lead this group.
    pub fn wanted_leader(&self) -> u64 {
        self.config.wanted_leader
    }

    /// Server that leadership is being transferred to; 0 for none.
    pub fn transferee(&self) -> u64 {
        self.raft.raft.lead_transferee.unwrap_or(0)
    }

    /// The other servers as this leader sees them; empty if it does not lead.
    pub fn followers(&self) -> Vec<Follower> {
        if !self.leads() {
            return Vec::new();
        }
        let others = self.config.voters.iter().filter(|voter| **voter != self.config.server);
        let follower = |server: &u64| Follower {
            server: *server,
            behind: self.behind(*server),
            unfit: self.unfit(*server),
        };
        others.map(follower).collect()
    }

    fn behind(&self, server: u64) -> u64 {
        let matched = self.raft.raft.prs().get(server).map_or(0, |progress| progress.matched);
        self.last_index().saturating_sub(matched)
    }

    /// Why a follower of this leader cannot take over now.
    pub(super) fn unfit(&self, server: u64) -> Option<Unfit> {
        let raft = &self.raft.raft;
        let (committed, limit) = (raft.raft_log.committed, self.config.window as u64);
        let Some(progress) = raft.prs().get(server) else { return Some(Unfit::Unreachable) };
        if !self.answers.is_there(server, self.ticks) || !self.placement.is_connected(server) {
            return Some(Unfit::Unreachable);
        }
        let is_close = progress.matched >= committed.saturating_sub(limit);
        let is_whole = is_close && progress.state != ProgressState::Snapshot;
        (!is_whole).then(|| Unfit::Behind { entries: self.behind(server), limit })
    }

    /// Starts to hand leadership over to a server, at somebody's request. It has happened when that server
    /// leads, and failed when there is no [`transferee`](Self::transferee) any more. If this server should lead
    /// the group, it does not claim it back.
    ///
    /// # Errors
    /// If this replica does not lead, or that server cannot take over now. Nothing has changed then.
    pub fn move_to(&mut self, to: u64) -> Result<(), NotMoved> {
        if !self.leads() {
            return Err(NotMoved::NotLeading { leader: self.leader() });
        }
        if !self.config.voters.contains(&to) {
            return Err(NotMoved::NoMember { to });
        }
        match self.transferee() {
            0 => {}
            other => return Err(NotMoved::UnderWay { to: other }),
        }
        if to == self.config.server {
            return Ok(());
        }
        if let Some(why) = self.unfit(to) {
            return Err(NotMoved::Unfit { to, why });
        }
        self.placement.leave();
        self.hand_leadership_over(Some(to));
        Ok(())
    }

    /// Leaves the group to others until [`claim`](Self::claim), even if this server should lead it.
    pub fn leave(&mut self) {
        self.placement.leave();
    }

    /// Whether this server leaves the group to others, although it should lead it.
    pub fn has_left(&self) -> bool {
        self.placement.has_left()
    }

    /// Claims the group at once if this server should lead it, however often it has lost it before.
    pub fn claim(&mut self) {
        self.placement.claim_at_once();
    }

    /// Hands leadership over if this server gives its leaderships away: each follower is asked in turn, and
    /// after a while anew.
    pub(super) fn drain(&mut self, view: &View) {
        self.drains = view.drains;
        if !self.drains || !self.leads() {
            return self.placement.asks_anew();
        }
        let heartbeat = u64::from(self.config.heartbeat_ticks);
        if self.transferee() != 0
            || planted::is(Bug::DrainIgnored)
            || !self.placement.may_drain(self.ticks, heartbeat)
        {
            return;
        }
        match self.successor() {
            Some(to) => {
                self.hand_leadership_over(Some(to));
                self.placement.drains_to(to);
            }
            None if self.placement.may_transfer_again(self.ticks) => self.placement.asks_anew(),
            None => {}
        }
    }

    /// The server that would take over best from this leader, of those that have not failed to.
    fn successor(&self) -> Option<u64> {
        let fit = self.followers().into_iter().filter(|follower| follower.unfit.is_none());
        let fit = fit.filter(|follower| !self.placement.has_drained_to(follower.server));
        fit.min_by_key(|follower| follower.behind).map(|follower| follower.server)
    }

    /// Whether this replica leads, and another server could take over.
    pub fn has_successor(&self) -> bool {
        self.leads() && (self.transferee() != 0 || self.successor().is_some())
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::{Message, MessageType};

    use super::super::fixture::NoCommands;
    use super::super::{DriverConfig, Output};
    use super::*;
    use crate::wire::Wire;

    /// Server 1, which is about to lead with server 2, and without server 3.
    struct Leader(Driver);

    impl Leader {
        fn new() -> Leader {
            let mut leader = Leader(Driver::in_memory(DriverConfig::small()));
            (2..=3).for_each(|peer| leader.0.link_up(peer));
            (0..100).for_each(|_| leader.tick());
            assert!(leader.0.leads());
            leader
        }

        /// Lets a tick pass, in which server 2 gives what it is asked for.
        fn tick(&mut self) {
            self.0.tick(&View::default());
            let mut asked = self.turn();
            while !asked.is_empty() {
                let answers = asked.iter().filter(|asked| asked.to == 2).filter_map(answer);
                answers.for_each(|answer| self.0.receive(2, Wire::Raft(Box::new(answer))));
                asked = self.turn();
            }
        }

        fn turn(&mut self) -> Vec<Message> {
            let mut output = Output::default();
            for _ in 0..2 {
                self.0.turn(&View::default(), &[&NoCommands], &mut output);
                self.0.disk_finishes(&mut output);
            }
            let messages = output.messages.into_iter();
            let of_raft = |(to, wire)| match wire {
                Wire::Raft(message) => Some(Message { to, ..*message }),
                _ => None,
            };
            messages.filter_map(of_raft).collect()
        }
    }

    fn answer(asked: &Message) -> Option<Message> {
        let msg_type = match asked.msg_type {
            MessageType::MsgRequestPreVote => MessageType::MsgRequestPreVoteResponse,
            MessageType::MsgRequestVote => MessageType::MsgRequestVoteResponse,
            MessageType::MsgHeartbeat => MessageType::MsgHeartbeatResponse,
            MessageType::MsgAppend => MessageType::MsgAppendResponse,
            _ => return None,
        };
        let index = asked.index + asked.entries.len() as u64;
        Some(Message { msg_type, from: 2, to: 1, term: asked.term, index, ..Message::default() })
    }

    #[test]
    fn a_follower_that_answers_is_reached_at_each_moment_and_one_that_is_silent_is_not() {
        let mut leader = Leader::new();
        for tick in 0..100 {
            leader.tick();
            assert_eq!(leader.0.unfit(2), None, "in tick {tick}");
            assert_eq!(leader.0.unfit(3), Some(Unfit::Unreachable), "in tick {tick}");
        }
        let election = DriverConfig::small().election_ticks;
        let is_reached = |leader: &mut Leader| {
            leader.0.tick(&View::default());
            leader.turn();
            leader.0.leads() && leader.0.unfit(2).is_none()
        };
        let reached = (0..100).take_while(|_| is_reached(&mut leader)).count();
        assert!((8..=10).contains(&reached), "{reached} ticks after its last answer, of {election}");
        leader.0.link_down(2);
        assert_eq!(leader.0.unfit(2), Some(Unfit::Unreachable));
    }
}
