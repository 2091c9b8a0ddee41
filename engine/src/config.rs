//! What a server needs to know before it starts, with defaults and their reasons.

mod limits;
mod open_files;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use niagara_log::Durability;

pub(crate) use open_files::MOST_PENDING;

/// The longest piece of a snapshot that is asked of another server at once, in bytes.
pub(crate) const PIECE_BYTES: u32 = 256 << 10;

/// Names one server of a cluster; never used again once its server has been removed or has lost its log.
pub type ServerId = u64;

/// The configuration of one server. Start from [`Config::new`] and change what differs.
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
pub struct Config {
    /// The cluster's id, the same on all of its servers; servers of other clusters are refused.
    pub cluster: u128,
    /// This server's id; one of `members`.
    pub server: ServerId,
    /// All servers of the cluster, this one included.
    pub members: Vec<Member>,
    /// Names what the application executes and by which limits, so that servers which would not execute all commands alike refuse
    /// each other. 0, the default, for an application that is the same in all releases.
    pub application: u128,
    /// This server's end of each group's links; empty, or one for each group.
    pub links: Vec<Link>,
    /// Where logs and identity live. One server per directory, guarded by a lock file.
    pub data_dir: PathBuf,
    /// What a write survives: see [`Durability`].
    pub durability: Durability,
    /// Which core each group's thread is bound to.
    pub pinning: Pinning,
    /// The server that each group's leadership belongs to, the same on all servers; empty for round robin, which lets
    /// every server send from its own links. All groups at one server spare a lone write two one-way delays.
    pub leaders: Vec<ServerId>,
    /// The engine's clock step. 50 ms keeps an idle server asleep and still lets a failure be noticed in half a
    /// second.
    pub tick: Duration,
    /// A leader says that it lives every so many ticks.
    pub heartbeat_ticks: u32,
    /// A follower that has heard of no leader for so many ticks (up to twice as many, at random) campaigns. At least
    /// 5 heartbeats, so that a few lost ones do not depose a healthy leader (Raft, section 5.6).
    pub election_ticks: u32,
    /// A group stops cutting new entries while more than this many of its entries with commands are ahead of the merge.
    pub window: usize,
    /// A group cuts an entry when it holds this many bytes of commands; at most 16 MiB, so that an entry fits a frame. 64 KiB
    /// amortises what an entry costs, and keeps a slow link from being blocked for long.
    pub entry_bytes: usize,
    /// Longest command, in bytes. The front ends' largest value and key plus their framing must fit.
    pub command_bytes: usize,
    /// Most commands that one lane (one per group) holds without an outcome; more are refused as overload.
    pub lane_commands: usize,
    /// Most bytes of commands that one lane holds without an outcome. At least twice `command_bytes`.
    pub lane_bytes: usize,
    /// How long a caller waits before an outcome counts as unknown, and a read as failed.
    pub deadline: Duration,
    /// Size of one log segment file, in bytes; each log keeps one spare ready.
    pub segment_bytes: u64,
    /// Memory for the recent part of each group's log, in bytes. Small is fast: 2 MiB stay in the CPU's cache.
    pub log_cache_bytes: usize,
    /// Most bytes of entries of one group that wait for this server's own disk; beyond, a leader takes no commands, and a follower
    /// no entries. A whole window of the largest commands, so that it is felt only when the disk does not keep up: one that
    /// writes 100 MB/s is almost a second behind then.
    pub unsynced_bytes: usize,
    /// Most bytes of committed entries that have been read from the logs and are not merged, in all groups together, besides one
    /// entry of each; and, once more, that are merged and not executed. Twice the largest command, so that two of them can be in
    /// each place at a time.
    pub merge_bytes: usize,
    /// Most bytes that the logs of all groups hold beyond what is merged; then only the group that the merge awaits grows. As
    /// much as `snapshot_bytes`: a server that is further behind finds the others' logs compacted, and needs a snapshot.
    pub behind_bytes: u64,
    /// With less room on the disk a server takes no commands. Enough for some snapshots of a small state and the segments that
    /// logs have begun, so that what was taken can be finished, and logs can be compacted.
    pub disk_reserve_bytes: u64,
    /// Most bytes queued for one peer on one group's link. A link that drains more slowly gets fewer; what comes on top stays in
    /// the log, or takes the place of what it makes pointless, until there is room.
    pub send_queue_bytes: usize,
    /// A snapshot is made when so many entries with commands have been merged since the last one: a start reads that many
    /// again, and a log keeps about 40 bytes of memory for each.
    pub snapshot_entries: u64,
    /// Or so many bytes of commands. With a state of 1 GB, as many bytes are written for snapshots as for logs, and the logs
    /// of all groups together keep up to about three times this on disk: since the older of two snapshots, and until the next
    /// is written.
    pub snapshot_bytes: u64,
    /// Bytes per second at which a snapshot is written. A quarter of what one disk of a small machine takes, so that the
    /// logs' syncs keep their latency.
    pub snapshot_write_rate: u64,
    /// Bytes per second at which snapshots are sent, to all receivers together: half of a link of 1 Gbit/s.
    pub snapshot_transfer_rate: u64,
    /// Bytes of a snapshot that a receiver asks for at once; at most 256 KiB.
    pub snapshot_piece_bytes: u32,
    /// A group's log is kept for a follower that is getting a snapshot, unless it takes more bytes than this.
    pub snapshot_pin_bytes: u64,
}

