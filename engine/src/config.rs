//! Configuration of a server, with defaults and the reasons for them.

mod limits;
mod listeners;
mod local;
mod open_files;
mod roster;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use niagara_log::Durability;
use niagara_net::Plain;
use niagara_sequencer::epoch::{Chain, MAX_MEMBERS, Terms};
use niagara_tls::Mutual;

use crate::members::EpochView;
use crate::reads::Reads;
use crate::role::ServerRole;

pub use listeners::Listeners;
pub(crate) use open_files::{MOST_FOLLOWERS, MOST_PENDING};

/// The most bytes of a snapshot to request at once.
pub(crate) const TRANSFER_PIECE_BYTES: u32 = 256 << 10;

/// Id of one server of a cluster. Never reused once the server has been removed or has lost its log.
pub type ServerId = u64;

/// Configuration of one server. Start with [`Config::new`], and change what differs.
///
/// ```
/// use niagara_engine::{Config, Durability, Member};
///
/// let addresses = vec!["127.0.0.1:0".into()];
/// let members = vec![Member { server: 1, addresses, transfer: "127.0.0.1:0".into() }];
/// let mut config = Config::new(0xc1u128, 1, members);
/// config.durability = Durability::Memory;
/// config.check().unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The cluster's id, the same on all servers. Servers of other clusters are refused.
    pub cluster: u128,
    /// This server's id: that of one of `members`, or of none of them if it is a follower.
    pub server: ServerId,
    /// Whether this server is a member, or follows the members.
    pub role: ServerRole,
    /// All members of the cluster. Of those that a follower follows, only the addresses for snapshots are used; where they
    /// are later, it learns from them.
    pub members: Vec<Member>,
    /// Number of Raft groups, R, the same on all servers. `None` for one for each address of the first member.
    pub groups: Option<u16>,
    /// Identifies what the application executes, and its limits: servers that would execute some command
    /// differently refuse each other. 0, the default, is for an application that is the same in all releases.
    pub application: u128,
    /// The epoch that this server is a member of, as another member's [`epoch`](crate::Client::epoch) shows it, if this
    /// server joins a running cluster. `members` needs to list this server alone then. It counts until the server has
    /// started for the first time.
    pub join: Option<EpochView>,
    /// Whether this server comes to a cluster that others have founded: then it does not start on an empty data directory
    /// without `join`. A server that has lost its data could otherwise found a second cluster with the same id. A follower
    /// founds nothing anyway.
    pub joins: bool,
    /// The level that a new cluster begins at, the same on all servers; a data directory keeps the one that it began at. See
    /// [`KNOWN_LEVEL`].
    pub first_level: u32,
    /// The highest level that this program knows, engine and application. Lower than [`KNOWN_LEVEL`] for an application that
    /// is not ready for all that the engine knows, and for rehearsals of an upgrade: the server then behaves as one of a release
    /// that knows no more.
    pub known_level: u32,
    /// What the application says of members, such as the addresses for its clients. It goes to the other members with
    /// their addresses, when members change; the engine does not read it.
    pub notes: BTreeMap<ServerId, String>,
    /// This server's end of its addresses' links: empty, or one for each of its addresses.
    pub links: Vec<Link>,
    /// Sockets that listen already, instead of ones that the start binds.
    pub listeners: Listeners,
    /// Directory for logs, snapshots and identity. A lock file admits one server per directory.
    pub data_dir: PathBuf,
    /// What a write survives; see [`Durability`].
    pub durability: Durability,
    /// How strong reads are made sure to be fresh; the same on all servers.
    pub reads: Reads,
    /// What the servers prove to each other who they are with, and encrypt what they send: certificates that have the
    /// servers' [names](niagara_net::peer_name). Whoever opens it has it read again when the files change. `None`:
    /// everything passes the network as it is.
    pub tls: Option<Arc<Mutual>>,
    /// What becomes of connections without TLS, if `tls` is there: for a running cluster that goes over to it.
    pub plain: Plain,
    /// How many threads drive the groups.
    pub threads: Threads,
    /// The core that each of these threads is bound to.
    pub pinning: Pinning,
    /// The server that should lead each group, the same on all servers. Empty for round robin, so that every
    /// server sends on its own links. If one server leads all groups, a lone write saves two one-way delays.
    pub leaders: Vec<ServerId>,
    /// Period of the engine's clock. 50 ms lets an idle server sleep, yet a failure is noticed in half a
    /// second.
    pub tick: Duration,
    /// Ticks between a leader's heartbeats.
    pub heartbeat_ticks: u32,
    /// Ticks without a leader after which a follower campaigns (up to twice as many, at random). At least 5
    /// heartbeats, so that a few lost ones do not depose a healthy leader (Raft, section 5.6).
    pub election_ticks: u32,
    /// The most entries with commands that a group may have ahead of the merge. Beyond that, it cuts no new
    /// ones.
    pub window: usize,
    /// A group cuts an entry when it holds this many bytes of commands. At most 16 MiB, so that an entry fits
    /// into a frame. 64 KiB amortizes the cost of an entry, and does not block a slow link for long.
    pub entry_bytes: usize,
    /// The longest command, in bytes. The front ends' largest key and value must fit, with framing.
    pub command_bytes: usize,
    /// The most commands without an outcome in one lane (there is one per group). Beyond that, commands are
    /// refused as overload.
    pub lane_commands: usize,
    /// The most bytes of commands without an outcome in one lane. At least twice `command_bytes`.
    pub lane_bytes: usize,
    /// How long a caller waits. Then a command's outcome is unknown, and a read has failed.
    pub deadline: Duration,
    /// Size of one log segment file, in bytes. Each log keeps a spare one ready.
    pub segment_bytes: u64,
    /// Memory for the recent part of each group's log, in bytes. Small is fast: 2 MiB stay in the CPU's
    /// cache.
    pub log_cache_bytes: usize,
    /// The most bytes of entries of one group that wait for this server's disk. Beyond that, a leader accepts
    /// no commands and a follower no entries. The default is a whole window of the largest commands, so that
    /// it takes effect only if the disk does not keep up: a disk of 100 MB/s is then almost a second behind.
    pub unsynced_bytes: usize,
    /// The most bytes of committed entries of all groups that have been pulled from the logs but not merged,
    /// plus one entry of each group; and as much again that is merged but not executed. The default is twice
    /// the largest command, so that each place holds two of them.
    pub merge_bytes: usize,
    /// The most bytes of entries in all logs that are not merged, in whole blocks of the disk. Beyond that, only the group that the merge
    /// awaits grows. The default is `snapshot_bytes`: a server that is further behind finds the others' logs
    /// compacted, and needs a snapshot anyway.
    pub behind_bytes: u64,
    /// With less room on the disk than this, a server refuses commands. The default suffices for some
    /// snapshots of a small state and the segments that logs have started, so that accepted commands can be
    /// finished and logs compacted.
    pub disk_reserve_bytes: u64,
    /// The most bytes queued for one peer on one group's link. A link that drains slowly gets less. What does
    /// not fit stays in the log, or replaces what it makes redundant, until there is room.
    pub send_queue_bytes: usize,
    /// A snapshot is taken when this many entries with commands have been merged since the last one. A start
    /// reads that many again, and a log keeps about 40 bytes of memory for each.
    pub snapshot_entries: u64,
    /// A snapshot is also taken after this many bytes of commands, or of logs on disk. With a state of 1 GB,
    /// snapshots then write as many bytes as logs, and the logs of all groups together keep up to about three
    /// times this on disk: from the older of two snapshots until the next one is written.
    pub snapshot_bytes: u64,
    /// Bytes per second at which a snapshot is written. The default is a quarter of what the disk of a small
    /// machine writes, so that the logs' syncs keep their latency.
    pub snapshot_write_rate: u64,
    /// Bytes per second at which snapshots are sent, to all receivers together. The default is half of a link
    /// of 1 Gbit/s.
    pub snapshot_transfer_rate: u64,
    /// Bytes of a snapshot that a receiver requests at once, at most 256 KiB.
    pub snapshot_piece_bytes: u32,
    /// A group's log is kept for a follower that is receiving a snapshot, unless it exceeds this many bytes.
    pub snapshot_pin_bytes: u64,
    /// The most bytes of executed commands that are kept for subscribers that have not read them yet. It takes
    /// memory only while somebody subscribes, or with `keep_history`.
    pub subscription_bytes: usize,
    /// Whether `subscription_bytes` of executed commands are kept even while nobody subscribes, so that a
    /// subscription may begin in the past.
    pub keep_history: bool,
    /// Whether this server is a majority by itself: it executes what is left of a cluster, for a recovery.
    pub(crate) alone: bool,
}

