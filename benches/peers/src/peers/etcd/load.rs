//! The load: as many clients as puts may be under way, each of which writes its own key, one put after the other.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use niagara_etcd::{Connection, MemberState};
use niagara_measure::cpu_seconds;
use tokio::task::JoinSet;
use tokio::time;

use super::servers::Servers;
use crate::command::Command;
use crate::window::{Loaded, PATIENCE, Recorder, Window};
use crate::work::PeerWork;

/// The clients share so many connections, as the requests of one application would.
const CONNECTIONS: usize = 8;
/// How long servers may take to start and elect.
const START: Duration = Duration::from_secs(30);
/// How long to wait between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// What the clients share.
struct EtcdLoad {
    payload: u32,
    closes: Instant,
    proposed: Cell<u64>,
    /// Of all revisions that were answered.
    sum: Cell<u64>,
    recorder: RefCell<Recorder>,
}

/// Runs the load to its end, and checks the servers then. Gives what the load has seen, and the processor seconds of the
/// servers and of the clients in the window.
///
/// # Errors
/// When a put fails or is lost, or the servers do not agree at the end.
pub async fn run(work: &PeerWork, servers: &Servers) -> Result<(Loaded, f64, f64)> {
    let (leader, begin) = await_leader(servers.clients()).await.with_context(|| servers.last_words())?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(&servers.clients()[leader]).await?);
    }
    let window = Window::after_warm_up(work.time());
    let load = Rc::new(EtcdLoad {
        payload: work.payload,
        closes: window.closes,
        proposed: Cell::new(0),
        sum: Cell::new(0),
        recorder: RefCell::new(Recorder::new(window)),
    });
    let mut puts = JoinSet::new();
    for number in 0..work.in_flight as usize {
        puts.spawn_local(put(load.clone(), connections[number % CONNECTIONS].clone(), number));
    }
    let all = time::timeout_at((window.closes + PATIENCE).into(), await_all(&mut puts));
    let measured = tokio::try_join!(watch(window, servers), async { all.await.context("puts are lost")? });
    let ((servers_cpu, client_cpu), ()) = measured.with_context(|| servers.last_words())?;
    check(&load, begin)?;
    let proposed = load.proposed.get();
    await_agreement(servers.clients(), begin + proposed as i64).await?;
    Ok((load.recorder.borrow().finish(proposed), servers_cpu, client_cpu))
}

/// Waits until all servers run and agree on a leader. Gives its place, and the revision that it begins with.
async fn await_leader(servers: &[String]) -> Result<(usize, i64)> {
    let end = Instant::now() + START;
    loop {
        match find_leader(servers).await {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => time::sleep(PAUSE).await,
        }
    }
}

async fn find_leader(servers: &[String]) -> Result<(usize, i64)> {
    let mut found: Vec<MemberState> = Vec::new();
    for server in servers {
        found.push(Connection::open(server).await?.status().await?);
    }
    let leader = found[0].leader;
    ensure!(found.iter().all(|state| state.leader == leader), "the servers know different leaders");
    let place = found.iter().position(|state| state.member == leader).context("nobody leads")?;
    Ok((place, found[place].revision))
}

async fn put(load: Rc<EtcdLoad>, connection: Connection, number: usize) -> Result<()> {
    let key = Bytes::from(format!("client-{number:06}"));
    let mut last = 0;
    loop {
        let proposed_at = Instant::now();
        if proposed_at >= load.closes {
            return Ok(());
        }
        let proposed = load.proposed.get();
        load.proposed.set(proposed + 1);
        let value = Command::new(proposed, load.payload).0;
        let revision = connection.put(key.clone(), value).await.context("a put failed")?;
        load.recorder.borrow_mut().record(proposed_at, Instant::now());
        ensure!(revision > last, "a client's put made revision {revision}, after {last}");
        last = revision;
        load.sum.set(load.sum.get().wrapping_add(revision as u64));
    }
}

async fn await_all(puts: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(put) = puts.join_next().await {
        put??;
    }
    Ok(())
}

/// The processor seconds of the servers and of this process in the window.
async fn watch(window: Window, servers: &Servers) -> Result<(f64, f64)> {
    let used = || Ok::<_, anyhow::Error>((cpu_seconds(&servers.ids())?, cpu_seconds(&[std::process::id()])?));
    time::sleep_until(window.opens.into()).await;
    let before = used()?;
    time::sleep_until(window.closes.into()).await;
    let after = used()?;
    Ok((after.0 - before.0, after.1 - before.1))
}

/// Whether each revision since the beginning was the answer to one put: as many puts, and the sum of all of them.
fn check(load: &EtcdLoad, begin: i64) -> Result<()> {
    let (puts, begin) = (u128::from(load.proposed.get()), begin as u128);
    let expected = puts * begin + puts * (puts + 1) / 2;
    ensure!(load.sum.get() == expected as u64, "puts were answered with revisions that are not theirs");
    Ok(())
}

/// Waits until all servers have the last put's revision.
async fn await_agreement(servers: &[String], revision: i64) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    for server in servers {
        let connection = Connection::open(server).await?;
        loop {
            let reached = connection.status().await.context("a server is not well")?.revision;
            if reached == revision {
                break;
            }
            ensure!(
                reached < revision && Instant::now() < end,
                "a server is at revision {reached}, and the last put made {revision}"
            );
            time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
