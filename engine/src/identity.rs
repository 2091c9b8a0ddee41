//! Who a server is, across restarts: its ids, its incarnation, and whom it has met.
//!
//! A server that has lost its log has forgotten what it voted for and acknowledged; if it came back under its old id,
//! two leaders could be elected in one term, or acknowledged commands could vanish. So a log has a *store id*, drawn at
//! its creation; peers remember each other's and refuse another one under the same server id.
//!
//! The file `identity` in the data directory is lines of `key = value`, replaced as a whole (temporary file, sync,
//! rename, sync of the directory). A `memory` server has none: with each start it is another store.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use niagara_net::{Admission, Hello, Refusal};
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

use crate::config::Config;
use crate::log::Durability;

/// Why a server cannot be what its data directory says, or says too little.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Another process works in the directory.
    #[error(
        "data directory {0} is in use by another server: stop that one first, or choose another directory"
    )]
    InUse(PathBuf),
    /// The directory belongs to another server or cluster.
    #[error(
        "data directory {dir} belongs to {found}, but the configuration says {wanted}: correct one of the two"
    )]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// The operating system went down while logs were not synced.
    #[error(
        "the machine went down while server {server} ran with durability `os`, so acknowledged commands may be missing \
         from its logs: it must not rejoin under this id. Remove it from the cluster and add it under a new id with an \
         empty data directory (delete {dir})"
    )]
    LostWrites {
        /// The server.
        server: u64,
        /// Its data directory.
        dir: PathBuf,
    },
    /// Durable logs, but a configuration for none.
    #[error("{0} holds a durable log, but durability is `memory`: choose another data directory, or `fsync`")]
    WouldForget(PathBuf),
    /// Logs without an identity.
    #[error(
        "{0} holds logs but no identity file, so they cannot be told to be this server's: restore the file, or clear the directory"
    )]
    NoIdentity(PathBuf),
    /// The identity file cannot be understood.
    #[error("{path} is damaged ({what}): restore it from a backup, or replace this server under a new id")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A running server's identity. Dropping it releases the data directory.
pub(crate) struct Identity {
    server: u64,
    cluster: u128,
    file: Option<PathBuf>,
    _lock: Option<File>,
    record: Mutex<Record>,
}

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    cluster: u128,
    server: u64,
    groups: u16,
    store: u128,
    incarnation: u64,
    durability: Durability,
    /// The operating system's boot, and whether the server was stopped cleanly: they tell whether unsynced writes
    /// can have been lost.
    boot: String,
    clean: bool,
    peers: BTreeMap<u64, u128>,
}

impl Identity {
    /// Takes the data directory over for this configuration, and raises the incarnation. Durable when it returns.
    pub fn open(config: &Config) -> Result<Identity, IdentityError> {
        let dir = &config.data_dir;
        let path = dir.join("identity");
        if config.durability == Durability::Memory {
            if path.exists() {
                return Err(IdentityError::WouldForget(dir.clone()));
            }
            let record = Record::new(config);
            return Ok(Identity {
                server: config.server,
                cluster: config.cluster,
                file: None,
                _lock: None,
                record: Mutex::new(record),
            });
        }
        fs::create_dir_all(dir).map_err(|source| IdentityError::Io { path: dir.clone(), source })?;
        let lock = lock(dir)?;
        let mut record = match fs::read_to_string(&path) {
            Ok(text) => {
                let record = Record::parse(&text)
                    .map_err(|what| IdentityError::Damaged { path: path.clone(), what })?;
                record.check(config)?;
                record
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if dir.join("group-1").exists() {
                    return Err(IdentityError::NoIdentity(dir.clone()));
                }
                Record::new(config)
            }
            Err(source) => return Err(IdentityError::Io { path, source }),
        };
        record.incarnation += 1;
        record.boot = boot_id();
        record.clean = false;
        record.durability = config.durability;
        let identity = Identity {
            server: config.server,
            cluster: config.cluster,
            file: Some(path),
            _lock: Some(lock),
            record: Mutex::new(record.clone()),
        };
        identity.save(&record)?;
        Ok(identity)
    }

