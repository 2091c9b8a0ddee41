//! Operations over sockets: one poll, one write and one read per connection and turn.

use std::net::{SocketAddr, ToSocketAddrs as _};

use mio::{Events, Token};
use niagara_client::{Access, AccessFiles};

use super::alarm::Sleeper;
use super::clock::Clock;
use super::codec::Codec;
use super::connection::{Connection, Turn};
use super::greeting;
use super::http::Http;
use super::operation::Operation;
use super::options::{LoadOptions, ReadConsistency, TargetOptions, WorkloadOptions};
use super::redis::Redis;
use super::transport::{Event, Transport};
use crate::failure::Failure;

/// Holds the replies to deep pipelines.
const BUFFER_BYTES: usize = 256 << 10;
/// How often clocks are looked at: for what takes too long, and for servers that are to be tried again.
const LOOK_NANOS: u64 = 20_000_000;

/// The connections of one thread.
pub(super) struct Sockets {
    servers: Servers,
    connections: Vec<Connection>,
    /// Connections with something to send.
    staged: Vec<usize>,
    sleeper: Sleeper,
    events: Events,
    buffer: Box<[u8]>,
    timeout: u64,
    next_look: u64,
    begun: bool,
}

/// The servers, in the order of the command line.
#[derive(Clone)]
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    codecs: Vec<Codec>,
    /// The host that the server's certificate must name, if it speaks TLS.
    encrypted: Vec<Option<String>>,
    access: Access,
}

impl Servers {
    /// Looks up the servers of a run over sockets, and whether they are such.
    pub fn of(options: &LoadOptions) -> Result<Servers, Failure> {
        let over_http = !options.target.http.is_empty();
        let names = if over_http { &options.target.http } else { &options.target.redis };
        let access = access(&options.target)?;
        let mut servers = Servers {
            addresses: Vec::new(),
            codecs: Vec::new(),
            encrypted: Vec::new(),
            access: access.clone(),
        };
        for name in names {
            let (tls, host) = host_of(name, over_http)?;
            if tls && access.connector().is_none() {
                let what = "whom should it trust? Name the authority's certificate: --ca FILE, or NIAGARA_CA";
                return Err(Failure::new(format!("{name}: {what}")));
            }
            let looked_up = host
                .to_socket_addrs()
                .map_err(|error| {
                    Failure::new(format!("{name}: {error}; give HOST:PORT, such as 127.0.0.1:7000"))
                })?
                .next();
            let address =
                looked_up.ok_or_else(|| Failure::new(format!("{name}: this name has no address")))?;
            match over_http {
                true => greeting::over_http(name, &access)?,
                // Only who speaks TLS gets as far as a handshake.
                false if tls => {}
                false => greeting::over_redis(name, address)?,
            }
            let bare = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
            servers.encrypted.push(tls.then(|| bare.to_owned()));
            servers.addresses.push(address);
            servers.codecs.push(if over_http {
                Codec::Http(Http {
                    host: host.to_owned(),
                    keep_alive: !options.pace.no_keep_alive,
                    authorization: access.authorization(),
                })
            } else {
                Codec::Redis(redis_of(&options.workload, access.credentials()))
            });
        }
        Ok(servers)
    }
}

/// The host and port of an address.
///
/// Whether it is to be spoken to in TLS comes with it.
fn host_of(name: &str, over_http: bool) -> Result<(bool, &str), Failure> {
    let (scheme, encrypted) = if over_http { ("http://", "https://") } else { ("redis://", "rediss://") };
    let (tls, host) = match name.strip_prefix(encrypted) {
        Some(host) => (true, host),
        None => (false, name.strip_prefix(scheme).unwrap_or(name)),
    };
    let host = host.trim_end_matches('/');
    if host.contains('/') {
        return Err(Failure::new(format!(
            "{name}: give {scheme}HOST:PORT or {encrypted}HOST:PORT, without a path"
        )));
    }
    Ok((tls, host))
}

fn access(target: &TargetOptions) -> Result<Access, Failure> {
    let TargetOptions { user, password_file, ca, certificate, key, .. } = target.clone();
    Access::read(AccessFiles { user, password: password_file, ca, certificate, key }).map_err(Failure::new)
}

fn redis_of(workload: &WorkloadOptions, credentials: Option<(&str, &str)>) -> Redis {
    match workload {
        WorkloadOptions::Kv(kv) => Redis::new(kv.consistency == ReadConsistency::Weak, kv.wait, credentials),
        _ => Redis::new(false, None, credentials),
    }
}

impl Sockets {
    /// So many connections, the first of which begins with this server.
    pub fn new(servers: Servers, connections: usize, first: usize, timeout: u64) -> Result<Sockets, Failure> {
        let count = servers.addresses.len();
        Ok(Sockets {
            connections: (0..connections)
                .map(|number| Connection::new(number, (first + number) % count))
                .collect(),
            servers,
            staged: Vec::new(),
            sleeper: Sleeper::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            timeout,
            next_look: 0,
            begun: false,
        })
    }
}

impl Transport for Sockets {
    fn takes(&self, connection: usize) -> bool {
        self.begun && self.connections[connection].takes(&self.servers.codecs)
    }

    fn send(&mut self, now: u64, connection: usize, place: usize, operation: &Operation) {
        if self.connections[connection].stage(now, place, operation, &self.servers.codecs) {
            self.staged.push(connection);
        }
    }

    fn turn(&mut self, clock: Clock, until: u64, heard: &mut impl FnMut(u64, Event<'_>)) {
        let Sockets { connections, staged, sleeper, events, buffer, next_look, begun, .. } = self;
        let surroundings = (&self.servers, self.timeout);
        let mut now = turn(clock.now(), surroundings, sleeper, buffer, &mut *heard);
        if !*begun {
            *begun = true;
            connections.iter_mut().for_each(|connection| connection.begin(&mut now));
        }
        staged.drain(..).for_each(|connection| connections[connection].flush(&mut now));
        sleeper.sleep(clock, until.min(*next_look), events);
        let mut now = turn(clock.now(), surroundings, sleeper, buffer, heard);
        for event in &*events {
            let Token(number) = event.token();
            if let Some(connection) = connections.get_mut(number) {
                now.now = clock.now();
                connection.ready(&mut now);
            }
        }
        if *next_look <= now.now {
            *next_look = now.now + LOOK_NANOS;
            connections.iter_mut().for_each(|connection| connection.look_at_clock(&mut now));
        }
    }
}

fn turn<'t, H>(
    now: u64,
    (servers, timeout): (&'t Servers, u64),
    sleeper: &'t Sleeper,
    buffer: &'t mut [u8],
    heard: H,
) -> Turn<'t, H> {
    let Servers { addresses, codecs, encrypted, access } = servers;
    Turn { now, addresses, codecs, encrypted, access, registry: sleeper.registry(), buffer, timeout, heard }
}
