//! Options that several commands share: which servers to ask, and how durable a new cluster is.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use niagara_client::{Access, AccessFiles, Endpoint};
use niagara_engine::Durability;
use niagara_kvstore::TlsPorts;

use super::failure::Failure;

#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// The servers' HTTP addresses, separated by commas; if one cannot serve, the next is tried, then other members [default: the
    /// environment variable NIAGARA_AT, else http://127.0.0.1:7000].
    #[arg(long, value_name = "URL,...", value_delimiter = ',')]
    pub at: Vec<Endpoint>,
    /// Take the members' HTTP addresses from a server's configuration file instead.
    #[arg(long, value_name = "FILE", conflicts_with = "at")]
    pub config: Option<PathBuf>,
    /// How long to wait for a server's answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub timeout: u32,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// What servers are shown, and whom this trusts.
#[derive(Clone, Debug, Default, Args)]
pub struct AccessArgs {
    /// The user, for whose rights see ACL of the Redis port [default: NIAGARA_USER, else `default`].
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The user's password: the first line of this file [default: the environment variable NIAGARA_PASSWORD, else the
    /// file that NIAGARA_PASSWORD_FILE names].
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Trust the authorities in this file, for https:// [default: NIAGARA_CA, or ca.pem beside the certificate that
    /// --config names].
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Show this certificate to servers that ask for one [default: NIAGARA_CERTIFICATE].
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate [default: NIAGARA_KEY].
    #[arg(long = "key", id = "client_key", value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
}

impl AccessArgs {
    /// Reads the files. `tls`: that of a server's configuration file, if there is one.
    pub fn read(&self, tls: Option<&TlsPorts>) -> Result<Access, Failure> {
        let AccessArgs { user, password_file, ca, certificate, key } = self.clone();
        let beside = || Some(tls?.files.certificate.with_file_name("ca.pem")).filter(|path| path.exists());
        let named = || std::env::var_os("NIAGARA_CA").is_none();
        let ca = ca.or_else(|| beside().filter(|_| named()));
        Access::read(AccessFiles { user, password: password_file, ca, certificate, key })
            .map_err(|what| Failure::new(what, "correct the file, or name another one"))
    }
}

/// The durability levels, by name.
pub fn durability() -> impl TypedValueParser<Value = Durability> {
    PossibleValuesParser::new(["fsync", "os", "memory"]).try_map(|name| name.parse::<Durability>())
}