    /// Counts the starts of this server; never repeats while its log lives.
    pub fn incarnation(&self) -> u64 {
        self.record.lock().incarnation
    }

    /// The log's id.
    pub fn store(&self) -> u128 {
        self.record.lock().store
    }

    /// Notes that everything has been synced and the server stops.
    pub fn stopped_cleanly(&self) -> Result<(), IdentityError> {
        let mut record = self.record.lock();
        record.clean = true;
        self.save(&record)
    }

    fn save(&self, record: &Record) -> Result<(), IdentityError> {
        match &self.file {
            Some(path) => replace_file(path, record.to_text().as_bytes())
                .map_err(|source| IdentityError::Io { path: path.clone(), source }),
            None => Ok(()),
        }
    }
}

impl Admission for Identity {
    /// A peer is who it was: the same store under the same server id. The first meeting is remembered, durably,
    /// before the peer is let in.
    fn admit(&self, peer: &Hello) -> Result<(), Refusal> {
        debug_assert_eq!(peer.cluster, self.cluster, "the transport has checked the cluster");
        let mut record = self.record.lock();
        match record.peers.get(&peer.server) {
            Some(known) if *known == peer.store => Ok(()),
            Some(_) => Err(Refusal::Store(format!(
                "server {} comes with another log than server {} knows it by, so it may have forgotten what it \
                 acknowledged: replace it under a new id",
                peer.server, self.server
            ))),
            None => {
                record.peers.insert(peer.server, peer.store);
                if let Err(error) = self.save(&record) {
                    record.peers.remove(&peer.server);
                    return Err(Refusal::Store(format!(
                        "server {} cannot note a new peer: {error}",
                        self.server
                    )));
                }
                Ok(())
            }
        }
    }
}

impl Record {
    fn new(config: &Config) -> Record {
        Record {
            cluster: config.cluster,
            server: config.server,
            groups: config.groups(),
            store: random(),
            incarnation: 0,
            durability: config.durability,
            boot: boot_id(),
            clean: true,
            peers: BTreeMap::new(),
        }
    }

    fn check(&self, config: &Config) -> Result<(), IdentityError> {
        let found = (self.cluster, self.server, self.groups);
        let wanted = (config.cluster, config.server, config.groups());
        let words = |(cluster, server, groups): (u128, u64, u16)| {
            format!("server {server} of cluster {cluster:032x} with {groups} groups")
        };
        if found != wanted {
            return Err(IdentityError::Foreign {
                dir: config.data_dir.clone(),
                found: words(found),
                wanted: words(wanted),
            });
        }
        if self.durability == Durability::Os && !self.clean && self.boot != boot_id() {
            return Err(IdentityError::LostWrites { server: self.server, dir: config.data_dir.clone() });
        }
        Ok(())
    }

    fn to_text(&self) -> String {
        let mut text = format!(
            "# Written by the server: do not edit.\ncluster = {:032x}\nserver = {}\ngroups = {}\nstore = {:032x}\n\
             incarnation = {}\ndurability = {}\nboot = {}\nclean = {}\n",
            self.cluster,
            self.server,
            self.groups,
            self.store,
            self.incarnation,
            self.durability,
            self.boot,
            self.clean
        );
        for (server, store) in &self.peers {
            text.push_str(&format!("peer {server} = {store:032x}\n"));
        }
        let sum = crc32fast::hash(text.as_bytes());
        text.push_str(&format!("checksum = {sum:08x}\n"));
        text
    }

