//! What a client shows to servers, and whom it trusts: a password, and certificates.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use niagara_tls::{ClientFiles, Connector, Stream};

/// Who everybody is that has not said otherwise.
const DEFAULT_USER: &str = "default";

/// A user, its password, and what connections in TLS are made with. Both are shared by copies of this.
///
/// ```
/// use niagara_client::{Access, Cluster, Endpoint};
///
/// let access = Access::new().password("correct horse");
/// let server: Endpoint = "http://127.0.0.1:7000".parse()?;
/// let cluster = Cluster::new([server.with(&access)]);
/// assert!(!format!("{cluster:?}").contains("horse"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Default)]
pub struct Access {
    user: Option<Arc<str>>,
    password: Option<Arc<str>>,
    connector: Option<Connector>,
}

/// Where a program finds its password and certificates. What is absent is taken from the environment.
#[derive(Clone, Debug, Default)]
pub struct AccessFiles {
    /// The user; `NIAGARA_USER`, else `default`.
    pub user: Option<String>,
    /// A file whose first line is the password. Else `NIAGARA_PASSWORD` is the password, or `NIAGARA_PASSWORD_FILE` names
    /// such a file.
    pub password: Option<PathBuf>,
    /// The certificates of trusted authorities, in PEM; `NIAGARA_CA`.
    pub ca: Option<PathBuf>,
    /// The client's own certificate; `NIAGARA_CERTIFICATE`.
    pub certificate: Option<PathBuf>,
    /// Its private key; `NIAGARA_KEY`.
    pub key: Option<PathBuf>,
}

impl Access {
    /// Neither a user, nor a password, nor certificates.
    pub fn new() -> Access {
        Access::default()
    }

    /// Gives this password.
    pub fn password(self, password: &str) -> Access {
        Access { password: Some(password.into()), ..self }
    }

    /// Is this user of the servers.
    pub fn user(self, user: &str) -> Access {
        Access { user: Some(user.into()), ..self }
    }

    /// Trusts these authorities, and shows this certificate.
    ///
    /// # Errors
    /// If a file cannot be read or used; the text names it.
    pub fn certificates(self, files: &ClientFiles) -> Result<Access, String> {
        let connector = Connector::open(files).map_err(|error| error.to_string())?;
        Ok(Access { connector: Some(connector), ..self })
    }

    /// Reads files that are named here or in the environment.
    ///
    /// # Errors
    /// If a file cannot be read or used; the text names it, and holds nothing of a password.
    pub fn read(files: AccessFiles) -> Result<Access, String> {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let path = |given: Option<PathBuf>, name: &str| given.or_else(|| variable(name).map(PathBuf::from));
        let mut access = Access::new();
        let user = files.user.map(Ok).or_else(|| variable("NIAGARA_USER").map(OsString::into_string));
        if let Some(user) = user {
            access = access.user(&user.map_err(|_| "NIAGARA_USER is not UTF-8".to_owned())?);
        }
        if let Some(file) = files.password {
            access = access.password(&first_line(&file)?);
        } else if let Some(password) = variable("NIAGARA_PASSWORD") {
            let password = password.into_string().map_err(|_| "NIAGARA_PASSWORD is not UTF-8".to_owned())?;
            access = access.password(&password);
        } else if let Some(file) = variable("NIAGARA_PASSWORD_FILE") {
            access = access.password(&first_line(Path::new(&file))?);
        }
        let certificate = path(files.certificate, "NIAGARA_CERTIFICATE");
        let key = path(files.key, "NIAGARA_KEY");
        match path(files.ca, "NIAGARA_CA") {
            Some(ca) => access.certificates(&ClientFiles { ca, certificate, key }),
            None => Ok(access),
        }
    }

    /// The user, which is `default` if none is named, and the password; `None` if there is neither.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        let (user, password) = (self.user.as_deref(), self.password.as_deref());
        (user.is_some() || password.is_some())
            .then(|| (user.unwrap_or(DEFAULT_USER), password.unwrap_or_default()))
    }

    /// They as the value of a header `Authorization`, of the Basic scheme.
    pub fn authorization(&self) -> Option<String> {
        let (user, password) = self.credentials()?;
        Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// What connections in TLS are made with, if any can be.
    pub fn connector(&self) -> Option<&Connector> {
        self.connector.as_ref()
    }

    /// The client's end of a connection that was just opened, in TLS if `tls`, once the server has shown its certificate.
    pub(crate) fn begin(&self, socket: TcpStream, tls: bool, host: &str) -> io::Result<Stream<TcpStream>> {
        if !tls {
            return Ok(Stream::Plain(socket));
        }
        let no_authority = || {
            let what = "whom should it trust? Name the authority's certificate: --ca FILE, or NIAGARA_CA";
            io::Error::new(ErrorKind::InvalidInput, what)
        };
        let mut stream = Stream::connect(socket, self.connector.as_ref().ok_or_else(no_authority)?, host)?;
        stream.shake_hands().map_err(|error| match error.kind() {
            ErrorKind::InvalidData => {
                io::Error::new(ErrorKind::ConnectionAborted, format!("no TLS with it: {error}"))
            }
            ErrorKind::UnexpectedEof => io::Error::new(
                ErrorKind::ConnectionAborted,
                "it closed the connection instead of speaking TLS",
            ),
            _ => error,
        })?;
        Ok(stream)
    }
}

fn first_line(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read the password from {}: {error}", path.display()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(format!("the first line of {} is empty: it should be the password", path.display())),
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (password, tls) = (self.password.is_some(), self.connector.is_some());
        f.debug_struct("Access")
            .field("user", &self.user)
            .field("has_password", &password)
            .field("has_authorities", &tls)
            .finish()
    }
}
