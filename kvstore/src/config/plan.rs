//! Writes the configuration file of each server of a new cluster, with every key explained.

use std::fmt::Write as _;
use std::path::PathBuf;

use niagara_engine::{Config, Durability, Pinning, ServerId};

use crate::FrontEndConfig;

/// A cluster that is to be: what its servers' files must agree on.
///
/// ```
/// use niagara_engine::Durability;
/// use niagara_kvstore::config::{ConfigFile, Plan, PlannedServer};
///
/// let server = PlannedServer {
///     server: 1,
///     http: "127.0.0.1:7000".into(),
///     redis: "127.0.0.1:7001".into(),
///     groups: vec!["127.0.0.1:7002".into()],
///     transfer: "127.0.0.1:7003".into(),
/// };
/// let plan = Plan { cluster: 0x5d7a, durability: Durability::Fsync, servers: vec![server] };
/// let file = ConfigFile::parse(&plan.render(1), "cluster".as_ref())?;
/// assert_eq!(file.server.engine.cluster, 0x5d7a);
/// assert_eq!(file.server.engine.data_dir, std::path::Path::new("cluster").join(Plan::data_dir(1)));
/// # Ok::<(), niagara_kvstore::config::ConfigFileError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cluster's id: random, so that servers of two clusters never take each other for members.
    pub cluster: u128,
    /// What a write survives.
    pub durability: Durability,
    /// All servers.
    pub servers: Vec<PlannedServer>,
}

/// Where one server is going to listen, as `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedServer {
    /// The server's id, at least 1.
    pub server: ServerId,
    /// For HTTP clients.
    pub http: String,
    /// For Redis clients.
    pub redis: String,
    /// For the other servers: one address per group.
    pub groups: Vec<String>,
    /// For the other servers: where they ask for snapshots.
    pub transfer: String,
}

impl Plan {
    /// The name of a server's configuration file.
    pub fn file_name(server: ServerId) -> String {
        format!("server-{server}.toml")
    }

    /// A server's data directory, relative to its configuration file.
    pub fn data_dir(server: ServerId) -> PathBuf {
        PathBuf::from(format!("data-{server}"))
    }

    /// The text of a server's configuration file.
    ///
    /// # Panics
    /// When the plan has no such server.
    pub fn render(&self, server: ServerId) -> String {
        let own = self.servers.iter().find(|planned| planned.server == server);
        let own = own.expect("the plan holds the server whose file is written");
        let mut text = self.identity(own);
        text.push_str(&self.members());
        text.push_str(&engine_section());
        text.push_str(&front_section());
        text.push_str(LINKS_SECTION);
        text
    }

    fn identity(&self, own: &PlannedServer) -> String {
        let PlannedServer { server, http, redis, .. } = own;
        let (cluster, durability, servers) = (self.cluster, self.durability, self.servers.len());
        let (file, data_dir) = (Self::file_name(*server), Self::data_dir(*server));
        format!(
            r#"# Niagara: server {server} of {servers}. Start it with
#
#     niagara serve --config {file}
#
# What is commented out below is optional, and shows its default. A key that does not exist is an error.

# The cluster's id, 1 to 32 hexadecimal digits, drawn at random and the same in the files of all its servers. Servers
# of other clusters are refused, so that a wrong address does no harm.
cluster = "{cluster:032x}"

# This server's id, at least 1. Never give the id of a server that has lost its data to a new one: it has forgotten how
# it voted, and a group could end up with two leaders.
server = {server}

# Where the logs live. Relative paths are relative to this file. One server per directory: a lock file guards it.
data_dir = "{data_dir}"

# What an acknowledged write survives. Default: "fsync".
#   "fsync"   loss of power on all servers at once: a majority has it on disk before the client gets its answer
#   "os"      the end of every process, but not of a majority of machines at once: written, and left to the system
#   "memory"  nothing but the failure of a minority of servers, which must not come back: for experiments
durability = "{durability}"

# Where clients connect, as host:port; of a name, at all of its addresses. There is no authentication: listen at 0.0.0.0 in a trusted network only.
http = "{http}"
redis = "{redis}"
"#,
            data_dir = data_dir.display(),
        )
    }

