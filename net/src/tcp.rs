//! Channels over TCP: one epoll for all channels of a thread.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::admission::Admission;
use crate::channel::Channel;
use crate::config::{Dialling, LinkConfig, OpenError};
use crate::counters::Counters;
use crate::event::Event;
use crate::frame::Frame;
use crate::links::Links;
use crate::lobby::Lobby;
use crate::resolve::Resolver;
use crate::slot::{FIRST_CONNECTION, Slot};
use crate::socket;
use crate::switchboard::Switchboard;
use crate::transport::{Sent, Transport};
use crate::waker::Waker;

const WAKER: Token = Token(0);

/// Readiness events fetched per call. The rest comes with the next call.
const EVENTS_PER_POLL: usize = 256;

/// Channels over TCP: for each one connection per peer, and for all of them one epoll. Each address has a listener;
/// channels of several transports can share it through a [`Switchboard`].
///
/// Messages to one peer on one channel arrive whole and in order as long as the connection lives, and may be
/// lost with it: resend them if you need more. The peers' identities are checked, but proved only
/// [with TLS](LinkConfig::tls): without it, use channels on a network where no one forges them.
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, Instant};
///
/// use bytes::Bytes;
/// use niagara_net::{AdmitAll, Event, Frame, Hello, LinkConfig, Peer, TcpTransport, Transport};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let channel = 7;
/// let hello = |server| Hello { cluster: 0xc1, server, channel, channels: 1, store: 0, ..Hello::default() };
/// let listen = "127.0.0.1:0".parse()?;
/// // Server 2 dials server 1, so server 1 needs no address of it.
/// let peer = |server, address: String| vec![Peer { server, address }];
/// let mut one = TcpTransport::new()?;
/// one.open(LinkConfig::new(hello(1), listen, peer(2, String::new())), None, Arc::new(AdmitAll))?;
/// let address = one.local_addr(channel).unwrap().to_string();
/// let mut two = TcpTransport::new()?;
/// two.open(LinkConfig::new(hello(2), listen, peer(1, address)), None, Arc::new(AdmitAll))?;
///
/// // Usually each has a thread of its own; here they take turns.
/// let mut events = Vec::new();
/// let mut received = None;
/// while received.is_none() {
///     two.turn(Instant::now(), Some(Duration::from_millis(1)), &mut || true, &mut events)?;
///     for event in events.drain(..) {
///         if event == (channel, Event::Up { peer: 1 }) {
///             two.send(channel, 1, Frame::from(Bytes::from_static(b"hello")));
///             two.flush();
///         }
///     }
///     one.turn(Instant::now(), Some(Duration::from_millis(1)), &mut || true, &mut events)?;
///     for event in events.drain(..) {
///         if let (_, Event::Frame { from: 2, body }) = event {
///             received = Some(body);
///         }
///     }
/// }
/// assert_eq!(received.unwrap(), "hello");
/// # Ok(())
/// # }
/// ```
pub struct TcpTransport {
    poll: Poll,
    ready: Events,
    waker: Waker,
    board: Arc<Switchboard>,
    lobbies: Vec<Lobby>,
    channels: Vec<Channel>,
    next_slot: u16,
}

impl TcpTransport {
    /// A transport without channels.
    ///
    /// # Errors
    ///
    /// If the system refuses an epoll or an eventfd: the limit of open files may be too low.
    pub fn new() -> Result<TcpTransport, OpenError> {
        TcpTransport::sharing(&Arc::default())
    }

