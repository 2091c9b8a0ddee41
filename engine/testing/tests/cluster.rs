//! Real engines on loopback.

use std::error::Error;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use niagara_engine::Consistency;
use niagara_engine::internals::example::Counter;
use niagara_testing::local_cluster;

#[test]
fn a_killed_server_comes_back_with_what_it_has_missed() -> Result<(), Box<dyn Error>> {
    let mut cluster = local_cluster(3, |_server| Counter::default())?;
    cluster.wait_ready()?;
    cluster.client(3).propose("count".into())?.wait()?;
    cluster.kill(3);
    cluster.wait_ready()?;
    // It may still elect leaders: a refused command has no effect.
    let end = Instant::now() + Duration::from_secs(30);
    let done = loop {
        match cluster.client(1).propose("count".into()) {
            Ok(ticket) => break ticket.wait()?,
            Err(refused) => assert!(Instant::now() < end, "{refused}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(done.reply, 2);
    cluster.restart(3)?;
    cluster.wait_ready()?;
    let count = cluster.client(3).read(Consistency::AtLeast(done.position)).wait()?;
    assert_eq!(count.load(SeqCst), 2);
    assert_eq!(cluster.servers().count(), 3);
    Ok(())
}

#[test]
fn what_was_executed_survives_when_all_are_killed() -> Result<(), Box<dyn Error>> {
    let mut cluster = local_cluster(3, |_server| Counter::default())?;
    cluster.wait_ready()?;
    assert_eq!(cluster.client(1).propose("count".into())?.wait()?.reply, 1);
    cluster.servers().for_each(|server| cluster.kill(server));
    for server in cluster.servers() {
        cluster.restart(server)?;
    }
    cluster.wait_ready()?;
    assert_eq!(cluster.client(2).propose("count".into())?.wait()?.reply, 2);
    Ok(())
}

#[test]
#[should_panic(expected = "server 1 was killed: restart it first")]
fn a_killed_server_has_no_client() {
    let mut cluster = local_cluster(1, |_server| Counter::default()).unwrap();
    cluster.kill(1);
    cluster.client(1);
}
