//! One front-end thread: polls its sockets, serves the connections that have something to do, and hands their
//! requests to the engine, all once per turn. How connections come and go is in `arrivals` and `departures`, and how
//! messages come to subscribers in `messages`, changes to watchers in `streams`, and to those who keep what they have read in
//! `trackers`.

mod arrivals;
mod departures;
mod messages;
mod streams;
mod trackers;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use niagara_engine::{Completion, Wake};
use niagara_tls::Acceptor;
use parking_lot::Mutex;

use super::addresses::{Addresses, Share};
use super::allowance::Allowance;
use super::budget::{Budget, Level};
use super::config::FrontEndConfig;
use super::connection::{Connection, Fate, READ_BYTES, Readiness};
use super::evicting::Evicting;
use super::limits::Place;
use super::listener::Listener;
use super::metrics::{FrontMetrics, Tally};
use super::pace::Pace;
use super::portion;
use super::reporting::Reporting;
use super::session::Turn;
use super::slot::EngineAnswer;
use super::table::Table;
use super::timekeeping::Timekeeping;
use super::token::Origin;
use crate::access::Guard;
use crate::changes::Lookout;
use crate::clients::{Clients, Paused};
use crate::handover::Handover;
use crate::http::{Clock, Site};
use crate::protocol::{Engine, Wire};
use crate::pubsub::{Audience, Heard};
use crate::resp::RedisSite;
use crate::time::{ClusterTime, Moment};
use crate::tracking::Trackers;
use crate::{Life, Reply};

const WAKER: Token = Token(0);
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

/// An accepted connection on its way to another thread.
struct Newcomer {
    stream: TcpStream,
    peer: SocketAddr,
    port: Port,
    place: Place,
    /// What its address holds, if it counts among the address's connections.
    share: Option<Arc<Share>>,
}

/// What is spoken at a listener.
#[derive(Clone, Copy)]
struct Port {
    wire: Wire,
    tls: bool,
}

/// What other threads tell a thread.
pub(super) struct Mailbox {
    waker: mio::Waker,
    newcomers: Mutex<Vec<Newcomer>>,
}

impl Mailbox {
    pub(super) fn new(poll: &Poll) -> io::Result<Mailbox> {
        Ok(Mailbox { waker: mio::Waker::new(poll.registry(), WAKER)?, newcomers: Mutex::default() })
    }

    fn send(&self, newcomer: Newcomer) {
        self.newcomers.lock().push(newcomer);
        self.wake();
    }
}

impl Wake for Mailbox {
    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake a front-end thread; it resumes at its next timeout");
        }
    }
}

/// What all front-end threads of a server share.
pub(super) struct Common {
    /// With the bound addresses.
    pub(super) config: FrontEndConfig,
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) metrics: Arc<FrontMetrics>,
    pub(super) stopping: AtomicBool,
    pub(super) open: AtomicUsize,
    pub(super) addresses: Addresses,
    pub(super) budget: Arc<Budget>,
    /// The most that a connection of each thread holds, or has held lately.
    pub(super) heaviest: Vec<AtomicUsize>,
    pub(super) next_id: AtomicU64,
    /// Those of the Redis port.
    pub(super) clients: Arc<Clients>,
    /// The time of the cluster, which the first thread keeps.
    pub(super) time: Arc<ClusterTime>,
    /// Of all that this server leads.
    pub(super) handover: Arc<Handover>,
    /// Who may use the server.
    pub(super) guard: Arc<Guard>,
    /// What clients that speak TLS are accepted with.
    pub(super) acceptor: Option<Arc<Acceptor>>,
}

impl Common {
    /// What each client of an address is allowed now, if these hold so much together.
    fn allowance(&self, held_by_address: usize) -> Allowance {
        let level = self.budget.level_of(held_by_address, self.addresses.count());
        Allowance::at(level, self.config.client_output)
    }

    /// The same at a thread with this pace.
    fn allowance_at(&self, pace: &Pace, held_by_address: usize) -> Allowance {
        let is_paced = self.budget.is_paced(held_by_address, self.addresses.count());
        Allowance { left: is_paced.then(|| pace.left()), ..self.allowance(held_by_address) }
    }
}

