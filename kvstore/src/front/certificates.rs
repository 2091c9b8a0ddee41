//! Watches over the certificate that clients are shown: reads it again when its files change, and says in time that it
//! ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use niagara_tls::{Acceptor, Mutual, TlsFileError};
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

/// Whom a certificate is shown to.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    ToClients(Arc<Acceptor>),
    ToPeers(Arc<Mutual>),
}

impl Shown {
    fn to(&self) -> &'static str {
        match self {
            Shown::ToClients(_) => "clients",
            Shown::ToPeers(_) => "peers",
        }
    }

    fn expires(&self) -> SystemTime {
        match self {
            Shown::ToClients(acceptor) => acceptor.expires(),
            Shown::ToPeers(mutual) => mutual.expires(),
        }
    }

    fn reload(&self) -> Result<(), TlsFileError> {
        match self {
            Shown::ToClients(acceptor) => acceptor.reload(),
            Shown::ToPeers(mutual) => mutual.reload(),
        }
    }

    fn reload_if_changed(&self) -> Result<bool, TlsFileError> {
        match self {
            Shown::ToClients(acceptor) => acceptor.reload_if_changed(),
            Shown::ToPeers(mutual) => mutual.reload_if_changed(),
        }
    }

    /// For how long it is still valid.
    fn left(&self, now: SystemTime) -> Duration {
        self.expires().duration_since(now).unwrap_or_default()
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Certificates {
    shown: Vec<Shown>,
    failures: AtomicU64,
    stopping: Mutex<bool>,
    stop: Condvar,
}

impl Certificates {
    pub(super) fn new(shown: Vec<Shown>) -> Certificates {
        Certificates { shown, failures: AtomicU64::new(0), stopping: Mutex::new(false), stop: Condvar::new() }
    }

    /// Watches until [`stop`](Self::stop).
    pub(super) fn watch(&self) {
        let mut reminded: Option<Instant> = None;
        let mut stopping = self.stopping.lock();
        while !*stopping {
            for shown in &self.shown {
                match shown.reload_if_changed() {
                    Ok(false) => {}
                    Ok(true) => say_replaced(shown),
                    Err(error) => self.say_kept(shown, &error),
                }
            }
            if reminded.is_none_or(|since| since.elapsed() >= REMINDER) {
                reminded = Some(Instant::now());
                self.shown.iter().for_each(|shown| remind(shown, SystemTime::now()));
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
        for shown in &self.shown {
            match shown.reload() {
                Ok(()) => say_replaced(shown),
                Err(error) => self.say_kept(shown, &error),
            }
        }
    }

    fn say_kept(&self, shown: &Shown, error: &TlsFileError) {
        self.failures.fetch_add(1, Relaxed);
        let to = shown.to();
        tracing::error!(%error, to, "the certificate that was in use stays so: correct the file, which is read again when it changes, or at SIGHUP");
    }
}

fn say_replaced(shown: &Shown) {
    let now = SystemTime::now();
    let days_left = shown.left(now).as_secs() / 86_400;
    tracing::info!(
        days_left,
        to = shown.to(),
        "new connections are shown the certificate as its files are now"
    );
    // Nobody should have to wait a day to hear that the new one ends soon, too.
    remind(shown, now);
}

fn remind(shown: &Shown, now: SystemTime) {
    let (left, to) = (shown.left(now), shown.to());
    if left.is_zero() {
        tracing::error!(to, "the certificate has ended, and is refused: replace its files");
    } else if left < SOON {
        tracing::warn!(
            to,
            days_left = left.as_secs() / 86_400,
            "the certificate ends soon: replace its files"
        );
    }
}

/// Where a registry reads how long the certificates last.
#[derive(Clone, Debug)]
pub(super) struct CertificatesCollector(pub(super) Arc<Certificates>);

impl Collector for CertificatesCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Certificates { shown, failures, .. } = &*self.0;
        let mut gauge = |name: &str, help: &str, value: &dyn Fn(&Shown) -> i64| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for shown in shown {
                let labels = [("shown_to", shown.to())];
                ConstGauge::new(value(shown)).encode(family.encode_family(&labels.as_slice())?)?;
            }
            Ok(())
        };
        let end =
            |shown: &Shown| shown.expires().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        gauge("niagara_certificate_end", "When the certificate ends, in seconds since 1970", &end)?;
        let now = SystemTime::now();
        gauge(
            "niagara_certificate_ends_soon",
            "Whether the certificate ends within 30 days, or has ended",
            &|shown| i64::from(shown.left(now) < SOON),
        )?;
        let name = "niagara_certificate_reload_failures";
        let help =
            "Times that new files of a certificate could not be used, so that the old ones stayed in use";
        ConstCounter::new(failures.load(Relaxed)).encode(encoder.encode_descriptor(
            name,
            help,
            None,
            MetricType::Counter,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use niagara_tls::ServerFiles;
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use tempfile::TempDir;

    use super::*;
    use crate::audit::tests::logged;

    const DAY: Duration = Duration::from_secs(86_400);

    /// A certificate that ends so long after now, and the directory that it is in.
    fn certificate(ends_after: Duration) -> (TempDir, Shown) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        params.not_after = date_time_ymd(1970, 1, 1) + (now + ends_after);
        fs::write(at("s.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(at("s.key"), key.serialize_pem()).unwrap();
        let files = ServerFiles { certificate: at("s.pem"), key: at("s.key"), client_ca: None };
        let shown = Shown::ToClients(Arc::new(Acceptor::open(files).unwrap()));
        (dir, shown)
    }

    /// What the metrics say of it.
    fn metrics(ends_after: Duration) -> String {
        let (_dir, shown) = certificate(ends_after);
        let mut registry = Registry::default();
        let certificates = Certificates::new(vec![shown]);
        registry.register_collector(Box::new(CertificatesCollector(Arc::new(certificates))));
        let mut out = String::new();
        text::encode(&mut out, &registry).unwrap();
        out
    }

    #[test]
    fn a_new_certificate_that_ends_soon_is_warned_of_at_once() {
        for (days, warned) in [(29, true), (31, false)] {
            let (_dir, shown) = certificate(DAY * days);
            let certificates = Certificates::new(vec![shown]);
            let told = logged(module_path!().strip_suffix("::tests").unwrap(), || certificates.reload());
            assert!(told[0].contains("as its files are now"), "{told:?}");
            assert_eq!(told.iter().any(|line| line.contains("ends soon")), warned, "{told:?}");
        }
    }

    #[test]
    fn a_certificate_that_ends_within_thirty_days_is_warned_of() {
        for (days, soon) in [(0, 1), (1, 1), (29, 1), (31, 0), (300, 0)] {
            let said = metrics(DAY * days);
            assert!(
                said.contains(&format!("niagara_certificate_ends_soon{{shown_to=\"clients\"}} {soon}")),
                "{said}"
            );
        }
    }
}
