//! One measurement: throughput, and what it used of uplinks and processors.

use std::collections::BTreeMap;
use std::time::Duration;

use niagara_load::Failure;
use niagara_load::drive::LoadReport;
use niagara_load::unix_ms;
use niagara_namespaces::{Namespaces, Subnet};
use serde::Serialize;

use super::setting::{KEY_BYTES, LinkWork, Setting, VALUE_BYTES};
use crate::cluster::LabCluster;
use crate::experiment_run::ExperimentRun;
use crate::load::Generator;
use crate::timing::Timing;
use crate::usage::{Usage, sent_by_device};

/// Few, since 2-KiB values are to fill links and not memory; enough that no two writers of a key meet often.
const KEYS: u32 = 2000;
const LOOK: Duration = Duration::from_millis(200);

/// What a measurement has come to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LinkMeasurement {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub errors: u64,
    /// Bits per second that each server sent on each link.
    #[serde(skip)]
    pub uplinks: BTreeMap<(u64, Subnet), f64>,
    /// Processors that the servers kept busy, in all.
    pub server_cores: f64,
    /// Processors that the load generator kept busy.
    pub client_cores: f64,
}

/// What has been used until a moment.
struct UplinkSample {
    unix_ms: u64,
    sent: BTreeMap<(u64, Subnet), u64>,
    server_cpu: f64,
    client_cpu: f64,
}

/// Drives a cluster as a setting has it.
pub(super) fn measure(
    run: &ExperimentRun,
    network: &Namespaces,
    cluster: &LabCluster,
    setting: &Setting,
    work: LinkWork,
    timing: Timing,
    connections: u32,
) -> Result<LinkMeasurement, Failure> {
    let addresses = setting.addresses(cluster);
    if work == LinkWork::Reads {
        let fill = words(&addresses, work, Timing::SHORTEST, connections);
        let fill: Vec<&str> = fill.iter().map(String::as_str).chain(["--fill"]).collect();
        let _: LoadReport = Generator::start(run, network, &fill)?.finish(run)?;
    }
    let words = words(&addresses, work, timing, connections);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut generator = Generator::start(run, network, &words)?;
    let mut samples = Vec::new();
    while !generator.has_ended()? {
        // The generator may end between the two looks.
        if let Ok(usage) = Usage::of(generator.process()) {
            samples.push(UplinkSample::take(cluster, setting, usage.cpu_seconds)?);
        }
        run.sleep(LOOK)?;
    }
    let report: LoadReport = generator.finish(run)?;
    let end = report.begun_unix_ms + (1000.0 * report.seconds) as u64;
    let within = |sample: &&UplinkSample| (report.begun_unix_ms..=end).contains(&sample.unix_ms);
    let first = samples.iter().find(within);
    let (Some(first), Some(last)) = (first, samples.iter().rev().find(within)) else {
        return Err(Failure::new("the load generator's window went by unseen: is the machine overloaded?"));
    };
    Ok(summary(&report, first, last))
}

fn words(addresses: &str, work: LinkWork, timing: Timing, connections: u32) -> Vec<String> {
    let reads = if work == LinkWork::Reads { "1" } else { "0" };
    [
        ("--http", addresses.to_owned()),
        ("--reads", reads.into()),
        ("--connections", connections.to_string()),
        ("--keys", KEYS.to_string()),
        ("--key-bytes", KEY_BYTES.to_string()),
        ("--value-bytes", VALUE_BYTES.to_string()),
        ("--warm-up", timing.warm_up.to_string()),
        ("--seconds", timing.seconds.to_string()),
    ]
    .into_iter()
    .fold(vec!["kv".to_owned()], |mut words, (option, value)| {
        words.extend([option.to_owned(), value]);
        words
    })
}

fn summary(report: &LoadReport, first: &UplinkSample, last: &UplinkSample) -> LinkMeasurement {
    let seconds = (last.unix_ms.saturating_sub(first.unix_ms) as f64 / 1000.0).max(0.001);
    let rate = |(uplink, sent): (&(u64, Subnet), &u64)| {
        (*uplink, 8.0 * sent.saturating_sub(first.sent[uplink]) as f64 / seconds)
    };
    LinkMeasurement {
        per_second: report.per_second,
        p50_ms: report.latency_ms.p50,
        p99_ms: report.latency_ms.p99,
        errors: report.errors.values().sum(),
        uplinks: last.sent.iter().map(rate).collect(),
        server_cores: (last.server_cpu - first.server_cpu) / seconds,
        client_cores: (last.client_cpu - first.client_cpu) / seconds,
    }
}

impl UplinkSample {
    fn take(cluster: &LabCluster, setting: &Setting, client_cpu: f64) -> Result<UplinkSample, Failure> {
        let (mut sent, mut server_cpu) = (BTreeMap::new(), 0.0);
        for server in cluster.servers() {
            let process = cluster.process(server)?;
            server_cpu += Usage::of(process)?.cpu_seconds;
            let devices = sent_by_device(process)?;
            for link in (1..=setting.links).map(Subnet::Link) {
                sent.insert((server, link), devices.get(&link.device()).copied().unwrap_or(0));
            }
        }
        Ok(UplinkSample { unix_ms: unix_ms(), sent, server_cpu, client_cpu })
    }
}
