//! One measurement, from start to end.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use niagara_measure::cpu_seconds;
use rustix::fs::statfs;

use crate::control::{Event, Order};
use crate::launch::Replicas;
use crate::peers::etcd;
use crate::report::{PeerOutcome, PeerReport};
use crate::versions;
use crate::window::{Loaded, PATIENCE};
use crate::work::{Durability, Peer, PeerWork};

/// Elections, connections and the warm-up take a few seconds, draining a full queue to a slow disk a few more.
const MARGIN: Duration = Duration::from_secs(30);
/// How long followers may need to apply what the leader has applied already.
const CATCH_UP: Duration = Duration::from_secs(10);
/// What statfs says of a file system in memory.
const TMPFS: i64 = 0x0102_1994;

/// Measures a peer.
///
/// # Errors
/// When it does not start, stops, loses or reorders commands, or its replicas do not agree at the end.
pub fn measure(peer: Peer, work: &PeerWork) -> Result<PeerOutcome> {
    if work.durability == Durability::Fsync && is_in_memory(&work.dir)? {
        bail!(
            "{} is in memory, where fsync means nothing: choose a directory with --dir",
            work.dir.display()
        );
    }
    if peer == Peer::Etcd {
        return etcd::measure(work);
    }
    let report = measure_crate(peer, work).with_context(|| work.command_line(peer))?;
    Ok(PeerOutcome::Measured(report))
}

fn measure_crate(peer: Peer, work: &PeerWork) -> Result<PeerReport> {
    let dir = tempfile::Builder::new()
        .prefix("niagara-peers-")
        .tempdir_in(&work.dir)
        .with_context(|| format!("cannot create a directory in {}", work.dir.display()))?;
    let mut replicas = Replicas::start(peer, work, dir.path())?;
    let processes = replicas.ids();
    replicas.await_one(MARGIN, |event| matches!(event, Event::Opened).then_some(()))?;
    let before = cpu_seconds(&processes)?;
    replicas.await_one(MARGIN + work.time(), |event| matches!(event, Event::Closed).then_some(()))?;
    let servers_cpu = cpu_seconds(&processes)? - before;
    let loaded = replicas.await_one(MARGIN + PATIENCE, |event| match event {
        Event::Loaded(loaded) => Some(loaded),
        _ => None,
    })?;
    await_agreement(&mut replicas, &loaded)?;
    Ok(PeerReport::new(peer, versions::of(peer)?, work, &loaded, servers_cpu, None))
}

/// Waits until all replicas have applied everything, in the same order.
fn await_agreement(replicas: &mut Replicas, loaded: &Loaded) -> Result<()> {
    let end = Instant::now() + CATCH_UP;
    loop {
        replicas.order(&Order::Tally)?;
        let tallies = replicas.of_each(|event| match event {
            Event::Applied(tally) => Some(tally),
            _ => None,
        })?;
        if tallies.iter().all(|tally| tally.applied == loaded.proposed) {
            let same = tallies.windows(2).all(|pair| pair[0].checksum == pair[1].checksum);
            ensure!(same, "the replicas have applied commands in different orders: {tallies:?}");
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "{} commands have completed, but the replicas have applied {tallies:?}",
            loaded.proposed
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a directory is on a file system in memory.
///
/// # Errors
/// When it does not exist.
pub fn is_in_memory(dir: &Path) -> Result<bool> {
    let system = statfs(dir).with_context(|| format!("cannot look at {}", dir.display()))?;
    Ok(system.f_type as i64 == TMPFS)
}
