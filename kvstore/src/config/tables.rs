//! The shape of the file, key by key. Generated files explain each key (see `plan.rs`).

use std::path::PathBuf;

use niagara_engine::Threads;
use serde::Deserialize;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub cluster: String,
    pub server: u64,
    pub role: Option<String>,
    #[serde(default)]
    pub joins: bool,
    pub data_dir: PathBuf,
    pub durability: Option<String>,
    pub reads: Option<String>,
    pub http: String,
    pub redis: String,
    pub requirepass: Option<String>,
    pub rescue_password: Option<String>,
    #[serde(default)]
    pub insecure: bool,
    pub groups: Option<u16>,
    pub first_level: Option<u32>,
    pub members: Vec<MemberTable>,
    #[serde(default)]
    pub engine: EngineTable,
    #[serde(default)]
    pub front: FrontTable,
    #[serde(default)]
    pub links: Vec<LinkTable>,
    pub tls: Option<TlsTable>,
    pub peer_tls: Option<PeerTlsTable>,
}

/// One server of the cluster.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberTable {
    pub server: u64,
    pub http: Option<String>,
    pub redis: Option<String>,
    pub https: Option<String>,
    /// Files of earlier releases call them `groups`, and have one for each.
    #[serde(alias = "groups")]
    pub addresses: Vec<String>,
    pub transfer: String,
}

/// The engine's limits. Numbers are 32 bits wide, so no unit overflows when it is multiplied out.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineTable {
    pub known_level: Option<u32>,
    pub tick_ms: Option<u32>,
    pub heartbeat_ticks: Option<u32>,
    pub election_ticks: Option<u32>,
    pub window: Option<u32>,
    pub entry_kib: Option<u32>,
    pub lane_commands: Option<u32>,
    pub lane_mib: Option<u32>,
    pub deadline_ms: Option<u32>,
    pub segment_mib: Option<u32>,
    pub log_cache_mib: Option<u32>,
    pub send_queue_mib: Option<u32>,
    pub unsynced_mib: Option<u32>,
    pub merge_mib: Option<u32>,
    pub behind_mib: Option<u32>,
    pub disk_reserve_mib: Option<u32>,
    pub snapshot_entries: Option<u32>,
    pub snapshot_mib: Option<u32>,
    pub snapshot_write_mib_per_second: Option<u32>,
    pub snapshot_transfer_mib_per_second: Option<u32>,
    pub snapshot_pin_mib: Option<u32>,
    pub threads: Option<ThreadsValue>,
    pub pinning: Option<PinningValue>,
    pub leaders: Option<Vec<u64>>,
}

/// The front ends' limits.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FrontTable {
    pub threads: Option<u32>,
    pub max_connections: Option<u32>,
    pub max_connections_per_address: Option<u32>,
    pub http_idle_seconds: Option<u32>,
    pub redis_idle_seconds: Option<u32>,
    pub tcp_keepalive_seconds: Option<u32>,
    pub shutdown_grace_seconds: Option<u32>,
    pub client_output_mib: Option<u32>,
    pub all_clients_mib: Option<u32>,
    pub subscriber_output_mib: Option<u32>,
    pub tracking_mib: Option<u32>,
    pub redis_cluster: Option<bool>,
    pub redis_readonly: Option<ReadOnlyValue>,
    pub redis_master_name: Option<String>,
    pub names: Option<Vec<String>>,
    pub origins: Option<Vec<String>>,
}

/// What READONLY does to the reads of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReadOnlyValue {
    Weak,
    Strong,
}

/// Where clients connect that speak TLS, and with which files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    pub http: String,
    pub redis: String,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: Option<PathBuf>,
    pub client_user: Option<String>,
    #[serde(default)]
    pub only: bool,
}

/// What the servers prove to each other who they are with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerTlsTable {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub plain: Option<String>,
}

/// This server's end of the links of one of its addresses.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkTable {
    pub listen: Option<String>,
    pub bind_address: Option<String>,
    pub bind_device: Option<String>,
}

/// `"auto"`, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(super) struct ThreadsValue(pub Threads);

impl TryFrom<toml::Value> for ThreadsValue {
    type Error = &'static str;

    fn try_from(value: toml::Value) -> Result<Self, Self::Error> {
        let count = |count: i64| u16::try_from(count).ok().filter(|count| *count > 0).map(Threads::Count);
        match &value {
            toml::Value::String(text) if text == "auto" => Some(Threads::Auto),
            toml::Value::Integer(number) => count(*number),
            _ => None,
        }
        .map(ThreadsValue)
        .ok_or("threads must be \"auto\" or a number of threads, at least 1")
    }
}

/// `"auto"`, `"off"`, or a core for each thread.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(super) enum PinningValue {
    Auto,
    Off,
    Cores(Vec<usize>),
}

impl TryFrom<toml::Value> for PinningValue {
    type Error = &'static str;

    fn try_from(value: toml::Value) -> Result<Self, Self::Error> {
        let cores = |cores: &[toml::Value]| {
            cores.iter().map(|core| usize::try_from(core.as_integer()?).ok()).collect::<Option<Vec<_>>>()
        };
        match &value {
            toml::Value::String(text) if text == "auto" => Some(PinningValue::Auto),
            toml::Value::String(text) if text == "off" => Some(PinningValue::Off),
            toml::Value::Array(array) => cores(array).map(PinningValue::Cores),
            _ => None,
        }
        .ok_or("pinning must be \"auto\", \"off\" or a list of core numbers, one for each thread of the groups, such as [0, 1, 2, 3]")
    }
}
