//! `niagara demo`, from start to end.

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Running, run};

#[test]
fn a_demo_ends_with_a_good_verdict() {
    let finished = run(["demo", "--seconds", "2", "--json"]);
    assert_eq!(finished.status, Some(0), "{} {}", finished.text(), finished.stderr);
    let summary: Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(summary["problems"], Value::Array(Vec::new()));
    assert_eq!((summary["servers"].as_u64(), summary["groups"].as_u64()), (Some(3), Some(4)));
    let acknowledged = summary["acknowledged_increments"].as_u64().unwrap();
    assert!(acknowledged > 0);
    assert_eq!(summary["counters"], serde_json::json!([acknowledged, acknowledged, acknowledged]));
    assert!(summary["position"].as_u64() >= summary["digests_equal_at"].as_u64());
    assert!(summary["digests_equal_at"].is_u64());
    for latencies in summary["latencies"].as_array().unwrap() {
        assert!(latencies["commands"].as_u64().unwrap() > 0, "{latencies}");
        assert!(latencies["p50_us"].as_u64() <= latencies["p999_us"].as_u64(), "{latencies}");
    }
    // What goes on is told on the other output.
    assert!(finished.stderr.contains("commands/s"), "{}", finished.stderr);
}

#[test]
fn a_demo_serves_on_until_it_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("d");
    let mut demo = Running::start([
        "demo",
        "--servers",
        "1",
        "--groups",
        "2",
        "--durability",
        "os",
        "--dir",
        home.to_str().unwrap(),
    ]);
    demo.wait_for("commands/s");
    let url = demo.wait_for("niagara status --at ").split_once("--at ").unwrap().1.to_owned();
    demo.wait_for("Ctrl-C ends it");
    let counted = run(["get", "demo:counter", "--at", &url]);
    assert!(counted.text().parse::<u64>().is_ok_and(|count| count > 0), "{counted:?}");
    let (status, said) = demo.end_with(Signal::INT);
    assert_eq!(status.code(), Some(0), "{said}");

    // The data is kept, and serves again.
    let mut server = Running::start(["serve", "--config", home.join("server-1.toml").to_str().unwrap()]);
    server.wait_for("server 1 serves");
    let again = (0..100).find_map(|_| {
        let finished = run(["get", "demo:counter", "--at", &url]);
        let found = (finished.status == Some(0)).then_some(finished.stdout);
        if found.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        found
    });
    assert_eq!(again, Some(counted.stdout));
    assert_eq!(server.end_with(Signal::TERM).0.code(), Some(0));
}

#[test]
fn a_demo_starts_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("precious"), "data").unwrap();
    let finished = run(["demo", "--dir", dir.path().to_str().unwrap()]);
    assert_eq!(finished.status, Some(1));
    assert!(finished.stderr.contains("is not empty"), "{}", finished.stderr);
}