/// See the [module](self).
pub(super) struct Worker<E: Engine> {
    number: usize,
    common: Arc<Common>,
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
        common: Arc<Common>,
        poll: Poll,
        engine: E,
        listeners: Vec<Listener>,
    ) -> Self {
        let site = Site {
            clock: Clock::new(SystemTime::now()),
            http: common.config.http,
            redis: common.config.redis,
            tls: common.config.tls.as_ref().map(|tls| (tls.http, tls.redis)),
            life: Life::random(),
            members: common.config.members.clone(),
            members_https: common.config.members_https.clone(),
            names: common.config.names(),
            lookout: Lookout::new(Arc::<Mailbox>::clone(&common.mailboxes[number]) as Arc<dyn Wake>),
            handover: Arc::clone(&common.handover),
        };
        let failover = common.config.failover.clone();
        let redis =
            RedisSite::new(engine.server(), common.config.redis, failover, Arc::clone(&common.handover));
        let wake: Arc<dyn Wake> = Arc::<Mailbox>::clone(&common.mailboxes[number]);
        let audience = Audience::new(Arc::clone(engine.reader().hub()), wake);
        let tracking = engine.reader().tracking();
        tracking.set_most_bytes(common.config.tracking);
        let wake: Arc<dyn Wake> = Arc::<Mailbox>::clone(&common.mailboxes[number]);
        let trackers = Trackers::new(Arc::clone(tracking), wake);
        let timekeeping = (number == 0 && !engine.follows()).then(|| {
            let wake: Arc<dyn Wake> = Arc::<Mailbox>::clone(&common.mailboxes[0]);
            Timekeeping::new(&common.time, &engine, wake, Life::random().get(), Instant::now())
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
            common,
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
        if !self.common.stopping.load(Ordering::Acquire) {
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
        let pausing = self.held_up.and_then(|_| self.common.clients.pausing(Instant::now()));
        let pause = self.held_up.map(|_| pausing.map_or_else(Instant::now, |pausing| pausing.until));
        let report = self.reporting.as_ref().and_then(Reporting::due);
        let evict = self.evicting.as_ref().and_then(Evicting::due);
        let handover = self.common.handover.due();
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
        self.common.metrics.add(&mut self.tally);
    }

    /// Serves the connections that have something to do.
    fn serve(&mut self, now: Instant, wall: SystemTime) {
        self.hear(now);
        self.say_farewell(now);
        self.watch();
        self.notice_room();
        self.resume_paced(now);
        self.end_killed();
        self.notice_pause(now);
        let mut active = self.work(now);
        if let Some(timekeeping) = &mut self.timekeeping
            && self.stop_at.is_none()
        {
            let wall = wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
            timekeeping.turn(Moment { steady: now, wall }, &mut self.engine);
        }
        if let Some(reporting) = &mut self.reporting
            && self.stop_at.is_none()
        {
            reporting.turn(now, &mut self.engine);
        }
        if let Some(evicting) = &mut self.evicting
            && self.stop_at.is_none()
        {
            evicting.turn(now, &mut self.engine);
        }
        self.common.handover.turn(now, &self.engine);
        self.engine.flush();
        self.send(&mut active, now);
        if self.stop_at.is_some() {
            // Nothing is read any more, so what waits is sent, or waits for its socket.
            for index in active.drain(..) {
                self.table.get_mut(index).expect("active connections exist").listed = false;
            }
        }
        self.active = active;
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
        let was_full = std::mem::replace(&mut self.is_full, self.common.budget.level() == Level::Full);
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
        let paused = self.common.clients.pausing(now).map(|pausing| pausing.what);
        if paused < Some(held_up) {
            self.held_up = None;
            let Worker { table, active, .. } = self;
            table.iter_mut().for_each(|(index, connection)| list(active, index, connection));
        }
    }

    /// Hands completions to their connections, if these still exist, and serves the connections that have
    /// something to do. Returns those.
    fn work(&mut self, now: Instant) -> Vec<u32> {
        let mut completions = std::mem::take(&mut self.completions);
        self.engine.collect(&mut completions);
        // What has happened before these is heard before these are printed.
        self.hear_changes(now);
        let Worker {
            number, engine, tally, command, table, active, streaming, common, held_up, pace, ..
        } = self;
        let time = common.time.at(now);
        let allowance = common.allowance(0);
        let mut turn = Turn { allowance, engine, now, time, tally, command };
        for completion in completions.drain(..) {
            let (token, answer) = EngineAnswer::from(completion);
            let (origin, sequence) = Origin::of(token);
            if let Some(connection) = table.get_exact(origin) {
                connection.complete(sequence, answer, &mut turn);
                list(active, origin.index, connection);
            }
        }
        let active = std::mem::take(active);
        let most = portion::to_read(active.len());
        if self.stop_at.is_none() {
            for &index in &active {
                let connection = table.get_mut(index).expect("connections are closed at the end of a turn");
                turn.allowance = common.allowance_at(pace, connection.held_by_address());
                // To read nothing would look like the end of the stream.
                let most = turn.allowance.left.map_or(most, |left| most.min(left).max(1));
                let read = connection.serve(&mut turn, &mut self.buffer, most);
                if turn.allowance.left.is_some() {
                    pace.take(read);
                }
                connection.settle(&common.budget);
                common.heaviest[*number].fetch_max(connection.counted(), Ordering::Relaxed);
                if connection.is_held_up() {
                    let paused = common.clients.pausing(now).map_or(Paused::Writes, |pausing| pausing.what);
                    *held_up = (*held_up).max(Some(paused));
                }
                if connection.streams() {
                    streaming.insert(index);
                } else if !streaming.is_empty() {
                    streaming.remove(&index);
                }
            }
        }
        self.completions = completions;
        self.tell_trackers(active, now)
    }

    /// Sends replies, closes what is over, and leaves in `active` what has to be served again.
    fn send(&mut self, active: &mut Vec<u32>, now: Instant) {
        // Once it stops, no further turn may come.
        let most = if self.stop_at.is_none() { portion::to_send(active.len()) } else { usize::MAX };
        active.retain(|&index| {
            let connection = self.table.get_mut(index).expect("connections are closed at the end of a turn");
            connection.listed = false;
            let allowance = self.common.allowance_at(&self.pace, connection.held_by_address());
            let fate = connection.send(most, allowance, now);
            connection.settle(&self.common.budget);
            match fate {
                Fate::Wait => {
                    let waits = allowance.is_paused() && connection.may_have_unread();
                    if waits && !std::mem::replace(&mut connection.waits_for_pace, true) {
                        self.pace.wait(index);
                    }
                    false
                }
                Fate::Again => {
                    connection.listed = true;
                    true
                }
                Fate::Close => {
                    drop(self.close(index));
                    false
                }
            }
        });
    }
}

/// Lists a connection for this turn, once.
fn list<L: Copy>(active: &mut Vec<u32>, index: u32, connection: &mut Connection<L>) {
    if !std::mem::replace(&mut connection.listed, true) {
        active.push(index);
    }
}
