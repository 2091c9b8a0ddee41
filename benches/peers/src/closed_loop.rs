//! The load on the crates that are driven by a thread: so many commands under way at any time, each replaced when it
//! completes.
//!
//! It runs on a thread of the leader's process, as the threads of an application would that embeds the crate.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};

use crate::command::Command;
use crate::control::{self, Event};
use crate::window::{Loaded, PATIENCE, Recorder, Window};
use crate::work::PeerWork;

/// Commands under way, oldest first.
struct ClosedLoop<S> {
    work: PeerWork,
    submit: S,
    proposed: u64,
    under_way: VecDeque<Instant>,
}

/// Runs the load to its end. `completions` brings the numbers of completed commands: whatever one turn of the driver has
/// applied comes at once, so that a turn wakes this thread once, but each command is checked and timed by itself.
///
/// # Errors
/// When commands complete out of order or not at all, or cannot be submitted.
fn run(
    work: &PeerWork,
    completions: &Receiver<Vec<u64>>,
    submit: impl FnMut(Vec<Command>) -> Result<()>,
) -> Result<Loaded> {
    let window = Window::after_warm_up(work.time());
    let announced = control::announce(window);
    let mut recorder = Recorder::new(window);
    let mut load = ClosedLoop { work: work.clone(), submit, proposed: 0, under_way: VecDeque::new() };
    load.propose(work.in_flight as usize)?;
    while !load.under_way.is_empty() {
        let completed = completions
            .recv_timeout(PATIENCE)
            .with_context(|| format!("{} commands are lost", load.under_way.len()))?;
        let now = Instant::now();
        for number in &completed {
            recorder.record(load.complete(*number)?, now);
        }
        if now < window.closes {
            load.propose(completed.len())?;
        }
    }
    announced.join().map_err(|_| anyhow!("the window did not close"))?;
    Ok(recorder.finish(load.proposed))
}

/// Runs the load on a thread of its own, once the replica of this process leads, and tells the tool what it has seen.
pub fn in_background(
    work: &PeerWork,
    led: Receiver<()>,
    completions: Receiver<Vec<u64>>,
    submit: impl FnMut(Vec<Command>) -> Result<()> + Send + 'static,
) {
    let work = work.clone();
    control::in_background("load", move || {
        led.recv_timeout(PATIENCE).context("this replica does not come to lead")?;
        control::say(&Event::Loaded(run(&work, &completions, submit)?))?;
        // The driver ends with its last sender of inputs; the tool decides when.
        thread::park();
        Ok(())
    });
}

impl<S: FnMut(Vec<Command>) -> Result<()>> ClosedLoop<S> {
    fn propose(&mut self, count: usize) -> Result<()> {
        let numbers = self.proposed..self.proposed + count as u64;
        self.proposed = numbers.end;
        let commands = numbers.map(|number| Command::new(number, self.work.payload)).collect();
        let now = Instant::now();
        self.under_way.extend(std::iter::repeat_n(now, count));
        (self.submit)(commands)
    }

    /// When the command was proposed that has completed now.
    fn complete(&mut self, number: u64) -> Result<Instant> {
        let expected = self.proposed - self.under_way.len() as u64;
        ensure!(number == expected, "command {number} completed when it was command {expected}'s turn");
        self.under_way.pop_front().context("a command completed twice")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> ClosedLoop<impl FnMut(Vec<Command>) -> Result<()>> {
        let work = PeerWork {
            payload: 16,
            durability: crate::work::Durability::Memory,
            in_flight: 2,
            seconds: 1,
            dir: std::env::temp_dir(),
        };
        ClosedLoop { work, submit: |_| Ok(()), proposed: 0, under_way: VecDeque::new() }
    }

    #[test]
    fn commands_have_to_complete_once_and_in_order() -> Result<()> {
        let mut load = load();
        load.propose(2)?;
        load.complete(0)?;
        assert!(load.complete(0).is_err());
        load.complete(1)?;
        assert!(load.complete(2).is_err());
        Ok(())
    }

    #[test]
    fn a_command_that_was_overtaken_is_noticed() -> Result<()> {
        let mut load = load();
        load.propose(2)?;
        assert!(load.complete(1).is_err());
        Ok(())
    }
}
