//! How messages come to the subscribers of a thread.

use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;

use super::{Worker, list};
use crate::front::allowance::PLENTY_OF_OUTPUT_BYTES;
use crate::front::budget::Level;
use crate::front::metrics::Deaf;
use crate::front::token::Origin;
use crate::protocol::{Engine, Unasked};
use crate::pubsub::Message;

/// The subscribers that a thread disconnects in a turn, since they take too little.
#[derive(Default)]
pub(super) struct Slow {
    clients: usize,
    first: Option<SocketAddr>,
}

impl Slow {
    fn add(&mut self, socket: &TcpStream) {
        self.clients += 1;
        self.first = self.first.or_else(|| socket.peer_addr().ok());
    }
}

impl<E: Engine> Worker<E> {
    /// Prints the messages that have come for all who hear them, and lists these connections. One that takes too little
    /// is closed.
    pub(super) fn hear(&mut self, now: Instant) {
        let messages = self.audience.borrow().take_messages();
        match messages {
            Some(messages) if messages.is_empty() => {}
            Some(messages) => self.deliver(&messages, now),
            None => self.lose_subscribers(),
        }
    }

    /// Tells those who watch for it that clients should go to another server, as sentinels do.
    pub(super) fn say_farewell(&mut self, now: Instant) {
        if self.has_said_farewell || !self.engine.is_retiring() {
            return;
        }
        self.has_said_farewell = true;
        if let Some(switch) = self.redis.switch(&self.engine) {
            self.deliver(&[Message::of_this_server(b"+switch-master", switch)], now);
        }
    }

    fn deliver(&mut self, messages: &[Message], now: Instant) {
        let (mut heard, mut slow) = (std::mem::take(&mut self.heard), Slow::default());
        for message in messages {
            self.audience.borrow().hear(message, &mut heard);
            for by in heard.drain(..) {
                let unasked = Unasked::Message { message, pattern: by.pattern.as_deref() };
                if self.tell_unasked(by.connection, unasked, &mut slow, now) {
                    self.tally.heard();
                }
            }
        }
        self.heard = heard;
        self.report_slow(&slow);
    }

    /// Tells the connection of this number what its client has not asked for, and lists it. `false`: the connection has gone.
    pub(super) fn tell_unasked(
        &mut self,
        number: u64,
        unasked: Unasked<'_>,
        slow: &mut Slow,
        now: Instant,
    ) -> bool {
        let most = self.subscriber_output();
        let (origin, _) = Origin::of(number);
        let Some(connection) = self.table.get_exact(origin) else { return false };
        if !connection.tell(unasked, most, now) {
            slow.add(connection.socket());
        }
        connection.settle(&self.shared.budget);
        list(&mut self.active, origin.index, connection);
        true
    }

    /// Logs that clients are closed since they take too little.
    pub(super) fn report_slow(&mut self, slow: &Slow) {
        if slow.clients > 0 {
            self.tally.deaf(Deaf::Slow, slow.clients);
            tracing::warn!(
                clients = slow.clients,
                client = slow.first.map(tracing::field::display),
                limit_bytes = self.shared.config.subscriber_output,
                "closed subscribers that do not take their messages; this is the first one"
            );
        }
    }

    /// How many bytes may wait for a client that has not asked for them.
    fn subscriber_output(&self) -> usize {
        let config = &self.shared.config;
        let is_roomy = self.shared.budget.level() == Level::Plenty;
        if is_roomy { config.subscriber_output } else { PLENTY_OF_OUTPUT_BYTES.min(config.subscriber_output) }
    }

    /// Disconnects all subscribers, since messages are missing, and they cannot be told otherwise.
    fn lose_subscribers(&mut self) {
        let connections = self.audience.borrow().connections();
        for number in &connections {
            let (origin, _) = Origin::of(*number);
            if let Some(connection) = self.table.get_exact(origin) {
                connection.break_off();
                list(&mut self.active, origin.index, connection);
            }
        }
        if !connections.is_empty() {
            let clients = connections.len();
            self.tally.deaf(Deaf::Missing, clients);
            tracing::warn!(clients, "closed all subscribers of a thread: they have missed messages");
        }
    }
}
