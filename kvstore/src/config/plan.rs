//! Writes the configuration file of each server of a new cluster, with every setting explained.

use std::fmt::Write as _;
use std::path::PathBuf;

use niagara_engine::{Config, Durability, KNOWN_LEVEL, Pinning, ServerId, Threads};

use crate::{Failover, FrontEndConfig, Secret};

/// A new cluster: what its servers' files must agree on.
///
/// ```
/// use niagara_engine::Durability;
/// use niagara_kvstore::config::{ConfigFile, Plan, PlannedServer, Protection};
///
/// let server = PlannedServer {
///     server: 1,
///     http: "127.0.0.1:7000".into(),
///     redis: "127.0.0.1:7001".into(),
///     addresses: vec!["127.0.0.1:7002".into()],
///     transfer: "127.0.0.1:7003".into(),
///     tls: None,
/// };
/// let plan = Plan { cluster: 0x5d7a, groups: 1, durability: Durability::Fsync, servers: vec![server], protection: Protection::default(), joins: false };
/// let file = ConfigFile::parse(&plan.render(1), "cluster".as_ref())?;
/// assert_eq!(file.server.engine.cluster, 0x5d7a);
/// assert_eq!(file.server.engine.data_dir, std::path::Path::new("cluster").join(Plan::data_dir(1)));
/// # Ok::<(), niagara_kvstore::config::ConfigFileError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cluster's id: random, so that servers of two clusters never take each other for members.
    pub cluster: u128,
    /// Number of Raft groups.
    pub groups: u16,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// All servers.
    pub servers: Vec<PlannedServer>,
    /// Who may use them.
    pub protection: Protection,
    /// Whether the servers are to join a cluster that runs.
    pub joins: bool,
}

/// Who may use a new cluster's servers.
#[derive(Clone, Debug, Default)]
pub struct Protection {
    /// The password that clients have to give.
    pub password: Option<Secret>,
    /// Without a password, clients of other machines are served, too.
    pub insecure: bool,
}

/// Where one server will listen, as `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedServer {
    /// The server's id, at least 1.
    pub server: ServerId,
    /// For HTTP clients.
    pub http: String,
    /// For Redis clients.
    pub redis: String,
    /// For the other servers: an address for each group, or fewer, which the groups share.
    pub addresses: Vec<String>,
    /// For the other servers: where they request snapshots.
    pub transfer: String,
    /// For clients that speak TLS; the other ports for clients are then not opened.
    pub tls: Option<PlannedTls>,
}

/// Where one server listens for clients that speak TLS, as `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTls {
    /// For HTTP.
    pub http: String,
    /// For the Redis protocol.
    pub redis: String,
}

impl Plan {
    /// The name of a server's configuration file.
    pub fn file_name(server: ServerId) -> String {
        format!("server-{server}.toml")
    }

    /// The directory of the certificates, relative to the configuration files.
    pub const CERTIFICATES: &str = "certificates";

    /// A server's data directory, relative to its configuration file.
    pub fn data_dir(server: ServerId) -> PathBuf {
        PathBuf::from(format!("data-{server}"))
    }

    /// The text of a server's configuration file.
    ///
    /// # Panics
    /// If the plan has no such server.
    pub fn render(&self, server: ServerId) -> String {
        let own = self.servers.iter().find(|planned| planned.server == server);
        let own = own.expect("the plan holds the server whose file is written");
        let mut text = self.identity(own);
        text.push_str(&self.members());
        text.push_str(&engine_section());
        text.push_str(&front_section());
        text.push_str(LINKS_SECTION);
        text.push_str(&tls_section(own));
        text.push_str(&peer_tls_section(own));
        text
    }

