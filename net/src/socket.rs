//! Sockets with the options that a channel needs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::config::{LinkConfig, OpenError};

/// Connections that the kernel completes before they are accepted: a burst of reconnecting peers, and
/// strangers.
const BACKLOG: i32 = 1024;

/// After this long without traffic the kernel probes whether the other end is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(2);
/// Time between two such probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// After this long without an acknowledgement, of data or a keepalive, the connection fails. A cut link is
/// silent: without this the kernel would retry for a quarter of an hour.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
/// How many bytes may wait in the kernel besides those in flight. What waits there can no longer be overtaken
/// or replaced, and on a slow link it would be megabytes.
const UNSENT_BYTES: u32 = 128 << 10;
const _: () = assert!(USER_TIMEOUT.as_secs() > KEEPALIVE_IDLE.as_secs() + KEEPALIVE_INTERVAL.as_secs());

/// The channel's listener. `SO_REUSEADDR` lets a restarted server reclaim its port while connections of its
/// former life linger in TIME_WAIT.
pub(crate) fn listen(config: &LinkConfig) -> Result<TcpListener, OpenError> {
    let open = || -> io::Result<TcpListener> {
        let socket = new_socket(config.listen, config)?;
        socket.set_reuse_address(true)?;
        socket.bind(&config.listen.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from_std(socket.into()))
    };
    open().map_err(|source| OpenError::Listen { address: config.listen, source })
}

/// Uses a socket that listens already.
pub(crate) fn listen_on(
    listener: std::net::TcpListener,
    config: &LinkConfig,
) -> Result<TcpListener, OpenError> {
    let unusable = |source| OpenError::Listen { address: config.listen, source };
    listener.set_nonblocking(true).map_err(unusable)?;
    Ok(TcpListener::from_std(listener))
}

/// Checks at once whether dialled sockets can be bound as configured. Later it would only be one more reason
/// for a dial to fail.
pub(crate) fn probe_binding(config: &LinkConfig) -> Result<(), OpenError> {
    let any = |address: IpAddr| SocketAddr::new(address, 0);
    if let Some(address) = config.bind_address {
        let bound = new_socket(any(address), config).and_then(|socket| socket.bind(&any(address).into()));
        bound.map_err(|source| OpenError::BindAddress { address, source })?;
    }
    if let Some(device) = &config.bind_device {
        let bound = new_socket(config.listen, config).and_then(|socket| bind_device(&socket, device));
        bound.map_err(|source| OpenError::BindDevice { device: device.clone(), source })?;
    }
    Ok(())
}

/// Starts to connect. The stream becomes writable when the outcome is known.
pub(crate) fn dial(address: SocketAddr, config: &LinkConfig) -> io::Result<TcpStream> {
    let socket = new_socket(address, config)?;
    if let Some(device) = &config.bind_device {
        bind_device(&socket, device)?;
    }
    if let Some(local) = config.bind_address {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => {
            tune(&SockRef::from(&socket))?;
            Ok(TcpStream::from_std(socket.into()))
        }
    }
}

/// Sets the options of every connection, dialled or accepted.
pub(crate) fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    // Messages are batched before they are written, so holding back the last segment of a batch only adds
    // delay.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    // On a link that comes and goes, resends lost segments about every 200 ms, instead of ever more rarely:
    // few segments are in flight at a time, so this cannot congest anything.
    socket.set_tcp_thin_linear_timeouts(true)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Buffer sizes must be set before listening or connecting, since they decide the window scale. Accepted
/// sockets inherit them.
fn new_socket(address: SocketAddr, config: &LinkConfig) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if let Some(bytes) = config.socket_send_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = config.socket_receive_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket)
}

fn bind_device(socket: &Socket, device: &str) -> io::Result<()> {
    socket.bind_device(Some(device.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::hello::Hello;

    fn config(listen: &str) -> LinkConfig {
        let hello = Hello { cluster: 1, server: 1, channel: 0, channels: 1, store: 1, ..Hello::default() };
        LinkConfig::new(hello, listen.parse().unwrap(), Vec::new())
    }

    #[test]
    fn both_ends_send_at_once_and_notice_a_silent_link() {
        let mut config = config("127.0.0.1:0");
        config.socket_receive_bytes = Some(20_000);
        let listener = listen(&config).unwrap();
        let dialled = dial(listener.local_addr().unwrap(), &config).unwrap();
        let accepted = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(_) => thread::yield_now(),
            }
        };
        tune(&SockRef::from(&accepted)).unwrap();
        for stream in [&dialled, &accepted] {
            let socket = SockRef::from(stream);
            assert!(
                socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap() && socket.nonblocking().unwrap()
            );
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
            // Linux doubles the figure for its own book-keeping.
            assert_eq!(socket.recv_buffer_size().unwrap(), 40_000);
        }
    }

    #[test]
    fn a_dialled_connection_starts_from_the_bound_address_and_device() {
        let mut config = config("127.0.0.1:0");
        config.bind_address = Some("127.0.0.9".parse().unwrap());
        let listener = listen(&config).unwrap();
        let dialled = dial(listener.local_addr().unwrap(), &config).unwrap();
        assert_eq!(Some(dialled.local_addr().unwrap().ip()), config.bind_address);

        config.bind_device = Some("lo".to_owned());
        probe_binding(&config).unwrap();
        let dialled = dial(listener.local_addr().unwrap(), &config).unwrap();
        assert_eq!(SockRef::from(&dialled).device().unwrap(), Some(b"lo".to_vec()));
    }

    #[test]
    fn what_cannot_be_bound_is_named_with_what_to_do() {
        let taken = listen(&config("127.0.0.1:0")).unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = listen(&config(&address)).unwrap_err().to_string();
        assert!(error.contains(&address) && error.contains("another process"), "{error}");

        // 192.0.2.0/24 is reserved for documentation: no machine has it.
        let error = listen(&config("192.0.2.1:0")).unwrap_err().to_string();
        assert!(error.contains("192.0.2.1:0") && error.contains("no device"), "{error}");

        let mut config = config("127.0.0.1:0");
        config.bind_device = Some("nosuchdevice".to_owned());
        let error = probe_binding(&config).unwrap_err().to_string();
        assert!(error.contains("nosuchdevice") && error.contains("CAP_NET_RAW"), "{error}");

        config.bind_address = Some("192.0.2.1".parse().unwrap());
        let error = probe_binding(&config).unwrap_err().to_string();
        assert!(error.contains("192.0.2.1") && error.contains("bind_address"), "{error}");
    }
}
