//! Certificates and keys in files.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is wrong with a file of certificates or keys. No text shows what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        what: String,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("a certificate needs its key, and a key its certificate: name both files")]
    Half,
}

/// The certificate of one side, those that vouch for it, and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Identity, TlsFileError> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|error| wrong(key, explain(&error, "no private key")))?;
        Ok(Identity { chain, key })
    }

    /// When the first of its certificates ends.
    pub(crate) fn expires(&self, path: &Path) -> Result<SystemTime, TlsFileError> {
        let ends = self.chain.iter().map(|certificate| expiry(certificate, path));
        let ends = ends.collect::<Result<Vec<_>, _>>()?;
        Ok(ends.into_iter().min().expect("a chain has a certificate"))
    }
}

/// All certificates of a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let found = found.map_err(|error| wrong(path, explain(&error, "no certificate")))?;
    if found.is_empty() {
        return Err(wrong(path, "it holds no certificate (a section `BEGIN CERTIFICATE`)".into()));
    }
    Ok(found)
}

/// The authorities in a file.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| wrong(path, format!("an authority's certificate is unusable: {error}")))?;
    }
    Ok(roots)
}

fn expiry(certificate: &CertificateDer<'_>, path: &Path) -> Result<SystemTime, TlsFileError> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| wrong(path, format!("a certificate is malformed: {error}")))?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    Ok(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// More than the certificates of a whole system: a file named by mistake may be endless.
const MOST_BYTES: u64 = 4 << 20;

fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, MOST_BYTES), &mut bytes))
        .map_err(|source| TlsFileError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

pub(crate) fn wrong(path: &Path, what: String) -> TlsFileError {
    TlsFileError::Content { path: path.to_owned(), what }
}

fn explain(error: &pem::Error, missing: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("it holds {missing} in PEM"),
        // Other texts may repeat lines of the file.
        _ => "it is not PEM: sections from BEGIN to END, in base64".to_owned(),
    }
}
