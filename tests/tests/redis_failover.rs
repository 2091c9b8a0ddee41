//! What servers tell clients of Sentinel and Cluster, before and after one of them is killed, and FAILOVER, by which one hands
//! over what it leads.

use std::net::SocketAddr;
use std::thread;

use niagara_engine::Durability;
use niagara_tests::{Cluster, ClusterPlan, Resp, Value, wait};

fn start(front: &[(&'static str, &'static str)]) -> Cluster {
    let plan = ClusterPlan::new(3, 2).durability(Durability::Os);
    front.iter().fold(plan, |plan, (key, value)| plan.front(key, value)).start()
}

fn ask(redis: &mut Resp, command: &str) -> Value {
    let words: Vec<&str> = command.split(' ').collect();
    redis.command(&words).unwrap_or_else(|error| panic!("{command}: {error}"))
}

fn text(value: &Value) -> String {
    match value {
        Value::Bulk(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        Value::Simple(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other => panic!("no text: {other:?}"),
    }
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all,
        other => panic!("no array: {other:?}"),
    }
}

fn address(host: &Value, port: &Value) -> SocketAddr {
    format!("{}:{}", text(host), text(port)).parse().unwrap()
}

/// The servers of CLUSTER SLOTS: where they are, and their ids.
fn nodes(redis: &mut Resp) -> Vec<(SocketAddr, String)> {
    let mut ranges = array(ask(redis, "CLUSTER SLOTS"));
    assert_eq!(ranges.len(), 1, "all slots are together");
    let range = array(ranges.remove(0));
    assert_eq!((text(&range[0]), text(&range[1])), ("0".into(), "16383".into()));
    let node = |node: &Value| {
        let node = array(node.clone());
        (address(&node[0], &node[1]), text(&node[2]))
    };
    range[2..].iter().map(node).collect()
}

/// The addresses in a list of SENTINEL.
fn instances(redis: &mut Resp, command: &str) -> Vec<SocketAddr> {
    let one = |instance: Value| {
        let fields = array(instance);
        assert_eq!((text(&fields[2]), text(&fields[4])), ("ip".into(), "port".into()));
        address(&fields[3], &fields[5])
    };
    array(ask(redis, command)).into_iter().map(one).collect()
}

/// `None`: the server knows of none that serves.
fn master(redis: &mut Resp) -> Option<SocketAddr> {
    match ask(redis, "SENTINEL GET-MASTER-ADDR-BY-NAME any-name") {
        Value::Array(found) => Some(address(&found[0], &found[1])),
        other => {
            assert_eq!(other, Value::Null);
            None
        }
    }
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    wait::until(what, || holds().then_some(()));
}

#[test]
fn every_server_tells_which_ones_are_up() {
    let mut cluster = start(&[("redis_cluster", "true")]);
    let at: Vec<SocketAddr> = cluster.endpoints().iter().map(|endpoint| endpoint.redis).collect();
    let is_told = |cluster: &Cluster, server: u64, up: &[u64]| {
        let redis = &mut cluster.redis(server);
        let own = at[server as usize - 1];
        let others: Vec<_> = up.iter().filter(|up| **up != server).map(|up| at[*up as usize - 1]).collect();
        let all: Vec<_> = [own].into_iter().chain(others.clone()).collect();
        master(redis) == Some(own)
            && nodes(redis).into_iter().map(|(address, _)| address).collect::<Vec<_>>() == all
            && ["REPLICAS", "SLAVES", "SENTINELS"]
                .iter()
                .all(|list| instances(redis, &format!("SENTINEL {list} any-name")) == others)
            && array(ask(redis, "ROLE")).len() == 3
    };
    for server in cluster.servers() {
        await_that("a server to know all", || is_told(&cluster, server, &[1, 2, 3]));
    }
    let mut known: Vec<Vec<(SocketAddr, String)>> =
        cluster.servers().map(|server| nodes(&mut cluster.redis(server))).collect();
    known.iter_mut().for_each(|nodes| nodes.sort());
    assert!(known[0] == known[1] && known[1] == known[2], "ids are the same everywhere: {known:?}");

    let redis = &mut cluster.redis(1);
    let refused = ask(redis, "CLUSTER FAILOVER TAKEOVER");
    assert!(
        matches!(&refused, Value::Error(why) if why.starts_with("ERR no server takes over")),
        "{refused:?}"
    );
    let none = ask(redis, "FAILOVER ABORT");
    assert!(matches!(&none, Value::Error(why) if why == "ERR No failover in progress."), "{none:?}");

    cluster.kill(1);
    for server in [2, 3] {
        await_that("the dead server to be left out", || is_told(&cluster, server, &[2, 3]));
    }
    let quorum = text(&ask(&mut cluster.redis(2), "SENTINEL CKQUORUM any-name"));
    assert!(quorum.starts_with("OK 2 usable Sentinels"), "{quorum}");

    // Alone, it knows no quorum, and clients had better ask another server.
    cluster.kill(3);
    let redis = &mut cluster.redis(2);
    await_that("the last server to notice", || master(redis).is_none());
    assert!(text(&ask(redis, "CLUSTER INFO")).starts_with("cluster_state:fail\r\n"));
    for command in ["CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES", "GET k"] {
        let down = ask(redis, command);
        assert!(matches!(&down, Value::Error(why) if why.starts_with("CLUSTERDOWN ")), "{command}: {down:?}");
    }
    assert!(
        matches!(ask(redis, "SENTINEL CKQUORUM any-name"), Value::Error(why) if why.starts_with("NOQUORUM 1 "))
    );

    cluster.restart(1);
    await_that("both to serve", || is_told(&cluster, 2, &[1, 2]) && is_told(&cluster, 1, &[1, 2]));
}

#[test]
fn readonly_keeps_the_reads_of_a_cluster_strong() {
    for (front, weak) in [
        (&[("redis_cluster", "true")][..], false),
        (&[("redis_cluster", "true"), ("redis_readonly", "\"weak\"")], true),
        (&[], true),
    ] {
        let mut cluster = start(front);
        assert_eq!(text(&ask(&mut cluster.redis(1), "SET k v")), "OK");
        await_that("the write to arrive", || ask(&mut cluster.redis(3), "GET k") == Value::Bulk(b"v".into()));
        cluster.kill(1);
        cluster.kill(2);
        let redis = &mut cluster.redis(3);
        assert_eq!(text(&ask(redis, "READONLY")), "OK");
        let read = ask(redis, "GET k");
        if weak {
            assert_eq!(read, Value::Bulk(b"v".into()), "{front:?}");
        } else {
            assert!(matches!(&read, Value::Error(why) if why.starts_with("CLUSTERDOWN ")), "{read:?}");
        }
    }
}

#[test]
fn a_server_that_stops_tells_whoever_watches_its_sentinel() {
    let mut cluster = start(&[]);
    let at: Vec<SocketAddr> = cluster.endpoints().iter().map(|endpoint| endpoint.redis).collect();
    let mut redis = cluster.redis(2);
    await_that("all to be up", || instances(&mut redis, "SENTINEL REPLICAS mymaster").len() == 2);
    assert_eq!(array(ask(&mut redis, "SUBSCRIBE +switch-master")).len(), 3);
    thread::scope(|scope| {
        let heard = scope.spawn(move || array(redis.receive().unwrap()));
        cluster.stop(2);
        let message = heard.join().expect("why stands above");
        let parts: Vec<String> = message.iter().map(text).collect();
        let [from, to] = [at[1], at[0]].map(|address| format!("{} {}", address.ip(), address.port()));
        assert_eq!(parts, ["message", "+switch-master", &format!("mymaster {from} {to}")]);
    });
}

/// The leaders of the groups, as a server knows them.
fn leaders(cluster: &Cluster, server: u64) -> Vec<u64> {
    cluster.status(server).local.iter().map(|group| group.leader).collect()
}

/// How far a server is in handing over what it leads.
fn stage(redis: &mut Resp) -> String {
    let told = text(&ask(redis, "INFO replication"));
    let line = told.lines().find_map(|line| line.strip_prefix("master_failover_state:"));
    line.expect("it is told").to_owned()
}

fn write(redis: &mut Resp, key: &str) {
    assert_eq!(ask(redis, &format!("INCR {key}")), Value::Integer(1), "{key}");
    assert_eq!(ask(redis, &format!("GET {key}")), Value::Bulk(b"1".into()), "{key}");
}

#[test]
fn a_failover_hands_over_all_that_a_server_leads_until_it_is_aborted() {
    let plan = ClusterPlan::new(3, 3).durability(Durability::Os);
    let mut cluster = plan.start();
    let at: Vec<SocketAddr> = cluster.endpoints().iter().map(|endpoint| endpoint.redis).collect();
    let redis = &mut cluster.redis(1);
    let ok = |reply: Value| assert_eq!(text(&reply), "OK");
    let begin = |cluster: &Cluster| {
        await_that("each server to lead a group", || leaders(cluster, 1) == [1, 2, 3]);
    };
    begin(&cluster);
    write(redis, "before");

    ok(ask(redis, "FAILOVER"));
    await_that("server 1 to lead nothing", || {
        leaders(&cluster, 1).iter().all(|leader| ![0, 1].contains(leader))
    });
    await_that("server 1 to say so", || stage(redis) == "no-failover");
    assert!(
        matches!(ask(redis, "FAILOVER"), Value::Error(why) if why.starts_with("ERR FAILOVER is complete"))
    );
    write(redis, "between");
    assert_eq!(text(&array(ask(redis, "ROLE"))[0]), "master", "it takes everything, as before");
    let told = cluster.http(1).request("GET", "/leaders", &[], b"").unwrap();
    assert!(told.text().contains("\"draining\":true"), "{}", told.text());
    ok(ask(redis, "FAILOVER ABORT"));
    begin(&cluster);
    assert!(
        matches!(ask(redis, "FAILOVER ABORT"), Value::Error(why) if why == "ERR No failover in progress.")
    );

    // To one server; a client of another thread may end it.
    ok(ask(redis, &format!("FAILOVER TO {} {}", at[2].ip(), at[2].port())));
    await_that("server 3 to take over", || leaders(&cluster, 1) == [3, 2, 3]);
    write(redis, "to-one");
    await_that("server 1 to lead nothing any more", || stage(&mut cluster.redis(1)) == "no-failover");
    ok(ask(&mut cluster.redis(1), "FAILOVER ABORT"));
    begin(&cluster);

    // A sentinel tells of itself.
    ok(ask(redis, "SENTINEL FAILOVER mymaster"));
    await_that("server 1 to lead nothing", || {
        leaders(&cluster, 2).iter().all(|leader| ![0, 1].contains(leader))
    });
    ok(ask(redis, "FAILOVER ABORT"));
    begin(&cluster);

    // Who is down takes nothing over.
    cluster.kill(3);
    await_that("two servers to lead all", || {
        leaders(&cluster, 1).iter().all(|leader| [1, 2].contains(leader))
    });
    let down = format!("FAILOVER TO {} {}", at[2].ip(), at[2].port());
    assert!(
        matches!(ask(redis, &down), Value::Error(why) if why == "ERR FAILOVER target replica is not online.")
    );
    cluster.stop_all();
}
