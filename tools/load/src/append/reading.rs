//! A server's counters at one moment.

use std::time::Duration;

use hdrhistogram::Histogram;
use niagara_engine::{Client, Digest};
use serde::{Deserialize, Serialize};

use super::appender::Appender;
use super::origin::OriginSeen;

/// What a server has counted since its start; latencies since the last reading.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reading {
    /// Seconds since the server's start.
    pub at: f64,
    /// Commands executed.
    pub commands: u64,
    /// Positions filled by no-ops.
    pub noops: u64,
    /// Entries with commands that this server cut as a leader.
    pub entries: u64,
    /// Bytes written to sockets, heads included.
    pub sent_bytes: u64,
    /// Writes of logs.
    pub log_writes: u64,
    /// Positions of the global log, and its digest there.
    pub digests: Vec<Digest>,
    /// Latencies of commands, in nanoseconds, and how often.
    pub command_nanos: Vec<(u64, u64)>,
    /// The same for strong reads.
    pub read_nanos: Vec<(u64, u64)>,
    /// Commands refused, and proposed again.
    pub refused: u64,
    /// Commands and reads without an outcome.
    pub unknown: u64,
}

impl Reading {
    pub fn of(
        client: &Client<Appender>,
        at: Duration,
        seen: &OriginSeen,
        refused: u64,
        unknown: u64,
    ) -> Reading {
        let status = client.status();
        let mut metrics = String::new();
        client.encode_metrics(&mut metrics);
        let sum = |name: &str| -> u64 {
            let values = metrics
                .lines()
                .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
            values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
        };
        Reading {
            at: at.as_secs_f64(),
            commands: status.commands,
            noops: status.noops,
            entries: sum("niagara_entries_proposed_total"),
            sent_bytes: sum("niagara_network_sent_bytes_total"),
            log_writes: sum("niagara_wal_fsync_duration_seconds_count"),
            digests: status.digests,
            command_nanos: pairs(&seen.commands),
            read_nanos: pairs(&seen.reads),
            refused,
            unknown,
        }
    }
}

fn pairs(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
}
