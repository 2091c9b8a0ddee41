//! Framed, checked, reconnecting channels between servers.
//!
//! Each channel has its own sockets, and a [`Transport`] carries the channels of one thread. Transports share
//! nothing, so they scale with cores and links. Deyerl and Distler (PaPoC 2019) bind every instance of their
//! protocol to its own core and link; a channel connects the replicas of such an instance, and has a thread to
//! itself where cores suffice. This crate knows servers and channels by their numbers, and nothing of what the
//! messages on them mean.
//!
//! A guided tour, from the bytes upwards:
//!
//! 1. A message is a [`Frame`]: length, checksum, body. The parts of its body are written as they are, never
//!    joined. A long body travels in pieces, and urgent frames pass between them. [`FrameReader`] cuts received
//!    bytes into bodies without copying them.
//! 2. A connection starts with a [`Greeting`]: both ends identify themselves in a [`Hello`], and either may
//!    answer with a [`Refusal`] that tells the other's operator what is wrong. An [`Admission`] adds the
//!    owner's own check.
//!    With [TLS](LinkConfig::tls) below the greeting, the ends prove who they are, by certificates that name the server and
//!    its cluster ([`peer_name`]).
//! 3. [`TcpTransport`] keeps one connection per channel and peer: of two servers the one with the higher id dials, and
//!    retries with growing, jittered delays. What cannot be sent is dropped in whole messages and counted,
//!    never queued without bound. On a channel for [guests](Dialling), servers come that nobody has listed.
//!    [`Transport`] is what it promises, for networks of
//!    your own.
//!    [`probe`] asks whether a server is where it is said to be.
//!    Channels can share an address: a lobby accepts for all of them, and a [`Switchboard`] knows on which transport each
//!    is.
//! 4. [`SleepFlag`] and [`Waker`]: a thread without work sleeps, and is woken by a system call only if it
//!    does.
//!
//! Costs are per batch: a read call fills a buffer with many frames, a write call sends many, and a thread
//! that is awake is never woken. Nothing that a stranger sends makes the process stop, grow or spin: before
//! its welcome a connection has less than a kilobyte and a few seconds, and at most
//! [`max_pending_connections`](LinkConfig::max_pending_connections) connections are in that state.

mod admission;
mod backoff;
mod channel;
mod config;
mod connection;
mod counters;
mod event;
mod frame;
mod hello;
mod links;
mod listener;
mod lobby;
mod outbox;
mod peer;
mod probe;
mod prober;
mod proof;
mod reader;
mod recycled;
mod refusal;
mod resolve;
mod responder;
mod sleep;
mod slot;
mod socket;
mod switchboard;
mod sync;
mod tcp;
mod transport;
mod waker;

pub use admission::{Admission, AdmitAll, check_cluster};
pub use config::{
    DEFAULT_HELLO_TIMEOUT, DEFAULT_MAX_FRAME_BYTES, DEFAULT_MAX_PENDING_CONNECTIONS,
    DEFAULT_READ_BUFFER_BYTES, DEFAULT_RECONNECT_MAX, DEFAULT_RECONNECT_MIN, DEFAULT_SEND_QUEUE_BYTES,
    Dialling, LinkConfig, MIN_MAX_FRAME_BYTES, MIN_READ_BUFFER_BYTES, OpenError, Peer,
};
pub use counters::Counters;
pub use event::{DownReason, Event};
pub use frame::{Frame, FrameError, HEAD_BYTES};
pub use hello::{
    Greeting, GreetingError, Hello, LEVELS_VERSION, LIVES, Levels, MAX_GREETING_BYTES, MAX_MEMBERS, VERSION,
};
pub use prober::{ProbeError, probe};
pub use proof::{Plain, peer_name};
pub use reader::FrameReader;
pub use refusal::{MAX_REFUSAL_TEXT_BYTES, Refusal};
pub use responder::Responder;
pub use sleep::SleepFlag;
pub use switchboard::Switchboard;
pub use tcp::TcpTransport;
pub use transport::{Sent, Transport};
pub use waker::Waker;

/// The examples in README.md, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
