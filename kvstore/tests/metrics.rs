//! Checks a server's metrics against the rules of `promtool check metrics`, and with promtool where it is
//! installed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use niagara_engine::{Config, Durability, Member};
use niagara_kvstore::FrontEndConfig;
use niagara_kvstore::config::PlannedServer;
use niagara_kvstore::server::{Server, ServerConfig};

/// Longer than anything here takes on any machine.
const LONG: Duration = Duration::from_secs(60);

/// What Prometheus itself sends.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

fn start(dir: &tempfile::TempDir) -> Server {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    // A port that was free a moment ago. If another process has taken it meanwhile, another one is tried.
    for _ in 0..20 {
        let [planned] = PlannedServer::on_free_ports(1, 1).unwrap().try_into().unwrap();
        let member = Member { server: 1, addresses: planned.addresses, transfer: planned.transfer };
        let mut engine = Config::new(1, 1, vec![member]);
        engine.durability = Durability::Os;
        engine.data_dir = dir.path().join("data");
        let front = FrontEndConfig { http: any, redis: any, threads: 1, ..FrontEndConfig::default() };
        if let Ok(server) = Server::start(ServerConfig { engine, front, peer_tls: None }) {
            return server;
        }
    }
    panic!("no free ports");
}

/// Sends a request on its own connection. Returns the head of the reply, and its body.
fn ask(server: &Server, head: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(server.http_addr()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
        .write_all(format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n{body}").as_bytes())
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").expect("a reply has a head");
    (head.to_owned(), body.to_owned())
}

fn wait_until_ready(server: &Server) {
    let since = Instant::now();
    while !ask(server, "GET /readyz HTTP/1.1", "").0.starts_with("HTTP/1.1 200 ") {
        assert!(since.elapsed() < LONG, "the server does not become ready");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metrics(server: &Server, accept: &str) -> (String, String) {
    ask(server, &format!("GET /metrics HTTP/1.1{accept}"), "")
}

/// A family of samples, as it is announced.
#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    /// Names without suffixes of histograms, and labels.
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Parses the text format strictly: every family is announced by a help and a type, once, before its samples.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                let before = families.insert(name.into(), Family { help: help.into(), ..Family::default() });
                assert!(before.is_none(), "{name} is announced twice");
                current = name.into();
            }
            ["#", "TYPE", name, kind] => {
                assert_eq!(name, current, "a type without its help");
                families.get_mut(name).unwrap().kind = kind.into();
            }
            ["#", "EOF"] => current.clear(),
            _ => {
                assert!(!line.starts_with('#'), "{line}");
                let (name, labels, value) = sample(line);
                let family =
                    families.get_mut(&current).unwrap_or_else(|| panic!("{line} is announced by nothing"));
                let suffix = name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} is in {current}"));
                let suffixes: &[&str] =
                    if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(suffixes.contains(&suffix), "{line} is in {current}, a {}", family.kind);
                family.samples.push((suffix.into(), labels, value));
            }
        }
    }
    families
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (names, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = names.strip_suffix('}').map_or((names, ""), |names| names.split_once('{').unwrap());
    let label = |label: &str| {
        let (name, value) = label.split_once('=').unwrap();
        (name.to_owned(), value.trim_matches('"').to_owned())
    };
    let labels: Vec<_> = labels.split(',').filter(|label| !label.is_empty()).map(label).collect();
    let count = labels.len();
    let labels: BTreeMap<_, _> = labels.into_iter().collect();
    assert_eq!(labels.len(), count, "{line} has a label twice");
    (name.into(), labels, value.parse().unwrap_or_else(|_| panic!("{line} has no value")))
}