/// A server and where its groups listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The server's id, at least 1.
    pub server: ServerId,
    /// `host:port` for each group, in order of the groups.
    pub addresses: Vec<String>,
    /// `host:port` where snapshots are asked for and sent, apart from all groups' traffic.
    pub transfer: String,
}

/// This server's end of one group's links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Listen here rather than at the member's own address (behind address translation, or in tests).
    pub listen: Option<SocketAddr>,
    /// Dial from this local address, so that the group's traffic takes its network.
    pub bind_address: Option<IpAddr>,
    /// Dial through this device (needs CAP_NET_RAW).
    pub bind_device: Option<String>,
}

/// Which core each group's thread is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pinning {
    /// One core per group if the machine has as many; otherwise threads float.
    #[default]
    Auto,
    /// Threads float.
    Off,
    /// The named core for each group, in order of the groups.
    Cores(Vec<usize>),
}

/// Why a configuration cannot work. It has to be changed; trying again does not help.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A value is out of its range.
    #[error("{name} must be {}, but is {}", limits::bound(*value, *least, *most, unit), limits::amount(*value, unit))]
    OutOfRange {
        /// The field's name.
        name: &'static str,
        /// What it says.
        value: u128,
        /// What it counts.
        unit: &'static str,
        /// The least value that works.
        least: u128,
        /// The greatest value that works.
        most: u128,
    },
    /// Values do not fit each other, or this machine.
    #[error("{0}")]
    Unfit(String),
}

impl Config {
    /// A configuration with the defaults, for a server of the given cluster.
    pub fn new(cluster: u128, server: ServerId, members: Vec<Member>) -> Self {
        Config {
            cluster,
            server,
            members,
            application: 0,
            links: Vec::new(),
            data_dir: PathBuf::from("niagara-data"),
            durability: Durability::Fsync,
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
            snapshot_piece_bytes: PIECE_BYTES,
            snapshot_pin_bytes: 2 << 30,
        }
    }

    /// The number of groups, R.
    pub fn groups(&self) -> u16 {
        self.members.first().map_or(0, |member| member.addresses.len() as u16)
    }

    /// The other servers.
    pub(crate) fn peers(&self) -> impl Iterator<Item = ServerId> {
        self.members.iter().map(|member| member.server).filter(|server| *server != self.server)
    }

    /// The ids of all servers, in rising order.
    pub(crate) fn servers(&self) -> Vec<ServerId> {
        let mut servers: Vec<ServerId> = self.members.iter().map(|member| member.server).collect();
        servers.sort_unstable();
        servers
    }

    /// The server that a group's leadership belongs to, by the group's number from 0.
    pub(crate) fn wanted_leader(&self, group: u16) -> ServerId {
        let group = usize::from(group);
        self.leaders.get(group).copied().unwrap_or_else(|| {
            let servers = self.servers();
            servers[group % servers.len()]
        })
    }

    /// Checks that the parts fit each other, and says what to change if they do not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let groups = self.members.first().map_or(0, |member| member.addresses.len());
        let fail = |text: String| Err(ConfigError::Unfit(text));
        if groups == 0 || groups > usize::from(niagara_sequencer::MAX_GROUPS) {
            return fail(format!(
                "each member needs one address per group, for 1 to {} groups",
                niagara_sequencer::MAX_GROUPS
            ));
        }
        if self.members.len() > niagara_net::MAX_MEMBERS {
            return fail(format!("a cluster has at most {} servers", niagara_net::MAX_MEMBERS));
        }
        for (i, member) in self.members.iter().enumerate() {
            if member.server == 0 {
                return fail("server ids start at 1".into());
            }
            if self.members[..i].iter().any(|other| other.server == member.server) {
                return fail(format!("server {} is listed twice among the members", member.server));
            }
            if member.addresses.len() != groups {
                return fail(format!(
                    "server {} has {} addresses, but the first member has {groups}: one per group is needed",
                    member.server,
                    member.addresses.len()
                ));
            }
        }
        if !self.members.iter().any(|member| member.server == self.server) {
            return fail(format!("this server, {}, is not among the members", self.server));
        }
        if !self.links.is_empty() && self.links.len() != groups {
            return fail(format!("links: give none or one per group ({groups}), not {}", self.links.len()));
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
}