/// A server and the addresses that it listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Id of the server, at least 1.
    pub server: ServerId,
    /// `host:port` for each group, in order. If there are fewer than groups, these take turns: group r has address
    /// (r - 1) mod n + 1 of n.
    pub addresses: Vec<String>,
    /// `host:port` for snapshots, apart from all groups' traffic.
    pub transfer: String,
}

impl Member {
    /// Index of the address of the group with this zero-based index.
    pub(crate) fn address_of(&self, group: usize) -> usize {
        group % self.addresses.len()
    }
}

/// This server's end of the links of one of its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Address to listen on instead of the member's own (behind address translation, or in tests).
    pub listen: Option<SocketAddr>,
    /// Local address to connect from, so that the group's traffic uses its network.
    pub bind_address: Option<IpAddr>,
    /// Network device to connect through (needs CAP_NET_RAW).
    pub bind_device: Option<String>,
}

/// How many threads drive the groups. Each group keeps its own log, sockets and address however many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// One for each group if the machine has cores for them and for three threads beside them; otherwise fewer,
    /// down to one that drives all groups. With [`Pinning::Cores`], one for each core named.
    #[default]
    Auto,
    /// So many, but no more than there are groups.
    Count(u16),
}

/// The core that each thread of the groups is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pinning {
    /// A core for each thread if each group has a thread and the machine has enough cores; otherwise threads
    /// are not bound.
    #[default]
    Auto,
    /// Threads are not bound.
    Off,
    /// The core for each thread, in order.
    Cores(Vec<usize>),
}

