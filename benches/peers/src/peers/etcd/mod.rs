//! The servers of etcd, three of them, under puts over gRPC.
//!
//! What they do for a put is more than the crates do for a command: a multi-version key-value store on disk behind the log,
//! requests that come over sockets, leases and watches that might be there. So it is a reference, not an equal.
//!
//! | what | file |
//! |---|---|
//! | the servers' processes | [`servers`] |
//! | the load | [`load`] |

mod load;
mod servers;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use servers::Servers;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::measure::is_in_memory;
use crate::report::{PeerOutcome, PeerReport};
use crate::work::{Durability, Peer, PeerWork};

/// Where data goes that is not to be on a disk.
const IN_MEMORY: &str = "/dev/shm";

/// Measures etcd, if it is there.
///
/// # Errors
/// When the servers do not start, a put fails, or they do not agree at the end.
pub fn measure(work: &PeerWork) -> Result<PeerOutcome> {
    let Some((program, version)) = servers::find()? else {
        let skipped =
            "there is no etcd on PATH or where it usually is; on Debian: apt-get install etcd-server"
                .to_owned();
        return Ok(PeerOutcome::Skipped { peer: Peer::Etcd, skipped });
    };
    let report = run(&program, version, work).with_context(|| work.command_line(Peer::Etcd))?;
    Ok(PeerOutcome::Measured(report))
}

fn run(program: &Path, version: String, work: &PeerWork) -> Result<PeerReport> {
    let parent = match work.durability {
        Durability::Memory if !is_in_memory(&work.dir)? => PathBuf::from(IN_MEMORY),
        Durability::Memory | Durability::Fsync => work.dir.clone(),
    };
    let dir = tempfile::Builder::new()
        .prefix("niagara-peers-")
        .tempdir_in(&parent)
        .with_context(|| format!("cannot create a directory in {}", parent.display()))?;
    let servers = Servers::start(program, work, dir.path())?;
    // The clients are to take as little as possible from the servers: one thread does for all of them.
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start tokio")?;
    let (loaded, servers_cpu, client_cpu) = LocalSet::new().block_on(&runtime, load::run(work, &servers))?;
    Ok(PeerReport::new(Peer::Etcd, version, work, &loaded, servers_cpu, Some(client_cpu)))
}