/// The rules of names and announcements.
fn lint(families: &BTreeMap<String, Family>) {
    const KINDS: [&str; 5] = ["counter", "gauge", "histogram", "summary", "untyped"];
    const OTHER_UNITS: [&str; 26] = [
        "s",
        "ms",
        "us",
        "ns",
        "sec",
        "b",
        "kb",
        "mb",
        "gb",
        "tb",
        "m",
        "h",
        "d",
        "kib",
        "mib",
        "milliseconds",
        "microseconds",
        "nanoseconds",
        "minutes",
        "hours",
        "days",
        "bits",
        "kilobytes",
        "megabytes",
        "percent",
        "percents",
    ];
    for (name, family) in families {
        let Family { help, kind, samples } = family;
        assert!(!help.is_empty() && help.trim() == help, "{name} has no help");
        assert!(KINDS.contains(&kind.as_str()) && kind != "untyped", "{name} is of type {kind:?}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        assert!(["niagara_", "process_"].iter().any(|prefix| name.starts_with(prefix)), "{name}");
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "{name}"
        );
        for word in name.split('_') {
            assert!(
                !OTHER_UNITS.contains(&word) && !KINDS.contains(&word),
                "{name} has {word:?} in its name"
            );
        }
        if kind != "histogram" {
            assert!(
                !["_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix)),
                "{name} is a {kind}"
            );
            assert!(samples.iter().all(|(_, labels, _)| !labels.contains_key("le")), "{name} has buckets");
        }
        let distinct: BTreeSet<_> = samples.iter().map(|(suffix, labels, _)| (suffix, labels)).collect();
        assert_eq!(distinct.len(), samples.len(), "{name} has a sample twice");
        if kind == "histogram" {
            check_histogram(name, family);
        }
    }
}

/// A bound, and how many observations are at or below it.
type Bucket = (f64, f64);

/// Buckets rise to infinity, where they hold everything, and at least one bound is at 10 seconds or above.
fn check_histogram(name: &str, family: &Family) {
    let without_bound = |labels: &BTreeMap<String, String>| {
        labels
            .iter()
            .filter(|(name, _)| *name != "le")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let mut buckets: BTreeMap<Vec<(String, String)>, Vec<Bucket>> = BTreeMap::new();
    for (_, labels, value) in family.samples.iter().filter(|(suffix, ..)| suffix == "_bucket") {
        buckets.entry(without_bound(labels)).or_default().push((labels["le"].parse().unwrap(), *value));
    }
    for (labels, buckets) in buckets {
        assert!(
            buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1),
            "{name}: {buckets:?}"
        );
        let finite: Vec<f64> =
            buckets.iter().map(|bucket| bucket.0).filter(|bound| bound.is_finite()).collect();
        assert!(finite.last().is_some_and(|most| *most >= 10.0), "{name} ends at {finite:?}");
        assert_eq!(buckets.len(), finite.len() + 1, "{name} has no bucket for all");
        let all = buckets.last().unwrap().1;
        let count =
            family.samples.iter().find(|(suffix, of, _)| suffix == "_count" && without_bound(of) == labels);
        assert_eq!(count.map(|count| count.2), Some(all), "{name}");
    }
}

#[test]
fn the_metrics_keep_the_rules_of_both_formats() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir);
    wait_until_ready(&server);
    let put = "PUT /kv/key HTTP/1.1\r\nContent-Length: 5";
    assert!(ask(&server, put, "value").0.starts_with("HTTP/1.1 201 "));

    let (head, text) = metrics(&server, "");
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    assert!(head.contains("\r\nVary: Accept\r\n"), "{head}");
    for accept in ["*/*", "text/plain", "text/html"] {
        let (head, _) = metrics(&server, &format!("\r\nAccept: {accept}"));
        assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; "), "{accept}: {head}");
    }
    let families = families(&text);
    lint(&families);
    let value = |name: &str| families.get(name).unwrap_or_else(|| panic!("there is no {name}")).samples[0].2;
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "process_threads",
        "niagara_build_info",
    ] {
        assert!(value(name) > 0.0, "{name}");
    }
    assert_eq!(families["niagara_build_info"].samples[0].1["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(value("niagara_keys"), 1.0);
    assert!((8.0..4096.0).contains(&value("niagara_store_bytes")), "{}", value("niagara_store_bytes"));
    // The second one names the state's life.
    assert_eq!(value("niagara_commands_applied_total"), 2.0);
    assert!(families["niagara_applied_position"].help.contains("no-ops"));
    let writes =
        families["niagara_http_requests_total"].samples.iter().find(|sample| sample.1["kind"] == "write");
    assert_eq!(writes.map(|writes| writes.2), Some(1.0), "what was asked for, and nothing besides");

    for accept in ["application/openmetrics-text; version=1.0.0", PROMETHEUS] {
        let (head, open) = metrics(&server, &format!("\r\nAccept: {accept}"));
        assert!(
            head.contains("\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
            "{head}"
        );
        assert!(open.ends_with("\n# EOF\n"));
        assert!(
            open.contains("# TYPE niagara_build info\n")
                && open.contains("# UNIT process_cpu_seconds seconds\n")
        );
    }
    let (head, body) = ask(&server, "HEAD /metrics HTTP/1.1", "");
    assert!(head.contains("text/plain; version=0.0.4") && body.is_empty(), "{head}");
    server.stop();
    check_with_promtool(&text);
}

/// The program itself, where there is one.
fn check_with_promtool(text: &str) {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        println!("promtool is not installed: its rules were checked, but not by itself");
        return;
    };
    promtool.stdin.take().expect("it is piped").write_all(text.as_bytes()).unwrap();
    let finished = promtool.wait_with_output().unwrap();
    let said = [finished.stdout, finished.stderr].concat();
    assert!(finished.status.success(), "{}\n{text}", String::from_utf8_lossy(&said));
}
