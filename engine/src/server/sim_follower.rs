//! A follower that is driven by hand, for a simulator with its own time, network and disk.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use niagara_net::{Event, Frame};

use super::application::Application;
use super::environment::Environment;
use super::first_state::take_first_state;
use super::followers::{Follower, FollowerParts};
use super::sequencer::{STRETCHES_WAITING, Sequencer};
use super::server_core::Core;
use super::start_error::StartError;
use super::stretch::Stretch;
use crate::client::{Client, Shared};
use crate::clock::Clock;
use crate::config::Config;
use crate::misuse::NoWaiting;
use crate::snapshot::Header;
use crate::state_machine::StateMachine;

/// A follower without threads, as [`SimServer`](super::SimServer) is a member. The caller decides the order.
///
/// | thread | methods |
/// |---|---|
/// | that follows | [`handle`](SimFollower::handle), [`step`](SimFollower::step) |
/// | sequencer | [`merge`](SimFollower::merge), [`tick`](SimFollower::tick) |
/// | application | [`execute`](SimFollower::execute) |
pub struct SimFollower<S: StateMachine> {
    shared: Arc<Shared<S>>,
    clock: Clock,
    follower: Follower<S>,
    sequencer: Sequencer,
    stretches: VecDeque<Stretch>,
    application: Application<S>,
}

impl<S: StateMachine> fmt::Debug for SimFollower<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFollower").field("server", &self.shared.server).finish_non_exhaustive()
    }
}

impl<S: StateMachine> SimFollower<S> {
    /// Starts from its newest snapshot, or from a file of a member's if it has none.
    ///
    /// # Errors
    /// If there is neither.
    pub fn open(
        config: &Config,
        environment: &Environment,
        state: S,
        first: Option<(Arc<Header>, &[u8])>,
    ) -> Result<SimFollower<S>, StartError> {
        config.check()?;
        let parts = FollowerParts::open(config, environment, state, |identity, files| match first {
            Some(first) => take_first_state(config, identity, files, first),
            None => Err(StartError::NoFirstState),
        })?;
        parts.begin(config)?;
        let FollowerParts { core, logs, .. } = parts;
        let Core { shared, sequencer, application, manager, .. } = core;
        let follower = Follower::new(config, &shared, manager, logs);
        let clock = environment.clock.clone();
        Ok(SimFollower { shared, clock, follower, sequencer, stretches: VecDeque::new(), application })
    }

    /// A handle for its clients.
    pub fn client(&self) -> Client<S> {
        Client::new(Arc::clone(&self.shared))
    }

    /// Handles an event on the channel to the members.
    pub fn handle(&mut self, event: Event) {
        self.follower.handle(self.clock.now(), event);
    }

    /// Runs a round of the thread that follows. Returns what it sends, and which members it disconnects.
    pub fn step(&mut self) -> (Vec<(u64, Frame)>, Vec<u64>) {
        let sent = self.follower.step(self.clock.now());
        (sent, self.follower.take_offenders())
    }

    /// Runs a round of the sequencer's thread.
    pub fn merge(&mut self) {
        if self.stretches.len() < STRETCHES_WAITING {
            self.stretches.push_back(self.sequencer.merge_some());
        }
    }

    /// Advances its clock's tick.
    pub fn tick(&mut self) {
        let now = self.clock.now();
        self.shared.expire(now);
        self.sequencer.tick(now);
    }

    /// Runs a round of the application's thread.
    pub fn execute(&mut self) {
        let _execution = NoWaiting::inside("`apply`, `freeze` or `restore`");
        if let Some(stretch) = self.stretches.pop_front() {
            self.application.execute(stretch);
        }
    }
}