/// Why a configuration cannot work. It has to be changed; retrying does not help.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value is out of range.
    #[error("{name} must be {}, but is {}", limits::bound(*value, *least, *most, unit), limits::amount(*value, unit))]
    OutOfRange {
        /// Name of the field.
        name: &'static str,
        /// Its value.
        value: u128,
        /// Its unit.
        unit: &'static str,
        /// The least valid value.
        least: u128,
        /// The greatest valid value.
        most: u128,
    },
    /// Values contradict each other, or do not suit this machine.
    #[error("{0}")]
    Unfit(String),
}

const _: () = assert!(MAX_MEMBERS <= niagara_net::MAX_MEMBERS, "all members fit into a greeting");

/// The level of clusters and servers of releases that know of no levels.
pub(crate) const FIRST_LEVEL: u32 = 1;

/// The highest level that this release knows.
///
/// A level names the commands, entries and formats that a cluster may use. It is part of the replicated state, and changes at one
/// position of the global log, with the epoch. A release knows all levels up to its own, so that servers of two releases work
/// together at the level of the older one, until [`Client::ask_for_level`](crate::Client::ask_for_level) raises it.
///
/// | level | adds |
/// |---|---|
/// | 1 | all that there was before levels |
/// | 2, 3 | commands that [need](crate::StateMachine::needed_level) it |
///
/// A server that does not know the level of its cluster does not start, and the others refuse it.
pub const KNOWN_LEVEL: u32 = 3;

