//! Servers that hand their groups over: because they are told to stop, or because an operator wants it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use niagara_tests::{Cluster, ClusterPlan, Resp, Response, Value, rounds, wait};

/// Proves that clients who go to another server when they are refused notice nothing of servers that are restarted one
/// after the other: each write is executed, or refused without effect, and none ends in a broken connection or an unknown
/// outcome.
#[test]
fn a_rolling_restart_leaves_no_outcome_unknown() {
    let mut cluster = ClusterPlan::new(3, 4).start();
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let servers: Vec<SocketAddr> =
                cluster.endpoints().iter().map(|endpoint| endpoint.redis).collect();
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || write_everywhere(writer, &servers, &stop, &done))
        })
        .collect();
    let progress = |done: &AtomicU64| {
        let until = done.load(SeqCst) + 200;
        wait::until("clients to go on", || (done.load(SeqCst) >= until).then_some(()));
    };
    for _ in 0..rounds(2) {
        for server in cluster.servers() {
            progress(&done);
            cluster.stop(server);
            progress(&done);
            cluster.restart(server);
        }
    }
    stop.store(true, SeqCst);
    let refused: u64 = writers.into_iter().map(|writer| writer.join().expect("why stands above")).sum();
    assert!(refused > 0, "clients were connected to the servers that stopped");
    assert!(cluster.await_agreement() > 0);
    cluster.stop_all();
}

/// Counts up with writes, through one server after the other, and returns how many were refused.
///
/// # Panics
/// When the outcome of a write is unknown: the connection breaks while one is in flight, or the reply says so.
fn write_everywhere(writer: usize, servers: &[SocketAddr], stop: &AtomicBool, done: &AtomicU64) -> u64 {
    let (mut refused, mut counted, mut at) = (0, 0, writer);
    let key = format!("drain-{writer}");
    while !stop.load(SeqCst) {
        let mut redis = Resp::new(servers[at % servers.len()]);
        at += 1;
        // A server that does not listen has got nothing, nor has one that stops listening now.
        if !matches!(redis.command(&["PING"]), Ok(Value::Simple(_))) {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        while !stop.load(SeqCst) {
            match redis.command(&["INCR", &key]) {
                Ok(Value::Integer(count)) => {
                    counted += 1;
                    done.fetch_add(1, SeqCst);
                    assert_eq!(count, counted, "writer {writer}: what was refused had no effect");
                }
                Ok(Value::Error(why)) if why.starts_with("LOADING") || why.starts_with("NOQUORUM") => {
                    refused += 1;
                    break;
                }
                other => panic!("writer {writer}: nobody knows what became of a write: {other:?}"),
            }
        }
    }
    refused
}

/// Proves that a server which is told to stop says so while its clients leave: it is not ready, refuses requests of both
/// protocols without effect, and ends when its clients have gone.
#[test]
fn a_server_that_drains_refuses_requests_until_its_clients_leave() {
    let mut cluster = ClusterPlan::new(3, 2).start();
    let mut redis = cluster.redis(1);
    assert_eq!(redis.command(&["SET", "before", "1"]).unwrap(), Value::Simple("OK".into()));
    let mut http = cluster.http(1);
    assert!((200..300).contains(&http.put("before", b"1").unwrap().status));
    cluster.process(1).terminate();
    wait::until("the server to drain", || {
        let reply = redis.command(&["SET", "probe", "1"]).expect("the connection stays");
        matches!(&reply, Value::Error(why) if why.starts_with("LOADING this server is stopping"))
            .then_some(())
    });
    assert!(matches!(redis.command(&["SET", "during", "1"]), Ok(Value::Error(_))));
    let ready = cluster.http(1).request("GET", "/readyz", &[], b"").unwrap();
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("\"error\":\"draining\""), "{}", ready.text());
    let refused = http.put("during", b"1").unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("\"error\":\"stopping\""), "{}", refused.text());
    for (name, value) in [("Connection", "close"), ("Retry-After", "1")] {
        assert_eq!(refused.header(name), Some(value), "{refused:?}");
    }
    drop((redis, http));
    let status = cluster.process(1).await_exit();
    assert!(status.success(), "{status}");
    for server in [2, 3] {
        let local = cluster.status(server).local;
        assert!(local.iter().all(|group| ![0, 1].contains(&group.leader)), "{local:?}");
        assert_eq!(cluster.redis(server).command(&["EXISTS", "during"]).unwrap(), Value::Integer(0));
    }
}

/// Proves that leaderships move when they are told to, stay where they were put, and do not go where they cannot.
#[test]
fn leaderships_move_on_request() {
    let mut cluster = ClusterPlan::new(3, 3).start();
    leads(&cluster, &[1, 2, 3]);
    // A leader that has just been elected has not heard of its followers yet, and says so.
    wait::until("server 1 to hand group 1 over", || {
        let moved = change(&cluster, 1, r#"{"move":{"group":1,"to":3}}"#);
        assert!(moved.status == 202 || moved.text().contains("\"unreachable\""), "{}", moved.text());
        (moved.status == 202).then_some(())
    });
    leads(&cluster, &[3, 2, 3]);
    assert_eq!(change(&cluster, 2, r#"{"drain":{}}"#).status, 202);
    wait::until("server 2 to lead nothing", || {
        cluster.status(2).local.iter().all(|group| ![0, 2].contains(&group.leader)).then_some(())
    });
    // Longer than a wanted leader waits before it claims.
    thread::sleep(Duration::from_secs(3));
    let local = cluster.status(1).local;
    assert_eq!(local[0].leader, 3, "server 1 leaves the group to others");
    assert_ne!(local[1].leader, 2, "server 2 drains");

    let wrong = change(&cluster, 1, r#"{"move":{"group":1,"to":2}}"#);
    assert_eq!(wrong.status, 409);
    assert!(wrong.text().contains("ask server 3"), "{}", wrong.text());
    assert_eq!(change(&cluster, 3, r#"{"move":{"group":9,"to":2}}"#).status, 404);
    assert_eq!(change(&cluster, 3, r#"{"move":{"group":1,"to":9}}"#).status, 404);
    assert_eq!(change(&cluster, 3, r#"{"move":{}}"#).status, 400);
    cluster.kill(1);
    wait::until("server 3 to notice that server 1 is gone", || {
        let refused = change(&cluster, 3, r#"{"move":{"group":1,"to":1}}"#);
        refused.text().contains("server 1 cannot take over: the leader cannot reach it").then_some(())
    });
    cluster.restart(1);
    for server in cluster.servers() {
        assert_eq!(change(&cluster, server, r#"{"balance":{}}"#).status, 202);
    }
    leads(&cluster, &[1, 2, 3]);
    cluster.stop_all();
}

/// Waits until these servers lead the groups, in order.
fn leads(cluster: &Cluster, leaders: &[u64]) {
    wait::until(&format!("the groups to be led by {leaders:?}"), || {
        let local = cluster.status(1).local;
        local.iter().map(|group| group.leader).eq(leaders.iter().copied()).then_some(())
    });
}

fn change(cluster: &Cluster, server: u64, body: &str) -> Response {
    cluster.http(server).request("POST", "/leaders", &[], body.as_bytes()).unwrap()
}
