//! One channel's loop: waits, reads, dials, and reports events.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::admission::Admission;
use crate::config::{LinkConfig, OpenError};
use crate::counters::Counters;
use crate::event::Event;
use crate::frame::Frame;
use crate::links::{Links, Sent};
use crate::listener::Listener;
use crate::resolve::Resolver;
use crate::socket;
use crate::waker::Waker;

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// Readiness events fetched per call. The rest comes with the next call.
const EVENTS_PER_POLL: usize = 256;

/// Connections accepted per turn, so that a flood of them leaves time for messages.
const ACCEPTS_PER_TURN: usize = 64;

/// One channel of one server: its listener, one connection per peer, and its own epoll.
///
/// It belongs to one thread, which calls [`turn`](Transport::turn) in a loop, queues messages with
/// [`send`](Transport::send), and writes them with [`flush`](Transport::flush). Other threads end its sleep
/// with a [`Waker`]. Messages to one peer arrive whole and in order as long as the connection lives, and may
/// be lost with it: resend them if you need more. The peers' identities are checked, not proved: use channels
/// on a network where no one forges them.
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, Instant};
///
/// use bytes::Bytes;
/// use niagara_net::{AdmitAll, Event, Frame, Hello, LinkConfig, Peer, Transport};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hello = |server| Hello { cluster: 0xc1, server, channel: 0, channels: 1, store: 0, ..Hello::default() };
/// let listen = "127.0.0.1:0".parse()?;
/// // Server 2 dials server 1, so server 1 needs no address of it.
/// let peer = |server, address: String| vec![Peer { server, address }];
/// let mut one = Transport::open(LinkConfig::new(hello(1), listen, peer(2, String::new())), Arc::new(AdmitAll))?;
/// let address = one.local_addr().to_string();
/// let mut two = Transport::open(LinkConfig::new(hello(2), listen, peer(1, address)), Arc::new(AdmitAll))?;
///
/// // Usually each has a thread of its own; here they take turns.
/// let mut events = Vec::new();
/// let mut received = None;
/// while received.is_none() {
///     two.turn(Instant::now(), Some(Duration::from_millis(1)), || true, &mut events)?;
///     for event in events.drain(..) {
///         if event == (Event::Up { peer: 1 }) {
///             two.send(1, Frame::from(Bytes::from_static(b"hello")));
///             two.flush();
///         }
///     }
///     one.turn(Instant::now(), Some(Duration::from_millis(1)), || true, &mut events)?;
///     for event in events.drain(..) {
///         if let Event::Frame { from: 2, body } = event {
///             received = Some(body);
///         }
///     }
/// }
/// assert_eq!(received.unwrap(), "hello");
/// # Ok(())
/// # }
/// ```
pub struct Transport {
    poll: Poll,
    ready: Events,
    waker: Waker,
    listener: Listener,
    local: SocketAddr,
    links: Links,
}

impl Transport {
    /// Listens, and starts to dial the peers with lower ids at the first turn.
    ///
    /// # Errors
    ///
    /// If a setting is out of range, the address cannot be listened on, or connections cannot be bound as
    /// configured. The error names the setting or address and says what to do.
    pub fn open(config: LinkConfig, admission: Arc<dyn Admission>) -> Result<Transport, OpenError> {
        config.validate()?;
        socket::probe_binding(&config)?;
        let listener = socket::listen(&config)?;
        Self::open_with(listener, config, admission)
    }

