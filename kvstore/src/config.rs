//! The configuration file of one server: TOML in, [`ServerConfig`] out.
//!
//! A file needs only what differs from the defaults. The defaults live with what they configure
//! ([`niagara_engine::Config::new`], [`FrontEndConfig::default`]). [`Plan::render`] writes them out, each
//! with its unit and reason, so the documentation in a generated file cannot drift from the code.

mod access;
mod failover;
mod free_ports;
mod listeners;
mod nearest;
mod plan;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use niagara_engine::niagara_net::Plain;
use niagara_engine::{Config, Durability, Link, Member, Pinning, Reads, ServerId, UnknownRole};
use niagara_tls::{MutualFiles, ServerFiles};
use tables::{EngineTable, File, FrontTable, LinkTable, MemberTable, PinningValue, ThreadsValue, TlsTable};

use crate::directory::Note;
use crate::server::ServerConfig;
use crate::{FrontEndConfig, TlsPorts};

pub use plan::{Plan, PlannedServer, PlannedTls, Protection};

/// A file for a thousand servers with as many groups each is about this long.
const MOST_BYTES: u64 = 64 << 20;

/// A configuration file, read and checked.
///
/// ```
/// use niagara_kvstore::config::ConfigFile;
///
/// let text = r#"
///     cluster = "5d7a"
///     server = 1
///     data_dir = "data"
///     http = "127.0.0.1:7000"
///     redis = "127.0.0.1:7001"
///     [[members]]
///     server = 1
///     addresses = ["127.0.0.1:7002", "127.0.0.1:7003"]
///     transfer = "127.0.0.1:7004"
/// "#;
/// let file = ConfigFile::parse(text, "/etc/niagara".as_ref())?;
/// assert_eq!(file.server.engine.groups(), 2);
/// assert_eq!(file.server.engine.data_dir.to_str(), Some("/etc/niagara/data"));
///
/// let wrong = text.replace("data_dir", "datadir");
/// let error = ConfigFile::parse(&wrong, "/etc/niagara".as_ref()).unwrap_err();
/// assert!(error.to_string().contains("did you mean `data_dir`?"));
/// # Ok::<(), niagara_kvstore::config::ConfigFileError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// The server's configuration.
    pub server: ServerConfig,
    /// The members' HTTP addresses, `host:port` by server, as far as the file names them.
    pub http: Vec<(ServerId, String)>,
    /// Those at which clients speak TLS.
    pub https: Vec<(ServerId, String)>,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The text is not TOML, or has an unknown key or a value of the wrong type. The message shows the place.
    #[error("{}", .0.trim_end())]
    Syntax(String),
    /// A value cannot work.
    #[error("`{key}`: {reason}")]
    Value {
        /// The key, with its table.
        key: String,
        /// What is wrong, and what to write instead.
        reason: String,
    },
    /// The values contradict each other.
    #[error(transparent)]
    Fit(#[from] niagara_engine::ConfigError),
}

