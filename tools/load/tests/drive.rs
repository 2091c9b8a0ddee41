//! The workloads as a user runs them, each for a moment: on three embedded servers, and on a server over both protocols.

use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use niagara_kvstore::config::ConfigFile;
use niagara_kvstore::server::Server;
use niagara_load::drive::LoadReport;
use tempfile::TempDir;

const MOMENT: [&str; 6] = ["--seconds", "0.4", "--warm-up", "0.1", "--interval-ms", "100"];

fn begin(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_niagara-load"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

fn niagara_load(arguments: &[&str]) -> Output {
    begin(arguments).wait_with_output().expect("the binary ends")
}

/// The report of a run that went well.
fn good(output: &Output) -> LoadReport {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

/// Runs a workload for a moment, without any error.
fn drive(arguments: &[&str]) -> LoadReport {
    let report = good(&niagara_load(&[arguments, &MOMENT, &["--json"]].concat()));
    assert!(report.completed > 0 && report.errors.is_empty(), "{report}");
    assert_eq!(report.timeline.len(), 4);
    assert_eq!(report.timeline.iter().map(|step| step.completed).sum::<u64>(), report.completed);
    assert!(report.latency_ms.p50 > 0.0 && report.latency_ms.p50 <= report.latency_ms.max);
    report
}

fn embedded(arguments: &[&str]) -> LoadReport {
    let target = ["--embedded", "--groups", "2", "--durability", "memory"];
    drive(&[&arguments[..1], &target, &arguments[1..]].concat())
}

fn checked(report: &LoadReport) -> u64 {
    let check = report.check.as_ref().expect("the workload checks");
    assert!(check.failed.is_empty(), "{report}");
    check.checked
}

#[test]
fn every_workload_runs_on_embedded_servers() {
    let filled = embedded(&["kv", "--fill", "--keys", "1000", "--threads", "2", "--consistency", "at-least"]);
    assert!(filled.misses == 0 && filled.operations["read"].completed > 0, "{filled}");
    let unfilled = embedded(&["kv", "--reads", "1", "--consistency", "weak"]);
    assert_eq!(unfilled.misses, unfilled.completed);
    assert_eq!(checked(&embedded(&["counter", "--counters", "3", "--threads", "2"])), 3);
    assert_eq!(checked(&embedded(&["chain", "--connections", "4", "--pipeline", "2"])), 8);
    let paced = embedded(&["write", "--payload", "500", "--rate", "1000", "--poisson"]);
    // As many as are due within the window, whether the machine has kept up or not, but for those that a stall has moved.
    assert!((100..1000).contains(&(paced.completed + paced.backlog)), "{paced}");
}

/// A cluster of one server, which can be stopped and started again where it was.
struct Lone {
    server: Option<Server>,
    http: SocketAddr,
    redis: SocketAddr,
    /// Goes after the server that writes to it.
    dir: TempDir,
}

impl Lone {
    fn start() -> Lone {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let dir = tempfile::tempdir().expect("a directory");
        let mut lone = Lone { server: None, http: any, redis: any, dir };
        lone.go_on();
        let server = lone.server.as_ref().expect("it has just started");
        (lone.http, lone.redis) = (server.http_addr(), server.redis_addr());
        lone
    }

    fn go_on(&mut self) {
        let (http, redis) = (self.http, self.redis);
        let text = format!(
            "cluster = \"5d7a\"\nserver = 1\ndata_dir = \"data\"\ndurability = \"os\"\nhttp = \"{http}\"\nredis = \"{redis}\"\n\
             [[members]]\nserver = 1\naddresses = [\"127.0.0.1:0\"]\ntransfer = \"127.0.0.1:0\"\n"
        );
        let file = ConfigFile::parse(&text, self.dir.path()).expect("the file is sound");
        self.server = Some(Server::start(file.server).expect("the server starts"));
    }

    fn stop(&mut self) {
        self.server.take().expect("it runs").stop();
    }
}

#[test]
fn every_workload_runs_over_both_protocols() {
    let lone = Lone::start();
    // The first address of each has nobody: connections move on.
    let (http, redis) = (format!("http://{}", lone.http), lone.redis.to_string());
    for (target, address) in [("--http", &http), ("--redis", &redis)] {
        let kv = drive(&["kv", target, address, "--fill", "--keys", "100", "--pipeline", "4"]);
        assert_eq!((kv.misses, kv.target.as_str()), (0, &target[2..]));
        assert!(kv.operations.contains_key("read") && kv.operations.contains_key("write"), "{kv}");
        drive(&["write", target, address]);
        assert_eq!(checked(&drive(&["chain", target, address])), 16);
    }
    assert_eq!(checked(&drive(&["counter", "--redis", &redis, "--pipeline", "4"])), 4);
    drive(&["kv", "--http", &http, "--no-keep-alive", "--consistency", "at-least"]);
    drive(&["kv", "--redis", &redis, "--consistency", "weak"]);
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let mut lone = Lone::start();
    let (http, redis) = (format!("http://{}", lone.http), lone.redis.to_string());
    let long = ["--seconds", "1.5", "--warm-up", "0", "--json"];
    let chain = begin(&[["chain", "--http", &http].as_slice(), &long].concat());
    let counter = begin(&[["counter", "--redis", &redis].as_slice(), &long].concat());
    thread::sleep(Duration::from_millis(500));
    lone.stop();
    lone.go_on();
    let chain = good(&chain.wait_with_output().expect("it ends"));
    let counter = good(&counter.wait_with_output().expect("it ends"));
    for report in [&chain, &counter] {
        assert!(checked(report) > 0 && !report.errors.is_empty(), "{report}");
        assert!(report.timeline.last().is_some_and(|last| last.completed > 0), "it went on: {report}");
    }

    let saved = lone.dir.path().join("chain.json");
    std::fs::write(&saved, serde_json::to_string(&chain).expect("plain data")).expect("a file");
    let saved = saved.to_str().expect("a path of ASCII");
    let verify = || niagara_load(&["verify", saved, "--redis", &redis, "--json"]);
    assert!(checked(&good(&verify())) > 0);
    // A link that goes back is found.
    let ends = chain.chains.expect("a run of chains says where they ended");
    let last = ends.keys.iter().rfind(|key| key.acknowledged > 1).expect("some write was acknowledged");
    let name = format!("/kv/chain-{}-{}-{}", ends.seed, last.chain, last.key);
    put(lone.http, &name, "0000");
    let output = verify();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("not on its chain"), "{output:?}");
}

fn put(address: SocketAddr, path: &str, value: &str) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
    let length = value.len();
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{value}"
    )
    .expect("a socket takes a request");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
}

