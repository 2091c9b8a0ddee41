//! The thread of a follower that talks to the members: the clock and the sockets around its side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_net::{Event, Transport};
use niagara_sequencer::epoch::Epoch;

use super::channel::open_as_guest;
use super::follower::Follower;
use super::wire::FEED_CHANNEL;
use crate::config::{Config, Member};
use crate::identity::Identity;
use crate::progress::SharedProgress;
use crate::state_machine::StateMachine;

/// After this time without a connection to any member, the other list of addresses is tried.
const OTHER_ADDRESSES_AFTER: Duration = Duration::from_secs(5);

/// What the thread owns or shares.
pub(crate) struct FollowThread<S: StateMachine> {
    config: Config,
    identity: Arc<Identity>,
    progress: Arc<SharedProgress>,
    follower: Follower<S>,
    transport: Box<dyn Transport>,
    /// The members that are dialled, and the epoch since which they are the members.
    dialled: Vec<Member>,
    since: Epoch,
    /// Whether the configuration says where they are, rather than the chain of epochs.
    by_configuration: bool,
    /// Since when there has been no connection.
    alone_since: Option<Instant>,
}

impl<S: StateMachine> FollowThread<S> {
    /// A thread that drives this, connected to these members.
    pub fn new(
        config: &Config,
        identity: &Arc<Identity>,
        progress: &Arc<SharedProgress>,
        follower: Follower<S>,
        transport: Box<dyn Transport>,
        dialled: Vec<Member>,
    ) -> FollowThread<S> {
        FollowThread {
            config: config.clone(),
            identity: Arc::clone(identity),
            since: progress.epoch().since,
            progress: Arc::clone(progress),
            follower,
            transport,
            dialled,
            by_configuration: false,
            alone_since: None,
        }
    }

    /// Runs until the thread is told to stop. An unfinished snapshot is lost then, and nothing else.
    pub fn run(mut self) {
        let mut events = Vec::new();
        while !self.progress.snapshots.is_stopped() {
            self.turn(&mut events);
        }
    }

    fn turn(&mut self, events: &mut Vec<(u32, Event)>) {
        let now = Instant::now();
        let looks = self.alone_since.map(|since| since + OTHER_ADDRESSES_AFTER);
        let due = [self.follower.next_due(now), looks].into_iter().flatten().min();
        let timeout = due.map(|due| due.saturating_duration_since(now));
        let manager = &self.follower.manager;
        let mut may_sleep = || !manager.is_due(Instant::now());
        let waited = self.transport.turn(now, timeout, &mut may_sleep, events);
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        let now = Instant::now();
        for (_, event) in events.drain(..) {
            self.follower.handle(now, event);
        }
        for (to, frame) in self.follower.step(now) {
            let _ = self.transport.send(FEED_CHANNEL, to, frame);
        }
        for peer in self.follower.take_offenders() {
            self.transport.disconnect(FEED_CHANNEL, peer);
        }
        self.transport.flush();
        self.look_where_members_are(now);
    }

    /// Dials the members of now, where they are now.
    fn look_where_members_are(&mut self, now: Instant) {
        let epoch = self.progress.epoch();
        if epoch.since != self.since {
            self.since = epoch.since;
            self.by_configuration = false;
            self.alone_since = None;
        } else if self.follower.following.is_connected() {
            self.alone_since = None;
            return;
        } else if now < *self.alone_since.get_or_insert(now) + OTHER_ADDRESSES_AFTER {
            return;
        } else {
            self.alone_since = Some(now);
            self.by_configuration = !self.by_configuration;
        }
        let members = self.config.followed(&epoch.record, self.by_configuration);
        if members == self.dialled || members.is_empty() {
            return;
        }
        tracing::info!(members = ?members.iter().map(|member| member.server).collect::<Vec<_>>(), "follows these members");
        self.transport.close(FEED_CHANNEL);
        for member in std::mem::take(&mut self.dialled) {
            self.follower.is_down(member.server);
        }
        let opened = open_as_guest(&mut *self.transport, &self.config, &self.identity, &members);
        opened.unwrap_or_else(|error| panic!("cannot go on following: {error}"));
        self.dialled = members;
    }
}
