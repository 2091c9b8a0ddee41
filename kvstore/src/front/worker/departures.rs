//! How connections leave a thread: they are over, or their client's time is up.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use niagara_tls::Stream;

use super::{SWEEP, Worker, list};
use crate::access::network_of;
use crate::front::budget::Level;
use crate::front::connection::Connection;
use crate::front::connection::patience::{Overdue, PATIENCE, SHORT_PATIENCE, Untaken};
use crate::front::excess::{Holder, heaviest};
use crate::front::limits::Place;
use crate::front::listener::turn_away;
use crate::front::metrics::{Closed, Crowd};
use crate::front::shared::Shared;
use crate::front::token::Origin;
use crate::protocol::{Engine, Wire};

/// Why a connection is closed; `None`: everything was said.
type Why = Option<Closed>;

impl<E: Engine> Worker<E> {
    /// Forgets a connection, which closes it, and so removes it from the poll.
    pub(super) fn close(&mut self, index: u32) -> Option<Box<Connection<E::Lane>>> {
        let mut connection = self.table.remove(index)?;
        if self.table.is_empty() {
            // Nobody looks again before there is a connection.
            self.shared.heaviest[self.number].store(0, Ordering::Relaxed);
        }
        connection.give_up(&self.shared.budget);
        self.streaming.remove(&index);
        self.pages.retain(|origin| origin.index != index);
        self.note_closed(connection.wire(), connection.place(), connection.address());
        Some(connection)
    }

    /// Closes the connection of a client whose time is up. If the connection was reserved for pages and
    /// requested none, the client learns why.
    pub(super) fn close_in_time(&mut self, index: u32) {
        let place = self.table.get_mut(index).map(|connection| connection.place());
        let closed = self.close(index);
        if place == Some(Place::Pages)
            && let Some(connection) = closed
            && let Stream::Plain(socket) = connection.into_stream()
        {
            turn_away(socket, Wire::Http, Crowd::Server);
        }
    }

    /// Closes the connections that somebody has killed.
    pub(super) fn end_killed(&mut self) {
        for number in self.shared.clients.take_ended(self.number) {
            let (origin, _) = Origin::of(number);
            if let Some(connection) = self.table.get_exact(origin) {
                connection.break_off();
                list(&mut self.active, origin.index, connection);
                self.shared.metrics.closed_by_us(Wire::Redis, Closed::Killed);
            }
        }
    }

    /// Closes connections of clients whose time is up.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.next_sweep = now + SWEEP;
        let is_short = self.shared.budget.level() >= Level::Short;
        let patience = if is_short { SHORT_PATIENCE } else { PATIENCE };
        let mut overdue: Vec<(u32, Why)> = self
            .table
            .iter()
            .filter(|(_, connection)| !connection.listed)
            .filter_map(|(index, connection)| {
                Some((index, self.has_had_its_time(connection, now, patience)?))
            })
            .collect();
        overdue.extend(self.held_too_much().into_iter().map(|index| (index, Some(Closed::Memory))));
        for why in [Closed::SlowReader, Closed::SlowWriter, Closed::Handshake, Closed::Memory] {
            let clients: Vec<u32> =
                overdue.iter().filter(|(_, other)| *other == Some(why)).map(|(index, _)| *index).collect();
            self.report_closed(why, &clients);
        }
        for (index, why) in overdue {
            if let Some(connection) = self.table.get_mut(index) {
                let wire = connection.wire();
                why.into_iter().for_each(|why| self.shared.metrics.closed_by_us(wire, why));
                self.active.retain(|active| *active != index);
                self.close_in_time(index);
            }
        }
    }

    /// The connections that hold the most, of the addresses that hold the most, if memory is used up: those without which
    /// there is room again. None, if another thread has one that holds more: it closes that within a second.
    fn held_too_much(&self) -> Vec<u32> {
        let Shared { budget, addresses, heaviest: of_threads, .. } = &*self.shared;
        let own = self.table.iter().map(|(_, connection)| connection.counted()).max().unwrap_or(0);
        of_threads[self.number].store(own, Ordering::Relaxed);
        let is_outdone = of_threads.iter().any(|other| other.load(Ordering::Relaxed) > own);
        if budget.level() < Level::Full || is_outdone {
            return Vec::new();
        }
        let holder = |(index, connection): (u32, &Connection<E::Lane>)| Holder {
            index,
            held: connection.counted(),
            address: network_of(connection.address()),
            together: connection.held_by_address(),
        };
        let share = budget.share(addresses.count());
        let (spared, others): (Vec<_>, Vec<_>) =
            self.table.iter().partition(|(_, connection)| connection.is_spared());
        let [others, spared] = [others, spared].map(|connections| {
            connections.into_iter().map(holder).filter(|holder| holder.together >= share).collect::<Vec<_>>()
        });
        let mut closed = heaviest(others.iter().copied(), budget.excess());
        let freed: usize =
            others.iter().filter(|holder| closed.contains(&holder.index)).map(|holder| holder.held).sum();
        closed.extend(heaviest(spared.into_iter(), budget.excess().saturating_sub(freed)));
        closed
    }

    /// Logs that clients are closed for one reason: one line, however many there are.
    fn report_closed(&mut self, why: Closed, clients: &[u32]) {
        let mut most: Option<(Untaken, Option<SocketAddr>)> = None;
        for &index in clients {
            let connection = self.table.get_mut(index).expect("it was there a moment ago");
            let one = (connection.untaken(), connection.socket().peer_addr().ok());
            most =
                most.into_iter().chain([one]).max_by_key(|(untaken, _)| untaken.replies + untaken.requests);
        }
        let Some((untaken, peer)) = most else { return };
        let have_failed = match why {
            Closed::SlowReader => "do not take their replies",
            Closed::SlowWriter => "do not finish their requests",
            Closed::Handshake => "do not agree on keys",
            Closed::Memory => {
                "held the most when the memory for requests and replies was used up (all_clients_mib)"
            }
            Closed::Idle | Closed::Killed => return,
        };
        tracing::warn!(
            clients = clients.len(),
            client = peer.map(tracing::field::display),
            untaken_reply_bytes = untaken.replies,
            request_bytes = untaken.requests,
            "closed clients that {have_failed}; this is the one with the most"
        );
    }

    /// Whether a connection's time is up, and why, unless it had been told so.
    fn has_had_its_time(
        &self,
        connection: &Connection<E::Lane>,
        now: Instant,
        patience: Duration,
    ) -> Option<Why> {
        let idle = connection.place().idle_limit(connection.wire(), &self.shared.config);
        match connection.overdue(now, patience) {
            Some(Overdue::Over) => Some(None),
            Some(Overdue::SlowReader) => Some(Some(Closed::SlowReader)),
            Some(Overdue::SlowWriter) => Some(Some(Closed::SlowWriter)),
            Some(Overdue::Handshake) => Some(Some(Closed::Handshake)),
            None => idle.filter(|limit| connection.is_idle_for(*limit, now)).map(|_| Some(Closed::Idle)),
        }
    }

    /// Counts a connection that is closed.
    pub(super) fn note_closed(&self, wire: Wire, place: Place, address: IpAddr) {
        if place == Place::Client {
            self.shared.open.fetch_sub(1, Ordering::Relaxed);
            self.shared.addresses.leaves(address);
        }
        self.shared.metrics.closed(wire);
    }
}
