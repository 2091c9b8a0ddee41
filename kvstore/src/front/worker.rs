//! One front-end thread: polls its sockets, serves the connections that have something to do, and hands their
//! requests to the engine, all once per turn: `serving`. How connections come and go is in `arrivals` and `departures`, and how
//! messages come to subscribers in `messages`, changes to watchers in `streams`, and to those who keep what they have read in
//! `trackers`.

mod arrivals;
mod departures;
mod messages;
mod serving;
mod streams;
mod trackers;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use mio::{Events, Poll, Token};
use niagara_engine::{Completion, Wake};

use super::budget::Level;
use super::connection::{Connection, READ_BYTES, Readiness};
use super::evicting::Evicting;
use super::listener::Listener;
use super::mailbox::Mailbox;
use super::metrics::Tally;
use super::pace::Pace;
use super::reporting::Reporting;
use super::shared::Shared;
use super::table::Table;
use super::timekeeping::Timekeeping;
use super::token::Origin;
use crate::changes::Lookout;
use crate::clients::Paused;
use crate::http::{Clock, Site};
use crate::protocol::Engine;
use crate::pubsub::{Audience, Heard};
use crate::resp::RedisSite;
use crate::tracking::Trackers;
use crate::{Life, Reply};

const FIRST_LISTENER: usize = 1;
const FIRST_CONNECTION: usize = 64;

/// Events taken from one poll. What does not fit comes with the next.
const EVENTS: usize = 1024;

/// How often a thread with connections looks for clients whose time is up.
const SWEEP: Duration = Duration::from_secs(1);

/// While nothing is read because memory is used up, how often a thread looks whether that has changed.
const FULL_LOOK: Duration = Duration::from_millis(10);

/// How long a stopping thread waits for the outcomes of what is in flight.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// See the [module](self).
pub(super) struct Worker<E: Engine> {
    number: usize,
    shared: Arc<Shared>,
    poll: Poll,
    engine: E,
    site: Rc<Site>,
    redis: Rc<RedisSite>,
    audience: Rc<RefCell<Audience>>,
    trackers: Rc<RefCell<Trackers>>,
    /// Who hears a message; empty between them.
    heard: Vec<Heard>,
    /// The connections with replies without an end of their own.
    streaming: BTreeSet<u32>,
    /// Subscribers know that the server is about to stop.
    has_said_farewell: bool,
    /// Only the first thread has any.
    listeners: Vec<Listener>,
    table: Table<Connection<E::Lane>>,
    /// Connections that came when there was no room for more clients, oldest first; only on the thread that
    /// accepts.
    pages: VecDeque<Origin>,
    /// The connections to be served in this turn.
    active: Vec<u32>,
    completions: Vec<Completion<Reply>>,
    tally: Tally,
    /// Only on the first thread.
    timekeeping: Option<Timekeeping>,
    /// Only on the first thread.
    reporting: Option<Reporting>,
    /// Only on the first thread of a member.
    evicting: Option<Evicting>,
    command: Vec<u8>,
    buffer: Vec<u8>,
    /// The thread that gets the next newcomer.
    next: usize,
    next_sweep: Instant,
    /// Nothing is read, since memory is used up.
    is_full: bool,
    pace: Pace,
    /// What the pause was that holds some connections up; `None`: it holds up none.
    held_up: Option<Paused>,
    accept_again: Option<Instant>,
    stop_at: Option<Instant>,
}

