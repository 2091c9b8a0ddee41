//! Whatever happens to standard error, a server serves, and a signal stops it cleanly.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{run, run_with_input};
use crate::servers::{Cluster, text};

/// A server of a cluster of one that logs as much as it can. The test decides what happens to its standard
/// error.
struct Noisy {
    cluster: Cluster,
    child: Child,
}

impl Noisy {
    fn start(stderr: impl Into<Stdio>) -> Noisy {
        Noisy::start_with("", stderr)
    }

    /// Starts it through a shell, with redirections.
    fn start_with(redirections: &str, stderr: impl Into<Stdio>) -> Noisy {
        let cluster = Cluster::prepare(1, 2);
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("exec \"$0\" \"$@\" {redirections}"))
            .arg(env!("CARGO_BIN_EXE_niagara"));
        command.args(["serve", "--log", "trace", "--config", text(&cluster.file(1))]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        Noisy { cluster, child }
    }

    /// Writes until it has logged more than any pipe and the queue hold.
    fn serves(&self) {
        assert_eq!(self.cluster.run_when_ready(&["put", "key", "value"]).status, Some(0));
        for i in 0..20 {
            assert_eq!(self.cluster.run(&["put", "key", &i.to_string()]).status, Some(0));
        }
        assert_eq!(self.cluster.run(&["get", "key"]).stdout, b"19");
    }

    fn stops_cleanly(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        let ended = (0..3_000).find_map(|_| {
            let status = self.child.try_wait().unwrap();
            if status.is_none() {
                thread::sleep(Duration::from_millis(20));
            }
            status
        });
        assert_eq!(ended.expect("SIGTERM ends it").code(), Some(0));
    }
}

impl Drop for Noisy {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipe that is full, and blocks writers or not.
fn full_pipe(blocks: bool) -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'.'; 4_096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, !blocks).unwrap();
    (reader, writer)
}

#[test]
fn the_reader_of_the_log_has_gone() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let server = Noisy::start(OwnedFd::from(writer));
    server.serves();
    server.stops_cleanly();
}

#[test]
fn nobody_reads_the_log() {
    for blocks in [true, false] {
        let (reader, writer) = full_pipe(blocks);
        let server = Noisy::start(OwnedFd::from(writer));
        server.serves();
        server.stops_cleanly();
        drop(reader);
    }
}

#[test]
fn the_disk_of_the_log_is_full() {
    let server = Noisy::start(File::options().write(true).open("/dev/full").unwrap());
    server.serves();
    server.stops_cleanly();
}

#[test]
fn there_is_nowhere_to_log_to() {
    let server = Noisy::start_with("2>&- >&- <&-", Stdio::null());
    server.serves();
    // None of the server's own files has taken the closed descriptor.
    for fd in 0..=2 {
        let place = std::fs::read_link(format!("/proc/{}/fd/{fd}", server.child.id())).unwrap();
        assert_eq!(place.to_str(), Some("/dev/null"), "descriptor {fd}");
    }
    server.stops_cleanly();
}

#[test]
fn a_log_that_is_read_late_says_how_much_is_missing() {
    let (mut reader, writer) = full_pipe(true);
    let server = Noisy::start(OwnedFd::from(writer));
    server.serves();
    // The queue is bounded, so lines are dropped once more than that has come.
    let is_missing_some = |server: &Noisy| {
        let mut stream = TcpStream::connect(server.cluster.url(1).trim_start_matches("http://")).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut metrics = String::new();
        stream.read_to_string(&mut metrics).unwrap();
        let lost = metrics.lines().find_map(|line| line.strip_prefix("niagara_log_lines_lost_total "));
        lost.expect("the metric is there") != "0"
    };
    let told = (0..10_000).any(|_| {
        server.cluster.run(&["put", "key", "value"]);
        is_missing_some(&server)
    });
    assert!(told, "so many lines found room");
    // Now somebody reads: first what waits, then how much was dropped, then what comes.
    let (mut all, mut chunk) = (Vec::new(), [0; 1 << 16]);
    let holds = |all: &[u8], text: &str| memchr::memmem::find(all, text.as_bytes()).is_some();
    while !holds(&all, "lines of this log were dropped before this one") {
        let read = reader.read(&mut chunk).unwrap();
        assert!(read > 0, "the server goes on");
        all.extend_from_slice(&chunk[..read]);
    }
    let rest = thread::spawn(move || {
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        rest
    });
    server.stops_cleanly();
    assert!(holds(&rest.join().unwrap(), "has stopped cleanly"));
}

