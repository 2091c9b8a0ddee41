//! Metrics that are read on request: the program, its process, and the size of the state.

use std::fmt;
use std::fs;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Unit;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::budget::Budget;
use crate::KvReader;
use crate::memory::Memory;

/// Where a registry reads them.
#[derive(Debug)]
pub(super) struct GaugeCollector {
    reader: KvReader,
    budget: Arc<Budget>,
}

impl GaugeCollector {
    pub(super) fn new(reader: KvReader, budget: Arc<Budget>) -> GaugeCollector {
        GaugeCollector { reader, budget }
    }

    fn encode_state(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Subscriptions to channels and patterns of all connections";
        let subscriptions = self.reader.hub().subscriptions() as f64;
        gauge(encoder, "niagara_redis_subscriptions", help, None, subscriptions)?;
        let help = "Requests refused because the user lacks a right, or no user had the password";
        let metric = encoder.encode_descriptor("niagara_requests_denied", help, None, MetricType::Counter)?;
        ConstCounter::new(self.reader.directory().refusals.total()).encode(metric)?;
        let watchers = self.reader.changes().watchers() as f64;
        gauge(encoder, "niagara_watchers", "Clients that watch changes of keys", None, watchers)?;
        let (keys, bytes) = self.reader.sizes();
        gauge(encoder, "niagara_keys", "Keys in the store", None, keys as f64)?;
        let [receipts, bytes_of_receipts] = self.reader.receipts();
        let help = "Requests with an Idempotency-Key that are remembered";
        gauge(encoder, "niagara_idempotency_keys", help, None, receipts as f64)?;
        let help = "Approximate memory that they take";
        gauge(encoder, "niagara_idempotency", help, Some(&Unit::Bytes), bytes_of_receipts as f64)?;
        let help = "Memory that unfinished requests and replies of clients take";
        gauge(encoder, "niagara_clients_held", help, Some(&Unit::Bytes), self.budget.held() as f64)?;
        let help = "Memory that they may take: requests are refused from three quarters of it on";
        gauge(encoder, "niagara_clients_budget", help, Some(&Unit::Bytes), self.budget.limit() as f64)?;
        let help = "What keys and values take of the memory that they may, counted alike on all servers";
        gauge(encoder, "niagara_store", help, Some(&Unit::Bytes), bytes as f64)?;
        let Memory { most, evicted, .. } = self.reader.memory();
        let help = "What they may take: maxmemory; 0 for no limit";
        gauge(encoder, "niagara_store_limit", help, Some(&Unit::Bytes), most as f64)?;
        let help = "Keys evicted so far, by all servers alike";
        let metric = encoder.encode_descriptor("niagara_evicted_keys", help, None, MetricType::Counter)?;
        ConstCounter::new(evicted).encode(metric)?;
        let help = "Commands that this server has executed as refused, since keys and values take too much";
        let metric =
            encoder.encode_descriptor("niagara_commands_out_of_memory", help, None, MetricType::Counter)?;
        ConstCounter::new(self.reader.short()).encode(metric)
    }
}

impl Collector for GaugeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let info = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        let help = "Always 1; the labels identify the program";
        info.encode(encoder.encode_descriptor("niagara_build", help, None, MetricType::Info)?)?;
        self.encode_state(&mut encoder)?;
        // Without its files in /proc nothing is known of a process, and no value is better than a wrong one.
        Process::read().map_or(Ok(()), |process| process.encode(&mut encoder))
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: f64,
) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

/// This process, under the names that Prometheus' own libraries use.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    cpu_seconds: f64,
    start_seconds: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
    threads: f64,
    open_files: f64,
    max_files: f64,
}

/// How many files and sockets are open. Linux tells the number since 6.2; before, they have to be counted, which takes
/// milliseconds where there are thousands.
fn open_files() -> Option<u64> {
    const FILES: &str = "/proc/self/fd";
    match fs::metadata(FILES).ok()?.len() {
        // One of them is the directory being counted.
        0 => Some((fs::read_dir(FILES).ok()?.count() as u64).saturating_sub(1)),
        told => Some(told),
    }
}

impl Process {
    fn read() -> Option<Process> {
        let text = |path| fs::read_to_string(path).ok();
        let boot: f64 =
            text("/proc/stat")?.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        let measured = Measured::parse(&text("/proc/self/stat")?)?;
        let ticks = clock_ticks_per_second() as f64;
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Some(Process {
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            start_seconds: boot + measured.start_ticks as f64 / ticks,
            virtual_bytes: measured.virtual_bytes as f64,
            resident_bytes: measured.resident_pages as f64 * page_size() as f64,
            threads: measured.threads as f64,
            open_files: open_files()? as f64,
            // No limit appears as the largest possible number.
            max_files: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) as f64,
        })
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let seconds = Some(&Unit::Seconds);
        let bytes = Some(&Unit::Bytes);
        let help = "User and system CPU time that this process has used";
        let cpu = encoder.encode_descriptor("process_cpu", help, seconds, MetricType::Counter)?;
        ConstCounter::new(self.cpu_seconds).encode(cpu)?;
        for (name, help, unit, value) in [
            (
                "process_start_time",
                "When this process started, since 1970 in UTC",
                seconds,
                self.start_seconds,
            ),
            ("process_virtual_memory", "Virtual memory of this process", bytes, self.virtual_bytes),
            ("process_resident_memory", "Resident memory of this process", bytes, self.resident_bytes),
            ("process_threads", "Threads of this process", None, self.threads),
            ("process_open_fds", "Open files and sockets of this process", None, self.open_files),
            ("process_max_fds", "Limit of open files and sockets of this process", None, self.max_files),
        ] {
            gauge(encoder, name, help, unit, value)?;
        }
        Ok(())
    }
}

/// The fields of /proc/self/stat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Measured {
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Measured {
    fn parse(stat: &str) -> Option<Measured> {
        // The second field is the program's name in parentheses, which may hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // proc(5) counts fields from 1, and the third one is the first here.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Measured {
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn what_the_system_tells_of_open_files_is_their_number() {
        let files: Vec<fs::File> = (0..100).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        let is_told = || {
            let counted = fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1;
            assert!(counted >= files.len() as u64);
            open_files() == Some(counted)
        };
        // Other tests of this process open files, too.
        assert!((0..10_000).any(|_| is_told()));
    }

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 30 12 0 0 20 0 9 0 5000 123456 789 18446744073709551615";
        let expected =
            Measured { threads: 9, start_ticks: 5000, virtual_bytes: 123_456, resident_pages: 789 };
        assert_eq!(Measured::parse(stat), Some(expected));
        assert_eq!(Measured::parse("7 (a) S 1"), None);
        assert_eq!(Measured::parse(""), None);
    }

    #[test]
    fn this_process_is_measured() {
        let process = Process::read().expect("it has its files in /proc");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(process.start_seconds > 1e9 && process.start_seconds < now + 60.0, "{process:?} at {now}");
        assert!(process.threads >= 2.0 && process.open_files >= 3.0, "{process:?}");
        assert!(
            process.resident_bytes > 1e5 && process.virtual_bytes >= process.resident_bytes,
            "{process:?}"
        );
        assert!(process.max_files >= process.open_files, "{process:?}");
    }
}
