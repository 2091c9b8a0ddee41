//! The load: as many clients as puts may be under way, each of which writes its own key, one put after the other.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tokio::task::{JoinSet, LocalSet};
use tokio::time;

use super::api::Client;
use super::servers::Servers;
use crate::command::Command;
use crate::cpu;
use crate::plan::Plan;
use crate::window::{Loaded, PATIENCE, Recorder, Window};

/// The clients share so many connections, as the requests of one application would.
const CONNECTIONS: usize = 8;
/// How long servers may take to start and elect.
const START: Duration = Duration::from_secs(30);
/// How long to wait between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// What the clients share.
struct Load {
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
pub async fn run(plan: &Plan, servers: &Servers) -> Result<(Loaded, f64, f64)> {
    let mut clients = servers.clients().iter().map(|url| Client::new(url)).collect::<Result<Vec<_>>>()?;
    let (leader, begin) = await_leader(&mut clients).await.with_context(|| servers.last_words())?;
    let window = Window::after_warm_up(plan.time());
    let load = Rc::new(Load {
        payload: plan.payload,
        closes: window.closes,
        proposed: Cell::new(0),
        sum: Cell::new(0),
        recorder: RefCell::new(Recorder::new(window)?),
    });
    let connections =
        (0..CONNECTIONS).map(|_| Client::new(&servers.clients()[leader])).collect::<Result<Vec<_>>>()?;
    let local = LocalSet::new();
    let mut puts = JoinSet::new();
    for number in 0..plan.in_flight as usize {
        let client = connections[number % CONNECTIONS].clone();
        puts.spawn_local_on(put(load.clone(), client, number), &local);
    }
    let measured = local.run_until(async {
        let used = watch(window, servers);
        let all = time::timeout_at((window.closes + PATIENCE).into(), await_all(&mut puts));
        tokio::try_join!(used, async { all.await.context("puts are lost")? })
    });
    let ((servers_cpu, client_cpu), ()) = measured.await.with_context(|| servers.last_words())?;
    check(&load, begin)?;
    let proposed = load.proposed.get();
    await_agreement(&mut clients, begin + proposed as i64).await?;
    Ok((load.recorder.borrow().finish(proposed), servers_cpu, client_cpu))
}

/// Waits until all servers run and agree on a leader. Gives its place, and the revision that it begins with.
async fn await_leader(clients: &mut [Client]) -> Result<(usize, i64)> {
    let end = Instant::now() + START;
    loop {
        match find_leader(clients).await {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => time::sleep(PAUSE).await,
        }
    }
}

async fn find_leader(clients: &mut [Client]) -> Result<(usize, i64)> {
    let mut found = Vec::new();
    for client in clients {
        found.push(client.status().await?);
    }
    let (_, leader) = found[0];
    ensure!(found.iter().all(|(_, believed)| *believed == leader), "the servers know different leaders");
    let place = found.iter().position(|(header, _)| header.member == leader).context("nobody leads")?;
    Ok((place, found[place].0.revision))
}

async fn put(load: Rc<Load>, mut client: Client, number: usize) -> Result<()> {
    let key = Bytes::from(format!("client-{number:06}"));
    let mut last = 0;
    loop {
        let proposed_at = Instant::now();
        if proposed_at >= load.closes {
            return Ok(());
        }
        let proposed = load.proposed.get();
        load.proposed.set(proposed + 1);
        let revision = client.put(key.clone(), Command::new(proposed, load.payload).0).await?;
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
    let used =
        || Ok::<_, anyhow::Error>((cpu::seconds(&servers.ids())?, cpu::seconds(&[std::process::id()])?));
    time::sleep_until(window.opens.into()).await;
    let before = used()?;
    time::sleep_until(window.closes.into()).await;
    let after = used()?;
    Ok((after.0 - before.0, after.1 - before.1))
}

/// Whether each revision since the beginning was the answer to one put: as many puts, and the sum of all of them.
fn check(load: &Load, begin: i64) -> Result<()> {
    let (puts, begin) = (u128::from(load.proposed.get()), begin as u128);
    let expected = puts * begin + puts * (puts + 1) / 2;
    ensure!(load.sum.get() == expected as u64, "puts were answered with revisions that are not theirs");
    Ok(())
}

/// Waits until all servers have the last put's revision.
async fn await_agreement(clients: &mut [Client], revision: i64) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    for client in clients {
        loop {
            let (header, _) = client.status().await?;
            if header.revision == revision {
                break;
            }
            ensure!(
                header.revision < revision && Instant::now() < end,
                "a server is at revision {}, and the last put made {revision}",
                header.revision
            );
            time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
