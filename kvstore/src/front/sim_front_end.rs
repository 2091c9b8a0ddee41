//! A front-end thread without sockets, for a simulator that carries the bytes itself.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, UNIX_EPOCH};

use niagara_engine::{Client, Completion, LaneId, Port, StateMachine, Wake};

use super::allowance::Allowance;
use super::client_session::{ClientSession, either};
use super::evicting::Evicting;
use super::metrics::Tally;
use super::reporting::Reporting;
use super::session::{Session, Turn};
use super::slot::EngineAnswer;
use super::timekeeping::Timekeeping;
use super::token::{NOBODY, Origin};
use crate::access::{Entrance, Names};
use crate::changes::Lookout;
use crate::clients::{Arrival, Clients};
use crate::command::encode_keep_changes;
use crate::handover::Handover;
use crate::http::{Clock, HttpConnection, Site};
use crate::protocol::{Engine, Input, Output, Unasked};
use crate::pubsub::{Audience, Heard, Subscriber};
use crate::resp::{Failover, RedisSite, RespConnection};
use crate::time::{ClusterTime, Moment};
use crate::tracking::{Redirected, Stale, Tracker, Trackers};
use crate::{KvReader, Life, Reply};

/// Clients' sessions over one port of an engine, served in the same order as on a front-end thread. The
/// caller names connections by numbers, each used once, below 2^20.
pub struct SimFrontEnd<S: StateMachine> {
    port: Port<S>,
    site: Rc<Site>,
    redis: Rc<RedisSite>,
    clients: Arc<Clients>,
    began: Instant,
    audience: Rc<RefCell<Audience>>,
    trackers: Rc<RefCell<Trackers>>,
    conversations: BTreeMap<u32, Conversation>,
    tally: Tally,
    time: Arc<ClusterTime>,
    timekeeping: Timekeeping,
    reporting: Reporting,
    evicting: Evicting,
    bell: Arc<Bell>,
    /// What the clock of the server shows, in milliseconds since 1970.
    wall: u64,
    command: Vec<u8>,
    completions: Vec<Completion<Reply>>,
}

/// Rings when the timekeeper has something to do.
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<S: StateMachine> fmt::Debug for SimFrontEnd<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFrontEnd").field("port", &self.port).finish_non_exhaustive()
    }
}

struct Conversation {
    session: ClientSession<LaneId>,
    input: Input,
    output: Output,
}

/// What clients call the server.
const NAMES: [&str; 1] = ["simulated"];

const MOST_CLIENTS: usize = 1 << 20;

/// No client here is slow to take its replies.
const ALLOWANCE: Allowance = Allowance::SCANT;

/// No thread sleeps here.
struct NeverAsleep;

impl Wake for NeverAsleep {
    fn wake(&self) {}
}

impl<S: StateMachine<Reply = Reply, Reader = KvReader>> SimFrontEnd<S> {
    /// A thread's desk at an engine, without connections. `life` is the name that HTTP requests give to a
    /// state without one. It is the server's only one, and so it keeps the time.
    pub fn new(client: &Client<S>, life: Life, now: Instant) -> SimFrontEnd<S> {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let handover = Arc::<Handover>::default();
        let site = Site {
            // It stands still, since nobody here uses the dates of replies.
            clock: Clock::new(UNIX_EPOCH),
            http: nowhere,
            redis: nowhere,
            tls: None,
            life,
            members: Vec::new(),
            members_https: Vec::new(),
            names: Names::new(NAMES, &[]),
            lookout: Lookout::new(Arc::new(NeverAsleep)),
            handover: Arc::clone(&handover),
        };
        let port = client.port(Arc::new(NeverAsleep));
        let audience = Audience::new(Arc::clone(port.reader().hub()), Arc::new(NeverAsleep));
        let trackers = Trackers::new(Arc::clone(port.reader().tracking()), Arc::new(NeverAsleep));
        let time = Arc::new(ClusterTime::new(now));
        let bell = Arc::new(Bell(AtomicBool::new(true)));
        let wake: Arc<dyn Wake> = Arc::<Bell>::clone(&bell);
        SimFrontEnd {
            timekeeping: Timekeeping::new(&time, &port, wake, life.get() << 16, now),
            reporting: Reporting::new(port.reader().clone()),
            evicting: Evicting::new(port.reader().clone()),
            time,
            bell,
            wall: 0,
            port,
            site: Rc::new(site),
            audience: Rc::new(RefCell::new(audience)),
            trackers: Rc::new(RefCell::new(trackers)),
            redis: Rc::new(RedisSite::new(0, nowhere, Failover::default(), handover)),
            clients: Arc::new(Clients::new([], MOST_CLIENTS, now)),
            began: now,
            conversations: BTreeMap::new(),
            tally: Tally::default(),
            command: Vec::new(),
            completions: Vec::new(),
        }
    }