#[test]
fn reports_merge_and_intervals_are_logged() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("a path of ASCII").to_owned();
    let files = [path("1.json"), path("2.json")];
    let reports = files.each_ref().map(|file| {
        let report = embedded(&["kv", "--hdr", &path("intervals.hlog")]);
        std::fs::write(file, serde_json::to_string(&report).expect("plain data")).expect("a file");
        report
    });
    let log = std::fs::read_to_string(path("intervals.hlog")).expect("the log is there");
    assert_eq!(log.lines().filter(|line| !line.starts_with('#')).count(), 4, "{log}");

    let merged = good(&niagara_load(&["merge", &files[0], &files[1], "--json"]));
    assert_eq!(merged.completed, reports[0].completed + reports[1].completed);
    let csv = niagara_load(&["merge", &files[0], &files[1], "--csv"]);
    assert!(String::from_utf8_lossy(&csv.stdout).starts_with("at_seconds,completed,"), "{csv:?}");
}

#[test]
fn what_cannot_work_is_refused_with_a_reason() {
    for (arguments, code, why) in [
        (["kv", "--pipeline", "2", "--seconds", "1"].as_slice(), 2, "--http"),
        (&["kv", "--embedded", "--redis", "127.0.0.1:1"], 2, "cannot be used with"),
        (&["kv", "--redis", "127.0.0.1:1", "--groups", "2"], 1, "--embedded"),
        (&["kv", "--redis", "127.0.0.1:1"], 1, "unreachable"),
        (&["kv", "--redis", "nonsense"], 1, "HOST:PORT"),
        (&["kv", "--http", "http://127.0.0.1:1/kv/"], 1, "without a path"),
        (&["counter", "--http", "http://127.0.0.1:1"], 1, "no increment"),
        (&["kv", "--embedded", "--wait", "1"], 1, "--redis"),
        (&["merge", "/nowhere.json"], 1, "/nowhere.json"),
    ] {
        let output = niagara_load(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{arguments:?} {output:?}");
    }
}
