//! Counters and timings of a server, named by Prometheus's conventions, and as in etcd where it has the same
//! metric.
//!
//! Each is updated once per batch. Names begin with `niagara_`; those of a group have the label `group`.

use std::fmt;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// All metrics of one server.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    pub groups: Vec<GroupMetrics>,
    pub applied: Gauge,
    pub commands: Counter,
    pub duplicates: Counter,
    pub gaps: Counter,
    pub noops: Counter,
    pub stalls: Vec<Counter<f64, AtomicU64>>,
    pub pad_requests: Counter,
    pub read_wait: Histogram,
    pub reads_failed: Counter,
    pub snapshots: Counter,
    pub snapshots_received: Counter,
    pub snapshot_failures: Counter,
    pub snapshot_position: Gauge,
    pub snapshot_bytes: Gauge,
    pub freeze_duration: Histogram,
    pub executing_bytes: Gauge,
    pub behind_bytes: Gauge,
    pub is_behind: Gauge,
    pub disk_free_bytes: Gauge,
    pub read_only: Gauge,
    pub disk_is_stuck: Gauge,
}

/// Metrics of one group.
#[derive(Clone)]
pub(crate) struct GroupMetrics {
    pub has_leader: Gauge,
    pub is_leader: Gauge,
    pub leader_changes: Counter,
    pub term: Gauge,
    pub log_bytes: Gauge,
    pub unsynced_bytes: Gauge,
    pub entries: Counter,
    pub commands: Counter,
    pub bytes: Counter,
    pub skips: Counter,
    pub attempts: Counter,
    pub elections: Counter,
    pub committed: Counter,
    pub commit_duration: Histogram,
    pub fsync_duration: Histogram,
    pub wal_bytes: Counter,
    pub untaken: Counter,
    pub sent_bytes: Counter,
    pub received_bytes: Counter,
    pub dropped_frames: Counter,
    pub bad_frames: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GroupLabel {
    group: u16,
}

/// 16 us to 16 s, doubling: a fast disk's sync is near the low end, a failover in the middle, a stalled disk
/// at the high end.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(16e-6, 2.0, 21))
}

impl Metrics {
    pub fn new(groups: u16) -> Metrics {
        let mut root = Registry::default();
        let registry = root.sub_registry_with_prefix("niagara");
        let per_group = PerGroup::register(registry);
        let stalls = Family::<GroupLabel, Counter<f64, AtomicU64>>::default();
        registry.register_with_unit(
            "merge_stall",
            "Time for which the merge held commands while it waited for this group's slot",
            Unit::Seconds,
            stalls.clone(),
        );
        let metrics = Metrics {
            groups: (1..=groups).map(|group| per_group.of(&GroupLabel { group })).collect(),
            stalls: (1..=groups).map(|group| stalls.get_or_create(&GroupLabel { group }).clone()).collect(),
            applied: Gauge::default(),
            commands: Counter::default(),
            duplicates: Counter::default(),
            gaps: Counter::default(),
            noops: Counter::default(),
            pad_requests: Counter::default(),
            read_wait: seconds(),
            reads_failed: Counter::default(),
            snapshots: Counter::default(),
            snapshots_received: Counter::default(),
            snapshot_failures: Counter::default(),
            snapshot_position: Gauge::default(),
            snapshot_bytes: Gauge::default(),
            freeze_duration: seconds(),
            executing_bytes: Gauge::default(),
            behind_bytes: Gauge::default(),
            is_behind: Gauge::default(),
            disk_free_bytes: Gauge::default(),
            read_only: Gauge::default(),
            disk_is_stuck: Gauge::default(),
            registry: Mutex::new(Registry::default()),
        };
        registry.register(
            "applied_position",
            "Last global position that the state machine has executed. It counts no-ops: the rate of \
             commands is that of niagara_commands_applied_total",
            metrics.applied.clone(),
        );
        registry.register(
            "commands_applied",
            "Commands that the state machine has executed, without duplicates: their rate is the throughput \
             of the cluster",
            metrics.commands.clone(),
        );
        registry.register(
            "commands_duplicate",
            "Duplicate commands that were skipped",
            metrics.duplicates.clone(),
        );
        registry.register(
            "lane_gaps",
            "Sub-batches skipped because earlier ones were missing",
            metrics.gaps.clone(),
        );
        registry.register("noops", "Global positions filled by no-ops", metrics.noops.clone());
        registry.register(
            "pad_requests",
            "Times the merge asked a group's leader to pad",
            metrics.pad_requests.clone(),
        );
        registry.register_with_unit(
            "read_barrier_wait",
            "Time from a strong read's arrival until the state was fresh enough",
            Unit::Seconds,
            metrics.read_wait.clone(),
        );
        registry.register(
            "reads_failed",
            "Reads that no quorum answered in time",
            metrics.reads_failed.clone(),
        );
        metrics.register_snapshots(registry);
        metrics.register_waiting(registry);
        *metrics.registry.lock() = root;
        metrics
    }

    fn register_snapshots(&self, registry: &mut Registry) {
        registry.register("snapshots", "Snapshots written", self.snapshots.clone());
        registry.register(
            "snapshots_received",
            "Snapshots received from other servers",
            self.snapshots_received.clone(),
        );
        registry.register(
            "snapshot_failures",
            "Snapshots that could not be written or received",
            self.snapshot_failures.clone(),
        );
        registry.register(
            "snapshot_position",
            "Global position of the newest durable snapshot",
            self.snapshot_position.clone(),
        );
        registry.register_with_unit(
            "snapshot_size",
            "Length of the newest snapshot's file",
            Unit::Bytes,
            self.snapshot_bytes.clone(),
        );
        registry.register_with_unit(
            "snapshot_freeze",
            "Time for which execution paused to hand out a view for a snapshot",
            Unit::Seconds,
            self.freeze_duration.clone(),
        );
    }