    /// A Redis client connects.
    pub fn connect_redis(&mut self, number: u32) {
        let subscriber = Subscriber::new(Rc::clone(&self.audience), number.into());
        let site = Rc::clone(&self.redis);
        let entrance = Entrance::open(self.port.reader().directory());
        let arrival = Arrival { id: number.into(), connection: number.into(), ..Arrival::default() };
        let member = self.clients.admit(arrival, self.began);
        let tracker = Tracker::new(Rc::clone(&self.trackers), number.into());
        let redis = RespConnection::new(member, site, (subscriber, tracker), entrance);
        self.adopt(number, |origin| ClientSession::Redis(Session::new(redis, origin)));
    }

    /// An HTTP client connects.
    pub fn connect_http(&mut self, number: u32) {
        let entrance = Entrance::open(self.port.reader().directory());
        let http = HttpConnection::new(Rc::clone(&self.site), entrance);
        self.adopt(number, |origin| ClientSession::Http(Session::new(http, origin)));
    }

    fn adopt(&mut self, number: u32, session: impl FnOnce(Origin) -> ClientSession<LaneId>) {
        let session = session(Origin { index: number, generation: 0 });
        let conversation = Conversation { session, input: Input::default(), output: Output::default() };
        assert!(
            self.conversations.insert(number, conversation).is_none(),
            "connection {number} already exists"
        );
    }

    /// A client disconnects, whatever it waits for.
    pub fn disconnect(&mut self, number: u32) {
        self.conversations.remove(&number);
    }

    /// A client has sent bytes. Nothing happens before the next [`turn`](Self::turn).
    pub fn receive(&mut self, number: u32, mut bytes: &[u8]) {
        let Some(Conversation { session, input, .. }) = self.conversations.get_mut(&number) else { return };
        if let Some((command, missing)) =
            either!(session, session => session.sink()).filter(|_| input.is_empty())
        {
            let (straight, rest) = bytes.split_at(missing.min(bytes.len()));
            command.extend_from_slice(straight);
            bytes = rest;
        }
        while !bytes.is_empty() {
            let space = input.space(bytes.len());
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            input.filled(count);
            bytes = &bytes[count..];
        }
    }

    /// Sets the clock of the server, in milliseconds since 1970.
    pub fn set_wall(&mut self, unix_ms: u64) {
        self.wall = unix_ms;
    }

    /// When a turn is due to keep the time, to report reads, to evict keys or to hand leaderships over, unless one is needed
    /// before.
    pub fn time_due(&self) -> Option<Instant> {
        let handover = self.site.handover.due();
        let all = [self.timekeeping.due(), self.reporting.due(), self.evicting.due(), handover];
        all.into_iter().flatten().min()
    }

    /// When the timekeeper last proposed a command, which it does whether or not clients ask for anything, or reads were last
    /// reported, or an eviction proposed.
    pub fn time_proposed(&self) -> Option<Instant> {
        self.timekeeping.proposed().max(self.reporting.reported()).max(self.evicting.proposed())
    }

    /// Whether the timekeeper has something to do now.
    pub fn has_time_news(&self) -> bool {
        self.bell.0.load(Ordering::SeqCst) || self.timekeeping.has_news()
    }

