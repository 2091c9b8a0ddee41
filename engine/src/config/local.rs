//! A cluster in one process, to try things and for tests.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;

use niagara_log::Durability;

use super::{Config, Listeners, Member};

impl Config {
    /// Configurations for the servers of a cluster on loopback: ids from 1, state in memory, and ports that
    /// are bound already. Change [`durability`](Config::durability) and [`data_dir`](Config::data_dir) to keep
    /// the state. Each call makes another cluster.
    ///
    /// ```
    /// let configs = niagara_engine::Config::local(3, 2)?;
    /// assert_eq!((configs.len(), configs[0].groups()), (3, 2));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If no port can be bound. Numbers that cannot work are reported at the start.
    pub fn local(servers: u16, groups: u16) -> io::Result<Vec<Config>> {
        let mut cluster = [0; 16];
        getrandom::fill(&mut cluster).map_err(io::Error::other)?;
        let bind_all = |_| (0..=groups).map(|_| listen()).collect::<io::Result<Vec<_>>>();
        let listeners = (0..servers).map(bind_all).collect::<io::Result<Vec<_>>>()?;
        let members = (1..).zip(&listeners).map(|(server, listeners)| member(server, listeners));
        let members = members.collect::<io::Result<Vec<_>>>()?;
        let config = |(server, listeners)| {
            let mut config = Config::new(u128::from_le_bytes(cluster), server, members.clone());
            config.durability = Durability::Memory;
            config.listeners = Listeners::new(listeners);
            config
        };
        Ok((1..).zip(listeners).map(config).collect())
    }
}

/// Ports below those that Linux gives to outgoing connections: one of these might have the port of a server that is being
/// restarted.
const PORTS: Range<u16> = 26_000..32_000;

/// Listens at a free port.
fn listen() -> io::Result<TcpListener> {
    // Somewhere else each time, so that processes which start together do not try the same ports.
    let start = RandomState::new().hash_one(0) % u64::from(PORTS.end - PORTS.start);
    let (before, behind) = (PORTS.start..PORTS.start + start as u16, PORTS.start + start as u16..PORTS.end);
    let mut listening = behind.chain(before).map(listen_at);
    let is_free = |attempt: &io::Result<_>| {
        !attempt.as_ref().is_err_and(|error: &io::Error| error.kind() == io::ErrorKind::AddrInUse)
    };
    listening.find(is_free).unwrap_or_else(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}

/// Listens at a port that nobody has claimed. Whoever chooses ports for servers that start later claims them by a datagram socket
/// of the same number.
fn listen_at(port: u16) -> io::Result<TcpListener> {
    let address = (Ipv4Addr::LOCALHOST, port);
    UdpSocket::bind(address)?;
    TcpListener::bind(address)
}

fn member(server: u64, listeners: &[TcpListener]) -> io::Result<Member> {
    let address = |listener: &TcpListener| listener.local_addr().map(|address| address.to_string());
    let addresses = listeners.iter().map(address).collect::<io::Result<Vec<_>>>()?;
    Ok(Member { server, transfer: addresses[0].clone(), addresses: addresses[1..].to_vec() })
}
