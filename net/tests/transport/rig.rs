//! Transports that take turns in one thread, and a raw socket that sends what no transport would.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_net::{
    Admission, AdmitAll, Counters, Event, Frame, Greeting, Hello, LinkConfig, OpenError, Peer, Refusal, Sent,
    TcpTransport, Transport, Waker,
};

/// By when a condition must hold. No healthy run comes near it, however slow the machine.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// How long a turn sleeps at most, so that the other transports get theirs.
const TURN: Duration = Duration::from_millis(1);

/// The hello of a server; all belong to the same cluster, channel 1 of 4.
pub fn hello(server: u64) -> Hello {
    Hello {
        cluster: 0xc1,
        server,
        channel: CHANNEL,
        channels: 4,
        store: 100 + u128::from(server),
        ..Hello::default()
    }
}

/// A server's settings: a port that the system chooses, and short delays.
pub fn config(server: u64, peers: &[(u64, SocketAddr)]) -> LinkConfig {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let peer = |(server, address): &(u64, SocketAddr)| Peer { server: *server, address: address.to_string() };
    let mut config = LinkConfig::new(hello(server), listen, peers.iter().map(peer).collect());
    config.reconnect_min = Duration::from_millis(5);
    config.reconnect_max = Duration::from_millis(50);
    config
}

/// The address of a peer that is not dialled, but dials.
pub fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// The channel that tests use.
pub const CHANNEL: u32 = 1;

/// A transport with one channel, and all its events so far.
pub struct Node {
    channel: u32,
    pub transport: TcpTransport,
    pub events: Vec<Event>,
}

impl Node {
    pub fn open(config: LinkConfig) -> Node {
        Node::open_with(config, Arc::new(AdmitAll))
    }

    pub fn open_with(config: LinkConfig, admission: Arc<dyn Admission>) -> Node {
        Node::try_open(config, admission).unwrap()
    }

    /// At a socket that listens already.
    pub fn open_at(config: LinkConfig, listener: TcpListener) -> Node {
        Node::try_open_at(config, Some(listener), Arc::new(AdmitAll)).unwrap()
    }

    pub fn try_open(config: LinkConfig, admission: Arc<dyn Admission>) -> Result<Node, OpenError> {
        Node::try_open_at(config, None, admission)
    }

    fn try_open_at(
        config: LinkConfig,
        listener: Option<TcpListener>,
        admission: Arc<dyn Admission>,
    ) -> Result<Node, OpenError> {
        let mut transport = TcpTransport::new()?;
        let channel = config.hello.channel;
        transport.open(config, listener, admission)?;
        Ok(Node { channel, transport, events: Vec::new() })
    }

    pub fn address(&self) -> SocketAddr {
        self.transport.local_addr(self.channel).unwrap()
    }

    pub fn transport_address(&self) -> Option<SocketAddr> {
        self.transport.local_addr(self.channel)
    }

    pub fn turn(&mut self) {
        self.turn_at(Instant::now(), Some(TURN), || true);
    }

    /// A turn with this time, timeout and last check.
    pub fn turn_at(&mut self, now: Instant, timeout: Option<Duration>, mut may_sleep: impl FnMut() -> bool) {
        let mut events = Vec::new();
        self.transport.turn(now, timeout, &mut may_sleep, &mut events).unwrap();
        self.events.extend(events.into_iter().map(|(channel, event)| {
            assert_eq!(channel, self.channel);
            event
        }));
    }

    pub fn is_connected(&self, peer: u64) -> bool {
        self.transport.is_connected(self.channel, peer)
    }

    pub fn queued_bytes(&self, peer: u64) -> Option<usize> {
        self.transport.queued_bytes(self.channel, peer)
    }

    pub fn flush(&mut self) {
        self.transport.flush();
    }

    pub fn waker(&self) -> Waker {
        self.transport.waker()
    }

    pub fn counters(&self) -> Counters {
        self.transport.counters(self.channel)
    }

    pub fn send(&mut self, to: u64, body: impl Into<Bytes>) -> Sent {
        self.send_frame(to, Frame::from(body.into()))
    }

    pub fn send_frame(&mut self, to: u64, frame: Frame) -> Sent {
        self.transport.send(self.channel, to, frame)
    }

    /// The bodies that have arrived from a server.
    pub fn bodies(&self, server: u64) -> impl Iterator<Item = &Bytes> {
        self.events.iter().filter_map(move |event| match event {
            Event::Frame { from, body } if *from == server => Some(body),
            _ => None,
        })
    }