    fn identity(&self, own: &PlannedServer) -> String {
        let PlannedServer { server, http, redis, .. } = own;
        let (cluster, groups, durability) = (self.cluster, self.groups, self.durability);
        let (which, join, joins) = match self.joins {
            true => {
                let which = format!("server {server}, which joins a running cluster");
                (which, " --join URL", "joins = true")
            }
            false => (format!("server {server} of {}", self.servers.len()), "", "# joins = false"),
        };
        let (file, data_dir) = (Self::file_name(*server), Self::data_dir(*server));
        format!(
            r#"# Niagara: {which}. Start it with
#
#     niagara serve --config {file}{join}
#
# Commented-out settings are optional and show their defaults. An unknown setting is an error.

# The cluster's id: 1 to 32 hexadecimal digits, chosen at random, the same in the files of all its servers. Servers of
# other clusters are refused, so a wrong address does no harm.
cluster = "{cluster:032x}"

# This server's id, at least 1. Never reuse the id of a server that has lost its data: it has forgotten its votes, and a
# group could end up with two leaders.
server = {server}

# What this server is. Default: "member".
#   "member"    it votes and keeps logs; it is one of the members that are listed below
#   "follower"  it executes what the members order and answers reads, but counts for no majority; it is not listed, and its
#               id is that of no member, present or former
# role = "member"

# Whether this server joins a cluster that others have founded. On an empty data directory it starts only with --join then,
# so that it never founds a second cluster with the same id, not even when it has lost its data. Default: false.
{joins}

# Number of Raft groups, the same in all files: about one for each core that replication may use, and at least one for
# each link. Default: one for each address of the first member.
groups = {groups}

# The level that the cluster begins at, the same in all files: which commands, entries and formats it may use. It counts at
# the first start only; `niagara level raise` raises it later (docs/levels.md). Default: 1, for servers of earlier releases.
first_level = {first_level}

# Where the logs and snapshots are, relative to this file. Only one server can use a directory; a lock file guards it.
data_dir = "{data_dir}"

# What an acknowledged write survives. Default: "fsync".
#   "fsync"   a power failure of all servers at once: a majority has it on disk before the client gets its answer
#   "os"      a crash of every process, but not of a majority of machines at once: written; the system syncs it later
#   "memory"  only the failure of a minority of servers, which must not come back: for experiments
durability = "{durability}"

# How strong reads are made sure to be fresh, the same in all files: to change it, stop all servers first. Default:
# "quorum".
#   "quorum"  each batch of reads asks a majority; this relies on no clock
#   "lease"   a leader that a majority has answered within 64 % of an election timeout reads at once. Safe while
#             every machine's clock runs at 80 to 125 % of real time, also while the machine sleeps or is paused
# reads = "quorum"

# Where clients connect, as host:port; a name stands for all its addresses.
http = "{http}"
redis = "{redis}"

# The password that clients have to give, or `sha256:` and its digest in hexadecimal digits. Without one, the server
# serves only clients of its own machine; with `insecure`, it serves everybody who can reach it. Servers speak to each other
# beyond their own machine only with certificates (`peer_tls`), or with `insecure`.
{requirepass}
{insecure}

# The password of the user niagara.rescue, in the same form, for whoever is locked out: that user may do everything at this
# server, whatever the rights of users are. Set it, restart the server, give users their rights back, and remove it.
# rescue_password = ""
"#,
            data_dir = data_dir.display(),
            first_level = KNOWN_LEVEL,
            requirepass = match &self.protection.password {
                Some(secret) => format!("requirepass = \"{}\"", secret.digest()),
                None => "# requirepass = \"\"".to_owned(),
            },
            insecure = if self.protection.insecure { "insecure = true" } else { "# insecure = false" },
        )
    }