    fn members(&self) -> String {
        let mut text = String::from(
            r#"
# All servers of the cluster, this one included, the same in all files: the id; where the command line and other
# servers find its HTTP front end (optional, for display); and where each group's replica listens, one address for each
# group. The groups' addresses may lie in different networks: then each group's traffic has a link of its own. Snapshots
# are sent and received at `transfer`, apart from all of that.
"#,
        );
        for PlannedServer { server, http, groups, transfer, .. } in &self.servers {
            let groups = groups.iter().map(|group| format!("\"{group}\"")).collect::<Vec<_>>().join(", ");
            let _ = write!(
                text,
                "[[members]]\nserver = {server}\nhttp = \"{http}\"\ngroups = [{groups}]\ntransfer = \"{transfer}\"\n\n"
            );
        }
        text
    }
}

fn engine_section() -> String {
    let defaults = Config::new(0, 1, Vec::new());
    let pinning = match &defaults.pinning {
        Pinning::Auto => "\"auto\"".to_owned(),
        Pinning::Off => "\"off\"".to_owned(),
        Pinning::Cores(cores) => format!("{cores:?}"),
    };
    format!(
        r#"[engine]
# The engine's clock step, in milliseconds. Small enough to notice a failure in half a second, large enough to let an
# idle server sleep.
# tick_ms = {tick_ms}

# A leader says that it lives every so many ticks. 2 leaves room for a few lost ones within an election timeout.
# heartbeat_ticks = {heartbeat_ticks}

# A follower that has heard of no leader for so many ticks, up to twice as many at random, stands for election. At least
# 5 times heartbeat_ticks; more where the network or the disk stalls for longer.
# election_ticks = {election_ticks}

# A group cuts no new entry while more than this many of its entries wait for the slower groups. Small windows make
# large entries under uneven load, and few no-ops.
# window = {window}

# A group cuts an entry when it holds this much, in KiB. Enough to share an entry's cost between many commands, and
# little enough not to block a slow link for long.
# entry_kib = {entry_kib}

# Most commands that this server holds for each group without an outcome; more are refused as overload, which is better
# than to keep their clients waiting.
# lane_commands = {lane_commands}

# Most MiB of such commands, for each group. At least two of the largest commands must fit.
# lane_mib = {lane_mib}

# How long a client waits for an outcome, in milliseconds. After that a write's outcome is reported as unknown, and a
# read as failed. Long enough to outlast the election of a new leader.
# deadline_ms = {deadline_ms}

# Size of one log file, in MiB. A log has one spare ready, filled with zeros, so that a write never has to grow a file.
# segment_mib = {segment_mib}

# Memory for the recent part of each group's log, in MiB. Small is fast: it stays in the processor's cache.
# log_cache_mib = {log_cache_mib}

# Most MiB that wait for one server on one group's link. A slow link gets fewer; what a server lacks beyond that stays in the log.
# send_queue_mib = {send_queue_mib}

# Most MiB of one group's entries that wait for this server's own disk. Beyond that, a leader takes no more commands, and hands
# over if its disk is stuck; another server's entries are not taken, and sent again later.
# unsynced_mib = {unsynced_mib}

# Most MiB that have been committed and wait for the order of the global log; and, once more, for being executed.
# merge_mib = {merge_mib}

# Most MiB that the logs of all groups hold beyond what is merged, where a group's leader cannot be reached or execution is
# slow. Beyond that, only the group that is waited for grows, until this server has caught up by its log or by a snapshot.
# behind_mib = {behind_mib}

# With less room on the disk, in MiB, this server takes no writes: it goes on by itself when there is room. 0: until the disk
# is full.
# disk_reserve_mib = {disk_reserve_mib}

# A snapshot of the whole state is written when so many entries with commands have been executed since the last one, or so
# many MiB of them. It makes the logs before the last snapshot but one superfluous. More means fewer snapshots, longer logs
# and longer starts: the logs of all groups take up to about three times snapshot_mib.
# snapshot_entries = {snapshot_entries}
# snapshot_mib = {snapshot_mib}

# How fast a snapshot is written, in MiB per second. Slow enough that the logs' syncs keep their latency.
# snapshot_write_mib_per_second = {write_rate}

# How fast snapshots are sent to servers that were away for too long, to all of them together, in MiB per second. Half of a
# link of 1 Gbit/s.
# snapshot_transfer_mib_per_second = {transfer_rate}

# A group's log is kept for a server that is getting a snapshot, up to so many MiB.
# snapshot_pin_mib = {pin_mib}

# Which core each group's thread is bound to: "auto" (a core for each group if the machine has as many), "off" (threads
# float), or a list with a core for each group, like [0, 2, 4, 6].
# pinning = {pinning}

# The server that each group's leadership belongs to, the same in all files: a server's id for each group, like [1, 1, 1, 1].
# Default: round robin, so that every server sends from its own links. With all groups at one server, a lone write through
# that server is faster, and one server's links and cores do the leaders' work.
# leaders = {leaders:?}
"#,
        leaders = defaults.leaders,
        tick_ms = defaults.tick.as_millis(),
        heartbeat_ticks = defaults.heartbeat_ticks,
        election_ticks = defaults.election_ticks,
        window = defaults.window,
        entry_kib = defaults.entry_bytes >> 10,
        lane_commands = defaults.lane_commands,
        lane_mib = defaults.lane_bytes >> 20,
        deadline_ms = defaults.deadline.as_millis(),
        segment_mib = defaults.segment_bytes >> 20,
        log_cache_mib = defaults.log_cache_bytes >> 20,
        send_queue_mib = defaults.send_queue_bytes >> 20,
        unsynced_mib = defaults.unsynced_bytes >> 20,
        merge_mib = defaults.merge_bytes >> 20,
        behind_mib = defaults.behind_bytes >> 20,
        disk_reserve_mib = defaults.disk_reserve_bytes >> 20,
        snapshot_entries = defaults.snapshot_entries,
        snapshot_mib = defaults.snapshot_bytes >> 20,
        write_rate = defaults.snapshot_write_rate >> 20,
        transfer_rate = defaults.snapshot_transfer_rate >> 20,
        pin_mib = defaults.snapshot_pin_bytes >> 20,
    )
}

