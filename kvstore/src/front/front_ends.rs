//! All front-end threads of one server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::Poll;
use niagara_engine::{Client, Wake};
use niagara_tls::Acceptor;

use super::addresses::Addresses;
use super::budget::Budget;
use super::certificates::{Certificates, CertificatesCollector, Shown};
use super::config::FrontEndConfig;
use super::gauges::GaugeCollector;
use super::listener::Listener;
use super::mailbox::Mailbox;
use super::metrics::{FrontCollector, FrontMetrics};
use super::shared::Shared;
use super::worker::Worker;
use crate::Kv;
use crate::access::{Guard, GuardCollector};
use crate::clients::Clients;
use crate::handover::Handover;
use crate::protocol::{Engine, Wire};
use crate::time::ClusterTime;

/// The running front ends of one server. Dropping this stops them.
///
/// ```no_run
/// # fn f(engine: &niagara_engine::Engine<niagara_kvstore::Kv>) -> std::io::Result<()> {
/// use niagara_kvstore::{FrontEndConfig, FrontEnds};
///
/// let front_ends = FrontEnds::start(FrontEndConfig::default(), engine.client())?;
/// println!("redis-cli -p {}", front_ends.redis_addr().port());
/// front_ends.stop();
/// # Ok(())
/// # }
/// ```
pub struct FrontEnds {
    pub(super) shared: Arc<Shared>,
    certificates: Option<Arc<Certificates>>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for FrontEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontEnds").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl FrontEnds {
    /// Listens at all addresses and starts the threads.
    ///
    /// # Errors
    /// If the server cannot listen at an address (it is in use, or not of this machine), or a limit of the
    /// system is reached. Nothing runs then.
    pub fn start(config: FrontEndConfig, client: Client<Kv>) -> io::Result<FrontEnds> {
        let metrics = Arc::new(FrontMetrics::default());
        let collector = FrontCollector(Arc::clone(&metrics));
        let registry = client.clone();
        let client_reader = client.reader();
        let front_ends = FrontEnds::start_with(config, metrics, move |mailbox| {
            let client = client.clone();
            move || client.port(mailbox)
        })?;
        let gauges = GaugeCollector::new(client_reader, Arc::clone(&front_ends.shared.budget));
        let certificates = front_ends.certificates.clone().map(CertificatesCollector);
        let barred = GuardCollector(Arc::clone(&front_ends.shared.guard));
        registry.register_metrics(|registry| {
            registry.register_collector(Box::new(collector));
            registry.register_collector(Box::new(gauges));
            registry.register_collector(Box::new(barred));
            if let Some(certificates) = certificates {
                registry.register_collector(Box::new(certificates));
            }
        });
        Ok(front_ends)
    }

