//! `niagara groups`: the number of groups changes under load, and servers are killed and come back.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use niagara_kvstore::config::ConfigFile;
use rustix::process::Signal;
use serde_json::Value;

use crate::process::Finished;
use crate::servers::Cluster;

/// The groups that each server that answers has.
fn groups(finished: &Finished) -> Vec<u64> {
    assert_eq!(finished.status, Some(0), "{finished:?}");
    let document: Value = serde_json::from_slice(&finished.stdout).unwrap();
    document.as_array().unwrap().iter().map(|server| server["groups"].as_u64().unwrap()).collect()
}

fn said(finished: &Finished) -> String {
    finished.stderr.clone()
}

/// Increments a counter through a server until told to stop. Returns how many increments were acknowledged.
fn count(at: SocketAddr, stop: &AtomicBool) -> u64 {
    let connection = std::net::TcpStream::connect(at).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answers = std::io::BufReader::new(connection.try_clone().unwrap());
    let mut acknowledged = 0;
    while !stop.load(SeqCst) {
        let (mut connection, mut answer) = (&connection, String::new());
        std::io::Write::write_all(&mut connection, b"INCR counter\r\n").unwrap();
        std::io::BufRead::read_line(&mut answers, &mut answer).unwrap();
        match answer.as_bytes() {
            [b':', ..] => acknowledged += 1,
            // It has no effect: the groups have no leaders yet.
            [b'-', b'N', b'O', b'Q', ..] => {}
            _ => panic!("the outcome of an increment is {answer:?}"),
        }
    }
    acknowledged
}

#[test]
fn groups_change_under_load_and_stay_changed() {
    let mut cluster = Cluster::start_with(3, 2, &["--durability", "os"]);
    assert_eq!(cluster.run_when_ready(&["put", "counter", "0"]).status, Some(0));
    assert_eq!(groups(&cluster.run(&["groups", "--json"])), [2, 2, 2]);
    let stop = AtomicBool::new(false);
    let acknowledged: u64 = std::thread::scope(|scope| {
        let (stop, redis) =
            (&stop, |server| ConfigFile::read(cluster.file(server)).unwrap().server.front.redis);
        let writers: Vec<_> = (1..=3)
            .map(|server| {
                let at = redis(server);
                scope.spawn(move || count(at, stop))
            })
            .collect();
        let set = [4, 1, 3].map(|wanted: u64| {
            (wanted, cluster.run(&["groups", "set", &wanted.to_string(), "--json", "--timeout", "60"]))
        });
        // First, so that a failure does not leave the writers.
        stop.store(true, SeqCst);
        for (wanted, set) in set {
            assert_eq!(groups(&set), [wanted; 3]);
        }
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert!(acknowledged > 0);
    let value = |cluster: &Cluster| cluster.run_when_ready(&["get", "counter"]).text().trim().to_owned();
    assert_eq!(value(&cluster), acknowledged.to_string());
    let again = cluster.run(&["groups", "set", "3"]);
    assert!(again.status == Some(0) && said(&again).contains("there are 3 groups already"), "{again:?}");
    let wrong = cluster.run(&["groups", "set", "0"]);
    assert!(wrong.status != Some(0) && said(&wrong).contains("choose 1 to 1024"), "{wrong:?}");

    // Killed, they come back in the epoch that they were in.
    cluster.servers.drain(..).for_each(|server| {
        server.end_with(Signal::KILL);
    });
    cluster.servers.extend(
        (1..=3)
            .map(|server| {
                let mut running = cluster.serve(server);
                running.wait_for(&format!("server {server} serves: HTTP at "));
                running
            })
            .collect::<Vec<_>>(),
    );
    assert_eq!(value(&cluster), acknowledged.to_string());
    assert_eq!(groups(&cluster.run(&["groups", "--json"])), [3, 3, 3]);
}