impl ConfigFile {
    /// Reads a file. Relative paths in it are relative to the file's own directory.
    pub fn read(path: impl AsRef<Path>) -> Result<ConfigFile, ConfigFileError> {
        let path = path.as_ref();
        let text =
            read_text(path).map_err(|source| ConfigFileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// Parses a file's text. Relative paths in it are relative to `base`.
    pub fn parse(text: &str, base: &Path) -> Result<ConfigFile, ConfigFileError> {
        let file: File = toml::from_str(text).map_err(|error| syntax(&error))?;
        listeners::check(&file)?;
        let http: Vec<_> =
            file.members.iter().filter_map(|member| Some((member.server, member.http.clone()?))).collect();
        let https: Vec<_> =
            file.members.iter().filter_map(|member| Some((member.server, member.https.clone()?))).collect();
        let mut front = front_end_config(&file.http, &file.redis, &file.front)?;
        front.failover = failover::of(&file)?;
        front.access = access::config(&file)?;
        front.tls = file.tls.as_ref().map(|tls| tls_ports(tls, base)).transpose()?;
        front.members = http.iter().filter(|(_, http)| !listeners::is_wildcard(http)).cloned().collect();
        front.members_https =
            https.iter().filter(|(_, https)| !listeners::is_wildcard(https)).cloned().collect();
        let peer_tls = file.peer_tls.as_ref().map(|files| MutualFiles {
            ca: base.join(&files.ca),
            certificate: base.join(&files.certificate),
            key: base.join(&files.key),
        });
        let notes = notes(&file);
        let mut engine = engine_config(file, base)?;
        engine.notes = notes;
        Ok(ConfigFile { server: ServerConfig { engine, front, peer_tls }, http, https })
    }
}

/// What the file says of where clients find each member. This server is where it listens, unless the list says another.
fn notes(file: &File) -> BTreeMap<ServerId, String> {
    let only_tls = file.tls.as_ref().filter(|tls| tls.only);
    let redis = only_tls.map_or(&file.redis, |tls| &tls.redis);
    let note = |member: &MemberTable| {
        let is_own = member.server == file.server;
        let told = |address: &Option<String>, listens: Option<&String>| {
            let address = address.as_ref().or(listens.filter(|_| is_own));
            address.filter(|address| !listeners::is_wildcard(address) && !address.ends_with(":0")).cloned()
        };
        Note {
            http: told(&member.http, Some(&file.http)),
            https: told(&member.https, file.tls.as_ref().map(|tls| &tls.http)),
            redis: told(&member.redis, Some(redis)),
        }
        .to_text()
    };
    file.members.iter().map(|member| (member.server, note(member))).collect()
}

/// Reads a file's text, unless it is far longer than any configuration: a file named by mistake may be
/// endless.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long for a configuration file"));
    }
    Ok(text)
}

fn engine_config(file: File, base: &Path) -> Result<Config, ConfigFileError> {
    let cluster = parse_cluster(&file.cluster)?;
    let members = file
        .members
        .into_iter()
        .map(|member| Member {
            server: member.server,
            addresses: member.addresses,
            transfer: member.transfer,
        })
        .collect();
    let mut config = Config::new(cluster, file.server, members);
    if let Some(name) = file.role {
        config.role = name.parse().map_err(|unknown: UnknownRole| ConfigFileError::Value {
            key: "role".into(),
            reason: unknown.to_string(),
        })?;
    }
    config.joins = file.joins;
    config.groups = file.groups;
    // Files of releases that know no levels may be of a cluster whose other servers run such a release.
    config.first_level = file.first_level.unwrap_or(1);
    config.data_dir = base.join(file.data_dir);
    if let Some(name) = file.durability {
        config.durability = name.parse::<Durability>().map_err(|_| ConfigFileError::Value {
            key: "durability".into(),
            reason: format!("\"{name}\" is unknown; write \"fsync\", \"os\" or \"memory\""),
        })?;
    }
    if let Some(name) = file.reads {
        config.reads = name
            .parse::<Reads>()
            .map_err(|unknown| ConfigFileError::Value { key: "reads".into(), reason: unknown.to_string() })?;
    }
    if let Some(name) = file.peer_tls.and_then(|files| files.plain) {
        config.plain = plain_of(&name)?;
    }
    config.links = file.links.into_iter().map(link).collect::<Result<_, _>>()?;
    set_engine_limits(&mut config, &file.engine);
    config.check()?;
    Ok(config)
}

fn plain_of(name: &str) -> Result<Plain, ConfigFileError> {
    match name {
        "refused" => Ok(Plain::Refused),
        "accepted" => Ok(Plain::Accepted),
        "dialled" => Ok(Plain::Dialled),
        _ => Err(ConfigFileError::Value {
            key: "peer_tls.plain".into(),
            reason: format!("\"{name}\" is unknown; write \"refused\", \"accepted\" or \"dialled\""),
        }),
    }
}

