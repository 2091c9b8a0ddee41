//! The load: as many tasks as commands may be under way, each of which writes one after the other, as in the crate's own
//! benchmark.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use openraft::Raft;
use tokio::task::JoinSet;
use tokio::time;

use super::types::Types;
use crate::command::Command;
use crate::control;
use crate::window::{Loaded, PATIENCE, Recorder, Window};
use crate::work::PeerWork;

/// What the tasks share.
struct OpenraftLoad {
    raft: Raft<Types>,
    payload: u32,
    closes: Instant,
    proposed: AtomicU64,
    recorder: Mutex<Recorder>,
}

/// Runs the load to its end.
///
/// # Errors
/// When a command fails, gets another one's answer, or is lost.
pub async fn run(work: &PeerWork, raft: &Raft<Types>) -> Result<Loaded> {
    let window = Window::after_warm_up(work.time());
    let announced = control::announce(window);
    let load = Arc::new(OpenraftLoad {
        raft: raft.clone(),
        payload: work.payload,
        closes: window.closes,
        proposed: AtomicU64::new(0),
        recorder: Mutex::new(Recorder::new(window)),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..work.in_flight {
        tasks.spawn(write(load.clone()));
    }
    let end = window.closes + PATIENCE;
    while let Some(task) =
        time::timeout_at(end.into(), tasks.join_next()).await.context("commands are lost")?
    {
        task??;
    }
    announced.join().map_err(|_| anyhow!("the window did not close"))?;
    let proposed = load.proposed.load(Ordering::Relaxed);
    Ok(load.recorder.lock().unwrap_or_else(PoisonError::into_inner).finish(proposed))
}

async fn write(load: Arc<OpenraftLoad>) -> Result<()> {
    loop {
        let proposed_at = Instant::now();
        if proposed_at >= load.closes {
            return Ok(());
        }
        let number = load.proposed.fetch_add(1, Ordering::Relaxed);
        let answer = load.raft.client_write(Command::new(number, load.payload)).await?;
        ensure!(answer.data == number, "command {number} got the answer to command {}", answer.data);
        load.recorder.lock().unwrap_or_else(PoisonError::into_inner).record(proposed_at, Instant::now());
    }
}
