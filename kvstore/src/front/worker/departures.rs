//! How connections leave a thread: they are over, or their client's time is up.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use niagara_tls::Stream;

use super::{SWEEP, Worker};
use crate::front::connection::{Connection, Untaken};
use crate::front::limits::Place;
use crate::front::listener::turn_away;
use crate::protocol::{Engine, Wire};

impl<E: Engine> Worker<E> {
    /// Forgets a connection, which closes it.
    pub(super) fn close(&mut self, index: u32) -> Option<Box<Connection<E::Lane>>> {
        let mut connection = self.table.remove(index)?;
        self.held -= connection.counted;
        self.streaming.remove(&index);
        // Closing the socket removes it from the poll, whatever this returns.
        let _ = self.poll.registry().deregister(connection.socket());
        self.pages.retain(|origin| origin.index != index);
        self.note_closed(connection.wire(), connection.place());
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
            turn_away(socket, Wire::Http);
        }
    }

    /// Closes connections of clients whose time is up.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.next_sweep = now + SWEEP;
        let overdue: Vec<u32> = self
            .table
            .iter()
            .filter(|(_, connection)| self.has_had_its_time(connection, now) && !connection.listed)
            .map(|(index, _)| index)
            .collect();
        self.report_untaken(&overdue);
        for index in overdue {
            self.close_in_time(index);
        }
    }

    /// Logs which clients are closed because they do not take their replies: one line, however many there
    /// are.
    fn report_untaken(&mut self, overdue: &[u32]) {
        let mut clients = 0;
        let mut most: Option<(Untaken, Option<SocketAddr>)> = None;
        for &index in overdue {
            let connection = self.table.get_mut(index).expect("it was there a moment ago");
            let untaken = connection.untaken();
            if untaken.replies > 0 {
                clients += 1;
                let peer = connection.socket().peer_addr().ok();
                most = most.into_iter().chain([(untaken, peer)]).max_by_key(|(untaken, _)| untaken.replies);
            }
        }
        if let Some((untaken, peer)) = most {
            tracing::warn!(
                clients,
                client = peer.map(tracing::field::display),
                untaken_reply_bytes = untaken.replies,
                read_ahead_bytes = untaken.requests,
                limit_bytes = self.common.config.client_output,
                "closed clients that do not take their replies; this is the one with the most"
            );
        }
    }

    fn has_had_its_time(&self, connection: &Connection<E::Lane>, now: Instant) -> bool {
        let idle = connection.place().idle_limit(connection.wire(), &self.common.config);
        connection.is_overdue(now) || idle.is_some_and(|limit| connection.is_idle_for(limit, now))
    }

    /// Counts a connection that is closed.
    pub(super) fn note_closed(&self, wire: Wire, place: Place) {
        if place == Place::Client {
            self.common.open.fetch_sub(1, Ordering::Relaxed);
        }
        self.common.metrics.closed(wire);
    }
}
