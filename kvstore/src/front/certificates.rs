//! Watches over the certificate that clients are shown: reads it again when its files change, and says in time that it
//! ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use niagara_tls::{Acceptor, TlsFileError};
use parking_lot::{Condvar, Mutex};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// How often the files are looked at. Whoever replaces them need not tell the server.
const LOOK: Duration = Duration::from_secs(10);

/// A certificate that ends within this time should be replaced.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How often the log says so.
const REMINDER: Duration = Duration::from_secs(24 * 60 * 60);

/// See the [module](self).
pub(super) struct Certificates {
    acceptor: Arc<Acceptor>,
    failures: AtomicU64,
    stopping: Mutex<bool>,
    stop: Condvar,
}

impl Certificates {
    pub(super) fn new(acceptor: Arc<Acceptor>) -> Certificates {
        Certificates {
            acceptor,
            failures: AtomicU64::new(0),
            stopping: Mutex::new(false),
            stop: Condvar::new(),
        }
    }

    /// Watches until [`stop`](Self::stop).
    pub(super) fn watch(&self) {
        let mut reminded: Option<Instant> = None;
        let mut stopping = self.stopping.lock();
        while !*stopping {
            match self.acceptor.reload_if_changed() {
                Ok(false) => {}
                Ok(true) => {
                    self.say_replaced();
                    reminded = None;
                }
                Err(error) => self.say_kept(&error),
            }
            if reminded.is_none_or(|since| since.elapsed() >= REMINDER) {
                reminded = Some(Instant::now());
                self.remind();
            }
            self.stop.wait_for(&mut stopping, LOOK);
        }
    }

    pub(super) fn stop(&self) {
        *self.stopping.lock() = true;
        self.stop.notify_all();
    }

    /// Reads the files now, whether or not they have changed.
    pub(super) fn reload(&self) {
        match self.acceptor.reload() {
            Ok(()) => self.say_replaced(),
            Err(error) => self.say_kept(&error),
        }
    }

    fn say_replaced(&self) {
        tracing::info!(
            days_left = self.left().as_secs() / 86_400,
            "new clients are shown the certificate as its files are now"
        );
    }

    fn say_kept(&self, error: &TlsFileError) {
        self.failures.fetch_add(1, Relaxed);
        tracing::error!(%error, "the certificate that was in use stays so: correct the file, which is read again when it changes, or at SIGHUP");
    }

    fn remind(&self) {
        let left = self.left();
        if left.is_zero() {
            tracing::error!("the certificate has ended, and clients refuse it: replace its files");
        } else if left < SOON {
            tracing::warn!(
                days_left = left.as_secs() / 86_400,
                "the certificate ends soon: replace its files"
            );
        }
    }

    /// For how long the certificate is still valid.
    fn left(&self) -> Duration {
        self.acceptor.expires().duration_since(SystemTime::now()).unwrap_or_default()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("acceptor", &self.acceptor).finish_non_exhaustive()
    }
}

/// Where a registry reads how long the certificate lasts.
#[derive(Clone, Debug)]
pub(super) struct CertificatesCollector(pub(super) Arc<Certificates>);

impl Collector for CertificatesCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Certificates { acceptor, failures, .. } = &*self.0;
        let mut gauge = |name: &str, help: &str, value: i64| {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        let end = acceptor.expires().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        gauge("niagara_certificate_end", "When the certificate ends, in seconds since 1970", end)?;
        let soon = i64::from(self.0.left() < SOON);
        gauge(
            "niagara_certificate_ends_soon",
            "Whether the certificate ends within 30 days, or has ended",
            soon,
        )?;
        let name = "niagara_certificate_reload_failures";
        let help =
            "Times that new files of the certificate could not be used, so that the old ones stayed in use";
        ConstCounter::new(failures.load(Relaxed)).encode(encoder.encode_descriptor(
            name,
            help,
            None,
            MetricType::Counter,
        )?)
    }
}
