//! Which channel an accepted connection belongs to, when several channels share an address.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use parking_lot::Mutex;

use crate::connection::Connection;
use crate::hello::Hello;
use crate::waker::Waker;

/// Connects the transports of one server whose channels share addresses. A listener belongs to one of them, and
/// accepts for all: when a connection has said which channel it is for, it moves to the transport that has that
/// channel.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use niagara_net::{AdmitAll, Hello, LinkConfig, Switchboard, TcpTransport, Transport};
///
/// let board = Arc::<Switchboard>::default();
/// let hello = |channel| Hello { cluster: 0xc1, server: 1, channel, channels: 2, ..Hello::default() };
/// let mut first = TcpTransport::sharing(&board)?;
/// first.open(LinkConfig::new(hello(1), "127.0.0.1:0".parse()?, Vec::new()), None, Arc::new(AdmitAll))?;
/// let address = first.local_addr(1).unwrap();
///
/// // Usually on a thread of its own.
/// let mut second = TcpTransport::sharing(&board)?;
/// second.open(LinkConfig::new(hello(2), address, Vec::new()), None, Arc::new(AdmitAll))?;
/// assert_eq!(second.local_addr(2), Some(address));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Switchboard {
    channels: Mutex<BTreeMap<u32, Line>>,
    /// Where transports listen, and who wakes the one that does.
    listening: Mutex<BTreeMap<SocketAddr, Waker>>,
}

/// Where the connections of a channel go.
#[derive(Debug)]
struct Line {
    /// The address that they have to come in at.
    address: SocketAddr,
    arrivals: SyncSender<Box<Arrival>>,
    waker: Waker,
}

/// An accepted connection that has said who it is. No epoll watches it.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) connection: Connection,
    pub(crate) hello: Hello,
}

/// Why a connection cannot move to its channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misdirected {
    /// The channel has another address.
    OtherAddress,
    /// No such channel is open.
    NotOpen,
    /// Too many connections are on their way to it.
    Crowded,
}

impl Switchboard {
    /// Whether one of the transports listens at this address.
    pub(crate) fn listens(&self, address: SocketAddr) -> bool {
        self.listening.lock().contains_key(&address)
    }

    /// Whether a channel's connections come in at this address.
    pub(crate) fn is_needed(&self, address: SocketAddr) -> bool {
        self.channels.lock().values().any(|line| line.address == address)
    }

    /// Whether a channel is open.
    pub(crate) fn is_open(&self, channel: u32) -> bool {
        self.channels.lock().contains_key(&channel)
    }

    /// Whether a channel is above all whose connections come in at this address, so that it may be opened there yet.
    pub(crate) fn is_ahead(&self, channel: u32, address: SocketAddr) -> bool {
        let channels = self.channels.lock();
        let last = channels.iter().rfind(|(_, line)| line.address == address);
        last.is_some_and(|(last, _)| *last < channel) && !channels.contains_key(&channel)
    }

    /// Enters a listener.
    pub(crate) fn enter(self: &Arc<Self>, local: SocketAddr, waker: Waker) -> Listening {
        self.listening.lock().insert(local, waker);
        Listening { board: Arc::clone(self), local }
    }

    /// Enters a channel whose connections come in at `address`, `most` at a time. `None` if it is open already.
    pub(crate) fn connect(
        self: &Arc<Self>,
        channel: u32,
        address: SocketAddr,
        most: usize,
        waker: Waker,
    ) -> Option<Arrivals> {
        let mut channels = self.channels.lock();
        if channels.contains_key(&channel) {
            return None;
        }
        let (sender, arrivals) = sync_channel(most);
        channels.insert(channel, Line { address, arrivals: sender, waker });
        drop(channels);
        // Somebody may be waiting there for this channel.
        if let Some(waker) = self.listening.lock().get(&address) {
            waker.wake();
        }
        Some(Arrivals { board: Arc::clone(self), channel, arrivals })
    }

    /// Moves a connection that came in at `local` to its channel, and wakes the channel's thread.
    pub(crate) fn direct(
        &self,
        local: SocketAddr,
        arrival: Box<Arrival>,
    ) -> Result<(), (Box<Arrival>, Misdirected)> {
        let channels = self.channels.lock();
        let Some(line) = channels.get(&arrival.hello.channel) else {
            return Err((arrival, Misdirected::NotOpen));
        };
        if line.address != local {
            return Err((arrival, Misdirected::OtherAddress));
        }
        // The receiver lives as long as its line.
        line.arrivals.try_send(arrival).map_err(|error| match error {
            TrySendError::Full(arrival) | TrySendError::Disconnected(arrival) => {
                (arrival, Misdirected::Crowded)
            }
        })?;
        line.waker.wake();
        Ok(())
    }
}

/// A listener's entry.
#[derive(Debug)]
pub(crate) struct Listening {
    board: Arc<Switchboard>,
    local: SocketAddr,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.board.listening.lock().remove(&self.local);
    }
}

/// A channel's entry, and what has arrived for it.
#[derive(Debug)]
pub(crate) struct Arrivals {
    board: Arc<Switchboard>,
    channel: u32,
    arrivals: Receiver<Box<Arrival>>,
}

impl Arrivals {
    pub(crate) fn next(&self) -> Option<Box<Arrival>> {
        self.arrivals.try_recv().ok()
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.board.channels.lock().remove(&self.channel);
    }
}