    /// The same with a socket that listens already, instead of [`listen`](LinkConfig::listen): its port was
    /// chosen, and told to others, before anybody could take it away.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_on(
        listener: std::net::TcpListener,
        config: LinkConfig,
        admission: Arc<dyn Admission>,
    ) -> Result<Transport, OpenError> {
        config.validate()?;
        socket::probe_binding(&config)?;
        let unusable = |source| OpenError::Listen { address: config.listen, source };
        listener.set_nonblocking(true).map_err(unusable)?;
        Self::open_with(TcpListener::from_std(listener), config, admission)
    }

    fn open_with(
        mut listener: TcpListener,
        config: LinkConfig,
        admission: Arc<dyn Admission>,
    ) -> Result<Transport, OpenError> {
        let local =
            listener.local_addr().map_err(|source| OpenError::Listen { address: config.listen, source })?;

        let prepare = || -> io::Result<Transport> {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKER)?;
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            let registry = poll.registry().try_clone()?;
            let resolver = Resolver::new(waker.clone());
            let links = Links::new(config, admission, registry, resolver, FIRST_CONNECTION);
            let (ready, listener) = (Events::with_capacity(EVENTS_PER_POLL), Listener::new(listener));
            Ok(Transport { poll, ready, waker, listener, local, links })
        };
        prepare().map_err(|source| OpenError::Poll { source })
    }

    /// The listening address; if the configured port is 0, with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Lets other threads end this transport's sleep.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// One turn of the owner's loop: writes what has not been flushed, waits for sockets, a wake-up or
    /// `timeout` (`None` waits without limit), reads, accepts, dials, and appends what happened to `events`.
    ///
    /// `now` is the current time, which the caller usually knows already. `may_sleep` is the caller's last
    /// check of its own queues: it is called after the transport has announced that it sleeps, so whoever
    /// publishes work after this check will wake it. If it returns false, or if the transport itself has work
    /// to do, the turn only polls the sockets. The wait is counted in whole milliseconds, rounded up, and cut
    /// short when a dial or a greeting is due.
    ///
    /// # Errors
    ///
    /// If waiting itself failed, which does not happen to a sound process. What happens to connections is an
    /// event.
    pub fn turn(
        &mut self,
        now: Instant,
        timeout: Option<Duration>,
        may_sleep: impl FnOnce() -> bool,
        events: &mut Vec<Event>,
    ) -> io::Result<()> {
        self.links.flush();
        let timeout = self.wait_at_most(now, timeout);
        let now = self.wait(now, timeout, may_sleep)?;

        for event in &self.ready {
            match event.token() {
                WAKER => {}
                LISTENER => self.listener.now_ready(),
                _ => self.links.on_ready(event, now),
            }
        }
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(stream) = self.listener.accept(now) else { break };
            self.links.accept(stream, now);
        }
        self.links.read(now);
        // Only now, since the bytes just read may complete a greeting in time.
        self.links.expire(now);
        self.links.dial_resolved(now);
        self.links.dial_due(now);
        events.append(&mut self.links.events);
        Ok(())
    }

    /// How long this turn may wait.
    fn wait_at_most(&self, now: Instant, timeout: Option<Duration>) -> Option<Duration> {
        if self.links.is_busy() || self.listener.is_busy() {
            return Some(Duration::ZERO);
        }
        let deadline = self.links.next_deadline().into_iter().chain(self.listener.next_deadline()).min();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        left.into_iter().chain(timeout).min()
    }

    /// Fetches readiness events, and sleeps if necessary. Returns the time afterwards.
    fn wait(
        &mut self,
        now: Instant,
        timeout: Option<Duration>,
        may_sleep: impl FnOnce() -> bool,
    ) -> io::Result<Instant> {
        let (mut timeout, links, waker) = (timeout, &mut self.links, &self.waker);
        let polled = if timeout == Some(Duration::ZERO) {
            self.poll.poll(&mut self.ready, timeout)
        } else {
            // Other threads fill both queues, so both are checked after the announcement.
            let may_sleep = || !links.dial_resolved(now) && may_sleep();
            waker.flag().sleep(may_sleep, |may_sleep| {
                if !may_sleep {
                    timeout = Some(Duration::ZERO);
                }
                self.poll.poll(&mut self.ready, timeout)
            })
        };
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            // After a sleep the caller's time is stale, and deadlines derived from it would be too early.
            _ if timeout != Some(Duration::ZERO) => Ok(Instant::now()),
            _ => Ok(now),
        }
    }

    /// Queues a message for a server, to be written by the next [`flush`](Transport::flush).
    ///
    /// The queue holds `send_queue_bytes`; a message that does not fit is dropped whole. An empty queue takes
    /// any message up to `max_frame_bytes`.
    pub fn send(&mut self, to: u64, frame: Frame) -> Sent {
        self.links.send(to, frame)
    }

    /// Writes what is queued, with one call per peer for many messages, as far as the sockets take it. The
    /// next turns write the rest automatically.
    pub fn flush(&mut self) {
        self.links.flush();
    }

    /// Bytes of messages to this server that are queued here and not yet in the kernel; `None` if it is not
    /// connected.
    pub fn queued_bytes(&self, peer: u64) -> Option<usize> {
        self.links.queued_bytes(peer)
    }

    /// Whether messages to this server can be sent now.
    pub fn is_connected(&self, peer: u64) -> bool {
        self.links.is_connected(peer)
    }

    /// Totals since the transport was opened.
    pub fn counters(&self) -> Counters {
        Counters { accept_errors: self.listener.errors, ..self.links.counters }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = self.counters();
        f.debug_struct("Transport")
            .field("local", &self.local)
            .field("counters", &counters)
            .finish_non_exhaustive()
    }
}
