//! What a client needs to connect.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::files::{Identity, TlsFileError, authorities, wrong};
use crate::provider;

/// The files of a client, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities that the client trusts.
    pub ca: PathBuf,
    /// Its own certificate, if servers ask for one.
    pub certificate: Option<PathBuf>,
    /// The private key of that.
    pub key: Option<PathBuf>,
}

/// What connections are made with.
///
/// ```no_run
/// use std::io::Write;
/// use std::net::TcpStream;
///
/// use niagara_tls::{ClientFiles, Connector, Stream};
///
/// let connector = Connector::open(&ClientFiles { ca: "ca.pem".into(), certificate: None, key: None })?;
/// let socket = TcpStream::connect("db-1.example.org:7003")?;
/// let mut stream = Stream::connect(socket, &connector, "db-1.example.org")?;
/// stream.write_all(b"PING\r\n")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Connector(Arc<ClientConfig>);

impl Connector {
    /// Reads the files.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub fn open(files: &ClientFiles) -> Result<Connector, TlsFileError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_root_certificates(authorities(&files.ca)?);
        let config = match (&files.certificate, &files.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let identity = Identity::read(certificate, key)?;
                builder.with_client_auth_cert(identity.chain, identity.key).map_err(|error| {
                    wrong(key, format!("it does not fit {}: {error}", certificate.display()))
                })?
            }
            _ => return Err(TlsFileError::Half),
        };
        Ok(Connector(config.into()))
    }

    /// A connection to a server of this name or address; one of version 6 may be in brackets.
    pub(crate) fn connection(&self, host: &str) -> io::Result<ClientConnection> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("\"{host}\" is no name of a server"))
        })?;
        ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector(..)")
    }
}
