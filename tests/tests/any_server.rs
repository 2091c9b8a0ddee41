//! Any server serves any client, whoever leads.

use std::collections::HashSet;
use std::thread;

use niagara_engine::Role;
use niagara_tests::{Answer, Client, ClusterPlan, Endpoint, History, Http, rounds, wait};

/// Proves that a server which leads no group takes writes, whose replies come by its own global log, and answers strong
/// reads, over either protocol.
#[test]
fn a_server_that_leads_nothing_serves() {
    let cluster = ClusterPlan::new(3, 2).start();
    // The wanted leaders of two groups are the first two servers.
    let leads = |server| cluster.status(server).local.iter().any(|group| group.role == Role::Leader);
    wait::until("the wanted leaders to lead", || (leads(1) && leads(2) && !leads(3)).then_some(()));
    let terms = || cluster.status(3).local.iter().map(|group| group.term).collect::<Vec<_>>();
    let before = terms();
    for (at, mut client) in Client::both(cluster.endpoint(3)).into_iter().enumerate() {
        for n in 0..rounds(100) {
            let (key, value) = (format!("key-{at}-{n}"), format!("value-{n}"));
            assert_eq!(client.set(&key, value.as_bytes()), Answer::Done(()), "{key}");
            assert_eq!(client.get(&key), Answer::Done(Some(value.into_bytes())), "{key}");
        }
    }
    assert!(!leads(3), "it still leads nothing");
    assert_eq!(terms(), before, "nor has it led anything meanwhile");
}

/// Proves that increments of one key from many connections on all servers, which travel through different groups, are each
/// executed once: the sums are all different, and the last one is their number.
#[test]
fn increments_from_everywhere_sum_up() {
    let cluster = ClusterPlan::new(3, 4).start();
    let history = History::default();
    let counter = history.counter();
    let (connections, each) = (8, rounds(50));
    thread::scope(|scope| {
        for endpoint in cluster.endpoints() {
            for _ in 0..connections {
                let counter = &counter;
                scope.spawn(move || {
                    let [_, mut redis] = Client::both(endpoint);
                    for _ in 0..each {
                        let answer =
                            counter.increment(&mut redis).unwrap_or_else(|violation| panic!("{violation}"));
                        assert!(matches!(answer, Answer::Done(_)), "nothing has failed, but: {answer:?}");
                    }
                });
            }
        }
    });
    let total = 3 * connections * each;
    assert_eq!((counter.acknowledged(), counter.unknown()), (total as u64, 0));
    for endpoint in cluster.endpoints() {
        for mut client in Client::both(endpoint) {
            assert_eq!(client.get(counter.key()), Answer::Done(Some(total.to_string().into_bytes())));
        }
    }
}

/// Proves that of many clients on all servers that want to replace the same version of a key, exactly one succeeds: each
/// version has one successor, and as many as succeeded lie between the first version and the last.
#[test]
fn conditional_puts_have_one_winner_per_version() {
    let cluster = ClusterPlan::new(3, 4).start();
    let first = cluster.http(1).put("key", b"0").unwrap();
    assert!(matches!(first.status, 200 | 201), "{}", first.text());
    let (clients, wins_each) = (4, rounds(10));
    let replaced: Vec<String> = thread::scope(|scope| {
        let contend = |endpoint: &Endpoint| {
            let endpoint = endpoint.clone();
            scope.spawn(move || (0..wins_each).map(|_| win(&mut endpoint.http())).collect::<Vec<_>>())
        };
        let contenders = (0..clients).flat_map(|_| cluster.endpoints()).map(contend).collect::<Vec<_>>();
        contenders
            .into_iter()
            .flat_map(|contender| contender.join().expect("a client that is served"))
            .collect()
    });
    let versions: HashSet<&String> = replaced.iter().collect();
    assert_eq!(versions.len(), replaced.len(), "no version was replaced twice");
    assert_eq!(replaced.len(), 3 * clients * wins_each);
    for server in cluster.servers() {
        let last = cluster.http(server).get("key", "strong").unwrap();
        assert_eq!(
            last.text(),
            replaced.len().to_string(),
            "each winner has counted on from the value it replaced"
        );
    }
}

/// Adds one to a number by a conditional PUT, as often as it takes to win; the version that it replaced.
fn win(http: &mut Http) -> String {
    wait::until("a conditional PUT to win", || {
        let now = http.get("key", "strong").expect("a read is answered");
        assert_eq!(now.status, 200, "{}", now.text());
        let version = now.header("ETag").expect("a value has a version").to_owned();
        let next = now.text().parse::<u64>().expect("a number") + 1;
        let put = http.request("PUT", "/kv/key", &[("If-Match", &version)], next.to_string().as_bytes());
        let put = put.expect("a write is answered");
        match put.status {
            200 | 204 => {
                assert_ne!(put.header("ETag"), Some(version.as_str()), "a new value has a new version");
                Some(version)
            }
            412 => None,
            other => panic!("a conditional PUT was answered {other}: {}", put.text()),
        }
    })
}