    /// Starts with any engine. `engine_for` returns what makes a thread's engine, in that thread.
    pub(super) fn start_with<E: Engine, M: FnOnce() -> E + Send + 'static>(
        mut config: FrontEndConfig,
        metrics: Arc<FrontMetrics>,
        engine_for: impl Fn(Arc<dyn Wake>) -> M,
    ) -> io::Result<FrontEnds> {
        let all = |first: SocketAddr, too: &[SocketAddr]| [&[first], too].concat();
        let keepalive = config.tcp_keepalive;
        let mut listeners = Vec::new();
        let mut listen = |addresses: &[SocketAddr], wire: Wire, tls: bool| {
            let bound = Listener::bind_all(addresses, (wire, tls), keepalive)?;
            let first = bound[0].address()?;
            listeners.extend(bound);
            Ok::<SocketAddr, io::Error>(first)
        };
        if config.tls.as_ref().is_none_or(|tls| !tls.only) {
            config.http = listen(&all(config.http, &config.http_too), Wire::Http, false)?;
            config.redis = listen(&all(config.redis, &config.redis_too), Wire::Redis, false)?;
        } else {
            config.http.set_port(0);
            config.redis.set_port(0);
        }
        let acceptor = match &mut config.tls {
            None => None,
            Some(tls) => {
                tls.http = listen(&all(tls.http, &tls.http_too), Wire::Http, true)?;
                tls.redis = listen(&all(tls.redis, &tls.redis_too), Wire::Redis, true)?;
                Some(Arc::new(Acceptor::open(tls.files.clone()).map_err(io::Error::other)?))
            }
        };
        if listeners.len() > Worker::<E>::MAX_LISTENERS {
            return Err(io::Error::other(format!(
                "cannot listen at {} addresses: too many",
                listeners.len()
            )));
        }
        let polls: Vec<Poll> = (0..config.threads.max(1)).map(|_| Poll::new()).collect::<io::Result<_>>()?;
        let mailboxes =
            polls.iter().map(|poll| Mailbox::new(poll).map(Arc::new)).collect::<io::Result<Vec<_>>>()?;
        for (number, listener) in listeners.iter_mut().enumerate() {
            listener.register(polls[0].registry(), Worker::<E>::listener_token(number))?;
        }
        let guard = Arc::new(Guard::new(&config.access));
        let budget = Arc::new(Budget::new(config.all_clients));
        let wakes = mailboxes.iter().map(|mailbox| Arc::<Mailbox>::clone(mailbox) as Arc<dyn Wake>);
        let clients = Arc::new(Clients::new(wakes, config.max_connections, Instant::now()));
        let shared = Arc::new(Shared {
            heaviest: polls.iter().map(|_| AtomicUsize::new(0)).collect(),
            addresses: Addresses::new(&config),
            clients,
            config,
            mailboxes: mailboxes.clone(),
            metrics,
            stopping: false.into(),
            open: 0.into(),
            budget,
            next_id: 1.into(),
            time: Arc::new(ClusterTime::new(Instant::now())),
            handover: Arc::new(Handover::default()),
            guard,
            acceptor,
        });
        let to_clients = shared.acceptor.clone().map(Shown::ToClients);
        let to_peers = shared.config.peer_certificates.clone().map(Shown::ToPeers);
        let shown: Vec<_> = to_clients.into_iter().chain(to_peers).collect();
        let certificates = (!shown.is_empty()).then(|| Arc::new(Certificates::new(shown)));
        let mut front_ends = FrontEnds {
            shared: Arc::clone(&shared),
            certificates: certificates.clone(),
            threads: Vec::new(),
        };
        if let Some(certificates) = certificates {
            let watch = move || certificates.watch();
            front_ends.threads.push(thread::Builder::new().name("certificates".into()).spawn(watch)?);
        }
        for (number, (poll, mailbox)) in polls.into_iter().zip(mailboxes).enumerate() {
            let shared = Arc::clone(&shared);
            let listeners = std::mem::take(&mut listeners);
            let make_engine = engine_for(mailbox);
            let run = move || Worker::new(number, shared, poll, make_engine(), listeners).run();
            front_ends.threads.push(thread::Builder::new().name(format!("front-{number}")).spawn(run)?);
        }
        Ok(front_ends)
    }

    /// The HTTP address, with port 0 if clients must speak TLS.
    pub fn http_addr(&self) -> SocketAddr {
        self.shared.config.http
    }

    /// The address of the Redis protocol, with port 0 if clients must speak TLS.
    pub fn redis_addr(&self) -> SocketAddr {
        self.shared.config.redis
    }

    /// The HTTP address for clients that speak TLS.
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.shared.config.tls.as_ref().map(|tls| tls.http)
    }

    /// The address of the Redis protocol for clients that speak TLS.
    pub fn rediss_addr(&self) -> Option<SocketAddr> {
        self.shared.config.tls.as_ref().map(|tls| tls.redis)
    }

    /// Reads the certificate's files again, for clients that connect from now on. If they cannot be used, the log says
    /// so, and nothing changes.
    pub fn reload_certificates(&self) {
        if let Some(certificates) = &self.certificates {
            certificates.reload();
        }
    }

    /// Number of clients that are connected.
    pub fn clients(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// See [`FrontEndConfig::shutdown_grace`].
    pub fn shutdown_grace(&self) -> Duration {
        self.shared.config.shutdown_grace
    }

    /// Makes all threads notice that the engine [retires](niagara_engine::Client::retire).
    pub(crate) fn notice_retirement(&self) {
        self.shared.mailboxes.iter().for_each(|mailbox| mailbox.wake());
    }

    /// Stops: accepts no further request, waits at most a second for the outcomes of what is in flight, sends
    /// them, and closes all connections. Call it before the engine is stopped, since the engine provides the
    /// outcomes.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        if let Some(certificates) = &self.certificates {
            certificates.stop();
        }
        for mailbox in &self.shared.mailboxes {
            mailbox.wake();
        }
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join()
                && !thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Drop for FrontEnds {
    fn drop(&mut self) {
        self.join();
    }
}
