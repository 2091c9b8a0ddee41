//! Settings of a channel, and its errors when they cannot work.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use niagara_tls::Mutual;

use crate::frame::HEAD_BYTES;
use crate::hello::{Hello, MAX_GREETING_BYTES};
use crate::proof::Plain;

/// Bytes that may wait in memory for a slow peer. Above the bandwidth-delay product of any link within a
/// cluster (10 Gbit/s times 5 ms is 6 MiB), so a healthy link never idles because of the bound.
pub const DEFAULT_SEND_QUEUE_BYTES: usize = 8 << 20;

/// The longest message, in bytes. Well above any sensible message, and well below what would hurt if each
/// peer sent one.
pub const DEFAULT_MAX_FRAME_BYTES: usize = 64 << 20;

/// In bytes. A message that fits the read buffer is received in place, and its body is a slice of the buffer.
/// A buffer stays in memory as long as any body in it is kept.
pub const DEFAULT_READ_BUFFER_BYTES: usize = 128 << 10;

/// First delay before a lost peer is redialled: short, to find a restarted process at once.
pub const DEFAULT_RECONNECT_MIN: Duration = Duration::from_millis(20);

/// Longest delay before a lost peer is redialled: what a healed network adds to an outage.
pub const DEFAULT_RECONNECT_MAX: Duration = Duration::from_secs(1);

/// How long a greeting, and the longest attempt to connect, may take: one lost SYN (resent after 1 s) must
/// not be fatal.
pub const DEFAULT_HELLO_TIMEOUT: Duration = Duration::from_secs(3);

/// Accepted connections that have not been welcomed yet. Each costs a file descriptor and less than a
/// kilobyte.
pub const DEFAULT_MAX_PENDING_CONNECTIONS: usize = 64;

/// In bytes. A smaller read buffer would take a read call for every few frames.
pub const MIN_READ_BUFFER_BYTES: usize = 4 << 10;

/// In bytes. A lower limit on messages would forbid the greeting.
pub const MIN_MAX_FRAME_BYTES: usize = 1 << 10;

// A connection starts with the limits that a greeting needs. These only grow.
const _: () = assert!(MIN_READ_BUFFER_BYTES > HEAD_BYTES + MAX_GREETING_BYTES);
const _: () = assert!(MIN_MAX_FRAME_BYTES >= MAX_GREETING_BYTES);
const _: () = assert!(DEFAULT_READ_BUFFER_BYTES >= MIN_READ_BUFFER_BYTES);
const _: () = assert!(DEFAULT_RECONNECT_MAX.as_millis() >= DEFAULT_RECONNECT_MIN.as_millis());

/// Another server, on the same channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Server id.
    pub server: u64,
    /// Where it listens for this channel: `host:port`. A host name is resolved before each dial.
    pub address: String,
}

/// Which end of a channel's connections dials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialling {
    /// Of two servers, the one with the higher id.
    #[default]
    HigherId,
    /// This server, which is a guest of its peers. It does not listen.
    Guest,
    /// The others, which are guests, whatever their ids. This server needs not know them before: it has no peers.
    Host {
        /// The most guests at a time.
        most: usize,
    },
}

/// The settings of one channel of a [`Transport`](crate::Transport). [`LinkConfig::new`] fills in the defaults.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Identity of this server, and the number of the channel.
    pub hello: Hello,
    /// Where to listen. With port 0 the system chooses one. Channels of one [`Switchboard`](crate::Switchboard)
    /// may have the same address.
    pub listen: SocketAddr,
    /// The other servers. Unless `dialling` says otherwise, the transport dials those with a lower id, and is dialled by
    /// those with a higher one.
    pub peers: Vec<Peer>,
    /// Which end dials.
    pub dialling: Dialling,
    /// The local address that dialled connections start from, so that the channel uses this address's link.
    pub bind_address: Option<IpAddr>,
    /// The network device that dialled connections are bound to (`SO_BINDTODEVICE`).
    pub bind_device: Option<String>,
    /// What the servers prove to each other who they are with, and encrypt what they send. `None`: everything passes the
    /// network as it is, and whoever reaches the channel's address can say that he is a peer.
    pub tls: Option<Arc<Mutual>>,
    /// What becomes of connections without TLS, if `tls` is there.
    pub plain: Plain,
    /// Bytes that may wait for one peer; what exceeds them is dropped, whole messages at a time. Besides, 64
    /// KiB of [urgent](crate::Frame::urgent) messages may wait.
    pub send_queue_bytes: usize,
    /// Longest body of a message, in bytes.
    pub max_frame_bytes: usize,
    /// Size of each connection's read buffer, in bytes.
    pub read_buffer_bytes: usize,
    /// First delay before redialling.
    pub reconnect_min: Duration,
    /// Longest delay before redialling.
    pub reconnect_max: Duration,
    /// How long a connection's greeting may take; also the longest attempt to connect, most of which end
    /// earlier.
    pub hello_timeout: Duration,
    /// Accepted connections that may wait for their welcome; further ones are closed at once.
    pub max_pending_connections: usize,
    /// Seeds the jitter of reconnects. The same seed gives the same delays.
    pub seed: u64,
    /// The kernel's send buffer per connection, in bytes. `None` leaves it to the kernel, which adapts it.
    pub socket_send_bytes: Option<usize>,
    /// The kernel's receive buffer per connection, in bytes. `None` leaves it to the kernel, which adapts it.
    pub socket_receive_bytes: Option<usize>,
}

