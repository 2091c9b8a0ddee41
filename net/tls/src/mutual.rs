//! Both ends prove who they are: servers that connect to each other.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::files::TlsFileError;
use crate::{Acceptor, ClientFiles, Connector, ServerFiles, Stream};

/// The files of a server that connects to others and is connected to, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutualFiles {
    /// The authorities that it trusts, on both ends.
    pub ca: PathBuf,
    /// Its certificate, and those that vouch for it, up to the authority's.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What connections between servers are made and accepted with. New ones use what was last read; those that are open stay
/// as they are.
///
/// ```no_run
/// use niagara_tls::{Mutual, MutualFiles};
///
/// let (ca, certificate, key) = ("ca.pem".into(), "db-1.pem".into(), "db-1.key".into());
/// let mutual = Mutual::open(MutualFiles { ca, certificate, key })?;
/// println!("valid until {:?}", mutual.expires());
/// # Ok::<(), niagara_tls::TlsFileError>(())
/// ```
pub struct Mutual {
    files: MutualFiles,
    acceptor: Acceptor,
    connector: Mutex<Connector>,
}

impl Mutual {
    /// Reads the files.
    ///
    /// # Errors
    /// If a file cannot be read or used. Retrying helps only once it is corrected.
    pub fn open(files: MutualFiles) -> Result<Mutual, TlsFileError> {
        let MutualFiles { ca, certificate, key } = files.clone();
        let acceptor = Acceptor::open(ServerFiles { certificate, key, client_ca: Some(ca) })?;
        let connector = Mutex::new(connector(&files)?);
        Ok(Mutual { files, acceptor, connector })
    }

    /// When the certificate ends, or one that vouches for it.
    pub fn expires(&self) -> SystemTime {
        self.acceptor.expires()
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// If a file cannot be read or used. What was in use stays so.
    pub fn reload(&self) -> Result<(), TlsFileError> {
        self.acceptor.reload()?;
        *self.connector.lock() = connector(&self.files)?;
        Ok(())
    }

    /// Reads the files again if one has changed since it was last read, and returns whether it has.
    ///
    /// # Errors
    /// As for [`reload`](Self::reload).
    pub fn reload_if_changed(&self) -> Result<bool, TlsFileError> {
        let has_changed = self.acceptor.reload_if_changed()?;
        if has_changed {
            *self.connector.lock() = connector(&self.files)?;
        }
        Ok(has_changed)
    }

    /// The end that is connected to. Whoever connects has to show a certificate.
    pub fn accept<S: Read + Write>(&self, socket: S) -> Stream<S> {
        Stream::accept(socket, &self.acceptor)
    }

    /// The end that connects. `name` is the other one's, which its certificate must have.
    ///
    /// # Errors
    /// If it is no name.
    pub fn connect<S: Read + Write>(&self, socket: S, name: &str) -> io::Result<Stream<S>> {
        Stream::connect(socket, &self.connector.lock(), name)
    }
}

fn connector(files: &MutualFiles) -> Result<Connector, TlsFileError> {
    let MutualFiles { ca, certificate, key } = files.clone();
    Connector::open(&ClientFiles { ca, certificate: Some(certificate), key: Some(key) })
}

impl fmt::Debug for Mutual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutual").field("files", &self.files).finish_non_exhaustive()
    }
}