    /// A transport without channels, whose channels may have an address with those of others on the same board.
    ///
    /// # Errors
    ///
    /// As [`new`](TcpTransport::new).
    pub fn sharing(board: &Arc<Switchboard>) -> Result<TcpTransport, OpenError> {
        let prepare = || -> io::Result<TcpTransport> {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKER)?;
            let ready = Events::with_capacity(EVENTS_PER_POLL);
            let (board, lobbies, channels) = (Arc::clone(board), Vec::new(), Vec::new());
            Ok(TcpTransport { poll, ready, waker, board, lobbies, channels, next_slot: 0 })
        };
        prepare().map_err(|source| OpenError::Poll { source })
    }

    fn channel(&self, number: u32) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.number == number)
    }

    fn channel_mut(&mut self, number: u32) -> Option<&mut Channel> {
        self.channels.iter_mut().find(|channel| channel.number == number)
    }

    /// How many attempts to connect to a peer have failed since it was last up, and why the latest did.
    pub(crate) fn failure(&self, channel: u32, peer: u64) -> Option<(usize, String)> {
        self.channel(channel)?.links.failure(peer)
    }

    fn take_slot(&mut self) -> Result<Slot, OpenError> {
        let slot = Slot(self.next_slot);
        self.next_slot = self.next_slot.checked_add(1).ok_or(OpenError::TooManyChannels)?;
        Ok(slot)
    }

    /// How long this turn may wait.
    fn wait_at_most(&self, now: Instant, timeout: Option<Duration>) -> Option<Duration> {
        if self.channels.iter().any(|channel| channel.links.is_busy())
            || self.lobbies.iter().any(Lobby::is_busy)
        {
            return Some(Duration::ZERO);
        }
        let deadlines = self.channels.iter().filter_map(|channel| channel.links.next_deadline());
        let deadline = deadlines.chain(self.lobbies.iter().filter_map(Lobby::next_deadline)).min();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        left.into_iter().chain(timeout).min()
    }

    /// Fetches readiness events, and sleeps if necessary. Returns the time afterwards.
    fn wait(
        &mut self,
        now: Instant,
        timeout: Option<Duration>,
        may_sleep: &mut dyn FnMut() -> bool,
    ) -> io::Result<Instant> {
        let (mut timeout, channels, waker) = (timeout, &mut self.channels, &self.waker);
        let lobbies = &self.lobbies;
        let polled = if timeout == Some(Duration::ZERO) {
            self.poll.poll(&mut self.ready, timeout)
        } else {
            // Other threads fill all these queues, so they are checked after the announcement.
            let has_news =
                |Channel { links, .. }: &mut Channel| links.dial_resolved(now) || links.welcome_arrivals(now);
            let may_sleep =
                || !channels.iter_mut().any(has_news) && !lobbies.iter().any(Lobby::has_news) && may_sleep();
            waker.sleep(may_sleep, |may_sleep| {
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
}

impl Transport for TcpTransport {
    fn open(
        &mut self,
        config: LinkConfig,
        listener: Option<TcpListener>,
        admission: Arc<dyn Admission>,
    ) -> Result<(), OpenError> {
        config.validate()?;
        let number = config.hello.channel;
        if self.channel(number).is_some() {
            return Err(OpenError::RepeatedChannel { channel: number });
        }
        socket::probe_binding(&config)?;
        let lobby = match listener {
            _ if config.dialling == Dialling::Guest => None,
            Some(listener) => Some(socket::listen_on(listener, &config)?),
            None if self.board.listens(config.listen) => None,
            None => Some(socket::listen(&config)?),
        };
        let lobby = lobby.map(|listener| {
            let (slot, registry) = (self.take_slot()?, self.poll.registry().try_clone());
            let lobby = registry.and_then(|registry| {
                let admission = Arc::clone(&admission);
                Lobby::new(slot, listener, &config, admission, registry, &self.board, self.waker.clone())
            });
            lobby.map_err(|source| OpenError::Poll { source })
        });
        let lobby = lobby.transpose()?;
        let local = lobby.as_ref().map_or(config.listen, |lobby| lobby.local);
        let arrivals = self.board.connect(number, local, config.max_pending_connections, self.waker.clone());
        let arrivals = arrivals.ok_or(OpenError::RepeatedChannel { channel: number })?;
        let (slot, resolver) = (self.take_slot()?, Resolver::new(self.waker.clone()));
        let registry = self.poll.registry().try_clone().map_err(|source| OpenError::Poll { source })?;
        let first_token = slot.token(FIRST_CONNECTION).0;
        let links = Links::new(config, admission, registry, resolver, arrivals, first_token);
        self.lobbies.extend(lobby);
        self.channels.push(Channel { number, slot, local, links });
        Ok(())
    }

    /// The listener stays if another channel, of any transport, has the same address.
    fn close(&mut self, channel: u32) {
        self.channels.retain(|open| open.number != channel);
        self.lobbies.retain(|lobby| self.board.is_needed(lobby.local));
    }

    fn local_addr(&self, channel: u32) -> Option<SocketAddr> {
        self.channel(channel).filter(|channel| channel.links.listens()).map(|channel| channel.local)
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The wait is counted in whole milliseconds, rounded up, and cut short when a dial or a greeting is due.
    fn turn(
        &mut self,
        now: Instant,
        timeout: Option<Duration>,
        may_sleep: &mut dyn FnMut() -> bool,
        events: &mut Vec<(u32, Event)>,
    ) -> io::Result<()> {
        self.flush();
        let timeout = self.wait_at_most(now, timeout);
        let now = self.wait(now, timeout, may_sleep)?;
        for event in self.ready.iter().filter(|event| event.token() != WAKER) {
            let slot = Slot::of(event.token());
            // What it is for may have been closed since.
            if let Some(channel) = self.channels.iter_mut().find(|channel| channel.slot == slot) {
                channel.links.on_ready(event, now);
            } else if let Some(lobby) = self.lobbies.iter_mut().find(|lobby| lobby.slot == slot) {
                lobby.on_ready(event);
            }
        }
        self.lobbies.iter_mut().for_each(|lobby| lobby.work(now, events));
        self.channels.iter_mut().for_each(|channel| channel.work(now, events));
        Ok(())
    }

    fn send(&mut self, channel: u32, to: u64, frame: Frame) -> Sent {
        self.channel_mut(channel).map_or(Sent::Dropped, |channel| channel.links.send(to, frame))
    }

    /// One call per peer for many messages.
    fn flush(&mut self) {
        self.channels.iter_mut().for_each(|channel| channel.links.flush());
    }

    fn disconnect(&mut self, channel: u32, peer: u64) {
        if let Some(channel) = self.channel_mut(channel) {
            channel.links.disconnect(peer);
        }
    }

    fn queued_bytes(&self, channel: u32, peer: u64) -> Option<usize> {
        self.channel(channel)?.links.queued_bytes(peer)
    }

    fn counters(&self, channel: u32) -> Counters {
        let of_lobbies = self.lobbies.iter().filter(|lobby| lobby.channel() == channel);
        let own = self.channel(channel).map(|channel| channel.links.counters).unwrap_or_default();
        of_lobbies.fold(own, |sum, lobby| sum.with_strangers(&lobby.counters))
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels = self.channels.iter().map(|channel| (channel.local, channel.links.counters));
        f.debug_map().entries(channels).finish()
    }
}
