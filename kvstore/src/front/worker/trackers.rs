//! How those who keep what they have read are told when it changes.

use std::time::Instant;

use super::messages::Slow;
use super::{Worker, list};
use crate::front::token::Origin;
use crate::protocol::{Engine, Unasked};
use crate::tracking::{Redirected, Stale};

impl<E: Engine> Worker<E> {
    /// Tells the connections of this thread of the changes that have come, and lists these.
    pub(super) fn hear_changes(&mut self, now: Instant) {
        loop {
            let told = self.trackers.borrow_mut().hear();
            let Some(told) = told else { break };
            self.outdate(told, now);
        }
        let passed = self.shared.clients.take_passed(self.number);
        let mut slow = Slow::default();
        for (connection, stale) in passed {
            self.pass(connection, &stale, &mut slow, now);
        }
        self.report_slow(&slow);
    }

    /// Tells what this turn has brought up: what the table has no room for, and what goes to other clients. Returns the
    /// connections to be sent to in this turn, which are those in `active`, and those that are told something.
    pub(super) fn tell_trackers(&mut self, active: Vec<u32>, now: Instant) -> Vec<u32> {
        self.active = active;
        let dropped = self.trackers.borrow_mut().trim();
        self.outdate(dropped, now);
        let redirected = self.trackers.borrow_mut().take_redirected();
        let mut slow = Slow::default();
        for Redirected { connection, to, stale } in redirected {
            match self.shared.clients.seat(to).map(|seat| *seat.arrival()) {
                None => self.lose_redirect(connection),
                Some(arrival) if arrival.thread == self.number => {
                    self.pass(arrival.connection, &stale, &mut slow, now);
                }
                Some(arrival) => self.shared.clients.pass(&arrival, stale),
            }
        }
        self.report_slow(&slow);
        std::mem::take(&mut self.active)
    }

    fn outdate(&mut self, told: Vec<(u64, Stale)>, now: Instant) {
        let mut slow = Slow::default();
        for (number, stale) in told {
            self.tell_unasked(number, Unasked::Stale(stale), &mut slow, now);
        }
        self.report_slow(&slow);
    }

    /// Tells a connection of this thread what another one must not use any more.
    fn pass(&mut self, number: u64, stale: &Stale, slow: &mut Slow, now: Instant) {
        self.tell_unasked(number, Unasked::StaleElsewhere(stale), slow, now);
    }

    fn lose_redirect(&mut self, number: u64) {
        let (origin, _) = Origin::of(number);
        if let Some(connection) = self.table.get_exact(origin) {
            connection.lose_redirect();
            list(&mut self.active, origin.index, connection);
        }
    }
}
