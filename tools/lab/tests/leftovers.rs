//! What a killed run leaves on the machine, and that it does not stay there.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

fn niagara_lab(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_niagara-lab"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Looks again and again, for as long as a slow machine may need.
fn await_that<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn printed(program: &str, arguments: &[&str]) -> String {
    let Output { stdout, .. } = Command::new(program).args(arguments).output().expect("the program starts");
    String::from_utf8_lossy(&stdout).into_owned()
}

/// The namespaces that a process has made.
fn namespaces(owner: u32) -> Vec<String> {
    let names = printed("ip", &["netns", "list"]);
    let names = names.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with(&format!("niagara-net-{owner}-"))).map(str::to_owned).collect()
}

/// The servers and load generators in them.
fn inhabitants(namespaces: &[String]) -> Vec<Pid> {
    let pids = namespaces.iter().map(|name| printed("ip", &["netns", "pids", name])).collect::<String>();
    let lasting = |pid: &&str| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).nth(1).is_some_and(|word| word == b"server" || word == b"load")
    };
    let pids = pids.lines().map(str::trim).filter(lasting);
    pids.filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}

/// The temporary directories that a process has made.
fn directories(parent: &Path, owner: u32) -> usize {
    let names = fs::read_dir(parent).expect("it is readable").flatten();
    names
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("niagara-lab-{owner}-")))
        .count()
}

fn lives(process: Pid) -> bool {
    Path::new("/proc").join(process.as_raw_nonzero().to_string()).join("exe").exists()
}

#[test]
fn what_a_killed_run_has_left_is_removed_by_the_next() {
    if !geteuid().is_root() {
        println!("skipped: experiments need root");
        return;
    }
    if Command::new("ip").args(["netns", "list"]).output().is_err() {
        println!("skipped: there is no program ip");
        return;
    }
    let place = tempfile::tempdir().expect("a temporary directory");
    let out = place.path().join("out").display().to_string();
    let mut run: Child = niagara_lab(&["run", "failover", "--quick", "--out", &out])
        .env("TMPDIR", place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let owner = run.id();
    // Three servers and the load generator: the first fault is about to come.
    let processes = await_that("the first measurement does not begin", || {
        let processes = inhabitants(&namespaces(owner));
        (processes.len() >= 4).then_some(processes)
    });
    // One of them cannot notice that the run is gone.
    kill_process(processes[0], Signal::STOP).expect("it lives");
    run.kill().expect("it lives");
    run.wait().expect("it was a child");
    assert!(!namespaces(owner).is_empty() && directories(place.path(), owner) == 1);
    assert!(lives(processes[0]), "a stopped process cannot end by itself");

    let next = niagara_lab(&["run", "no-such-experiment"]).output().expect("the binary starts");
    assert!(!next.status.success());
    assert!(!namespaces(owner).is_empty(), "a run that does not begin touches nothing");
    let next = niagara_lab(&["doctor"]).env("TMPDIR", place.path()).output().expect("the binary starts");
    assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stderr));
    assert_eq!((namespaces(owner), directories(place.path(), owner)), (vec![], 0));
    await_that("processes of the killed run live on", || {
        processes.iter().all(|process| !lives(*process)).then_some(())
    });
}
