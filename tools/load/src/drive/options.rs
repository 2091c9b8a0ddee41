//! What a user says on the command line.

use std::path::PathBuf;

use clap::{Args, Parser};
use niagara_engine::Durability;

use super::keys::Distribution;

/// One run: what is driven, how fast, and with what.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Which servers.
    pub target: TargetOptions,
    /// How fast, and for how long.
    pub pace: PaceOptions,
    /// With what.
    pub workload: WorkloadOptions,
}

/// The servers that are driven; exactly one of `http`, `redis` and `embedded` is given.
#[derive(Args, Clone, Debug, Default)]
pub struct TargetOptions {
    /// Drive servers over HTTP; connections are spread over them
    #[arg(long, value_name = "URL,...", value_delimiter = ',', required_unless_present_any = ["redis", "embedded"], conflicts_with_all = ["redis", "embedded"])]
    pub http: Vec<String>,
    /// Drive servers over the Redis protocol; also plain Redis
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', conflicts_with = "embedded")]
    pub redis: Vec<String>,
    /// Drive three engines with the key-value state machine within this process, without protocols
    #[arg(long)]
    pub embedded: bool,
    /// The user [default: NIAGARA_USER, else `default`]
    #[arg(long, value_name = "NAME", conflicts_with = "embedded")]
    pub user: Option<String>,
    /// The user's password: the first line of this file [default: NIAGARA_PASSWORD, else the file that
    /// NIAGARA_PASSWORD_FILE names]
    #[arg(long, value_name = "FILE", conflicts_with = "embedded")]
    pub password_file: Option<PathBuf>,
    /// Trust the authorities in this file, for https:// and rediss:// [default: NIAGARA_CA]
    #[arg(long, value_name = "FILE", conflicts_with = "embedded")]
    pub ca: Option<PathBuf>,
    /// Show this certificate to servers that ask for one [default: NIAGARA_CERTIFICATE]
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate [default: NIAGARA_KEY]
    #[arg(long = "key", id = "client_key", value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// Options of the embedded servers.
    #[command(flatten)]
    pub servers: EmbeddedOptions,
}

/// How the embedded servers are set up.
#[derive(Args, Clone, Debug)]
pub struct EmbeddedOptions {
    /// Raft groups, R (with --embedded)
    #[arg(long, default_value_t = 1, value_name = "R", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub groups: u16,
    /// What an acknowledged write survives (with --embedded)
    #[arg(long, default_value = "fsync", value_name = "fsync|os|memory")]
    pub durability: Durability,
    /// Keep data under this directory rather than the system's one for temporary files (with --embedded)
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// How fast operations begin, and for how long.
#[derive(Args, Clone, Debug)]
pub struct PaceOptions {
    /// Connections, spread round robin over the addresses
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: u32,
    /// Operations in flight on each connection
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub pipeline: u32,
    /// Open loop: operations per second in all; latency counts from the intended start, also while a server is down
    #[arg(long, value_name = "N", value_parser = a_rate)]
    pub rate: Option<f64>,
    /// With --rate: exponential intervals rather than constant ones
    #[arg(long, requires = "rate")]
    pub poisson: bool,
    /// Time before the measured window, in seconds
    #[arg(long, default_value_t = 2.0, value_name = "S", value_parser = seconds_from_zero)]
    pub warm_up: f64,
    /// Length of the measured window, in seconds
    #[arg(long, default_value_t = 10.0, value_name = "S", value_parser = seconds_above_zero)]
    pub seconds: f64,
    /// Threads, which share the connections
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// All random choices, and the names of keys that a check looks at, follow from this
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Step of the timeline, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    pub interval_ms: u64,
    /// HTTP only: a new connection for each request
    #[arg(long)]
    pub no_keep_alive: bool,
    /// An operation without an answer counts as `timeout` after this, and its connection is replaced
    #[arg(long, default_value_t = 10_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub timeout_ms: u64,
}

/// What the operations are.
#[derive(Clone, Debug)]
pub enum WorkloadOptions {
    /// Sets and gets.
    Kv(KvOptions),
    /// Writes that the log carries and the state hardly notices.
    Write(WriteOptions),
    /// Increments of a few shared counters.
    Counter(CounterOptions),
    /// Hash chains.
    Chain(ChainOptions),
}

/// Options of `niagara-load kv`.
#[derive(Args, Clone, Debug)]
pub struct KvOptions {
    /// Share of reads among the operations, from 0 to 1
    #[arg(long, default_value_t = 0.5, value_name = "SHARE", value_parser = a_share)]
    pub reads: f64,
    /// Number of keys
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub keys: u64,
    /// Bytes of each key
    #[arg(long, default_value_t = 16, value_name = "B", value_parser = clap::value_parser!(u32).range(2..=65_536))]
    pub key_bytes: u32,
    /// Bytes of each value
    #[arg(long, default_value_t = 100, value_name = "B", value_parser = clap::value_parser!(u32).range(0..=16_777_216))]
    pub value_bytes: u32,
    /// How keys are chosen: all alike, or the few hot ones of a Zipf distribution (THETA is 0.99 unless given, as in YCSB)
    #[arg(long, default_value_t = Distribution::Uniform, value_name = "uniform|zipf[:THETA]")]
    pub distribution: Distribution,
    /// How fresh reads must be; at-least (HTTP and embedded): what this connection has been told
    #[arg(long, default_value = "strong", value_name = "strong|weak|at-least")]
    pub consistency: ReadConsistency,
    /// Set every key before the run, so that each read finds one
    #[arg(long)]
    pub fill: bool,
    /// Redis only: after each write WAIT for so many replicas, and count it as done when they have it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub wait: Option<u32>,
}

/// Options of `niagara-load write`.
#[derive(Args, Clone, Debug)]
pub struct WriteOptions {
    /// Bytes of each command in the log
    #[arg(long, default_value_t = 128, value_name = "B", value_parser = clap::value_parser!(u32).range(64..=16_777_216))]
    pub payload: u32,
}

/// Options of `niagara-load counter`.
#[derive(Args, Clone, Debug)]
pub struct CounterOptions {
    /// Number of counters, which all connections share
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub counters: u32,
}

/// Options of `niagara-load chain`: there are as many chains as operations in flight.
#[derive(Args, Clone, Debug, Default)]
pub struct ChainOptions {}

/// How fresh reads must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadConsistency {
    /// Linearizable.
    Strong,
    /// The server's state as it is.
    Weak,
    /// Not older than the last position that the connection has seen.
    AtLeast,
}

