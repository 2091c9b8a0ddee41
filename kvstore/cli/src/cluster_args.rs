//! Which servers to ask, and how durable a new cluster is: options that several commands have.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use niagara_client::Endpoint;
use niagara_engine::Durability;

/// Which servers to ask.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// The servers' HTTP addresses, separated by commas; the next is tried when one cannot serve [default: what the
    /// environment variable NIAGARA_AT says, else http://127.0.0.1:7000].
    #[arg(long, value_name = "URL,...", value_delimiter = ',')]
    pub at: Vec<Endpoint>,
    /// Take the addresses from a server's configuration file instead: from what it says of the members.
    #[arg(long, value_name = "FILE", conflicts_with = "at")]
    pub config: Option<PathBuf>,
    /// Wait at most so long for a server's answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub timeout: u32,
}

/// The levels of durability, by name.
pub fn durability() -> impl TypedValueParser<Value = Durability> {
    PossibleValuesParser::new(["fsync", "os", "memory"]).try_map(|name| name.parse::<Durability>())
}
