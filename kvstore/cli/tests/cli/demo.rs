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
    // The progress goes to the other output.
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

    // The data is kept, and can be served again.
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

/// The temporary directories of demos that were started with TMPDIR set to this one.
fn demos_in(dir: &std::path::Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

/// Whether SIGHUP is ignored in these tests (nohup), and so in what they start.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let hangup = 1 << (Signal::HUP.as_raw() - 1);
    let ignores = u64::from_str_radix(ignored.trim(), 16).unwrap() & hangup != 0;
    if ignores {
        eprintln!("SIGHUP is ignored here, so it is not tried: run the tests without nohup");
    }
    ignores
}

#[test]
fn whatever_ends_a_demo_it_cleans_up() {
    let ignored = hangups_are_ignored();
    for signal in [Signal::HUP, Signal::TERM, Signal::INT] {
        if signal == Signal::HUP && ignored {
            continue;
        }
        let temporary = tempfile::tempdir().unwrap();
        let arguments = ["demo", "--servers", "1", "--groups", "1", "--durability", "os"];
        let mut demo = Running::start_with(arguments, |command| command.env("TMPDIR", temporary.path()));
        // It says at once what it will do.
        demo.wait_for("Starting 1 server with 1 group each (os) in");
        demo.wait_for("commands/s");
        assert_eq!(demos_in(temporary.path()), 1);
        let (status, said) = demo.end_with(signal);
        assert_eq!(status.code(), Some(0), "{signal:?}: {said}");
        assert_eq!(demos_in(temporary.path()), 0, "{signal:?}: {said}");
    }
}

#[test]
fn a_demo_that_nobody_reads_ends_and_cleans_up() {
    if hangups_are_ignored() {
        return;
    }
    for reads in [false, true] {
        let temporary = tempfile::tempdir().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while std::io::Write::write(&mut writer, &[b'.'; 1]).is_ok() {}
        rustix::io::ioctl_fionbio(&writer, false).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_niagara"));
        command.args(["demo", "--servers", "1", "--groups", "1", "--durability", "memory"]);
        command.env("TMPDIR", temporary.path()).stdin(std::process::Stdio::null());
        let mut demo = command.stdout(std::os::fd::OwnedFd::from(writer)).spawn().unwrap();
        drop(command);
        let wait = |until: &mut dyn FnMut() -> bool| {
            assert!((0..3_000).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                until()
            }));
        };
        wait(&mut || demos_in(temporary.path()) == 1);
        // Its terminal closes, and sends the signal more than once.
        let reader = if reads {
            Some(reader)
        } else {
            drop(reader);
            None
        };
        let pid = rustix::process::Pid::from_child(&demo);
        let mut status = None;
        wait(&mut || {
            let _ = rustix::process::kill_process(pid, Signal::HUP);
            status = demo.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(demos_in(temporary.path()), 0, "{status:?}");
        drop(reader);
    }
}
