//! Strong reads and writes through every server, close together, while leases are put to the test.

use niagara_engine::Consistency;

use super::script::{BEGINS, probe_command};
use super::{Event, MS, World};
use crate::invariants::Broken;
use crate::sim::clients::{Ask, CallResult};
use crate::sim::network::Micros;
use crate::sim::request::name;

/// Interval of the reads through each server; one call in so many is a write.
const EACH: Micros = 3 * MS;
const READS_FOR_A_WRITE: u64 = 2;
/// Their tokens, far from those of all others.
const FIRST: u64 = 1 << 42;

impl World {
    /// Reads and writes through each server that runs.
    pub(crate) fn ask_for_leases(&mut self) {
        if self.now >= BEGINS {
            return;
        }
        let writes = (self.now / EACH).is_multiple_of(READS_FOR_A_WRITE);
        for server in 1..=self.plan.servers {
            if !self.is_running(server) || self.paused_until(server).is_some() {
                continue;
            }
            let token = FIRST + self.next_probe;
            self.next_probe += 2;
            self.lease_reads.insert(token, self.invariants.read_is_fresh.begin());
            self.call(server, token, Ask::Read(name(0), Consistency::Strong));
            if writes {
                self.call(server, token + 1, Ask::Execute(probe_command(token + 1)));
            }
        }
        self.after(EACH, Event::AskForLeases);
    }

    /// Takes the end of a call. Returns whether it was one of these.
    pub(crate) fn lease_read_ended(
        &mut self,
        server: u64,
        token: u64,
        told: &CallResult,
    ) -> Result<bool, Broken> {
        if token < FIRST {
            return Ok(false);
        }
        let least = self.lease_reads.remove(&token);
        match (told, least) {
            (CallResult::Read { applied, .. }, Some(least)) => {
                self.invariants.read_is_fresh.answered(server, least, *applied)?;
            }
            (CallResult::Applied(position, _), None) => {
                self.invariants.read_is_fresh.acknowledged(*position);
            }
            _ => {}
        }
        Ok(true)
    }
}