impl ReadConsistency {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ReadConsistency::Strong => "strong",
            ReadConsistency::Weak => "weak",
            ReadConsistency::AtLeast => "at-least",
        }
    }
}

impl std::str::FromStr for ReadConsistency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [ReadConsistency::Strong, ReadConsistency::Weak, ReadConsistency::AtLeast]
            .into_iter()
            .find(|consistency| consistency.name() == text)
            .ok_or_else(|| "give strong, weak or at-least".into())
    }
}

impl WorkloadOptions {
    /// The subcommand.
    pub fn name(&self) -> &'static str {
        match self {
            WorkloadOptions::Kv(_) => "kv",
            WorkloadOptions::Write(_) => "write",
            WorkloadOptions::Counter(_) => "counter",
            WorkloadOptions::Chain(_) => "chain",
        }
    }
}

/// The defaults stand once, where the command line has them.
macro_rules! defaults_of_the_command_line {
    ($($options:ty),*) => { $(
        impl Default for $options {
            fn default() -> Self {
                #[derive(Parser)]
                struct Nothing {
                    #[command(flatten)]
                    options: $options,
                }
                Nothing::parse_from(["niagara-load"]).options
            }
        }
    )* };
}

defaults_of_the_command_line!(EmbeddedOptions, PaceOptions, KvOptions, WriteOptions, CounterOptions);

fn number(text: &str, fits: impl Fn(f64) -> bool, otherwise: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number| fits(*number)).ok_or_else(|| otherwise.into())
}

fn a_share(text: &str) -> Result<f64, String> {
    number(text, |share| (0.0..=1.0).contains(&share), "give a share from 0 to 1")
}

fn a_rate(text: &str) -> Result<f64, String> {
    number(text, |rate| (0.001..=1e9).contains(&rate), "give operations per second, from 0.001 to 1000000000")
}

fn seconds_from_zero(text: &str) -> Result<f64, String> {
    number(text, |seconds| (0.0..=86_400.0).contains(&seconds), "give seconds from 0 to 86400")
}

fn seconds_above_zero(text: &str) -> Result<f64, String> {
    number(text, |seconds| (0.01..=604_800.0).contains(&seconds), "give seconds from 0.01 to 604800")
}
