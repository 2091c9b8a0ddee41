//! Options that several commands share: which servers to ask, and how durable a new cluster is.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use niagara_client::Endpoint;
use niagara_engine::Durability;

#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// The servers' HTTP addresses, separated by commas; if one cannot serve, the next is tried [default: the
    /// environment variable NIAGARA_AT, else http://127.0.0.1:7000].
    #[arg(long, value_name = "URL,...", value_delimiter = ',')]
    pub at: Vec<Endpoint>,
    /// Take the members' HTTP addresses from a server's configuration file instead.
    #[arg(long, value_name = "FILE", conflicts_with = "at")]
    pub config: Option<PathBuf>,
    /// How long to wait for a server's answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub timeout: u32,
}

/// The durability levels, by name.
pub fn durability() -> impl TypedValueParser<Value = Durability> {
    PossibleValuesParser::new(["fsync", "os", "memory"]).try_map(|name| name.parse::<Durability>())
}