impl Config {
    /// The default configuration for a server of this cluster.
    pub fn new(cluster: u128, server: ServerId, members: Vec<Member>) -> Self {
        Config {
            cluster,
            server,
            role: ServerRole::Member,
            members,
            groups: None,
            application: 0,
            join: None,
            joins: false,
            first_level: KNOWN_LEVEL,
            known_level: KNOWN_LEVEL,
            notes: BTreeMap::new(),
            links: Vec::new(),
            listeners: Listeners::default(),
            data_dir: PathBuf::from("niagara-data"),
            durability: Durability::Fsync,
            tls: None,
            plain: Plain::default(),
            threads: Threads::default(),
            reads: Reads::default(),
            pinning: Pinning::default(),
            leaders: Vec::new(),
            tick: Duration::from_millis(50),
            heartbeat_ticks: 2,
            election_ticks: 10,
            window: niagara_sequencer::COMMAND_ENTRY_WINDOW,
            entry_bytes: 64 << 10,
            command_bytes: (16 << 20) + (128 << 10),
            lane_commands: 1 << 16,
            lane_bytes: 64 << 20,
            deadline: Duration::from_secs(5),
            segment_bytes: 16 << 20,
            log_cache_bytes: 2 << 20,
            unsynced_bytes: 80 << 20,
            merge_bytes: 32 << 20,
            behind_bytes: 1 << 30,
            disk_reserve_bytes: 256 << 20,
            send_queue_bytes: niagara_net::DEFAULT_SEND_QUEUE_BYTES,
            snapshot_entries: 1 << 20,
            snapshot_bytes: 1 << 30,
            snapshot_write_rate: 64 << 20,
            snapshot_transfer_rate: 64 << 20,
            snapshot_piece_bytes: TRANSFER_PIECE_BYTES,
            snapshot_pin_bytes: 2 << 30,
            subscription_bytes: 64 << 20,
            keep_history: false,
            alone: false,
        }
    }

