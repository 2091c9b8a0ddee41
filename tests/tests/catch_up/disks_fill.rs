//! Disks of 64 MiB that clients' writes fill: on one server, on two, and on all three.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use niagara_tests::filling::key;
use niagara_tests::tiny_disk::TinyDisk;
use niagara_tests::{Cluster, Resp, Value, wait};

use crate::plan;

/// Room on the disks that are small, and when there is more.
const SMALL_KIB: u64 = 64 << 10;
const LARGE_KIB: u64 = 1 << 20;
const VALUE_BYTES: usize = 32 << 10;
/// More than fits.
const MOST_WRITES: u64 = 8000;
/// Writes that fail one after the other when nothing has room.
const STUCK: u64 = 6;
/// How long clients go on trying when the disks are full.
const ON_A_FULL_DISK: Duration = Duration::from_secs(5);

#[test]
fn one_disk_is_filled_by_writes() {
    filled_by_writes(1);
}

#[test]
fn two_disks_are_filled_by_writes() {
    filled_by_writes(2);
}

#[test]
fn all_disks_are_filled_by_writes() {
    filled_by_writes(3);
}

/// Proves that no acknowledged write is lost, that no server ends, that those with room go on while they are a majority, and
/// that all go on by themselves when there is room again. With a reserve, and where a log runs out of room in the midst of its work.
fn filled_by_writes(disks: u64) {
    for reserve_mib in [16, 0] {
        let mut cluster = plan(2, 400)
            .engine("segment_mib", 1)
            .engine("snapshot_mib", 4)
            .engine("disk_reserve_mib", reserve_mib)
            .prepare();
        let mut mounted = Vec::new();
        for server in 1..=disks {
            let data = cluster.data_dir(server);
            fs::create_dir_all(&data).expect("a directory can be created");
            match TinyDisk::mount(&data, SMALL_KIB) {
                Ok(disk) => mounted.push(disk),
                Err(reason) => return println!("skipped: {reason}"),
            }
        }
        cluster.servers().for_each(|server| cluster.launch(server));
        cluster.servers().for_each(|server| cluster.await_ready(server));

        let mut writes = Writes::new(&cluster);
        // Where nothing is kept in reserve, a server with some room left is not read-only, and yet nothing is committed.
        let are_full = |cluster: &Cluster| (1..=disks).all(|at| cluster.status(at).waiting.read_only);
        while writes.failed_lately < STUCK && !(writes.next.is_multiple_of(16) && are_full(&cluster)) {
            assert!(writes.next < MOST_WRITES, "{} writes do not fill {disks} disks", writes.next);
            writes.write();
        }
        let filled_by = writes.acknowledged.len();
        let end = Instant::now() + ON_A_FULL_DISK;
        while Instant::now() < end {
            writes.write();
            thread::sleep(Duration::from_millis(10));
        }
        println!(
            "{disks} of 64 MiB, reserve {reserve_mib} MiB: {filled_by} writes fill them; then {} are acknowledged, {} are not",
            writes.acknowledged.len() - filled_by,
            writes.failed
        );
        for server in cluster.servers().collect::<Vec<_>>() {
            assert_eq!(cluster.process(server).exit_status(), None, "server {server}");
            assert!(!cluster.log(server).contains("panic"), "server {server}");
            let found = cluster.http(server).get(&key(0), "weak").expect("a server with a full disk serves");
            assert_eq!(found.status, 200, "{}", found.text());
        }

        mounted.iter().for_each(|disk| disk.resize(LARGE_KIB));
        for server in cluster.servers().collect::<Vec<_>>() {
            wait::until(&format!("server {server} to take writes again"), || {
                let reply = cluster.redis(server).command(&["SET", "afterwards", "value"]);
                (reply.ok()? == Value::Simple("OK".into())).then_some(())
            });
        }
        assert!(cluster.await_agreement() > 0);
        for server in cluster.servers().collect::<Vec<_>>() {
            wait::until("the alarms to end", || cluster.status(server).alarms.is_empty().then_some(()));
            let mut redis = cluster.redis(server);
            for n in &writes.acknowledged {
                let found = redis.command(&["GET", &key(*n)]).expect("the server serves");
                assert!(found == Value::Bulk(value(*n)), "acked_is_applied: write {n}, by server {server}");
            }
        }
        cluster.stop_all();
    }
}

/// A client that writes each key once, through the servers by turns.
struct Writes {
    servers: Vec<Resp>,
    next: u64,
    acknowledged: Vec<u64>,
    failed: u64,
    /// Of these, since the last one that was acknowledged.
    failed_lately: u64,
}

impl Writes {
    fn new(cluster: &Cluster) -> Writes {
        let servers = cluster.endpoints().iter();
        let servers = servers.map(|at| Resp::with_timeout(at.redis, Duration::from_secs(20))).collect();
        Writes { servers, next: 0, acknowledged: Vec::new(), failed: 0, failed_lately: 0 }
    }

    fn write(&mut self) {
        let (n, servers) = (self.next, self.servers.len() as u64);
        self.next += 1;
        let key = key(n);
        let reply = self.servers[(n % servers) as usize].command(&[b"SET", key.as_bytes(), &value(n)]);
        match reply {
            Ok(Value::Simple(_)) => {
                self.acknowledged.push(n);
                self.failed_lately = 0;
            }
            // Refused, or of unknown outcome: not acknowledged either way.
            Ok(Value::Error(_)) | Err(_) => {
                self.failed += 1;
                self.failed_lately += 1;
            }
            Ok(other) => panic!("SET was answered with {other:?}"),
        }
    }
}

/// The value of the n-th key.
fn value(n: u64) -> Vec<u8> {
    n.to_le_bytes().repeat(VALUE_BYTES / 8)
}
