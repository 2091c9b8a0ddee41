//! Communication between clients and servers.

use super::observe::Invariants;
use super::rounds::short;
use super::{Event, MS, World};
use crate::invariants::{Broken, check_request_is_answered};
use crate::sim::clients::{Ask, By, CallResult, Checks, Sending};
use crate::sim::coverage::Coverage;
use crate::sim::network::Micros;

/// A client that has heard nothing for this long changes servers. It exceeds the longest deadline by more
/// than a tick and a few moments in which the operating system gives the core to somebody else.
const CLIENT_PATIENCE: Micros = 1500 * MS;
/// Time within which a passed deadline is noticed and reported.
const NOTICED: Micros = 300 * MS;
/// A client changes servers once in so many batches, for no reason.
const CLIENT_STAYS: u64 = 12;

/// What the answer of a server is checked against that had executed so many commands.
fn checks<'w>(
    invariants: &'w mut Invariants,
    coverage: &'w mut Coverage,
    (executed, by_follower): (usize, bool),
) -> Checks<'w> {
    Checks {
        acked: &invariants.acked_is_applied,
        fresh: &mut invariants.read_is_fresh,
        states: &invariants.read_shows_its_state,
        executed,
        by_follower,
        coverage,
    }
}

impl World {
    pub(crate) fn client_starts(&mut self, client: usize) {
        if self.clients_rest || self.clients.is_waiting(client) {
            return;
        }
        if self.chance.one_in(CLIENT_STAYS) {
            // Otherwise restarted servers would have no clients.
            return self.client_moves_on(client);
        }
        let sending = self.clients.start(client, &self.invariants.read_is_fresh);
        let (client, batch) = (sending.client, sending.batch);
        if self.clients.waits_for(client) > 50 {
            self.coverage.count("more than 50 requests at once");
        }
        let mut delay = self.chance.between(20, 300);
        for part in self.clients.in_parts(sending) {
            self.after(delay, Event::Asked(part));
            delay += self.chance.between(1, 10_000);
        }
        self.after(CLIENT_PATIENCE, Event::ClientGivesUp { client, batch });
    }

    pub(crate) fn asked(&mut self, sending: Sending) {
        let id = sending.server;
        if let By::Connection { connection, .. } = sending.by
            && self.clients.client_of(connection).is_none()
        {
            // The connection was closed meanwhile.
            return;
        }
        if self.paused_until(id).is_some() {
            return self.server(id).held.push(sending);
        }
        if !self.is_running(id) {
            if self.clients.waits(sending.client, sending.batch) {
                self.client_moves_on(sending.client);
            }
            return;
        }
        let (now, life, executed) = (self.now, self.life_of(id), self.executed_by(id));
        self.set_clock(id);
        self.clients.arrived(sending.client, sending.batch, now, life);
        self.coverage.add("request at a removed server", u64::from(self.leaves(id)));
        self.coverage.add("request at the follower", u64::from(self.is_follower(id)));
        match sending.by {
            By::Connection { connection, protocol, bytes } => {
                let is_new = self.connected.insert((id, life, connection));
                self.trace.line(|| format!("client {} asks server {id}: {}", sending.client, short(&bytes)));
                let callers = self.callers(id).expect("just seen");
                if is_new {
                    callers.connect(connection, protocol);
                }
                callers.receive(connection, &bytes);
            }
            By::Call { token, ask } => self.callers(id).expect("just seen").call(token, ask, executed),
        }
        self.follow(id);
    }

    /// Calls a server's engine, if it runs, but for no client.
    pub(crate) fn call(&mut self, server: u64, token: u64, ask: Ask) {
        let executed = self.executed_by(server);
        self.set_clock(server);
        if let Some(callers) = self.callers(server) {
            callers.call(token, ask, executed);
        }
        self.follow(server);
    }

    pub(crate) fn replied(&mut self, connection: u32, bytes: &[u8], executed: usize) -> Result<(), Broken> {
        let Some(client) = self.clients.client_of(connection) else { return Ok(()) };
        self.trace.line(|| format!("client {client} is told: {}", short(bytes)));
        let by_follower = self.is_follower(self.clients.server_of(client));
        let mut checks = checks(&mut self.invariants, &mut self.coverage, (executed, by_follower));
        let has_all = self.clients.hear(client, connection, bytes, &mut checks)?;
        if self.clients.is_hung_up(client) {
            self.client_moves_on(client);
        } else if has_all {
            self.client_thinks(client);
        } else {
            self.clients.heard(client, self.now);
        }
        Ok(())
    }

    /// A client has waited for its batch. If it has heard nothing for too long it changes servers, and the
    /// server may have to answer for that.
    pub(crate) fn client_gives_up(&mut self, client: usize, batch: u64) -> Result<(), Broken> {
        let Some(waiting) = self.clients.waiting(client, batch) else { return Ok(()) };
        let quiet = self.now - waiting.since;
        if quiet < CLIENT_PATIENCE {
            self.after(CLIENT_PATIENCE - quiet, Event::ClientGivesUp { client, batch });
            return Ok(());
        }
        let id = self.clients.server_of(client);
        if waiting.life.is_some_and(|life| self.is_alive(id, life)) {
            // A paused server answers nobody.
            let paused = self.servers.get(id as usize - 1).and_then(|server| server.paused_until);
            let since = waiting.since.max(paused.unwrap_or(0));
            let (waited, bound) = (self.now.saturating_sub(since), self.plan.deadline + NOTICED);
            check_request_is_answered(id, waited / MS, bound / MS, || format!("{:?}", waiting.request))?;
        }
        self.trace.line(|| format!("client {client} gives up"));
        self.client_moves_on(client);
        Ok(())
    }

    pub(crate) fn ended(&mut self, server: u64, token: u64, told: CallResult) -> Result<(), Broken> {
        if !self.told.insert(token) {
            let what = format!("server {server} ends call {token} a second time: {told:?}");
            return Err(Broken::new("one_reply_per_request", what));
        }
        if let Some(probe) = self.probes.get_mut(&token) {
            self.trace.line(|| format!("probe {token} at server {server}: {told:?}"));
            probe.1 = Some(told);
            return Ok(());
        }
        if self.prompt_ended(token, &told)? || self.lease_read_ended(server, token, &told)? {
            return Ok(());
        }
        let Some(client) = self.clients.caller(token) else { return Ok(()) };
        let executed = match told {
            CallResult::Read { executed, .. } => executed,
            CallResult::AppliedThenRead(..) => self.executed_by(server),
            _ => 0,
        };
        let by_follower = self.is_follower(server);
        let mut checks = checks(&mut self.invariants, &mut self.coverage, (executed, by_follower));
        if self.clients.told(server, token, &told, &mut checks)? {
            self.client_thinks(client);
        }
        Ok(())
    }

    pub(crate) fn client_thinks(&mut self, client: usize) {
        let thinks = self.clients.thinks(client);
        self.after(thinks, Event::ClientStarts(client));
    }

    /// Moves a client to another server.
    pub(crate) fn client_moves_on(&mut self, client: usize) {
        let server = self.clients.server_of(client);
        let left = self.clients.move_on(client);
        if let (Some(connection), Some(callers)) = (left, self.callers(server)) {
            callers.disconnect(connection);
        }
        self.client_thinks(client);
    }
}
