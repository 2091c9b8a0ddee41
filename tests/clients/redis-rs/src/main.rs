//! What redis-rs does against three servers of Niagara: basic, pubsub or cluster. Its sentinels must be nothing but
//! sentinels, so a server of Niagara is none for it.

use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use redis::cluster::ClusterClient;
use redis::cluster_read_routing::RandomReplicaStrategy;
use redis::{AsyncCommands, Client, Commands, Connection, RedisError, pipe, transaction};

const HOST: &str = "127.0.0.1";
/// Longer than a failover takes on any machine.
const LONG: Duration = Duration::from_secs(60);

fn main() {
    let ports = env::var("NIAGARA_PORTS").expect("the script says where the servers are");
    let ports: Vec<u16> = ports.split(' ').map(|port| port.parse().expect("a port")).collect();
    match env::args().nth(1).as_deref() {
        Some("basic") => basic(&ports),
        Some("pubsub") => pubsub(&ports),
        Some("cluster") => cluster(&ports),
        other => panic!("unknown part {other:?}"),
    }
}

fn url(port: u16) -> String {
    format!("redis://{HOST}:{port}/")
}

fn connect(port: u16) -> Connection {
    Client::open(url(port)).and_then(|client| client.get_connection()).expect("the server is up")
}

fn kill(port: u16) {
    let pids = env::var("NIAGARA_PIDS").expect("the script says which processes these are");
    let pid = fs::read_to_string(format!("{pids}/{port}")).expect("the process runs");
    let killed = process::Command::new("kill").args(["-9", pid.trim()]).status();
    assert!(killed.expect("kill can be started").success());
}

/// Whether the server is gone, or says that it cannot answer now.
fn is_passing(error: &RedisError) -> bool {
    let passing = ["CLUSTERDOWN", "NOQUORUM", "LOADING", "UNKNOWN"];
    error.is_io_error() || error.code().is_none_or(|code| passing.contains(&code))
}

fn basic(ports: &[u16]) {
    let (mut one, mut other) = (connect(ports[0]), connect(ports[1]));
    let () = redis::cmd("FLUSHALL").query(&mut one).unwrap();
    let () = one.set_ex("k", "v", 100).unwrap();
    assert_eq!(other.get::<_, String>("k").unwrap(), "v");
    let mut pipeline = pipe();
    (0..1000).for_each(|_| {
        pipeline.incr("n", 1);
    });
    let counted: Vec<u64> = pipeline.query(&mut one).unwrap();
    assert_eq!(counted.last(), Some(&1000));
    let (next,): (u64,) = transaction(&mut one, &["n"], |one, pipe| {
        let n: u64 = one.get("n")?;
        pipe.set("n", n + 1).ignore().get("n").query(one)
    })
    .unwrap();
    assert_eq!(next, 1001);
    let keys: Vec<String> = one.scan_match("k*").unwrap().map(Result::unwrap).collect();
    assert_eq!(keys, ["k"]);
}

fn pubsub(ports: &[u16]) {
    let mut connections: Vec<Connection> = ports.iter().map(|port| connect(*port)).collect();
    let mut subscribers: Vec<_> = connections.iter_mut().map(Connection::as_pubsub).collect();
    for subscriber in &mut subscribers {
        subscriber.set_read_timeout(Some(LONG)).unwrap();
        subscriber.subscribe("news").unwrap();
        subscriber.psubscribe("n?ws").unwrap();
    }
    thread::scope(|scope| {
        for &port in ports {
            scope.spawn(move || {
                let mut publisher = connect(port);
                for i in 0..100 {
                    assert_eq!(publisher.publish::<_, _, u64>("news", format!("{port} {i}")).unwrap(), 2);
                }
            });
        }
    });
    let heard: Vec<Vec<String>> = subscribers
        .iter_mut()
        .map(|subscriber| {
            (0..600).map(|_| subscriber.get_message().unwrap().get_payload().unwrap()).collect()
        })
        .collect();
    assert!(heard[0] == heard[1] && heard[1] == heard[2], "all hear the same in the same order");
}

/// The blocking client of a cluster asks a node that is gone again and again; the asynchronous one asks others.
#[tokio::main]
async fn cluster(ports: &[u16]) {
    let nodes = ports.iter().map(|port| url(*port));
    let client = ClusterClient::builder(nodes).read_routing_strategy(RandomReplicaStrategy).build().unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    for i in 0..100 {
        let () = connection.set(format!("key:{i}"), i).await.unwrap();
        // Reads may go to what it takes for replicas, and are strong nevertheless.
        assert_eq!(connection.get::<_, u64>(format!("key:{i}")).await.unwrap(), i);
    }
    kill(ports[0]);
    let end = Instant::now() + LONG;
    for i in 0..100 {
        loop {
            match connection.set::<_, _, ()>(format!("key:{i}"), i + 1).await {
                Ok(()) => break,
                Err(error) => assert!(is_passing(&error) && Instant::now() < end, "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(connection.get::<_, u64>(format!("key:{i}")).await.unwrap(), i + 1);
    }
}
