//! Following a server: its part of the global log, what it is doing, and its snapshots.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use niagara_sequencer::GlobalPosition;

use super::handle::Client;
use super::shared::Shared;
use crate::progress::PeerRefusal;
use crate::snapshot::SnapshotTicket;
use crate::state_machine::StateMachine;
use crate::subscription::{Compacted, Subscription};
use crate::watch::{EngineState, EngineView, Leadership, Watch, Watched, Watchers};

impl<S: StateMachine> Client<S> {
    /// Subscribes to the commands that this server executes, from this position of the global log on; it may
    /// be in the future. [`Subscription`] has an example.
    ///
    /// Executed commands are kept for subscribers, up to
    /// [`Config::subscription_bytes`](crate::Config::subscription_bytes), while there is one, or always with
    /// [`Config::keep_history`](crate::Config::keep_history).
    ///
    /// # Errors
    /// If the position is not kept; says from where a subscription may begin.
    pub fn subscribe(&self, from: GlobalPosition) -> Result<Subscription, Compacted> {
        Subscription::begin(Arc::clone(&self.shared.feed), Some(from))
    }

    /// Subscribes to the commands that this server executes from now on.
    pub fn subscribe_from_now(&self) -> Subscription {
        let begun = Subscription::begin(Arc::clone(&self.shared.feed), None);
        begun.expect("a subscription that may begin anywhere begins")
    }

    /// Watches what this server is doing, and who leads. [`Watch`] has an example.
    pub fn watch(&self) -> Watch {
        Watch::begin(Arc::<Shared<S>>::clone(&self.shared))
    }

    /// Requests a snapshot of this server's state as soon as possible, however little has been written since
    /// the last one. Taking it holds up nothing; [`Status::snapshot`](crate::Status::snapshot) reports its
    /// progress, and the ticket its end. If nothing has changed since the last snapshot, that one is it.
    pub fn snapshot(&self) -> SnapshotTicket {
        self.shared.snapshot()
    }
}

impl<S: StateMachine> Shared<S> {
    /// Lets those who watch look, if there is something new.
    pub(super) fn look_for_watchers(&self) {
        self.has_joined();
        self.progress.watchers.look(|| self.view());
    }

    /// Whether the server has ever known all leaders and caught up. Whoever finds out first notes it: a leader
    /// may be lost again before the next tick.
    fn has_joined(&self) -> bool {
        let watchers = &self.progress.watchers;
        if !watchers.has_joined() && self.progress.is_in_touch() && self.has_caught_up() {
            watchers.joined();
        }
        watchers.has_joined()
    }

    fn has_caught_up(&self) -> bool {
        match &self.progress.follows {
            None => !self.progress.epoch().lags(),
            Some(followed) => {
                let known = followed.position();
                known > 0 && known <= self.progress.applied.load(SeqCst)
            }
        }
    }

    fn state(&self) -> EngineState {
        let progress = &self.progress;
        if progress.watchers.has_stopped() {
            return EngineState::Stopped;
        }
        if let Some(epoch) = progress.removal.since() {
            return EngineState::Removed { epoch: epoch.get() };
        }
        if progress.is_stopping.load(SeqCst) || progress.drain.is_retiring() {
            return EngineState::Stopping;
        }
        if let Some(why) = progress.divergence.told().filter(|_| progress.divergence.is_diverged()) {
            return EngineState::Diverged { why };
        }
        let is_in_touch = progress.is_in_touch();
        let refusal =
            || progress.refusals.between(&self.members()).into_iter().find(|refusal| !refusal.by_us);
        if !is_in_touch && let Some(PeerRefusal { peer: Some(by), why, .. }) = refusal() {
            return EngineState::Refused { by, why };
        }
        if !self.has_joined() {
            return EngineState::Joining;
        }
        let is_alone = progress.follows.is_some() && !is_in_touch;
        if is_alone || progress.epoch().is_leaderless(self.leaderless_ticks) {
            return EngineState::LostQuorum;
        }
        if progress.room.is_lacking() { EngineState::ReadOnly } else { EngineState::Serving }
    }
}

impl<S: StateMachine> Watched for Shared<S> {
    fn view(&self) -> EngineView {
        let leaders = self.progress.epoch().groups.iter().zip(1..).map(|(group, number)| Leadership {
            group: number,
            leader: Some(group.leader.load(SeqCst)).filter(|leader| *leader != 0),
            term: group.term.load(SeqCst),
        });
        EngineView { state: self.state(), leaders: leaders.collect() }
    }

    fn watchers(&self) -> &Watchers {
        &self.progress.watchers
    }
}
