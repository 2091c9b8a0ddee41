//! A cluster's life, from its first start to its last stop. Read this first.

use std::thread;
use std::time::Duration;

use niagara_engine::Status;
use niagara_tests::{Answer, Client, Cluster, ClusterPlan, Value, wait};

/// Proves that the parts work together: whatever server a client talks to, it sees one store; a group that nobody writes
/// to holds nothing up; the failure of a server, a leader's too, is outlived and made good; and what was acknowledged
/// outlives a stop of all.
#[test]
fn a_cluster_s_life() {
    // Three servers start. Each holds a replica of four groups, and each group has elected a leader.
    let mut cluster = ClusterPlan::new(3, 4).start();
    // A server is ready when the life of the state has a name, so some commands have been executed already.
    let begun = executed(&cluster);

    // Clients write through every server, in either protocol, and every server shows them all of it.
    for server in cluster.servers() {
        let written = cluster.http(server).put(&format!("over-http-{server}"), b"hello").unwrap();
        assert!(matches!(written.status, 200 | 201), "{}", written.text());
        let set = cluster.redis(server).command(&["SET", &format!("over-redis-{server}"), "hello"]);
        assert_eq!(set.unwrap(), Value::Simple("OK".into()));
        let counted = cluster.redis(server).command(&["INCR", "servers"]);
        assert_eq!(counted.unwrap(), Value::Integer(server as i64));
    }
    for server in cluster.servers() {
        for writer in cluster.servers() {
            assert_reads(&cluster, server, &format!("over-http-{writer}"), "hello");
            assert_reads(&cluster, server, &format!("over-redis-{writer}"), "hello");
        }
        assert_reads(&cluster, server, "servers", "3");
    }

    // So few commands leave most groups idle. No-ops fill their places, so that the merge does not wait for them: the
    // global log is longer than the commands are many, and all of it has been executed.
    let status = wait::until("all of the global log to be executed", || {
        let status = cluster.status(1);
        // Each position holds a no-op or, since each client waited for its answer, a single command.
        let since = status.commands - begun.commands + status.noops - begun.noops;
        (status.applied - begun.applied == since).then_some(status)
    });
    assert_eq!(status.commands - begun.commands, 9, "three writes through each server");
    assert!(status.noops > begun.noops, "idle groups are padded");

    // The server that leads the first group fails. The others elect another leader, and go on.
    let failed = status.local[0].leader;
    let survivors: Vec<u64> = cluster.servers().filter(|server| *server != failed).collect();
    cluster.kill(failed);
    for server in &survivors {
        await_write(&cluster, *server, &format!("after-the-failure-{server}"), "still here");
    }
    for server in &survivors {
        for writer in &survivors {
            assert_reads(&cluster, *server, &format!("after-the-failure-{writer}"), "still here");
        }
        assert_reads(&cluster, *server, "servers", "3");
    }

    // The failed server comes back, and catches up before it answers a strong read.
    cluster.restart(failed);
    for server in &survivors {
        assert_reads(&cluster, failed, &format!("after-the-failure-{server}"), "still here");
    }
    assert_reads(&cluster, failed, "servers", "3");
    await_write(&cluster, failed, "after-the-return", "welcome");
    cluster.servers().for_each(|server| assert_reads(&cluster, server, "after-the-return", "welcome"));

    // All three have executed the same global log.
    let agreed = cluster.await_agreement();
    assert!(agreed > 0, "their logs can be compared");

    // All servers stop, as they do for an upgrade, and start again. Everything is there.
    cluster.stop_all();
    cluster.servers().for_each(|server| cluster.launch(server));
    cluster.servers().for_each(|server| cluster.await_ready(server));
    for server in cluster.servers() {
        for writer in cluster.servers() {
            assert_reads(&cluster, server, &format!("over-http-{writer}"), "hello");
            assert_reads(&cluster, server, &format!("over-redis-{writer}"), "hello");
        }
        assert_reads(&cluster, server, "servers", "3");
        assert_reads(&cluster, server, "after-the-return", "welcome");
    }
    assert!(cluster.await_agreement() >= agreed, "the log has only grown");
    cluster.stop_all();
}

/// What the first server has executed, while nothing more comes.
fn executed(cluster: &Cluster) -> Status {
    wait::until("the cluster to be idle", || {
        let before = cluster.status(1);
        thread::sleep(Duration::from_millis(300));
        let now = cluster.status(1);
        ((before.applied, before.noops) == (now.applied, now.noops)).then_some(now)
    })
}

/// A strong read through a server, in either protocol. It may have to wait for a leader, but never gives anything else.
fn assert_reads(cluster: &Cluster, server: u64, key: &str, value: &str) {
    for mut client in Client::both(cluster.endpoint(server)) {
        let found = wait::until("a strong read", || match client.get(key) {
            Answer::Done(found) => Some(found),
            Answer::Refused | Answer::Unknown => None,
        });
        assert_eq!(found.as_deref(), Some(value.as_bytes()), "{key} through server {server}");
    }
}

/// Writes until the write is acknowledged: during an election it may be refused, or its outcome be unknown.
fn await_write(cluster: &Cluster, server: u64, key: &str, value: &str) {
    let [mut http, _] = Client::both(cluster.endpoint(server));
    wait::until("a write to be acknowledged", || {
        (http.set(key, value.as_bytes()) == Answer::Done(())).then_some(())
    });
}