    fn register_waiting(&self, registry: &mut Registry) {
        let gauges = [
            (
                "executing_bytes",
                "Bytes of entries that are merged and wait for execution",
                &self.executing_bytes,
            ),
            ("behind_bytes", "Bytes of entries in all logs that are not merged", &self.behind_bytes),
            (
                "is_behind",
                "Whether only the awaited group's entries are accepted, because so much is not merged",
                &self.is_behind,
            ),
            (
                "disk_free_bytes",
                "Bytes free on the disk of the logs, at the last check",
                &self.disk_free_bytes,
            ),
            ("read_only", "Whether commands are refused for lack of room on the disk", &self.read_only),
            (
                "disk_is_stuck",
                "Whether a write of some log has been unfinished for long",
                &self.disk_is_stuck,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    pub fn encode(&self, out: &mut String) -> fmt::Result {
        encode(out, &self.registry.lock())
    }

    pub fn register(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.registry.lock());
    }
}

type Durations = Family<GroupLabel, Histogram, fn() -> Histogram>;

/// Metric families with one member for each group.
#[derive(Default)]
struct PerGroup {
    gauges: [Family<GroupLabel, Gauge>; 5],
    counters: [Family<GroupLabel, Counter>; 14],
    durations: Option<[Durations; 2]>,
}

const GAUGES: [(&str, &str); 5] = [
    ("has_leader", "Whether this replica knows a leader"),
    ("is_leader", "Whether this replica leads"),
    ("term", "Raft term"),
    ("log_bytes", "Bytes of the group's log, on disk and in memory"),
    ("unsynced_bytes", "Bytes of entries that wait for this server's own disk"),
];

const COUNTERS: [(&str, &str); 14] = [
    ("leader_changes", "Changes of leader seen"),
    ("entries_proposed", "Entries with commands cut by this leader"),
    ("proposals", "Commands proposed by this leader"),
    ("proposed_bytes", "Bytes of commands proposed by this leader"),
    ("skips", "No-op entries proposed by this leader"),
    ("lane_attempts", "Times that this server resent its lane because it may have been lost"),
    ("wal_written_bytes", "Bytes of entries handed to the log"),
    ("elections", "Campaigns started by this replica"),
    ("proposals_committed", "Raft index of the last committed entry"),
    (
        "appends_not_taken",
        "Messages whose entries were refused because too much waits on this server already",
    ),
    ("network_sent_bytes", "Bytes sent to peers"),
    ("network_received_bytes", "Bytes received from peers"),
    ("network_dropped_frames", "Messages dropped because a peer was not connected or its queue was full"),
    ("network_bad_frames", "Frames refused for their length or checksum"),
];

const DURATIONS: [(&str, &str); 2] = [
    ("commit_duration", "Time from cutting an entry to its commit, at the leader"),
    ("wal_fsync_duration", "Time to write and sync a batch to the log"),
];

impl PerGroup {
    fn register(registry: &mut Registry) -> PerGroup {
        let families = PerGroup {
            durations: Some([
                Family::new_with_constructor(seconds as fn() -> Histogram),
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ]),
            ..PerGroup::default()
        };
        for ((name, help), family) in GAUGES.iter().zip(&families.gauges) {
            registry.register(*name, *help, family.clone());
        }
        for ((name, help), family) in COUNTERS.iter().zip(&families.counters) {
            registry.register(*name, *help, family.clone());
        }
        for ((name, help), family) in DURATIONS.iter().zip(families.durations.iter().flatten()) {
            registry.register_with_unit(*name, *help, Unit::Seconds, family.clone());
        }
        families
    }

    fn of(&self, label: &GroupLabel) -> GroupMetrics {
        let [has_leader, is_leader, term, log_bytes, unsynced_bytes] =
            self.gauges.each_ref().map(|family| family.get_or_create(label).clone());
        let counters = self.counters.each_ref().map(|family| family.get_or_create(label).clone());
        let [
            leader_changes,
            entries,
            commands,
            bytes,
            skips,
            attempts,
            wal_bytes,
            elections,
            committed,
            untaken,
            ..,
        ] = &counters;
        let [.., sent_bytes, received_bytes, dropped_frames, bad_frames] = &counters;
        let [commit_duration, fsync_duration] = self
            .durations
            .as_ref()
            .expect("made by register")
            .each_ref()
            .map(|family| family.get_or_create(label).clone());
        GroupMetrics {
            has_leader,
            is_leader,
            leader_changes: leader_changes.clone(),
            term,
            log_bytes,
            unsynced_bytes,
            entries: entries.clone(),
            commands: commands.clone(),
            bytes: bytes.clone(),
            skips: skips.clone(),
            attempts: attempts.clone(),
            elections: elections.clone(),
            committed: committed.clone(),
            commit_duration,
            fsync_duration,
            wal_bytes: wal_bytes.clone(),
            untaken: untaken.clone(),
            sent_bytes: sent_bytes.clone(),
            received_bytes: received_bytes.clone(),
            dropped_frames: dropped_frames.clone(),
            bad_frames: bad_frames.clone(),
        }
    }
}