impl<E: Engine> Worker<E> {
    pub(super) fn new(
        number: usize,
        shared: Arc<Shared>,
        poll: Poll,
        engine: E,
        listeners: Vec<Listener>,
    ) -> Self {
        let site = Site {
            clock: Clock::new(SystemTime::now()),
            http: shared.config.http,
            redis: shared.config.redis,
            tls: shared.config.tls.as_ref().map(|tls| (tls.http, tls.redis)),
            life: Life::random(),
            members: shared.config.members.clone(),
            members_https: shared.config.members_https.clone(),
            names: shared.config.names(),
            lookout: Lookout::new(Arc::<Mailbox>::clone(&shared.mailboxes[number]) as Arc<dyn Wake>),
            handover: Arc::clone(&shared.handover),
        };
        let failover = shared.config.failover.clone();
        let redis =
            RedisSite::new(engine.server(), shared.config.redis, failover, Arc::clone(&shared.handover));
        let wake: Arc<dyn Wake> = Arc::<Mailbox>::clone(&shared.mailboxes[number]);
        let audience = Audience::new(Arc::clone(engine.reader().hub()), wake);
        let tracking = engine.reader().tracking();
        tracking.set_most_bytes(shared.config.tracking);
        let wake: Arc<dyn Wake> = Arc::<Mailbox>::clone(&shared.mailboxes[number]);
        let trackers = Trackers::new(Arc::clone(tracking), wake);
        let timekeeping = (number == 0 && !engine.follows()).then(|| {
            let wake: Arc<dyn Wake> = Arc::<Mailbox>::clone(&shared.mailboxes[0]);
            Timekeeping::new(&shared.time, &engine, wake, Life::random().get(), Instant::now())
        });
        let reporting = (number == 0).then(|| Reporting::new(engine.reader().clone()));
        let evicting = timekeeping.is_some().then(|| Evicting::new(engine.reader().clone()));
        Worker {
            number,
            poll,
            engine,
            timekeeping,
            reporting,
            evicting,
            site: Rc::new(site),
            redis: Rc::new(redis),
            audience: Rc::new(RefCell::new(audience)),
            trackers: Rc::new(RefCell::new(trackers)),
            heard: Vec::new(),
            streaming: BTreeSet::new(),
            has_said_farewell: false,
            listeners,
            table: Table::default(),
            pages: VecDeque::new(),
            active: Vec::new(),
            completions: Vec::new(),
            tally: Tally::default(),
            command: Vec::new(),
            buffer: vec![0; READ_BYTES],
            next: 0,
            next_sweep: Instant::now(),
            is_full: false,
            pace: Pace::default(),
            held_up: None,
            accept_again: None,
            stop_at: None,
            shared,
        }
    }

    /// Most listeners.
    pub(super) const MAX_LISTENERS: usize = FIRST_CONNECTION - FIRST_LISTENER;

    /// Where a listener is registered.
    pub(super) fn listener_token(number: usize) -> Token {
        Token(FIRST_LISTENER + number)
    }