fn front_section() -> String {
    let FrontEndConfig {
        threads,
        max_connections,
        client_output,
        all_clients,
        http_idle,
        redis_idle,
        tcp_keepalive,
        ..
    } = FrontEndConfig::default();
    let (client_output, all_clients) = (client_output >> 20, all_clients >> 20);
    let [http_idle, redis_idle, tcp_keepalive] =
        [http_idle, redis_idle, tcp_keepalive].map(|time| time.as_secs());
    format!(
        r#"
[front]
# Threads that talk to clients. Default: one for every four cores, which came to this where the file was written.
# threads = {threads}

# Most client connections at a time; further ones are told so and closed, but for those that ask for /status, /metrics,
# /healthz or /readyz. More than the limit of open files leaves for clients are refused at the start. Default: the limit of open files, less some
# for logs and other servers, which came to this where the file was written.
# max_connections = {max_connections}

# An HTTP connection on which nothing has happened for so many seconds is closed, and one of the Redis protocol; 0 for never,
# with the latter only.
# http_idle_seconds = {http_idle}
# redis_idle_seconds = {redis_idle}

# After so many seconds without a word the system asks whether a client is still there, so that the connection ends of one whose
# machine has gone; 0 for never.
# tcp_keepalive_seconds = {tcp_keepalive}

# Most MiB of replies that wait for one client to take them. A client may write a whole pipeline before it reads the first
# reply: its requests are read on, up to 32 MiB of them, and executed. One that is at both limits and takes nothing for
# 30 seconds is closed, and the log says so.
# client_output_mib = {client_output}

# Most MiB of requests and replies that wait for all clients together. Above it no client is read ahead, and one MiB of
# replies waits for each.
# all_clients_mib = {all_clients}
"#
    )
}

const LINKS_SECTION: &str = r#"
# This server's end of each group's links, if it is to differ from its address among the members: none, or one table for
# each group, in order. Every key is optional.
#
# [[links]]
# listen = "0.0.0.0:7002"       # listen here instead (behind address translation)
# bind_address = "10.0.1.5"     # connect to the other servers from this local address, so from this network
# bind_device = "eth1"          # connect through this device (needs CAP_NET_RAW)
"#;
