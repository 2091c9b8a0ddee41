//! Sends a probe, and waits for what it finds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admission::AdmitAll;
use crate::config::{Dialling, LinkConfig, OpenError, Peer};
use crate::event::Event;
use crate::probe::{PROBE_CHANNEL, hello};
use crate::refusal::Refusal;
use crate::tcp::TcpTransport;
use crate::transport::Transport;

/// Failed attempts to connect after which a probe gives up: a name may have several addresses, which take turns.
const MOST_ATTEMPTS: usize = 4;

/// Why a server has not answered a probe.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// This end cannot send it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be reached, or somebody else is there.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody accepts connections there, and does not answer.
    #[error("somebody listens there and says nothing: another program, or a server of an earlier release")]
    Silent,
    /// What answers speaks another protocol.
    #[error("another program answers there, or this is an address for clients")]
    Foreign,
    /// The ends do not belong together.
    #[error("{0}")]
    Refused(Refusal),
    /// A server of this cluster is there whose release knows of no probes.
    #[error("a server of an earlier release is there")]
    Unsupported,
}

/// Probes whether a server answers at an address, and waits for that. `config` says who asks, and how to dial.
///
/// ```
/// use std::net::TcpListener;
/// use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
/// use std::time::Duration;
///
/// use niagara_net::{Hello, LinkConfig, Peer, ProbeError, Responder, probe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let link = |server| LinkConfig::new(Hello { cluster: 7, server, ..Hello::default() }, "127.0.0.1:0".parse().unwrap(), vec![]);
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?.to_string();
/// let mut responder = Responder::new(&link(4), [listener])?;
/// let (waker, is_over) = (responder.waker(), AtomicBool::new(false));
/// std::thread::scope(|scope| {
///     scope.spawn(|| responder.run(&is_over));
///     let peer = |server| Peer { server, address: address.clone() };
///     let patience = Duration::from_secs(5);
///     assert!(probe(link(1), peer(4), patience).is_ok());
///     assert!(matches!(probe(link(1), peer(5), patience), Err(ProbeError::Refused(_))), "that is server 4");
///     is_over.store(true, SeqCst);
///     waker.wake();
/// });
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If another server is there, another program, or nobody.
pub fn probe(config: LinkConfig, peer: Peer, patience: Duration) -> Result<(), ProbeError> {
    let (server, end) = (peer.server, Instant::now() + patience);
    let config = LinkConfig {
        hello: hello(&config.hello),
        peers: vec![peer],
        dialling: Dialling::Guest,
        // Who accepts and does not answer is awaited to the end.
        hello_timeout: patience * 2,
        ..config
    };
    let mut transport = TcpTransport::new()?;
    transport.open(config, None, Arc::new(AdmitAll))?;
    let mut events = Vec::new();
    loop {
        let now = Instant::now();
        let turned = transport.turn(now, Some(end.saturating_duration_since(now)), &mut || true, &mut events);
        turned.map_err(|source| OpenError::Poll { source })?;
        for (_, event) in events.drain(..) {
            match event {
                Event::Up { .. } => return Ok(()),
                Event::Refused { refusal, by_us, .. } => return Err(refused(refusal, by_us)),
                _ => {}
            }
        }
        let failed = transport.failure(PROBE_CHANNEL, server);
        let is_over = Instant::now() >= end;
        match failed {
            Some(_) if transport.counters(PROBE_CHANNEL).bad_frames > 0 => return Err(ProbeError::Foreign),
            Some((attempts, why)) if is_over || attempts >= MOST_ATTEMPTS => {
                return Err(ProbeError::Unreachable(why));
            }
            None if is_over => return Err(ProbeError::Silent),
            _ => {}
        }
    }
}

/// Releases without probes compare the cluster first, then miss the channel.
fn refused(refusal: Refusal, by_us: bool) -> ProbeError {
    match refusal {
        Refusal::WrongChannels { .. } | Refusal::WrongChannel { .. } | Refusal::NotOpen { .. } if !by_us => {
            ProbeError::Unsupported
        }
        refusal => ProbeError::Refused(refusal),
    }
}