    /// Serves until the front ends stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_finished() {
            self.sleep(&mut events);
            self.turn(&events);
        }
    }

    fn is_finished(&mut self) -> bool {
        if !self.shared.stopping.load(Ordering::Acquire) {
            return false;
        }
        // From now on no client is accepted and no request started.
        if self.stop_at.is_none() && self.engine.is_retiring() {
            self.refuse_the_last();
        }
        self.listeners.clear();
        let stop_at = *self.stop_at.get_or_insert_with(|| Instant::now() + STOP_PATIENCE);
        Instant::now() >= stop_at || self.table.iter().all(|(_, connection)| connection.is_idle())
    }

    /// Accepts those who have come meanwhile, and refuses what they and all others have sent. Clients would not
    /// know what became of requests that are in the sockets when these are closed.
    fn refuse_the_last(&mut self) {
        let now = Instant::now();
        self.listeners.iter_mut().for_each(Listener::ready);
        self.accept(now);
        self.welcome_newcomers();
        let Worker { table, active, .. } = self;
        for (index, connection) in table.iter_mut() {
            connection.ready(Readiness { readable: true, ..Readiness::default() });
            list(active, index, connection);
        }
        self.serve(now, SystemTime::now());
    }

    fn sleep(&mut self, events: &mut Events) {
        let timeout = if !self.active.is_empty() || !self.engine.may_sleep() {
            Some(Duration::ZERO)
        } else {
            self.patience()
        };
        let polled = self.poll.poll(events, timeout);
        self.engine.awake();
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                panic!("cannot wait for sockets: {error}")
            }
            _ => {}
        }
    }

    /// How long nothing needs to be done if nothing happens.
    fn patience(&self) -> Option<Duration> {
        let sweep = (!self.table.is_empty()).then_some(self.next_sweep);
        let time = self.timekeeping.as_ref().and_then(Timekeeping::due);
        let pausing = self.held_up.and_then(|_| self.shared.clients.pausing(Instant::now()));
        let pause = self.held_up.map(|_| pausing.map_or_else(Instant::now, |pausing| pausing.until));
        let report = self.reporting.as_ref().and_then(Reporting::due);
        let evict = self.evicting.as_ref().and_then(Evicting::due);
        let handover = self.shared.handover.due();
        let pace = self.pace.due();
        let next = [sweep, time, report, evict, handover, pause, pace, self.accept_again, self.stop_at];
        let next = next.into_iter().flatten().min();
        let next = next.map(|next| next.saturating_duration_since(Instant::now()));
        if self.is_full { Some(next.map_or(FULL_LOOK, |next| next.min(FULL_LOOK))) } else { next }
    }

    fn turn(&mut self, events: &Events) {
        let (now, wall) = (Instant::now(), SystemTime::now());
        self.site.clock.set(wall);
        for event in events {
            self.notice(event);
        }
        // Who is here already comes first, however many others want to come in.
        self.serve(now, wall);
        self.welcome_newcomers();
        self.accept(now);
        if now >= self.next_sweep {
            self.list_streams();
            self.sweep(now);
        }
        self.shared.metrics.add(&mut self.tally);
    }

    fn notice(&mut self, event: &mio::event::Event) {
        let Some(index) = event.token().0.checked_sub(FIRST_CONNECTION) else {
            if let Some(listener) =
                event.token().0.checked_sub(FIRST_LISTENER).and_then(|n| self.listeners.get_mut(n))
            {
                listener.ready();
            }
            return;
        };
        // An event of a connection that was closed in the same turn may reach its successor, which does no
        // harm.
        let index = index as u32;
        if let Some(connection) = self.table.get_mut(index) {
            connection.ready(event.into());
            list(&mut self.active, index, connection);
        }
    }

    /// Lists all connections that were not read once there is memory again, since no event tells of that.
    fn notice_room(&mut self) {
        let was_full = std::mem::replace(&mut self.is_full, self.shared.budget.level() == Level::Full);
        if was_full && !self.is_full {
            let Worker { table, active, .. } = self;
            let unread = table.iter_mut().filter(|(_, connection)| connection.may_have_unread());
            unread.for_each(|(index, connection)| list(active, index, connection));
        }
    }

    /// Lists those that have waited for another span in which clients are read that hold much, before all others.
    fn resume_paced(&mut self, now: Instant) {
        let waiting = self.pace.advance(now);
        let others = if waiting.is_empty() { return } else { std::mem::take(&mut self.active) };
        for index in waiting {
            if let Some(connection) = self.table.get_mut(index) {
                connection.waits_for_pace = false;
                list(&mut self.active, index, connection);
            }
        }
        self.active.extend(others);
    }

    /// Lists all connections once a pause has ended that has held some of them up.
    fn notice_pause(&mut self, now: Instant) {
        let Some(held_up) = self.held_up else { return };
        let paused = self.shared.clients.pausing(now).map(|pausing| pausing.what);
        if paused < Some(held_up) {
            self.held_up = None;
            let Worker { table, active, .. } = self;
            table.iter_mut().for_each(|(index, connection)| list(active, index, connection));
        }
    }
}

/// Lists a connection for this turn, once.
fn list<L: Copy>(active: &mut Vec<u32>, index: u32, connection: &mut Connection<L>) {
    if !std::mem::replace(&mut connection.listed, true) {
        active.push(index);
    }
}
