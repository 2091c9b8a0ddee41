//! Who leads which group, and how that is changed.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use niagara_group::{Follower, NotMoved};

use super::handle::Client;
use crate::leaders::{FollowerStanding, GroupLeader, Leaders};
use crate::progress::{GroupProgress, Mail, Move};
use crate::promise::{SharedPromise, block_on_until};
use crate::state_machine::StateMachine;

impl<S: StateMachine> Client<S> {
    /// Who leads each group, as far as this server knows, and who could.
    ///
    /// ```
    /// # let engine = niagara_engine::internals::example::engine();
    /// for group in engine.client().leaders().groups {
    ///     println!("group {}: server {} leads, server {} should", group.group, group.leader, group.wanted);
    /// }
    /// # engine.stop();
    /// ```
    pub fn leaders(&self) -> Leaders {
        let progress = &self.shared.progress;
        let groups = (1..).zip(&progress.epoch().groups).map(|(number, group)| GroupLeader {
            group: number,
            leader: group.leader.load(SeqCst),
            wanted: group.wanted.load(SeqCst),
            term: group.term.load(SeqCst),
            moving_to: group.transferee.load(SeqCst),
            left: group.is_left.load(SeqCst),
            followers: group.followers.lock().iter().map(standing).collect(),
        });
        Leaders {
            server: self.shared.server,
            draining: progress.drain.is_on(),
            retiring: progress.drain.is_retiring(),
            groups: groups.collect(),
        }
    }

    /// Hands the leadership of a group over to a server, and waits until that server leads it, for `timeout` at
    /// most. This server does not claim the group back before [`balance`](Self::balance) or its next start; if
    /// a third server should lead it, call [`leave`](Self::leave) there.
    ///
    /// # Errors
    /// Why it did not happen. Only the leader can do it; a server that is out of reach or far behind cannot take
    /// over.
    ///
    /// # Panics
    /// As [`Ticket::wait`](crate::Ticket::wait); release builds return [`NotMoved::Late`].
    pub fn move_leadership(&self, group: u16, to: u64, timeout: Duration) -> Result<(), NotMoved> {
        let outcome = self.begin_move(group, to)?;
        let deadline = Instant::now().checked_add(timeout);
        let outcome = block_on_until(deadline, |waker| outcome.poll(waker));
        outcome.ok().flatten().unwrap_or(Err(NotMoved::Late))
    }

    /// The same without waiting: [`leaders`](Self::leaders) shows what becomes of it.
    ///
    /// # Errors
    /// As far as is known at once why it cannot happen.
    pub fn start_to_move(&self, group: u16, to: u64) -> Result<(), NotMoved> {
        self.begin_move(group, to).map(drop)
    }

    fn begin_move(&self, group: u16, to: u64) -> Result<Outcome, NotMoved> {
        let progress = self.group(group)?;
        if self.shared.progress.is_stopping.load(SeqCst) {
            return Err(NotMoved::Stopping);
        }
        if !self.shared.progress.epoch().members().contains(&to) {
            return Err(NotMoved::NoMember { to });
        }
        if !progress.leads.load(SeqCst) {
            return Err(NotMoved::NotLeading { leader: progress.leader.load(SeqCst) });
        }
        let unfit = |follower: &Follower| follower.unfit.filter(|_| follower.server == to);
        if let Some(why) = progress.followers.lock().iter().find_map(unfit) {
            return Err(NotMoved::Unfit { to, why });
        }
        let outcome = Arc::new(SharedPromise::new());
        progress.send(Mail::Move(Move { to, outcome: Arc::clone(&outcome) }));
        Ok(outcome)
    }

    /// Leaves a group to others until [`balance`](Self::balance) or the next start, even if this server should
    /// lead it. It keeps the group while it leads it.
    ///
    /// # Errors
    /// [`NotMoved::NoSuchGroup`].
    pub fn leave(&self, group: u16) -> Result<(), NotMoved> {
        self.group(group)?.send(Mail::Claim(false));
        Ok(())
    }

    /// Hands over all that this server leads, and claims nothing until [`balance`](Self::balance) or its next
    /// start. It keeps serving. [`leads_nothing_it_could_hand_over`](Self::leads_nothing_it_could_hand_over)
    /// says when it is done.
    pub fn drain(&self) {
        self.shared.progress.drain.begin();
        self.shared.progress.drain_changed();
    }

    /// Ends a [drain](Self::drain), and claims at once all groups that this server should lead and others lead.
    pub fn balance(&self) {
        let progress = &self.shared.progress;
        progress.drain.end();
        progress.drain_changed();
        progress.epoch().groups.iter().for_each(|group| group.send(Mail::Claim(true)));
    }

    /// Prepares for the end: hands over all that this server leads, and refuses commands from now on. What is
    /// under way goes on. Stop the engine when callers have their outcomes.
    pub fn retire(&self) {
        self.shared.progress.drain.retire();
        self.shared.progress.drain_changed();
        self.shared.progress.watchers.changed();
    }

    /// Whether this server is about to stop.
    pub fn is_retiring(&self) -> bool {
        self.shared.progress.drain.is_retiring()
    }

    /// Whether this server leads no group that another server could take over now.
    pub fn leads_nothing_it_could_hand_over(&self) -> bool {
        let could = |group: &GroupProgress| group.leads.load(SeqCst) && group.has_successor.load(SeqCst);
        !self.shared.progress.epoch().groups.iter().any(could)
    }

    fn group(&self, group: u16) -> Result<&GroupProgress, NotMoved> {
        let groups = &self.shared.progress.epoch().groups;
        let found = usize::from(group).checked_sub(1).and_then(|index| groups.get(index));
        found.ok_or(NotMoved::NoSuchGroup { group, groups: groups.len() as u16 })
    }
}

/// Where the outcome of a move arrives.
type Outcome = Arc<SharedPromise<Result<(), NotMoved>>>;

fn standing(follower: &Follower) -> FollowerStanding {
    FollowerStanding {
        server: follower.server,
        behind: follower.behind,
        unfit: follower.unfit.map(|why| why.to_string()),
    }
}
