//! A server's certificate, replaced while it is in use.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ServerConfig, ServerConnection};

use crate::files::{Identity, TlsFileError, authorities, wrong};
use crate::provider;

/// The files of a server, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// Its certificate, and those that vouch for it, up to the authority's.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of clients. If it is there, clients must show a certificate of one of them.
    pub client_ca: Option<PathBuf>,
}

/// What connections are accepted with. New ones use what was last read; those that are open stay as they are.
///
/// ```no_run
/// use niagara_tls::{Acceptor, ServerFiles};
///
/// let (certificate, key) = ("server.pem".into(), "server.key".into());
/// let acceptor = Acceptor::open(ServerFiles { certificate, key, client_ca: None })?;
/// println!("valid until {:?}", acceptor.expires());
/// // Later, after the files were replaced:
/// assert!(acceptor.reload_if_changed()?);
/// # Ok::<(), niagara_tls::TlsFileError>(())
/// ```
pub struct Acceptor {
    files: ServerFiles,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    expires: SystemTime,
    /// What the files looked like when they were last looked at.
    stamps: Vec<Stamp>,
}

/// Tells whether a file was replaced or rewritten.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// If a file cannot be read or used. Retrying helps only once it is corrected.
    pub fn open(files: ServerFiles) -> Result<Acceptor, TlsFileError> {
        let stamps = stamps(&files);
        let (config, expires) = read(&files)?;
        Ok(Acceptor { files, current: Mutex::new(Current { config, expires, stamps }) })
    }

    /// Whether clients have to show a certificate.
    pub fn asks_for_certificates(&self) -> bool {
        self.files.client_ca.is_some()
    }

    /// When the certificate ends, or one that vouches for it.
    pub fn expires(&self) -> SystemTime {
        self.current.lock().expires
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// If a file cannot be read or used. What was in use stays so.
    pub fn reload(&self) -> Result<(), TlsFileError> {
        let seen = stamps(&self.files);
        let read = read(&self.files);
        let mut current = self.current.lock();
        // A file that is wrong is not read again before it changes.
        current.stamps = seen;
        (current.config, current.expires) = read?;
        Ok(())
    }

    /// Reads the files again if one has changed since it was last read, and returns whether it has.
    ///
    /// # Errors
    /// As for [`reload`](Self::reload).
    pub fn reload_if_changed(&self) -> Result<bool, TlsFileError> {
        if self.current.lock().stamps == stamps(&self.files) {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    pub(crate) fn connection(&self) -> ServerConnection {
        let config = Arc::clone(&self.current.lock().config);
        ServerConnection::new(config).expect("the configuration was checked when it was read")
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("files", &self.files).finish_non_exhaustive()
    }
}

fn read(files: &ServerFiles) -> Result<(Arc<ServerConfig>, SystemTime), TlsFileError> {
    let identity = Identity::read(&files.certificate, &files.key)?;
    let expires = identity.expires(&files.certificate)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need");
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities(path)?.into(), provider())
                .build()
                .map_err(|error| wrong(path, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(identity.chain, identity.key).map_err(|error| {
        wrong(&files.key, format!("it does not fit {}: {error}", files.certificate.display()))
    })?;
    if files.client_ca.is_some() {
        // Who resumes a session shows no certificate again, so its end would not be noticed.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok((config.into(), expires))
}

fn stamps(files: &ServerFiles) -> Vec<Stamp> {
    let stamp = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    };
    [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]
        .into_iter()
        .flatten()
        .map(|path| stamp(path))
        .collect()
}
