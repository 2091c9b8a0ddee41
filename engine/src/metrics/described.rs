//! What each metric is called, what it means, and where it is.

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::registry::Unit;

use super::{FollowingMetrics, GroupMetrics, Metrics};

/// A metric's name and meaning, and which of a server's or a group's it is.
pub(super) struct Described<M> {
    pub name: &'static str,
    pub help: &'static str,
    pub unit: Option<Unit>,
    pub metric: fn(&M) -> &dyn EncodeMetric,
}

const fn of<M>(
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    metric: fn(&M) -> &dyn EncodeMetric,
) -> Described<M> {
    Described { name, help, unit, metric }
}

/// Metrics with one series for each group.
pub(super) const OF_GROUPS: &[Described<GroupMetrics>] = &[
    of("has_leader", "Whether this replica knows a leader", None, |m| &m.has_leader),
    of("is_leader", "Whether this replica leads", None, |m| &m.is_leader),
    of("has_lease", "Whether this replica leads and holds its lease", None, |m| &m.has_lease),
    of("term", "Raft term", None, |m| &m.term),
    of("log_bytes", "Bytes of the group's log, on disk and in memory", None, |m| &m.log_bytes),
    of("unsynced_bytes", "Bytes of entries that wait for this server's own disk", None, |m| {
        &m.unsynced_bytes
    }),
    of("leader_changes", "Changes of leader seen", None, |m| &m.leader_changes),
    of("entries_proposed", "Entries with commands cut by this leader", None, |m| &m.entries),
    of("proposals", "Commands proposed by this leader", None, |m| &m.commands),
    of("proposed_bytes", "Bytes of commands proposed by this leader", None, |m| &m.bytes),
    of("skips", "No-op entries proposed by this leader", None, |m| &m.skips),
    of("lane_attempts", "Times that this server resent its lane because it may have been lost", None, |m| {
        &m.attempts
    }),
    of("wal_written_bytes", "Bytes of entries handed to the log", None, |m| &m.wal_bytes),
    of("elections", "Campaigns started by this replica", None, |m| &m.elections),
    of("proposals_committed", "Raft index of the last committed entry", None, |m| &m.committed),
    of(
        "appends_not_taken",
        "Messages whose entries were refused because too much waits on this server already",
        None,
        |m| &m.untaken,
    ),
    of(
        "network_refused_messages",
        "Messages of peers that no correct server sends: the connection is ended",
        None,
        |m| &m.refused,
    ),
    of("network_sent_bytes", "Bytes sent to peers", None, |m| &m.sent_bytes),
    of("network_received_bytes", "Bytes received from peers", None, |m| &m.received_bytes),
    of(
        "network_dropped_frames",
        "Messages dropped because a peer was not connected or its queue was full",
        None,
        |m| &m.dropped_frames,
    ),
    of("network_bad_frames", "Frames refused for their length or checksum", None, |m| &m.bad_frames),
    of(
        "commit_duration",
        "Time from cutting an entry to its commit, at the leader",
        Some(Unit::Seconds),
        |m| &m.commit_duration,
    ),
    of("wal_fsync_duration", "Time to write and sync a batch to the log", Some(Unit::Seconds), |m| {
        &m.fsync_duration
    }),
    of(
        "merge_stall",
        "Time for which the merge held commands while it waited for this group's slot",
        Some(Unit::Seconds),
        |m| &m.stall,
    ),
];

/// Metrics that only followers have.
pub(super) const OF_FOLLOWERS: &[Described<FollowingMetrics>] = &[
    of(
        "followed_member",
        "Id of the member that this follower receives the log from, 0 for none",
        None,
        |m| &m.member,
    ),
    of("followed_position", "Latest global position that a member is known to have executed", None, |m| {
        &m.position
    }),
    of(
        "follower_lag",
        "Global positions, no-ops among them, that this follower has yet to execute of those",
        None,
        |m| &m.lag,
    ),
    of(
        "follower_connections",
        "Connections to members that were opened: more than there are members come from losses",
        None,
        |m| &m.connections,
    ),
];

/// Metrics of the server as a whole.
pub(super) const OF_SERVER: &[Described<Metrics>] = &[
    of(
        "applied_position",
        "Last global position that the state machine has executed. It counts no-ops: the rate of \
             commands is that of niagara_commands_applied_total",
        None,
        |m| &m.applied,
    ),
    of(
        "commands_applied",
        "Commands that the state machine has executed, without duplicates: their rate is the throughput \
             of the cluster",
        None,
        |m| &m.commands,
    ),
    of("epoch", "Number of the epoch that the global log is in", None, |m| &m.epoch),
    of("groups", "Number of groups of that epoch", None, |m| &m.running_groups),
    of("level", "Level of that epoch: which commands, entries and formats may be used", None, |m| &m.level),
    of("open_epochs", "Number of epochs whose groups are open: more than one after a change", None, |m| {
        &m.open_epochs
    }),
    of("commands_duplicate", "Duplicate commands that were skipped", None, |m| &m.duplicates),
    of("lane_gaps", "Sub-batches skipped because earlier ones were missing", None, |m| &m.gaps),
    of("noops", "Global positions filled by no-ops", None, |m| &m.noops),
    of("pad_requests", "Times the merge asked a group's leader to pad", None, |m| &m.pad_requests),
    of(
        "read_barrier_wait",
        "Time from a strong read's arrival until the state was fresh enough",
        Some(Unit::Seconds),
        |m| &m.read_wait,
    ),
    of(
        "lease_reads",
        "Strong reads answered at once, by a lease; those that came together on a connection count once",
        None,
        |m| &m.lease_reads,
    ),
    of("attached_reads", "Reads executed right after a command of their connection", None, |m| {
        &m.attached_reads
    }),
    of("reads_failed", "Reads that no quorum answered in time", None, |m| &m.reads_failed),
    of("snapshots", "Snapshots written", None, |m| &m.snapshots),
    of("snapshots_received", "Snapshots received from other servers", None, |m| &m.snapshots_received),
    of("snapshot_failures", "Snapshots that could not be written or received", None, |m| {
        &m.snapshot_failures
    }),
    of("snapshot_position", "Global position of the newest durable snapshot", None, |m| &m.snapshot_position),
    of("snapshot_size", "Length of the newest snapshot's file", Some(Unit::Bytes), |m| &m.snapshot_bytes),
    of(
        "snapshot_freeze",
        "Time for which execution paused to hand out a view for a snapshot",
        Some(Unit::Seconds),
        |m| &m.freeze_duration,
    ),
    of("executing_bytes", "Bytes of entries that are merged and wait for execution", None, |m| {
        &m.executing_bytes
    }),
    of("behind_bytes", "Bytes of entries in all logs that are not merged", None, |m| &m.behind_bytes),
    of(
        "is_behind",
        "Whether only the awaited group's entries are accepted, because so much is not merged",
        None,
        |m| &m.is_behind,
    ),
    of("disk_free_bytes", "Bytes free on the disk of the logs, at the last check", None, |m| {
        &m.disk_free_bytes
    }),
    of("read_only", "Whether commands are refused for lack of room on the disk", None, |m| &m.read_only),
    of("disk_is_stuck", "Whether a write of some log has been unfinished for long", None, |m| {
        &m.disk_is_stuck
    }),
];