fn set_engine_limits(config: &mut Config, table: &EngineTable) {
    fn set<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }
    let millis = |ms: u32| Duration::from_millis(ms.into());
    let kib = |kib: u32| (kib as usize) << 10;
    let mib = |mib: u32| (mib as usize) << 20;
    set(&mut config.known_level, table.known_level);
    set(&mut config.tick, table.tick_ms.map(millis));
    set(&mut config.heartbeat_ticks, table.heartbeat_ticks);
    set(&mut config.election_ticks, table.election_ticks);
    set(&mut config.window, table.window.map(|entries| entries as usize));
    set(&mut config.entry_bytes, table.entry_kib.map(kib));
    set(&mut config.lane_commands, table.lane_commands.map(|commands| commands as usize));
    set(&mut config.lane_bytes, table.lane_mib.map(mib));
    set(&mut config.deadline, table.deadline_ms.map(millis));
    set(&mut config.segment_bytes, table.segment_mib.map(|mib| u64::from(mib) << 20));
    set(&mut config.log_cache_bytes, table.log_cache_mib.map(mib));
    set(&mut config.send_queue_bytes, table.send_queue_mib.map(mib));
    set(&mut config.unsynced_bytes, table.unsynced_mib.map(mib));
    set(&mut config.merge_bytes, table.merge_mib.map(mib));
    set(&mut config.behind_bytes, table.behind_mib.map(|mib| u64::from(mib) << 20));
    set(&mut config.disk_reserve_bytes, table.disk_reserve_mib.map(|mib| u64::from(mib) << 20));
    set(&mut config.leaders, table.leaders.clone());
    set_snapshot_limits(config, table);
    set(&mut config.threads, table.threads.map(|ThreadsValue(threads)| threads));
    set(
        &mut config.pinning,
        table.pinning.clone().map(|pinning| match pinning {
            PinningValue::Auto => Pinning::Auto,
            PinningValue::Off => Pinning::Off,
            PinningValue::Cores(cores) => Pinning::Cores(cores),
        }),
    );
}

fn set_snapshot_limits(config: &mut Config, table: &EngineTable) {
    let bytes = |mib: u32| u64::from(mib) << 20;
    for (field, value) in [
        (&mut config.snapshot_entries, table.snapshot_entries.map(u64::from)),
        (&mut config.snapshot_bytes, table.snapshot_mib.map(bytes)),
        (&mut config.snapshot_write_rate, table.snapshot_write_mib_per_second.map(bytes)),
        (&mut config.snapshot_transfer_rate, table.snapshot_transfer_mib_per_second.map(bytes)),
        (&mut config.snapshot_pin_bytes, table.snapshot_pin_mib.map(bytes)),
    ] {
        if let Some(value) = value {
            *field = value;
        }
    }
}

fn link(table: LinkTable) -> Result<Link, ConfigFileError> {
    let bind_address = match table.bind_address {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| ConfigFileError::Value {
            key: "links.bind_address".into(),
            reason: format!("\"{text}\" is not an IP address of this machine, such as \"10.0.1.5\""),
        })?),
    };
    let listen =
        table.listen.map(|text| resolve("links.listen", &text)).transpose()?.map(|addresses| addresses[0]);
    let mut link = Link::default();
    (link.listen, link.bind_address, link.bind_device) = (listen, bind_address, table.bind_device);
    Ok(link)
}

fn front_end_config(http: &str, redis: &str, table: &FrontTable) -> Result<FrontEndConfig, ConfigFileError> {
    let (mut http, mut redis) = (resolve("http", http)?, resolve("redis", redis)?);
    let mut config = FrontEndConfig {
        http: http.remove(0),
        redis: redis.remove(0),
        http_too: http,
        redis_too: redis,
        ..Default::default()
    };
    for (key, value, unit, field) in [
        ("front.threads", table.threads, 1, &mut config.threads),
        ("front.max_connections", table.max_connections, 1, &mut config.max_connections),
        ("front.client_output_mib", table.client_output_mib, 1 << 20, &mut config.client_output),
        ("front.subscriber_output_mib", table.subscriber_output_mib, 1 << 20, &mut config.subscriber_output),
        ("front.tracking_mib", table.tracking_mib, 1 << 20, &mut config.tracking),
        ("front.all_clients_mib", table.all_clients_mib, 1 << 20, &mut config.all_clients),
    ] {
        match value {
            None => {}
            Some(0) => {
                return Err(ConfigFileError::Value { key: key.into(), reason: "must be at least 1".into() });
            }
            Some(value) => *field = value as usize * unit,
        }
    }
    let per_address = table.max_connections_per_address.filter(|most| *most > 0);
    config.max_connections_per_address = per_address.map(|most| most as usize);
    set_patience(&mut config, table);
    config.check().map_err(|error| ConfigFileError::Value {
        key: format!("front.{}", error.name),
        reason: error.to_string(),
    })?;
    Ok(config)
}