    /// The default configuration for a server that follows a cluster of these members. Its id must be that of no other server,
    /// nor ever have been one of a member.
    ///
    /// ```
    /// use niagara_engine::{Config, Member};
    ///
    /// let members = Config::local(3, 1)?.remove(0).members;
    /// let config = Config::follower(0xc1, 9, members);
    /// config.check().unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn follower(cluster: u128, server: ServerId, members: Vec<Member>) -> Self {
        Config { role: ServerRole::Follower, ..Config::new(cluster, server, members) }
    }

    /// Whether this server is a follower.
    pub(crate) fn follows(&self) -> bool {
        self.role == ServerRole::Follower
    }

    /// Number of groups of the first epoch; `None` for a follower, who learns it from a snapshot.
    pub(crate) fn known_groups(&self) -> Option<u16> {
        (!self.follows()).then(|| self.groups())
    }

    /// Number of groups, R.
    pub fn groups(&self) -> u16 {
        self.groups.unwrap_or_else(|| self.members.first().map_or(0, |member| member.addresses.len() as u16))
    }

    /// The epoch that a cluster of this configuration begins with, at this level.
    pub(crate) fn first_epoch(&self, level: u32) -> Chain {
        let terms = Terms { groups: self.groups(), members: self.servers(), level, ..Terms::default() };
        Chain::genesis(terms).expect("the configuration has been checked")
    }

    /// This server among the members.
    pub(crate) fn own(&self) -> &Member {
        self.members
            .iter()
            .find(|member| member.server == self.server)
            .expect("a checked configuration lists it")
    }

    /// Number of threads that drive the groups, once a start has settled it for its machine.
    pub(crate) fn group_threads(&self) -> u16 {
        match self.threads {
            Threads::Auto => self.groups(),
            Threads::Count(count) => count.min(self.groups()),
        }
    }

    /// How long a follower promises not to vote, if the cluster has leases: an election timeout.
    pub(crate) fn promise(&self) -> Option<Duration> {
        (self.reads == Reads::Lease).then(|| self.tick * self.election_ticks)
    }

    /// Ids of all servers, in rising order.
    pub(crate) fn servers(&self) -> Vec<ServerId> {
        let mut servers: Vec<ServerId> = self.members.iter().map(|member| member.server).collect();
        servers.sort_unstable();
        servers
    }

    /// Ids of the servers that vote in each group.
    pub(crate) fn voters(&self) -> Vec<ServerId> {
        if self.alone { vec![self.server] } else { self.servers() }
    }

    /// Checks that the values are consistent, and says what to change if not.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.follows() {
            self.check_follower()?;
            return self.check_limits();
        }
        let groups = usize::from(self.groups());
        let fail = |text: String| Err(ConfigError::Unfit(text));
        if groups == 0 || groups > usize::from(niagara_sequencer::MAX_GROUPS) {
            return fail(format!(
                "a cluster has 1 to {} groups, not {groups}",
                niagara_sequencer::MAX_GROUPS
            ));
        }
        if self.members.len() > MAX_MEMBERS {
            return fail(format!("a cluster has at most {MAX_MEMBERS} servers"));
        }
        for (i, member) in self.members.iter().enumerate() {
            if member.server == 0 {
                return fail("server ids start at 1".into());
            }
            if self.members[..i].iter().any(|other| other.server == member.server) {
                return fail(format!("server {} is listed twice among the members", member.server));
            }
            match member.addresses.len() {
                0 => return fail(format!("server {} has no address for its groups", member.server)),
                some if some > groups => {
                    return fail(format!(
                        "server {} has {some} addresses for {groups} groups: groups can share an address, but none \
                         uses two",
                        member.server
                    ));
                }
                some if some < groups && self.groups.is_none() => {
                    return fail(format!(
                        "server {} has {some} addresses, but the first member has {groups}: give it as many, or set \
                         the number of groups",
                        member.server
                    ));
                }
                _ => {}
            }
        }
        if !self.members.iter().any(|member| member.server == self.server) {
            return fail(format!("this server, {}, is not among the members", self.server));
        }
        let addresses = self.own().addresses.len();
        if !self.links.is_empty() && self.links.len() != addresses {
            return fail(format!(
                "links: give none or one for each of this server's {addresses} addresses, not {}",
                self.links.len()
            ));
        }
        if !self.leaders.is_empty() && self.leaders.len() != groups {
            return fail(format!(
                "leaders: give none or one per group ({groups}), not {}",
                self.leaders.len()
            ));
        }
        let is_member = |leader: &&ServerId| self.members.iter().any(|member| member.server == **leader);
        if let Some(stranger) = self.leaders.iter().find(|leader| !is_member(leader)) {
            return fail(format!("leaders: server {stranger} is not among the members"));
        }
        self.check_limits()
    }

    fn check_follower(&self) -> Result<(), ConfigError> {
        let fail = |text: String| Err(ConfigError::Unfit(text));
        if self.server == 0 {
            return fail("server ids start at 1".into());
        }
        if self.members.iter().any(|member| member.server == self.server) {
            return fail(format!(
                "this server, {}, is a follower and must not be among the members: give it an id that no member has or had",
                self.server
            ));
        }
        let mut ids = BTreeSet::new();
        if let Some(again) = self.members.iter().find(|member| !ids.insert(member.server)) {
            return fail(format!("server {} is listed twice among the members", again.server));
        }
        if let Some(lost) = self.members.iter().find(|member| member.transfer.is_empty()) {
            return fail(format!(
                "server {} has no address for snapshots, which is the one that followers use",
                lost.server
            ));
        }
        Ok(())
    }
}
