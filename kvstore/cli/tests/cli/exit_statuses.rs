//! Exit statuses alone tell the outcome of a command.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use rustix::process::Signal;

use crate::process::{Finished, run, run_with_input};
use crate::servers::{Cluster, free_address};

const OK: i32 = 0;
const NO: i32 = 1;
const REFUSED: i32 = 3;
const UNKNOWN: i32 = 4;

fn statuses(finished: &Finished, expected: i32) {
    assert_eq!(finished.status, Some(expected), "{finished:?}");
    assert_eq!(finished.stderr.contains("error:"), expected != OK, "{finished:?}");
}

#[test]
fn not_found_refused_and_unknown_are_told_apart() {
    let mut cluster = Cluster::start(1, 1);
    statuses(&cluster.run_when_ready(&["put", "key", "value"]), OK);
    statuses(&cluster.run(&["get", "key"]), OK);
    statuses(&cluster.run(&["get", "nothing"]), NO);
    statuses(&cluster.run(&["put", "key", "other", "--if-absent"]), NO);
    statuses(&cluster.run(&["put", "key", "other", "--if-match", "999999"]), NO);
    statuses(&cluster.run(&["del", "key", "--if-match", "999999"]), NO);
    statuses(&cluster.run(&["del", "nothing", "--if-match", "*"]), NO);
    statuses(&cluster.run(&["del", "nothing"]), OK);
    statuses(&cluster.run(&["get", "key", "--read", "at-least:999999999", "--timeout", "20"]), REFUSED);
    statuses(&cluster.run(&["snapshot", "now"]), OK);

    // No server is left.
    assert_eq!(cluster.servers.remove(0).end_with(Signal::TERM).0.code(), Some(0));
    for command in [&["put", "key", "value"][..], &["get", "key"], &["del", "key"], &["snapshot", "now"]] {
        statuses(&cluster.run(command), REFUSED);
    }
}

/// A server that answers health checks, and takes requests without ever answering.
fn silent_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                request.push(byte[0]);
            }
            if request.starts_with(b"GET /healthz ") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
            } else {
                held.push(stream);
            }
        }
    });
    address
}

#[test]
fn a_write_without_an_answer_has_an_unknown_outcome_and_a_read_has_had_no_effect() {
    let at = silent_server();
    for command in [&["put", "k", "v"][..], &["put", "k", "v", "--if-absent"], &["del", "k"]] {
        let finished = run(command.iter().copied().chain(["--timeout", "1", "--at", &at]));
        statuses(&finished, UNKNOWN);
        assert!(finished.stderr.contains("the outcome is unknown"), "{finished:?}");
    }
    statuses(&run(["get", "k", "--timeout", "1", "--at", &at]), REFUSED);
}

#[test]
fn keys_and_values_may_begin_with_a_dash() {
    let cluster = Cluster::start(1, 1);
    statuses(&cluster.run_when_ready(&["put", "n", "-5"]), OK);
    assert_eq!(cluster.run(&["get", "n"]).stdout, b"-5");
    statuses(&cluster.run(&["put", "-key", "--value"]), OK);
    assert_eq!(cluster.run(&["get", "-key"]).stdout, b"--value");
    statuses(&cluster.run(&["del", "-key"]), OK);
    statuses(&cluster.run(&["get", "-key"]), NO);
    let mistyped = cluster.run(&["put", "n", "--if-absnt"]);
    assert_eq!(mistyped.status, Some(2), "{mistyped:?}");
    assert_eq!(cluster.run(&["get", "n"]).stdout, b"-5");
}

#[test]
fn standard_input_is_read_as_far_as_a_value_goes() {
    let cluster = Cluster::start(1, 1);
    let largest = vec![b'v'; 16 << 20];
    statuses(&cluster.run_when_ready(&["put", "small", "value"]), OK);
    let put = |input: &[u8]| run_with_input(["put", "key", "-", "--at", &cluster.url(1)], input);
    statuses(&put(&largest), OK);
    assert!(cluster.run(&["get", "key"]).stdout == largest);
    let refused = put(&[&largest[..], b"!"].concat());
    statuses(&refused, REFUSED);
    assert!(refused.stderr.contains("too large: the limit is 16777216 bytes"), "{refused:?}");

    // Endless input does not block the command.
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    let mut endless = std::process::Command::new(env!("CARGO_BIN_EXE_niagara"));
    let endless = endless.args(["put", "key", "-", "--at", &cluster.url(1)]).stdin(zeros).output().unwrap();
    assert_eq!(endless.status.code(), Some(REFUSED));
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    let mut endless = std::process::Command::new(env!("CARGO_BIN_EXE_niagara"));
    let config = cluster.file(1);
    let endless = endless
        .args(["snapshot", "import", "-", "--merge", "--config"])
        .arg(config)
        .stdin(zeros)
        .output()
        .unwrap();
    assert_eq!(endless.status.code(), Some(NO), "{endless:?}");
}

#[test]
fn an_import_of_what_is_not_there_says_so_and_asks_nobody() {
    let address = free_address();
    let finished = run(["snapshot", "import", "nosuch", "--at", &address]);
    statuses(&finished, NO);
    assert!(finished.stderr.contains("the file nosuch does not exist"), "{finished:?}");
    let finished = run(["snapshot", "import", "/", "--at", &address]);
    statuses(&finished, NO);
    assert!(finished.stderr.contains("directory"), "{finished:?}");
}