fn tls_ports(table: &TlsTable, base: &Path) -> Result<TlsPorts, ConfigFileError> {
    let (mut http, mut redis) = (resolve("tls.http", &table.http)?, resolve("tls.redis", &table.redis)?);
    let files = ServerFiles {
        certificate: base.join(&table.certificate),
        key: base.join(&table.key),
        client_ca: table.client_ca.as_ref().map(|path| base.join(path)),
    };
    let (first_http, first_redis) = (http.remove(0), redis.remove(0));
    let (http_too, redis_too, only) = (http, redis, table.only);
    Ok(TlsPorts { files, http: first_http, redis: first_redis, http_too, redis_too, only })
}

fn set_patience(config: &mut FrontEndConfig, table: &FrontTable) {
    for (value, field) in [
        (table.http_idle_seconds, &mut config.http_idle),
        (table.redis_idle_seconds, &mut config.redis_idle),
        (table.tcp_keepalive_seconds, &mut config.tcp_keepalive),
        (table.shutdown_grace_seconds, &mut config.shutdown_grace),
    ] {
        if let Some(seconds) = value {
            *field = Duration::from_secs(seconds.into());
        }
    }
}

fn parse_cluster(text: &str) -> Result<u128, ConfigFileError> {
    let is_hex = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().ok_or_else(|| ConfigFileError::Value {
        key: "cluster".into(),
        reason: format!("\"{text}\" is not an id of 1 to 32 hexadecimal digits"),
    })
}

/// The addresses to listen at, at least one. A name is resolved once, here: the server listens at all
/// addresses that the name has at its start, since clients may use any of them.
fn resolve(key: &str, text: &str) -> Result<Vec<SocketAddr>, ConfigFileError> {
    let fail = |reason: String| ConfigFileError::Value { key: key.into(), reason };
    let found = text
        .to_socket_addrs()
        .map_err(|error| fail(format!("\"{text}\" is not a host:port of this machine: {error}")))?;
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(fail(format!("the host in \"{text}\" has no address")));
    }
    Ok(addresses)
}

/// Settings whose values nobody else may see.
const SECRETS: [&str; 2] = ["requirepass", "rescue_password"];

fn syntax(error: &toml::de::Error) -> ConfigFileError {
    let text = error.to_string();
    // It says what stands in place of a text, which may be a password without quotes.
    let is_of_secret = text.lines().any(|line| {
        shown(line).is_some_and(|(_, shown)| SECRETS.iter().any(|key| shown.trim_start().starts_with(key)))
    });
    let hidden = |line: &str| match shown(line) {
        Some((before, shown)) => format!("{before} | {}", key_of(shown)),
        None if is_of_secret && line.starts_with("invalid type") => "a text was expected".to_owned(),
        None => line.to_owned(),
    };
    let mut text = text.lines().map(hidden).collect::<Vec<_>>().join("\n");
    let known = nearest::known_key(error.message());
    if let Some(key) = known {
        text = format!("{}\ndid you mean `{key}`?", text.trim_end());
    }
    ConfigFileError::Syntax(text)
}

/// A line of the file in a parser's message, and what stands before it: its number.
fn shown(line: &str) -> Option<(&str, &str)> {
    line.split_once(" | ").filter(|(number, _)| number.trim().parse::<u32>().is_ok())
}

/// A line of the file without its value, which may be a password, also under a mistyped key.
fn key_of(line: &str) -> String {
    match line.split_once('=') {
        Some((key, _)) => format!("{} ..", key.trim_end()),
        None if line.trim_start().starts_with('[') => line.to_owned(),
        None => "..".to_owned(),
    }
}
