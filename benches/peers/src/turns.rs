//! The loop of a replica on one thread, for crates that leave it to their users.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// A replica that goes forward in turns.
pub trait Turns {
    /// What it waits for.
    type Input;
    /// Between two ticks of its clock.
    const TICK: Duration;

    /// Hands an input to the crate.
    ///
    /// # Errors
    /// When the crate refuses it.
    fn take(&mut self, input: Self::Input) -> Result<()>;

    /// Carries out what the crate wants done.
    ///
    /// # Errors
    /// When the replica cannot go on.
    fn turn(&mut self) -> Result<()>;

    /// A step of its clock.
    fn tick(&mut self);
}

/// Runs a replica.
///
/// # Errors
/// When it cannot go on.
pub fn run<T: Turns>(replica: &mut T, inputs: &Receiver<T::Input>) -> Result<()> {
    let mut tick_at = Instant::now() + T::TICK;
    loop {
        replica.turn()?;
        match inputs.recv_timeout(tick_at.saturating_duration_since(Instant::now())) {
            Ok(input) => replica.take(input)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => bail!("no input can come any more"),
        }
        // All that has come meanwhile shares one turn. The load bounds how much that is.
        while let Ok(input) = inputs.try_recv() {
            replica.take(input)?;
        }
        if Instant::now() >= tick_at {
            replica.tick();
            tick_at = Instant::now() + T::TICK;
        }
    }
}