    /// Whether completions or messages have arrived, so that a turn would do something.
    pub fn has_completions(&self) -> bool {
        let has_heard = self.audience.borrow().has_messages() || self.trackers.borrow().has_news();
        self.port.has_completions() || has_heard || self.site.lookout.has_news()
    }

    /// Prints messages for all who hear them. Those who have missed some are disconnected.
    fn hear(&mut self) {
        let audience = self.audience.borrow();
        let Some(messages) = audience.take_messages() else {
            let deaf = audience.connections();
            drop(audience);
            deaf.iter().for_each(|number| self.disconnect(*number as u32));
            return;
        };
        let mut heard = Vec::new();
        for message in &messages {
            audience.hear(message, &mut heard);
            for Heard { connection, pattern } in heard.drain(..) {
                let conversation = self.conversations.get_mut(&(connection as u32));
                let Conversation { session, output, .. } = conversation.expect("who subscribes is connected");
                let unasked = Unasked::Message { message, pattern: pattern.as_deref() };
                either!(session, session => session.tell(unasked, output));
            }
        }
    }

    /// Tells clients what they must not use any more.
    fn outdate(&mut self, told: Vec<(u64, Stale)>) {
        for (number, stale) in told {
            if let Some(Conversation { session, output, .. }) = self.conversations.get_mut(&(number as u32)) {
                either!(session, session => session.tell(Unasked::Stale(stale), output));
            }
        }
    }

    /// Tells clients what others must not use any more that have them told.
    fn redirect(&mut self) {
        let redirected = self.trackers.borrow_mut().take_redirected();
        for Redirected { connection, to, stale } in redirected {
            if let Some(Conversation { session, output, .. }) = self.conversations.get_mut(&(to as u32)) {
                either!(session, session => session.tell(Unasked::StaleElsewhere(&stale), output));
            } else if let Some(own) = self.conversations.get_mut(&(connection as u32)) {
                let Conversation { session, output, .. } = own;
                either!(session, session => session.tell(Unasked::LostRedirect, output));
            }
        }
    }

    /// One turn of the thread: hands out completions, starts what can be started, and flushes once. Returns
    /// what goes to which client.
    pub fn turn(&mut self, now: Instant) -> Vec<(u32, Vec<u8>)> {
        self.hear();
        self.site.lookout.take_news();
        let must_speak = self.site.lookout.must_speak();
        self.port.collect(&mut self.completions);
        loop {
            let told = self.trackers.borrow_mut().hear();
            let Some(told) = told else { break };
            self.outdate(told);
        }
        let SimFrontEnd { port, conversations, tally, command, completions, timekeeping, .. } = self;
        self.bell.0.store(false, Ordering::SeqCst);
        timekeeping.turn(Moment { steady: now, wall: self.wall }, port);
        self.reporting.turn(now, port);
        self.evicting.turn(now, port);
        self.site.handover.turn(now, &*port);
        if must_speak {
            command.clear();
            encode_keep_changes(command);
            let lane = Engine::choose_lane(port);
            let _ = Engine::propose(port, lane, NOBODY, command);
        }
        let time = self.time.at(now);
        let mut turn = Turn { allowance: ALLOWANCE, engine: port, now, time, tally, command };
        for completion in completions.drain(..) {
            let (token, answer) = EngineAnswer::from(completion);
            let (origin, sequence) = Origin::of(token);
            let Some(Conversation { session, output, .. }) = conversations.get_mut(&origin.index) else {
                continue;
            };
            either!(session, session => session.complete(sequence, answer, output, &mut turn));
        }
        for Conversation { session, input, output } in conversations.values_mut() {
            either!(session, session => session.pump(input, output, &mut turn));
        }
        Engine::flush(port);
        let dropped = self.trackers.borrow_mut().trim();
        self.outdate(dropped);
        self.redirect();
        let replies = self.conversations.iter_mut().map(|(number, session)| (*number, session.output.take()));
        replies.filter(|(_, bytes)| !bytes.is_empty()).collect()
    }
}
