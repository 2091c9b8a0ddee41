//! How connections come to a thread: it accepts them, or the first thread hands them over.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Token};
use niagara_tls::Stream;

use super::{FIRST_CONNECTION, Worker};
use crate::access::Entrance;
use crate::clients::Arrival;
use crate::front::addresses::Share;
use crate::front::client_session::ClientSession;
use crate::front::connection::Connection;
use crate::front::limits::{PAGES, Place};
use crate::front::listener::{Accepted, turn_away};
use crate::front::mailbox::{Newcomer, Port};
use crate::front::metrics::Crowd;
use crate::front::session::Session;
use crate::front::token::Origin;
use crate::http::HttpConnection;
use crate::protocol::{Engine, Wire};
use crate::pubsub::Subscriber;
use crate::resp::RespConnection;
use crate::tracking::Tracker;

impl<E: Engine> Worker<E> {
    /// Accepts the clients that wait at the listeners.
    pub(super) fn accept(&mut self, now: Instant) {
        self.accept_again = None;
        let mut listeners = std::mem::take(&mut self.listeners);
        for listener in &mut listeners {
            let port = Port { wire: listener.wire, tls: listener.tls };
            let again = match listener.accept(now, |stream, peer| self.welcome(stream, peer, port)) {
                Accepted::All => continue,
                Accepted::Some => now,
                Accepted::Paused(until) => until,
            };
            self.accept_again = Some(self.accept_again.map_or(again, |other| other.min(again)));
        }
        self.listeners = listeners;
    }

    /// Gives a connection to one of the threads, unless there are too many.
    fn welcome(&mut self, stream: TcpStream, peer: SocketAddr, port: Port) {
        let wire = port.wire;
        let counted = self.count(peer.ip());
        if let Err(why) = counted {
            self.shared.metrics.turned_away(wire, why);
            self.report_crowd(why, peer.ip());
            return match wire {
                // Who speaks TLS would not understand a word.
                Wire::Redis if port.tls => drop(stream),
                Wire::Redis => turn_away(stream, wire, why),
                Wire::Http => self.welcome_for_pages(stream, peer, port),
            };
        }
        self.shared.metrics.opened(wire);
        let number = self.next;
        self.next = (self.next + 1) % self.shared.mailboxes.len();
        let newcomer = Newcomer { stream, peer, port, place: Place::Client, share: counted.ok() };
        if number == self.number {
            self.adopt(newcomer);
        } else {
            self.shared.mailboxes[number].send(newcomer);
        }
    }

    /// Counts a connection from this address, if there may be one more.
    fn count(&self, address: IpAddr) -> Result<Arc<Share>, Crowd> {
        let shared = &self.shared;
        let share = shared.addresses.arrives(address).ok_or(Crowd::Address)?;
        if !shared.allowance(share.held()).may_read() {
            shared.addresses.leaves(address);
            return Err(Crowd::Memory);
        }
        if shared.open.fetch_add(1, Ordering::Relaxed) >= shared.config.max_connections {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            shared.addresses.leaves(address);
            return Err(Crowd::Server);
        }
        Ok(share)
    }

    fn report_crowd(&self, why: Crowd, address: IpAddr) {
        let limit = self.shared.addresses.most_of(address);
        match why {
            Crowd::Address => tracing::warn!(
                %address,
                limit,
                "turned a client away: its address has as many connections as it may (max_connections_per_address)"
            ),
            Crowd::Server => tracing::warn!(
                limit = self.shared.config.max_connections,
                "turned a client away: there are as many as there may be (max_connections)"
            ),
            Crowd::Memory => tracing::warn!(
                limit_bytes = self.shared.budget.limit(),
                "turned a client away: the memory for requests and replies is used up (all_clients_mib)"
            ),
        }
    }

    /// Monitoring gets in even if clients have taken all connections, in the place of another connection
    /// reserved for pages: the oldest one, of its own address if that has half of them.
    fn welcome_for_pages(&mut self, stream: TcpStream, peer: SocketAddr, port: Port) {
        if let Some(index) = self.page_to_give_up(peer.ip()) {
            self.active.retain(|active| *active != index);
            self.close_in_time(index);
        }
        self.shared.metrics.opened(Wire::Http);
        self.adopt(Newcomer { stream, peer, port, place: Place::Pages, share: None });
    }

    fn page_to_give_up(&mut self, address: IpAddr) -> Option<u32> {
        let table = &mut self.table;
        let mut is_its_own =
            |origin: &&Origin| table.get_exact(**origin).is_some_and(|other| other.address() == address);
        let own: Vec<_> = self.pages.iter().filter(&mut is_its_own).collect();
        let given_up = if own.len() >= PAGES / 2 {
            own.first().copied()
        } else {
            self.pages.front().filter(|_| self.pages.len() >= PAGES)
        };
        given_up.map(|origin| origin.index)
    }

    /// Takes connections that another thread has accepted.
    pub(super) fn welcome_newcomers(&mut self) {
        let newcomers = self.shared.mailboxes[self.number].take();
        for newcomer in newcomers {
            self.adopt(newcomer);
        }
    }

    fn adopt(&mut self, newcomer: Newcomer) {
        let Newcomer { mut stream, peer, port: Port { wire, tls }, place, share } = newcomer;
        let acceptor = self.shared.acceptor.as_ref().filter(|_| tls);
        let certified = acceptor.is_some_and(|acceptor| acceptor.asks_for_certificates());
        let registered = self.table.insert(|origin| {
            let token = Token(FIRST_CONNECTION + origin.index as usize);
            self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            let (guard, directory) = (&self.shared.guard, self.engine.reader().directory());
            let entrance =
                Entrance::new(Arc::clone(guard), Arc::clone(directory), Some(peer.ip()), certified);
            let talk = match wire {
                Wire::Http => {
                    let pages_only = place == Place::Pages;
                    let http = HttpConnection::new(Rc::clone(&self.site), entrance).only_pages(pages_only);
                    ClientSession::Http(Session::new(http, origin))
                }
                Wire::Redis => {
                    let member = self.shared.clients.admit(
                        Arrival {
                            id: self.shared.next_id.fetch_add(1, Ordering::Relaxed),
                            thread: self.number,
                            connection: origin.number(),
                            peer: Some(peer),
                            local: stream.local_addr().ok(),
                            file: stream.as_raw_fd(),
                        },
                        Instant::now(),
                    );
                    let subscriber = Subscriber::new(Rc::clone(&self.audience), origin.number());
                    let tracker = Tracker::new(Rc::clone(&self.trackers), origin.number());
                    let site = Rc::clone(&self.redis);
                    let redis = RespConnection::new(member, site, (subscriber, tracker), entrance);
                    ClientSession::Redis(Session::new(redis, origin))
                }
            };
            if place == Place::Pages {
                self.pages.push_back(origin);
            }
            let stream = match acceptor {
                Some(acceptor) => Stream::accept(stream, acceptor),
                None => Stream::Plain(stream),
            };
            Ok(Connection::new(stream, talk).at(place, peer.ip(), share))
        });
        if registered.is_err() {
            // The client has already gone, or the system has no room. Either way the socket is closed by now.
            self.note_closed(wire, place, peer.ip());
        }
    }
}