    /// The reported refusals, and whether this end made them.
    pub fn refusals(&self) -> Vec<(Refusal, bool)> {
        let refused = |event: &Event| match event {
            Event::Refused { refusal, by_us, .. } => Some((refusal.clone(), *by_us)),
            _ => None,
        };
        self.events.iter().filter_map(refused).collect()
    }

    /// All events but messages.
    pub fn changes(&self) -> Vec<&Event> {
        self.events.iter().filter(|event| !matches!(event, Event::Frame { .. })).collect()
    }
}

/// Servers 1 and 2, connected.
pub fn pair() -> (Node, Node) {
    pair_of(config(1, &[(2, nowhere())]), |one| config(2, &[(1, one)]))
}

/// Two connected servers with other settings; the second's derive from the first's address.
pub fn pair_of(first: LinkConfig, second: impl FnOnce(SocketAddr) -> LinkConfig) -> (Node, Node) {
    let mut one = Node::open(first);
    let mut two = Node::open(second(one.address()));
    drive([&mut one, &mut two], "both are up", |[one, two]| one.is_connected(2) && two.is_connected(1));
    (one, two)
}

/// Gives all nodes turns until the condition holds.
pub fn drive<const N: usize>(
    nodes: [&mut Node; N],
    what: &str,
    mut holds: impl FnMut(&mut [&mut Node; N]) -> bool,
) {
    let mut nodes = nodes;
    let begin = Instant::now();
    while !holds(&mut nodes) {
        assert!(begin.elapsed() < DEADLINE, "not so: {what}; {:?}", nodes.map(|node| node.counters()));
        nodes.iter_mut().for_each(|node| node.turn());
    }
}

/// A socket without a transport.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
    /// The other end has closed.
    pub ended: bool,
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Raw {
        Raw::new(TcpStream::connect(address).unwrap())
    }

    /// Accepts a connection that a transport has dialled.
    pub fn accept(listener: &TcpListener, node: &mut Node) -> Raw {
        listener.set_nonblocking(true).unwrap();
        let mut accepted = None;
        drive([node], "the node dials", |_| {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        Raw::new(accepted.unwrap().0)
    }

    fn new(stream: TcpStream) -> Raw {
        stream.set_nonblocking(true).unwrap();
        Raw { stream, received: Vec::new(), ended: false }
    }

    /// Connects to a listening node and exchanges greetings as the given server.
    pub fn join(node: &mut Node, server: u64) -> Raw {
        let ups = node.events.len();
        let mut raw = Raw::connect(node.address());
        raw.write(&wire(&Greeting::Hello(hello(server)).encode()));
        raw.write(&wire(&Greeting::Welcome.encode()));
        drive([node], "the raw server is up", |[node]| {
            node.events[ups..].contains(&Event::Up { peer: server })
        });
        assert_eq!(raw.greeting(node), Greeting::Hello(hello(1)), "in these tests server 1 listens");
        raw
    }

    pub fn address(&self) -> SocketAddr {
        self.stream.peer_addr().unwrap()
    }

    /// Writes bytes that certainly fit into the kernel's buffer.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads what has arrived so far.
    pub fn read(&mut self) {
        let mut buffer = [0; 4096];
        while !self.ended {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.received.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.ended = true,
            }
        }
    }

    /// Waits for a frame, and returns its body.
    pub fn body(&mut self, node: &mut Node) -> Vec<u8> {
        let mut body = None;
        drive([node], "the node sends a frame", |_| {
            self.read();
            let length = self.received.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
            if let Some(length) = length.filter(|length| self.received.len() >= 8 + length) {
                let rest = self.received.split_off(8 + length);
                body = Some(std::mem::replace(&mut self.received, rest).split_off(8));
            }
            body.is_some()
        });
        body.unwrap()
    }

    pub fn greeting(&mut self, node: &mut Node) -> Greeting {
        Greeting::decode(&self.body(node)).unwrap()
    }

    /// Waits until the node has closed the connection, with nothing more to read.
    pub fn await_end(&mut self, node: &mut Node) {
        drive([node], "the node closes the connection", |_| {
            self.read();
            self.ended
        });
        assert!(self.received.is_empty(), "closed after {} more bytes", self.received.len());
    }
}

/// A body as a frame on the wire, by the format's description and not by the crate's encoder.
pub fn wire(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    let checksum = crc32fast::hash(&[&length, body].concat()).to_le_bytes();
    [&length, &checksum, body].concat()
}