/// Commands print to such places, too: they end, and do not report success.
#[test]
fn a_command_whose_output_is_not_taken_does_not_end_well() {
    let niagara = env!("CARGO_BIN_EXE_niagara");
    let cluster = Cluster::start(1, 1);
    assert_eq!(cluster.run_when_ready(&["put", "key", &"v".repeat(100_000)]).status, Some(0));
    assert_eq!(cluster.run(&["snapshot", "now"]).status, Some(0));
    let at = cluster.url(1);
    let data = cluster.dir.path().join("data-1");
    let snapshots = std::fs::read_dir(data.join("snapshots")).unwrap();
    let file = snapshots
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "snap"));
    let (file, data) = (file.unwrap(), text(&data).to_owned());
    let new = cluster.dir.path().join("new");
    let commands: Vec<Vec<&str>> = vec![
        vec!["--help"],
        vec!["--version"],
        vec!["help", "put"],
        vec!["get", "key", "--at", &at],
        vec!["get", "key", "--verbose", "--at", &at],
        vec!["put", "other", "value", "--at", &at],
        vec!["del", "other", "--at", &at],
        vec!["status", "--at", &at],
        vec!["status", "--json", "--at", &at],
        vec!["snapshot", "now", "--at", &at],
        vec!["snapshot", "inspect", text(&file)],
        vec!["snapshot", "inspect", "--json", text(&file)],
        vec!["snapshot", "export", "--json", text(&file)],
        vec!["snapshot", "export", "--resp", text(&file)],
        vec!["log", "inspect", &data],
        vec!["log", "inspect", "--json", &data],
        vec!["log", "inspect", "--entries", &data],
        vec!["log", "inspect", "--entries", "--json", &data],
        vec!["new-cluster", "--dir", text(&new)],
    ];
    for command in commands {
        let ended = |stdout: Stdio| {
            let mut child = Command::new(niagara);
            let child = child.args(&command).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
            let output = child.output().unwrap();
            // The second new cluster would find the first.
            let _ = std::fs::remove_dir_all(&new);
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (status, said) = ended(full.into());
        assert_eq!(status, Some(5), "{command:?}: {said}");
        assert!(said.contains("cannot write the output") && said.contains("hint:"), "{command:?}: {said}");

        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (status, said) = ended(OwnedFd::from(writer).into());
        assert_eq!(status, Some(5), "{command:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("error:"), "{command:?}: {said}");
    }
}

#[test]
fn a_reader_that_does_not_block_gets_everything() {
    let cluster = Cluster::start(1, 1);
    let value = "v".repeat(1 << 20);
    cluster.run_when_ready(&["put", "other", "value"]);
    let written = run_with_input(["put", "key", "--config", text(&cluster.file(1))], value.as_bytes());
    assert_eq!(written.status, Some(0), "{written:?}");
    let (mut reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(writer.as_fd(), true).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_niagara"));
    let mut child =
        command.args(["get", "key", "--at", &cluster.url(1)]).stdout(OwnedFd::from(writer)).spawn().unwrap();
    drop(command);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(read == value.as_bytes(), "{} bytes", read.len());
}

#[test]
fn a_message_that_nobody_takes_does_not_hold_up_the_exit_status() {
    let (reader, writer) = full_pipe(true);
    for (arguments, status) in [(vec!["get"], 2), (vec!["serve", "--config", "/nonexistent"], 1)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_niagara"));
        let stderr = writer.try_clone().unwrap();
        let ended =
            command.args(&arguments).stdin(Stdio::null()).stderr(OwnedFd::from(stderr)).status().unwrap();
        assert_eq!(ended.code(), Some(status), "{arguments:?}");
    }
    drop(reader);
    assert_eq!(run(["get"]).status, Some(2));
}
