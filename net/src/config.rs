//! What a transport is told, and what it says when that cannot work.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::frame::HEAD_BYTES;
use crate::hello::{Hello, MAX_GREETING_BYTES};

/// Bounds what waits in memory for a slow peer. Above the bandwidth-delay product of any link that servers of one
/// cluster share (10 Gbit/s times 5 ms is 6 MiB), so a healthy link never runs dry for want of it.
pub const DEFAULT_SEND_QUEUE_BYTES: usize = 8 << 20;

/// The longest message. Well above any sensible message, well below what would hurt when one arrives per peer.
pub const DEFAULT_MAX_FRAME_BYTES: usize = 64 << 20;

/// A message that fits the read buffer is received in place, and handed out as a part of it. A buffer is pinned as long as a
/// body in it is kept.
pub const DEFAULT_READ_BUFFER_BYTES: usize = 128 << 10;

/// First delay before a lost peer is dialled again: a restarted process is found at once.
pub const DEFAULT_RECONNECT_MIN: Duration = Duration::from_millis(20);

/// Longest delay before a lost peer is dialled again: what a healed network adds to an outage.
pub const DEFAULT_RECONNECT_MAX: Duration = Duration::from_secs(1);

/// How long a greeting may take, and the longest attempt to connect: one lost SYN (sent again after 1 s) must not be fatal.
pub const DEFAULT_HELLO_TIMEOUT: Duration = Duration::from_secs(3);

/// Accepted connections that have not been welcomed yet. Each costs a file descriptor and less than a kilobyte.
pub const DEFAULT_MAX_PENDING_CONNECTIONS: usize = 64;

/// A read buffer below this would make a read call for every few frames.
pub const MIN_READ_BUFFER_BYTES: usize = 4 << 10;

/// A limit on messages below this would forbid the greeting.
pub const MIN_MAX_FRAME_BYTES: usize = 1 << 10;

// A connection begins with what a greeting needs and grows out of it, never shrinks.
const _: () = assert!(MIN_READ_BUFFER_BYTES > HEAD_BYTES + MAX_GREETING_BYTES);
const _: () = assert!(MIN_MAX_FRAME_BYTES >= MAX_GREETING_BYTES);
const _: () = assert!(DEFAULT_READ_BUFFER_BYTES >= MIN_READ_BUFFER_BYTES);
const _: () = assert!(DEFAULT_RECONNECT_MAX.as_millis() >= DEFAULT_RECONNECT_MIN.as_millis());

/// Another server, on the same channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub server: u64,
    /// Where it listens for this channel: `host:port`. A host name is resolved anew before each dial.
    pub address: String,
}

/// The settings of one [`Transport`](crate::Transport). [`LinkConfig::new`] fills in the defaults.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Who this server is, and which channel the transport serves.
    pub hello: Hello,
    /// Where to listen. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The other servers. Those with a lower id are dialled, those with a higher id dial.
    pub peers: Vec<Peer>,
    /// The local address that dialled connections start from, so that the channel uses this address's link.
    pub bind_address: Option<IpAddr>,
    /// The network device that dialled connections are bound to (`SO_BINDTODEVICE`).
    pub bind_device: Option<String>,
    /// Bytes that may wait for one peer; what comes on top is dropped, whole messages at a time.
    pub send_queue_bytes: usize,
    /// The longest body of a message, in bytes.
    pub max_frame_bytes: usize,
    /// Bytes of each connection's read buffer.
    pub read_buffer_bytes: usize,
    /// The first delay before dialling again.
    pub reconnect_min: Duration,
    /// The longest delay before dialling again.
    pub reconnect_max: Duration,
    /// How long a connection's greeting may take; and how long an attempt to connect, of which most are given up earlier.
    pub hello_timeout: Duration,
    /// Accepted connections that may be waiting for their welcome; those above it are closed at once.
    pub max_pending_connections: usize,
    /// Seeds the jitter of reconnects. The same seed gives the same delays.
    pub seed: u64,
    /// The kernel's send buffer per connection, in bytes. `None` leaves it to the kernel, which adapts it.
    pub socket_send_bytes: Option<usize>,
    /// The kernel's receive buffer per connection, in bytes. `None` leaves it to the kernel, which adapts it.
    pub socket_receive_bytes: Option<usize>,
}

impl LinkConfig {
    /// The defaults for everything that has one. The seed is made of the server's id and channel.
    pub fn new(hello: Hello, listen: SocketAddr, peers: Vec<Peer>) -> LinkConfig {
        let seed = hello.server.rotate_left(32) ^ u64::from(hello.channel);
        LinkConfig {
            hello,
            listen,
            peers,
            bind_address: None,
            bind_device: None,
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
        let mut servers = BTreeSet::from([self.hello.server]);
        if let Some(peer) = self.peers.iter().find(|peer| !servers.insert(peer.server)) {
            return Err(OpenError::RepeatedServer { server: peer.server });
        }
        let rules = [
            (self.read_buffer_bytes >= MIN_READ_BUFFER_BYTES, "read_buffer_bytes must be at least 4096"),
            (self.max_frame_bytes >= MIN_MAX_FRAME_BYTES, "max_frame_bytes must be at least 1024"),
            (self.max_frame_bytes <= u32::MAX as usize, "max_frame_bytes must be below 4 GiB"),
            (
                !self.reconnect_min.is_zero(),
                "reconnect_min must be above zero, else a dead peer is dialled all the time",
            ),
            (self.reconnect_min <= self.reconnect_max, "reconnect_min must not be above reconnect_max"),
            (!self.hello_timeout.is_zero(), "hello_timeout must be above zero"),
            (self.max_pending_connections > 0, "max_pending_connections must be above zero"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(OpenError::Setting { rule }),
            None => Ok(()),
        }
    }
}

/// Why a transport could not be opened. None of these goes away by itself.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is out of its range.
    #[error("{rule}")]
    Setting {
        /// What must hold.
        rule: &'static str,
    },
    /// An id stands for two servers.
    #[error(
        "server {server} is named twice among this server and its peers: give every server an id of its own"
    )]
    RepeatedServer {
        /// The id.
        server: u64,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; {}", listen_advice(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Connections cannot start from the wanted local address.
    #[error(
        "cannot connect from {address}: {source}; set bind_address to an address of one of this machine's devices"
    )]
    BindAddress {
        /// The address.
        address: IpAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Connections cannot be bound to the wanted device.
    #[error(
        "cannot bind to the device {device:?}: {source}; it must exist, and the process may need CAP_NET_RAW \
         (setcap cap_net_raw+ep on the program, or use bind_address)"
    )]
    BindDevice {
        /// The device's name.
        device: String,
        /// What the system says.
        source: io::Error,
    },
    /// The system gave no epoll or eventfd.
    #[error("cannot wait for sockets: {source}; the limit of open files may be too low (ulimit -n)")]
    Poll {
        /// What the system says.
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
        let cases: [(&str, Change); 7] = [
            ("read_buffer_bytes", |config| config.read_buffer_bytes = 100),
            ("max_frame_bytes", |config| config.max_frame_bytes = 0),
            ("max_frame_bytes", |config| config.max_frame_bytes = 1 << 33),
            ("reconnect_min", |config| config.reconnect_min = Duration::ZERO),
            ("reconnect_max", |config| config.reconnect_max = Duration::from_millis(1)),
            ("hello_timeout", |config| config.hello_timeout = Duration::ZERO),
            ("max_pending_connections", |config| config.max_pending_connections = 0),
        ];
        for (setting, change) in cases {
            let mut config = config();
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
    }
}
