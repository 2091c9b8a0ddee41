//! That servers are equal, and reach the same.

use std::time::Duration;

use super::Simulation;
use crate::failure::{Failure, Found};
use crate::history::Held;
use crate::recording::{Observable, lock};

/// How long [`Simulation::settle`] and [`Simulation::wait_ready`] wait.
const PATIENCE: Duration = Duration::from_secs(60);

impl<S: Observable> Simulation<S> {
    /// Lets time pass until every running server knows a leader of each group.
    ///
    /// # Errors
    /// What was found meanwhile; [`Found::Stuck`] after a minute.
    pub fn wait_ready(&mut self) -> Result<(), Failure> {
        let ready = |simulation: &Self| {
            let mut running = simulation.servers.iter().filter_map(|server| server.running.as_ref());
            running.all(|running| running.machine.client().has_quorum())
        };
        if self.run_until(PATIENCE, ready)? { Ok(()) } else { Err(self.stuck("no leaders were elected")) }
    }

    /// Ends all faults, also those that were drawn for later, starts what is down, and lets time pass until every call has its outcome and all
    /// servers have executed the same.
    ///
    /// # Errors
    /// What was found meanwhile; [`Found::Stuck`] after a minute.
    pub fn settle(&mut self) -> Result<(), Failure> {
        self.calm_down();
        if self.run_until(PATIENCE, Self::is_settled)? {
            return Ok(());
        }
        let applied = |server| {
            let running = self.server(server).running.as_ref();
            running.map_or("down".to_owned(), |running| running.machine.client().applied().to_string())
        };
        let reached: Vec<String> = self.servers().map(applied).collect();
        let pending = self.pending();
        Err(self.stuck(&format!("{pending} calls wait, and servers have executed up to {reached:?}")))
    }

    fn is_settled(&self) -> bool {
        let end = lock(&self.history).end();
        self.asked.is_empty()
            && self.servers.iter().filter(|server| !server.is_out).all(|server| {
                let at_end = |running: &super::server::Running<S>| {
                    running.machine.client().applied() >= end
                        && running.machine.pending_commands() == 0
                        && !lock(&running.observed).has_view()
                };
                server.running.as_ref().is_some_and(at_end)
            })
    }

    /// Compares what all running servers hold now, by digest and encoded state: those that have executed the
    /// same must hold the same. Also restores a copy of each state into an empty state machine, which must
    /// encode to the same.
    ///
    /// A server whose snapshot is being written is compared by its digest alone. After
    /// [`settle`](Simulation::settle), all servers are compared in full.
    ///
    /// # Errors
    /// What differs.
    pub fn check_equal(&mut self) -> Result<(), Failure> {
        let comparing = self.settings.comparing();
        let mut held: Vec<(u64, Held)> = Vec::new();
        for server in &self.servers {
            let Some(running) = &server.running else { continue };
            let position = running.machine.client().applied();
            let mut observed = lock(&running.observed);
            held.push((server.id, observed.holds(comparing)));
            if comparing.encoded_states && !observed.has_view() {
                let empty = (self.make)(server.id);
                if let Some(found) = observed.copied_into(empty, server.id, position) {
                    self.fail(found);
                }
            }
        }
        let found: Option<Found> = lock(&self.history).compare(&held);
        found.into_iter().for_each(|found| self.fail(found));
        self.look_for_failure()
    }
}