    fn parse(text: &str) -> Result<Record, String> {
        let (body, sum) = text.rsplit_once("checksum = ").ok_or("it has no checksum")?;
        if u32::from_str_radix(sum.trim(), 16) != Ok(crc32fast::hash(body.as_bytes())) {
            return Err("its checksum is wrong".into());
        }
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        let fields: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once(" = ")).collect();
        let field = |key: &str| fields.get(key).copied().ok_or(format!("`{key}` is missing"));
        let number = |key: &str| field(key)?.parse::<u64>().map_err(|_| format!("`{key}` is no number"));
        let id = |text: &str| u128::from_str_radix(text, 16).map_err(|_| format!("`{text}` is no id"));
        let mut peers = BTreeMap::new();
        for (key, value) in &fields {
            if let Some(server) = key.strip_prefix("peer ") {
                peers.insert(server.parse().map_err(|_| format!("`{key}` names no server"))?, id(value)?);
            }
        }
        Ok(Record {
            cluster: id(field("cluster")?)?,
            server: number("server")?,
            groups: u16::try_from(number("groups")?).map_err(|_| "`groups` is too large")?,
            store: id(field("store")?)?,
            incarnation: number("incarnation")?,
            durability: field("durability")?.parse().map_err(|_| "`durability` is unknown")?,
            boot: field("boot")?.to_owned(),
            clean: field("clean")? == "true",
            peers,
        })
    }
}

/// A random number from the operating system.
pub(crate) fn random() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u128::from_le_bytes(bytes)
}

/// What tells one run of the operating system from the next.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".into(), |id| id.trim().to_owned())
}

fn lock(dir: &Path) -> Result<File, IdentityError> {
    let path = dir.join("LOCK");
    let io = |source| IdentityError::Io { path: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(IdentityError::InUse(dir.to_owned())),
        Err(error) => Err(io(error.into())),
    }
}

fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().expect("the file is in the data directory"))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Member;

    fn config(dir: &Path) -> Config {
        let transfer = "127.0.0.1:0".to_owned();
        let members = vec![Member { server: 1, addresses: vec![transfer.clone()], transfer }];
        let mut config = Config::new(7, 1, members);
        config.data_dir = dir.to_owned();
        config
    }

    fn hello(store: u128) -> Hello {
        Hello { cluster: 7, server: 2, channel: 0, channels: 1, store, ..Hello::default() }
    }

    #[test]
    fn incarnations_rise_and_peers_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::open(&config(dir.path())).unwrap();
        assert_eq!(first.incarnation(), 1);
        first.admit(&hello(5)).unwrap();
        let store = first.store();
        drop(first);
        let second = Identity::open(&config(dir.path())).unwrap();
        assert_eq!((second.incarnation(), second.store()), (2, store));
        second.admit(&hello(5)).unwrap();
        assert!(matches!(second.admit(&hello(6)), Err(Refusal::Store(_))));
    }

    #[test]
    fn one_server_at_a_time_and_only_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let held = Identity::open(&config(dir.path())).unwrap();
        assert!(matches!(Identity::open(&config(dir.path())), Err(IdentityError::InUse(_))));
        drop(held);
        let mut other = config(dir.path());
        other.cluster = 8;
        assert!(matches!(Identity::open(&other), Err(IdentityError::Foreign { .. })));
        let mut memory = config(dir.path());
        memory.durability = Durability::Memory;
        assert!(matches!(Identity::open(&memory), Err(IdentityError::WouldForget(_))));
    }

    #[test]
    fn unsynced_writes_are_lost_only_with_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.durability = Durability::Os;
        drop(Identity::open(&config).unwrap());
        // The process died, the machine did not.
        let again = Identity::open(&config).unwrap();
        let reboot = |clean| {
            let mut record = again.record.lock();
            record.boot = "another".into();
            record.clean = clean;
            again.save(&record).unwrap();
        };
        reboot(false);
        let read = || Record::parse(&fs::read_to_string(dir.path().join("identity")).unwrap()).unwrap();
        assert!(matches!(read().check(&config), Err(IdentityError::LostWrites { .. })));
        reboot(true);
        read().check(&config).unwrap();
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Identity::open(&config(dir.path())).unwrap());
        let path = dir.path().join("identity");
        let damaged = fs::read_to_string(&path).unwrap().replace("incarnation = 1", "incarnation = 0");
        fs::write(&path, damaged).unwrap();
        assert!(matches!(Identity::open(&config(dir.path())), Err(IdentityError::Damaged { .. })));
    }
}