impl LinkConfig {
    /// Uses the default of every setting that has one. The seed derives from server id and channel.
    pub fn new(hello: Hello, listen: SocketAddr, peers: Vec<Peer>) -> LinkConfig {
        let seed = hello.server.rotate_left(32) ^ u64::from(hello.channel);
        LinkConfig {
            hello,
            listen,
            peers,
            dialling: Dialling::default(),
            bind_address: None,
            bind_device: None,
            tls: None,
            plain: Plain::default(),
            send_queue_bytes: DEFAULT_SEND_QUEUE_BYTES,
            max_frame_bytes: DEFAULT_MAX_FRAME_BYTES,
            read_buffer_bytes: DEFAULT_READ_BUFFER_BYTES,
            reconnect_min: DEFAULT_RECONNECT_MIN,
            reconnect_max: DEFAULT_RECONNECT_MAX,
            hello_timeout: DEFAULT_HELLO_TIMEOUT,
            max_pending_connections: DEFAULT_MAX_PENDING_CONNECTIONS,
            seed,
            socket_send_bytes: None,
            socket_receive_bytes: None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), OpenError> {
        // A guest may probe an address of its own.
        let is_guest = self.dialling == Dialling::Guest;
        let mut servers: BTreeSet<u64> = (!is_guest).then_some(self.hello.server).into_iter().collect();
        if let Some(peer) = self.peers.iter().find(|peer| !servers.insert(peer.server)) {
            return Err(OpenError::RepeatedServer { server: peer.server });
        }
        let rules = [
            (self.read_buffer_bytes >= MIN_READ_BUFFER_BYTES, "read_buffer_bytes must be at least 4096"),
            (self.max_frame_bytes >= MIN_MAX_FRAME_BYTES, "max_frame_bytes must be at least 1024"),
            (self.max_frame_bytes <= u32::MAX as usize, "max_frame_bytes must be below 4 GiB"),
            (
                !self.reconnect_min.is_zero(),
                "reconnect_min must be above zero, else a dead peer is redialled without pause",
            ),
            (self.reconnect_min <= self.reconnect_max, "reconnect_min must not be above reconnect_max"),
            (!self.hello_timeout.is_zero(), "hello_timeout must be above zero"),
            (self.max_pending_connections > 0, "max_pending_connections must be above zero"),
            (
                self.peers.is_empty() || !matches!(self.dialling, Dialling::Host { .. }),
                "a host of guests has no peers: it does not know its guests before they come",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(OpenError::Setting { rule }),
            None => Ok(()),
        }
    }
}

/// Why a channel could not be opened. Retrying does not help.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is out of range.
    #[error("{rule}")]
    Setting {
        /// The rule that it breaks, with the limit.
        rule: &'static str,
    },
    /// Two servers have the same id.
    #[error("server {server} is named twice among this server and its peers: give every server its own id")]
    RepeatedServer {
        /// The repeated id.
        server: u64,
    },
    /// The channel is open already.
    #[error("channel {channel} is open already: give each channel a number of its own")]
    RepeatedChannel {
        /// The channel's number.
        channel: u32,
    },
    /// The transport has opened as many channels as it can: 65,535, counting those that are closed.
    #[error("this transport has opened 65,535 channels and can open no more: make another one")]
    TooManyChannels,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; {}", listen_advice(source))]
    Listen {
        /// `listen` in the settings.
        address: SocketAddr,
        /// Error from the operating system.
        source: io::Error,
    },
    /// Connections cannot start from the configured local address.
    #[error(
        "cannot connect from {address}: {source}; set bind_address to an address of one of this machine's devices"
    )]
    BindAddress {
        /// `bind_address` in the settings.
        address: IpAddr,
        /// Error from the operating system.
        source: io::Error,
    },
    /// Connections cannot be bound to the configured device.
    #[error(
        "cannot bind to the device {device:?}: {source}; it must exist, and the process may need CAP_NET_RAW \
         (setcap cap_net_raw+ep on the program, or use bind_address)"
    )]
    BindDevice {
        /// `bind_device` in the settings.
        device: String,
        /// Error from the operating system.
        source: io::Error,
    },
    /// The system refused an epoll or eventfd.
    #[error("cannot wait for sockets: {source}; the limit of open files may be too low (ulimit -n)")]
    Poll {
        /// Error from the operating system.
        source: io::Error,
    },
}

fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there: stop it, or choose another port",
        io::ErrorKind::AddrNotAvailable => {
            "no device of this machine has that address: correct it, or use 0.0.0.0"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one",
        _ => "check the address and the limit of open files (ulimit -n)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> LinkConfig {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        LinkConfig::new(
            Hello { server: 1, channels: 1, ..Hello::default() },
            listen,
            vec![Peer { server: 2, address: "localhost:1".to_owned() }],
        )
    }

    #[test]
    fn the_defaults_are_valid() {
        config().validate().unwrap();
    }

    #[test]
    fn an_id_stands_for_one_server() {
        let mut config = config();
        config.peers.push(Peer { server: 1, address: "localhost:2".to_owned() });
        let error = config.validate().unwrap_err();
        assert!(matches!(error, OpenError::RepeatedServer { server: 1 }), "{error}");
    }

    #[test]
    fn settings_out_of_range_are_named() {
        type Change = fn(&mut LinkConfig);
        let cases: [(&str, Change); 8] = [
            ("read_buffer_bytes", |config| config.read_buffer_bytes = 100),
            ("max_frame_bytes", |config| config.max_frame_bytes = 0),
            ("max_frame_bytes", |config| config.max_frame_bytes = 1 << 33),
            ("reconnect_min", |config| config.reconnect_min = Duration::ZERO),
            ("reconnect_max", |config| config.reconnect_max = Duration::from_millis(1)),
            ("hello_timeout", |config| config.hello_timeout = Duration::ZERO),
            ("max_pending_connections", |config| config.max_pending_connections = 0),
            ("guests", |config| config.dialling = Dialling::Host { most: 1 }),
        ];
        for (setting, change) in cases {
            let mut config = config();
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
    }
}
