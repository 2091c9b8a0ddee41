//! Counters and timings of a server, named by Prometheus's conventions, and as in etcd where it has the same
//! metric.
//!
//! Each is updated once per batch.

mod collector;
mod described;

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

pub use collector::MetricsCollector;

use crate::growing::Growing;

/// All metrics of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// By the group's number: counters go on with the group of that number in the next epoch, and gauges are of the epoch
    /// that is merged.
    pub groups: Growing<GroupMetrics>,
    /// The epoch that is merged, and its number of groups.
    pub epoch: Gauge,
    pub running_groups: Gauge,
    /// The level of that epoch.
    pub level: Gauge,
    /// Number of epochs whose groups are open.
    pub open_epochs: Gauge,
    pub applied: Gauge,
    pub commands: Counter,
    pub duplicates: Counter,
    pub gaps: Counter,
    pub noops: Counter,
    pub pad_requests: Counter,
    pub read_wait: Histogram,
    pub reads_failed: Counter,
    pub lease_reads: Counter,
    pub attached_reads: Counter,
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
    /// Of a follower only.
    pub following: Option<FollowingMetrics>,
}

/// Metrics of a follower, about those whom it follows.
#[derive(Clone, Debug, Default)]
pub(crate) struct FollowingMetrics {
    pub member: Gauge,
    pub position: Gauge,
    pub lag: Gauge,
    pub connections: Counter,
}

/// Metrics of one group.
#[derive(Clone, Debug)]
pub(crate) struct GroupMetrics {
    pub has_leader: Gauge,
    pub is_leader: Gauge,
    pub has_lease: Gauge,
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
    pub refused: Counter,
    pub sent_bytes: Counter,
    pub received_bytes: Counter,
    pub dropped_frames: Counter,
    pub bad_frames: Counter,
    pub stall: Counter<f64, AtomicU64>,
}

/// 16 us to 16 s, doubling: a fast disk's sync is near the low end, a failover in the middle, a stalled disk
/// at the high end.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(16e-6, 2.0, 21))
}

impl Metrics {
    pub fn new(groups: u16) -> Metrics {
        let of_groups = Growing::new();
        of_groups.grow_to(groups.into(), |_| GroupMetrics::new());
        let running_groups = Gauge::default();
        running_groups.set(groups.into());
        Metrics {
            groups: of_groups,
            epoch: Gauge::default(),
            running_groups,
            level: Gauge::default(),
            open_epochs: Gauge::default(),
            applied: Gauge::default(),
            commands: Counter::default(),
            duplicates: Counter::default(),
            gaps: Counter::default(),
            noops: Counter::default(),
            pad_requests: Counter::default(),
            read_wait: seconds(),
            reads_failed: Counter::default(),
            lease_reads: Counter::default(),
            attached_reads: Counter::default(),
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
            following: None,
        }
    }

    /// The same of a follower.
    pub fn of_follower(self) -> Metrics {
        Metrics { following: Some(FollowingMetrics::default()), ..self }
    }
}

impl GroupMetrics {
    pub fn new() -> GroupMetrics {
        GroupMetrics {
            has_leader: Gauge::default(),
            is_leader: Gauge::default(),
            has_lease: Gauge::default(),
            leader_changes: Counter::default(),
            term: Gauge::default(),
            log_bytes: Gauge::default(),
            unsynced_bytes: Gauge::default(),
            entries: Counter::default(),
            commands: Counter::default(),
            bytes: Counter::default(),
            skips: Counter::default(),
            attempts: Counter::default(),
            elections: Counter::default(),
            committed: Counter::default(),
            commit_duration: seconds(),
            fsync_duration: seconds(),
            wal_bytes: Counter::default(),
            untaken: Counter::default(),
            refused: Counter::default(),
            sent_bytes: Counter::default(),
            received_bytes: Counter::default(),
            dropped_frames: Counter::default(),
            bad_frames: Counter::default(),
            stall: Counter::default(),
        }
    }
}