    fn members(&self) -> String {
        let mut text = String::from(
            r#"
# All servers of the cluster, including this one, the same in all files. `http` is where the command line and other
# servers find its HTTP port (optional, for display). `redis` is where clients of Redis find its Redis port, as other
# servers tell them: the one for TLS, if only that is opened (optional: a server without it is not named to clients of Sentinel
# and Cluster). `addresses` are where its replicas of the groups listen: one for
# each group, in different networks if there are any, so that each group has its own link; or fewer, which take turns.
# `transfer` is the address for snapshots.
"#,
        );
        for PlannedServer { server, http, redis, addresses, transfer, tls } in &self.servers {
            let https = tls.as_ref().map_or(String::new(), |tls| format!("https = \"{}\"\n", tls.http));
            // With TLS, the plain port is not opened.
            let redis = tls.as_ref().map_or(redis, |tls| &tls.redis);
            let addresses =
                addresses.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ");
            let _ = write!(
                text,
                "[[members]]\nserver = {server}\nhttp = \"{http}\"\n{https}redis = \"{redis}\"\naddresses = [{addresses}]\ntransfer = \"{transfer}\"\n\n"
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
    let threads = match defaults.threads {
        Threads::Auto => "\"auto\"".to_owned(),
        Threads::Count(count) => count.to_string(),
    };
    format!(
        r#"[engine]
# The highest level that this server says that it knows. With a lower one, it behaves as a server of the release that knows
# no more: to rehearse an upgrade, or to make sure that nobody raises the level before this server may take part.
# known_level = {known_level}

# The engine's clock step, in milliseconds: small enough to notice a failure in half a second, large enough to let an
# idle server sleep.
# tick_ms = {tick_ms}

# A leader sends a heartbeat every so many ticks. With 2, a few may be lost within an election timeout.
# heartbeat_ticks = {heartbeat_ticks}

# A follower that has not heard from a leader for this many ticks, up to twice as many at random, stands for election.
# At least 5 times heartbeat_ticks; more if the network or the disk stalls for longer.
# election_ticks = {election_ticks}

# A group creates no new entry while more than this many of its entries wait for slower groups. Small windows make
# large entries under uneven load, and few no-ops.
# window = {window}

# The size at which a group closes an entry, in KiB: large enough to share an entry's cost between many commands, small
# enough not to block a slow link for long.
# entry_kib = {entry_kib}

# Most commands without an outcome that this server holds for each group. It refuses more as overload, which is better
# than making their clients wait.
# lane_commands = {lane_commands}

# Most MiB of such commands for each group. At least two of the largest commands must fit.
# lane_mib = {lane_mib}

# How long a client waits for an outcome, in milliseconds. After that, a write's outcome is reported as unknown, and a
# read fails. Long enough to outlast the election of a new leader.
# deadline_ms = {deadline_ms}

# Size of one log file, in MiB. Each log keeps a spare file, filled with zeros, so a write never has to grow a file.
# segment_mib = {segment_mib}

# Memory for the recent part of each group's log, in MiB. A small cache is fast: it stays in the processor's cache.
# log_cache_mib = {log_cache_mib}

# Most MiB that wait for one server on one group's link. A slow link gets less; the rest stays in the log until it is
# sent.
# send_queue_mib = {send_queue_mib}

# Most MiB of one group's entries that wait for this server's disk. Beyond that, a leader accepts no more commands, and
# hands the group over if its disk is stuck; a follower drops the leader's entries, which are sent again later.
# unsynced_mib = {unsynced_mib}

# Most MiB that are committed and wait for their turn in the global log, and as much again that waits for execution.
# merge_mib = {merge_mib}

# Most MiB that the logs of all groups may be ahead of the merge, if a group's leader cannot be reached or execution is
# slow. Beyond that, only the group that the merge awaits grows, until this server has caught up by its log or by a
# snapshot.
# behind_mib = {behind_mib}

# With less free disk space than this, in MiB, this server accepts no writes. It resumes automatically when there is
# room. With 0, it accepts writes until the disk is full.
# disk_reserve_mib = {disk_reserve_mib}

# A snapshot of the whole state is taken after this many entries with commands, or this many MiB of them, have been
# executed since the last one, or this many MiB were written to the logs. The logs before the last but one snapshot are then no longer needed. Higher values mean
# fewer snapshots, longer logs and longer starts: the logs of all groups take up to about three times snapshot_mib.
# snapshot_entries = {snapshot_entries}
# snapshot_mib = {snapshot_mib}

# How fast a snapshot is written, in MiB per second: slow enough that the logs' syncs keep their latency.
# snapshot_write_mib_per_second = {write_rate}

# How fast snapshots are sent to servers that are too far behind, to all of them together, in MiB per second: half of a
# 1 Gbit/s link.
# snapshot_transfer_mib_per_second = {transfer_rate}

# Most MiB of a group's log that are kept for a server that is receiving a snapshot.
# snapshot_pin_mib = {pin_mib}

# How many threads drive the groups: "auto" (one for each group if the machine has a core for each and three more;
# otherwise fewer, down to one that drives all groups), or a number. Each group keeps its own log, sockets and address.
# threads = {threads}

# The core that each of these threads is bound to: "auto" (a core for each if every group has a thread and the machine
# has enough cores), "off" (none), or a list with a core for each thread, such as [0, 2, 4, 6].
# pinning = {pinning}

# The preferred leader of each group, the same in all files: a server's id for each group, such as [1, 1, 1, 1].
# Default: round robin, so that every server sends on its own links. If one server leads all groups, a lone write
# through that server is faster, but its links and cores do all the leaders' work.
# leaders = {leaders:?}
"#,
        leaders = defaults.leaders,
        known_level = defaults.known_level,
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
        subscriber_output,
        tracking,
        all_clients,
        http_idle,
        redis_idle,
        tcp_keepalive,
        shutdown_grace,
        failover: Failover { cluster: redis_cluster, master_name, .. },
        ..
    } = FrontEndConfig::default();
    let [client_output, subscriber_output, tracking, all_clients] =
        [client_output, subscriber_output, tracking, all_clients].map(|bytes| bytes >> 20);
    let [http_idle, redis_idle, tcp_keepalive, shutdown_grace] =
        [http_idle, redis_idle, tcp_keepalive, shutdown_grace].map(|time| time.as_secs());
    format!(
        r#"
[front]
# Threads that serve clients. Default: one for every four cores; this is the number where the file was written.
# threads = {threads}

# Most client connections at a time. Further ones get an error and are closed, except those that ask for /status,
# /metrics, /healthz or /readyz. A server does not start if the limit of open files leaves fewer for clients. Default:
# the limit of open files, less some for logs and other servers; this is the number where the file was written.
# max_connections = {max_connections}

# Most of them from one address, or from one network of version 6 with 64 bits. 0 means three quarters of
# max_connections from another machine, and all of them from this one. Lower it if each client has an address of its
# own; set it to max_connections if all clients come through one proxy.
# max_connections_per_address = 0

# An idle HTTP or Redis connection is closed after this many seconds. 0 means never, for Redis only.
# http_idle_seconds = {http_idle}
# redis_idle_seconds = {redis_idle}

# After this many idle seconds the system probes whether a client is still there, and ends the connection if its machine
# has gone. 0 means never.
# tcp_keepalive_seconds = {tcp_keepalive}

# A server that is told to stop (SIGTERM) hands its groups over and refuses further requests, so that clients go to
# another server. It ends when they have left, or after this many seconds.
# shutdown_grace_seconds = {shutdown_grace}

# Most MiB of replies that wait for one client. A client may write a whole pipeline before it reads the first reply: the
# server keeps reading its requests, up to 32 MiB, and executes them. A client that has reached both limits and takes
# nothing for 30 seconds is closed, and the log says so.
# client_output_mib = {client_output}

# Most MiB that wait for a client that subscribes to channels. One that takes less is closed, and the log says so.
# subscriber_output_mib = {subscriber_output}

# Most MiB that are taken to remember which keys clients have read that send CLIENT TRACKING. Beyond that, the keys that were
# read first are forgotten, and clients are told as if they had changed.
# tracking_mib = {tracking}

# Most MiB of unfinished requests and replies of all clients together. From a half of it on, the server reads ahead for
# nobody, and one MiB of replies waits for each client. From three quarters on, it refuses requests (429, TRYAGAIN). Once
# all of it is used up, it reads nothing, and closes the clients that hold the most. Default: a quarter of the memory of
# the machine, or of this process's control group; this is the number where the file was written.
# all_clients_mib = {all_clients}

# Whether this server answers CLUSTER, as Redis does with cluster-enabled: clients in cluster mode then find the other
# servers when one is gone. It holds all slots; the others are its replicas, though all of them take writes.
# redis_cluster = {redis_cluster}

# What READONLY does. Default: "weak", but "strong" with redis_cluster, since clients of a cluster send READONLY by
# themselves to whatever they take for a replica.
#   "weak"    reads of the connection show what this server has executed, and may be stale
#   "strong"  nothing: reads stay linearizable
# redis_readonly = "weak"

# The name by which SENTINEL lists the only master. A question about one master may use any name.
# redis_master_name = "{master_name}"
# Names by which HTTP clients call this server, such as ["db-1.example.org"]. Those of the loopback, addresses, the hosts
# of the members and the machine's name need not be among them. Requests for other names are refused, since web pages
# could send them.
# names = []

# Origins of web pages whose scripts may use this server, such as ["https://app.example.org"].
# origins = []
"#
    )
}

const LINKS_SECTION: &str = r#"
# This server's end of its links, if it differs from its addresses among the members: none, or one table for each of
# them, in order. Every key is optional.
#
# [[links]]
# listen = "0.0.0.0:7002"       # listen here instead (behind address translation)
# bind_address = "10.0.1.5"     # connect to the other servers from this local address, and so from its network
# bind_device = "eth1"          # connect through this device (needs CAP_NET_RAW)
"#;

/// The ports at which clients speak TLS; commented out if there are none.
fn tls_section(own: &PlannedServer) -> String {
    let (server, directory) = (own.server, Plan::CERTIFICATES);
    let example = PlannedTls { http: "0.0.0.0:7443".into(), redis: "0.0.0.0:7444".into() };
    let PlannedTls { http, redis } = own.tls.as_ref().unwrap_or(&example);
    let mark = if own.tls.is_some() { "" } else { "# " };
    format!(
        r#"
# Further ports, at which clients speak TLS. The certificate and its key are in PEM, relative to this file, and are read
# again when they change; `niagara certificates` makes some. With `client_ca`, clients must show a certificate of that
# authority; with `client_user = "CN"`, a client is the user whose name its certificate has as common name, without a
# password. With `only`, the plain ports above (`http`, `redis`) are not opened.
#
{mark}[tls]
{mark}http = "{http}"
{mark}redis = "{redis}"
{mark}certificate = "{directory}/server-{server}.pem"
{mark}key = "{directory}/server-{server}.key"
# client_ca = "{directory}/ca.pem"
# client_user = "off"
{mark}only = {only}
"#,
        only = own.tls.is_some(),
    )
}

/// What the servers prove to each other who they are with; commented out if there is nothing.
fn peer_tls_section(own: &PlannedServer) -> String {
    let (server, directory) = (own.server, Plan::CERTIFICATES);
    let mark = if own.tls.is_some() { "" } else { "# " };
    format!(
        r#"
# Servers speak TLS with each other, and prove who they are. Each has a certificate of an authority in `ca`, which names
# the server and its cluster: `niagara certificates issue --config` makes one. It may be the same as above. It is read
# again when it changes, for connections from then on. To go over to TLS while the cluster runs, restart one server after
# the other with `plain = "dialled"`, then with "accepted", then with "refused".
#
{mark}[peer_tls]
{mark}ca = "{directory}/ca.pem"
{mark}certificate = "{directory}/server-{server}.pem"
{mark}key = "{directory}/server-{server}.key"
# plain = "refused"
"#
    )
}
