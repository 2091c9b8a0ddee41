//! What fred does against three servers of Niagara: basic, pubsub, sentinel or cluster.

use std::time::{Duration, Instant};
use std::{env, fs, process};

use fred::prelude::*;
use futures::TryStreamExt;
use tokio::time::{sleep, timeout};

const HOST: &str = "127.0.0.1";
/// Longer than a failover takes on any machine.
const LONG: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    let ports = env::var("NIAGARA_PORTS").expect("the script says where the servers are");
    let ports: Vec<u16> = ports.split(' ').map(|port| port.parse().expect("a port")).collect();
    match env::args().nth(1).as_deref() {
        Some("basic") => basic(&ports).await,
        Some("pubsub") => pubsub(&ports).await,
        Some("sentinel") => sentinel(&ports).await,
        Some("cluster") => cluster(&ports).await,
        other => panic!("unknown part {other:?}"),
    }
    .expect("the servers answer");
}

async fn connect(server: ServerConfig) -> Result<Client, Error> {
    let client = Builder::from_config(Config { server, ..Config::default() })
        .with_performance_config(|config| config.default_command_timeout = Duration::from_secs(5))
        .set_policy(ReconnectPolicy::new_constant(0, 100))
        .build()?;
    client.init().await?;
    Ok(client)
}

async fn alone(port: u16) -> Result<Client, Error> {
    connect(ServerConfig::new_centralized(HOST, port)).await
}

fn kill(port: u16) {
    let pids = env::var("NIAGARA_PIDS").expect("the script says which processes these are");
    let pid = fs::read_to_string(format!("{pids}/{port}")).expect("the process runs");
    let killed = process::Command::new("kill").args(["-9", pid.trim()]).status();
    assert!(killed.expect("kill can be started").success());
}

/// Whether the server is gone, or says that it cannot answer now.
fn is_passing(error: &Error) -> bool {
    let passing = ["CLUSTERDOWN", "NOQUORUM", "LOADING", "UNKNOWN"];
    let is_transport = matches!(
        error.kind(),
        ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Routing | ErrorKind::Cluster
    );
    is_transport || passing.iter().any(|word| error.details().starts_with(word))
}

/// Sets a key until that succeeds, as a program does whose server has gone.
async fn keeps_setting(client: &Client, key: &str, value: u64) -> Result<(), Error> {
    let end = Instant::now() + LONG;
    loop {
        match client.set::<(), _, _>(key, value, None, None, false).await {
            Ok(()) => return Ok(()),
            Err(error) => assert!(is_passing(&error) && Instant::now() < end, "{error:?}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn basic(ports: &[u16]) -> Result<(), Error> {
    let (one, other) = (alone(ports[0]).await?, alone(ports[1]).await?);
    one.flushall::<()>(false).await?;
    one.set::<(), _, _>("k", "v", Some(Expiration::EX(100)), None, false).await?;
    assert_eq!(other.get::<String, _>("k").await?, "v");
    assert!((91..=100).contains(&other.ttl::<i64, _>("k").await?));
    let pipeline = one.pipeline();
    for _ in 0..1000 {
        pipeline.incr::<(), _>("n").await?;
    }
    assert_eq!(pipeline.all::<Vec<i64>>().await?.last(), Some(&1000));
    let transaction = one.multi();
    transaction.incr::<(), _>("n").await?;
    transaction.get::<(), _>("n").await?;
    assert_eq!(transaction.exec::<(i64, String)>(true).await?, (1001, "1001".to_owned()));
    let keys: Vec<Key> = one.scan_buffered("k*", None, None).try_collect().await?;
    assert_eq!(keys, [Key::from("k")]);
    Ok(())
}

async fn pubsub(ports: &[u16]) -> Result<(), Error> {
    let (mut subscribers, mut messages) = (Vec::new(), Vec::new());
    for &port in ports {
        let subscriber = alone(port).await?;
        messages.push(subscriber.message_rx());
        subscriber.subscribe("news").await?;
        subscriber.psubscribe("n?ws").await?;
        subscribers.push(subscriber);
    }
    for &port in ports {
        let publisher = alone(port).await?;
        for i in 0..5 {
            publisher.publish::<(), _, _>("news", format!("{port} {i}")).await?;
        }
    }
    let mut heard = Vec::new();
    for receiver in &mut messages {
        let mut texts = Vec::new();
        for _ in 0..30 {
            let message =
                timeout(LONG, receiver.recv()).await.expect("a message comes").expect("none is lost");
            texts.push(message.value.convert::<String>()?);
        }
        heard.push(texts);
    }
    assert!(heard[0] == heard[1] && heard[1] == heard[2], "all hear the same in the same order");
    Ok(())
}

async fn sentinel(ports: &[u16]) -> Result<(), Error> {
    let sentinels = ports.iter().map(|port| (HOST, *port)).collect();
    let client = connect(ServerConfig::new_sentinel(sentinels, "mymaster")).await?;
    client.set::<(), _, _>("kept", 1, None, None, false).await?;
    let written_to = client.active_connections()[0].port;
    kill(written_to);
    keeps_setting(&client, "kept", 2).await?;
    assert_eq!(client.get::<u64, _>("kept").await?, 2);
    assert!(client.active_connections().iter().all(|server| server.port != written_to));
    Ok(())
}

/// Its reads from replicas (`replicas()`) are left out: fred 10.1.0 connects to a replica again and again, also to one of Redis.
async fn cluster(ports: &[u16]) -> Result<(), Error> {
    let nodes = ports.iter().map(|port| (HOST, *port)).collect();
    let client = connect(ServerConfig::new_clustered(nodes)).await?;
    for i in 0..100 {
        client.set::<(), _, _>(format!("key:{i}"), i, None, None, false).await?;
        assert_eq!(client.get::<u64, _>(format!("key:{i}")).await?, i);
    }
    let state = client.cached_cluster_state().expect("it has asked for the slots");
    let primaries = state.unique_primary_nodes();
    assert_eq!(primaries.len(), 1);
    kill(primaries[0].port);
    for i in 0..100 {
        let key = format!("key:{i}");
        keeps_setting(&client, &key, i + 1).await?;
        assert_eq!(client.get::<u64, _>(key).await?, i + 1);
    }
    Ok(())
}
