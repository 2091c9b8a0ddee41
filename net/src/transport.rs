//! What carries the messages of a thread's channels: the seam for networks of the embedding program's own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admission::Admission;
use crate::config::{LinkConfig, OpenError};
use crate::counters::Counters;
use crate::event::Event;
use crate::frame::Frame;
use crate::waker::Waker;

/// What a transport did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is queued. It may still be lost with the connection.
    Queued,
    /// The peer is not connected, its queue is full, or the message is too long. Nothing of it is sent, and
    /// the counters say why.
    Dropped,
}

/// The channels that one thread serves. [`TcpTransport`](crate::TcpTransport) is the usual one.
///
/// It belongs to one thread, which calls [`turn`](Transport::turn) in a loop, queues messages with
/// [`send`](Transport::send), and writes them with [`flush`](Transport::flush). Other threads end its sleep
/// with a [`Waker`]. A channel has the number that its [`Hello`](crate::Hello) gives it.
///
/// An implementation promises this:
///
/// - Messages to one peer on one channel arrive whole and in order as long as the connection lives. They may
///   be lost with it; senders that need more resend.
/// - [`Event::Up`] comes before the first message of a connection, [`Event::Down`] after the last. Neither is
///   reported twice in a row.
/// - Before `Up`, both ends have compared their hellos with [`check_cluster`](crate::check_cluster), and asked
///   their [`Admission`].
/// - `send` and `flush` never wait. What cannot be sent is dropped in whole messages, and what is queued is
///   bounded by [`send_queue_bytes`](LinkConfig::send_queue_bytes).
pub trait Transport: Send {
    /// Opens a channel. It listens where the configuration says, or on the socket given, which listens already:
    /// that port was chosen, and told to others, before anybody could take it away.
    ///
    /// # Errors
    /// If a setting is out of range, the channel is open already, the address cannot be listened on, or
    /// connections cannot be bound as configured. The error names the setting or address and says what to do.
    fn open(
        &mut self,
        config: LinkConfig,
        listener: Option<TcpListener>,
        admission: Arc<dyn Admission>,
    ) -> Result<(), OpenError>;

    /// Closes a channel and its connections; no event of it comes any more. Does nothing if it is not open.
    fn close(&mut self, channel: u32);

    /// Where a channel listens, with the port that was chosen. `None` if it is not open or does not listen.
    fn local_addr(&self, channel: u32) -> Option<SocketAddr>;

    /// Lets other threads end this transport's sleep.
    fn waker(&self) -> Waker;

    /// Runs one turn of the owner's loop: writes what has not been flushed, waits for messages, a wake-up or
    /// `timeout` (`None` waits without limit), and appends what happened to `events`, with its channel.
    ///
    /// `now` is the current time, which the caller usually knows already. `may_sleep` is the caller's last
    /// check of its own queues. Call it after the sleep has been announced ([`Waker::sleep`]), so that whoever
    /// publishes work later wakes the thread; if it returns false, do not wait.
    ///
    /// # Errors
    /// If waiting itself failed, which does not happen to a sound process: the owner ends. What happens to
    /// connections is an event.
    fn turn(
        &mut self,
        now: Instant,
        timeout: Option<Duration>,
        may_sleep: &mut dyn FnMut() -> bool,
        events: &mut Vec<(u32, Event)>,
    ) -> io::Result<()>;

    /// Queues a message for a server, to be written by the next [`flush`](Transport::flush).
    ///
    /// The queue holds `send_queue_bytes`; a message that does not fit is dropped whole. An empty queue takes
    /// any message up to `max_frame_bytes`.
    fn send(&mut self, channel: u32, to: u64, frame: Frame) -> Sent;

    /// Writes what is queued on all channels, as far as the network takes it. The next turns write the rest.
    fn flush(&mut self);

    /// Ends the connection to a server that has sent what no correct server sends. It may connect again. A transport
    /// that has no connections does nothing.
    fn disconnect(&mut self, _channel: u32, _peer: u64) {}

    /// Bytes of messages to this server that are queued here and not yet in the kernel; `None` if it is not
    /// connected.
    fn queued_bytes(&self, channel: u32, peer: u64) -> Option<usize>;

    /// Whether messages to this server can be sent now.
    fn is_connected(&self, channel: u32, peer: u64) -> bool {
        self.queued_bytes(channel, peer).is_some()
    }

    /// Totals of a channel since it was opened.
    fn counters(&self, channel: u32) -> Counters;
}
