//! The clients of a server's Redis port, as all its threads see them: who they are, which of them are to be disconnected,
//! and whether they are paused.
//!
//! A connection belongs to one thread. What others may know of it, it writes on its [`Seat`], at most once in a turn; what
//! others want of it, they leave with its thread, and wake that.
//!
//! | file | holds |
//! |---|---|
//! | `seat.rs` | what all threads know of one client, and its line of CLIENT LIST |
//! | `asked.rs` | the beginning of a request, kept while it is executed |
//! | `filter.rs` | which clients somebody means |
//! | `kind.rs` | kinds of clients, as Redis knows them |
//! | `slow_log.rs` | the requests that have taken long lately |
//! | `pause.rs` | whether, and until when, clients wait |

mod asked;
mod filter;
mod kind;
mod pause;
mod seat;
mod slow_log;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use niagara_engine::Wake;
use parking_lot::Mutex;

pub(crate) use asked::{Asked, Kept, Requests};
pub(crate) use filter::Filter;
pub(crate) use kind::Kind;
pub(crate) use pause::{Paused, Pausing};
pub(crate) use seat::{Seat, Tracking};
pub(crate) use slow_log::{Slow, SlowLog};

use pause::Pause;

use crate::tracking::{Passed, Stale};

/// All clients of a server's Redis port. See the [module](self).
pub(crate) struct Clients {
    /// By their ids.
    seats: Mutex<BTreeMap<u64, Arc<Seat>>>,
    /// One for each front-end thread.
    desks: Vec<Desk>,
    pause: Pause,
    slow_log: SlowLog,
    /// Most clients at a time, of both protocols.
    most: usize,
}

/// What others want of a thread's connections.
struct Desk {
    wake: Arc<dyn Wake>,
    /// Connections to be closed, each once.
    ended: Mutex<Vec<u64>>,
    /// What clients of other threads have told instead of themselves.
    passed: Mutex<Passed>,
}

/// Where a client has come in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival {
    /// Unique among the connections of this process.
    pub(crate) id: u64,
    /// The thread that serves it, and its number there.
    pub(crate) thread: usize,
    pub(crate) connection: u64,
    pub(crate) peer: Option<SocketAddr>,
    /// Where it has connected to.
    pub(crate) local: Option<SocketAddr>,
    /// The number of its open file.
    pub(crate) file: i32,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("seats", &self.seats.lock().len()).finish_non_exhaustive()
    }
}

impl Clients {
    /// Of a server whose front-end threads are woken by these, with so many clients at most.
    pub(crate) fn new(wakes: impl IntoIterator<Item = Arc<dyn Wake>>, most: usize, now: Instant) -> Clients {
        let desk = |wake| Desk { wake, ended: Mutex::default(), passed: Mutex::default() };
        let desks = wakes.into_iter().map(desk).collect();
        Clients { seats: Mutex::default(), desks, pause: Pause::new(now), slow_log: SlowLog::default(), most }
    }

    /// Gives a client its seat, until the member is dropped.
    pub(crate) fn admit(self: &Arc<Self>, arrival: Arrival, now: Instant) -> Member {
        let seat = Arc::new(Seat::new(arrival, now));
        self.seats.lock().insert(arrival.id, Arc::clone(&seat));
        Member { clients: Arc::clone(self), seat }
    }

    /// The clients that are meant, apart from those that are being disconnected.
    pub(crate) fn find(&self, filter: &Filter) -> Vec<Arc<Seat>> {
        let seats = self.seats.lock();
        let candidates: Vec<&Arc<Seat>> = match filter.ids() {
            None => seats.values().collect(),
            Some(ids) => ids.iter().filter_map(|id| seats.get(id)).collect(),
        };
        candidates.into_iter().filter(|seat| !seat.is_ended() && filter.means(seat)).cloned().collect()
    }

    /// Disconnects a client: it begins nothing from now on. `false`: it is being disconnected already.
    fn end(&self, seat: &Seat) -> bool {
        if !seat.end() {
            return false;
        }
        if let Some(desk) = self.desks.get(seat.arrival().thread) {
            desk.ended.lock().push(seat.arrival().connection);
            desk.wake.wake();
        }
        true
    }

    /// The seat of a client, unless it is being disconnected, or has said that it leaves.
    pub(crate) fn seat(&self, id: u64) -> Option<Arc<Seat>> {
        self.seats.lock().get(&id).filter(|seat| !seat.is_ended() && !seat.is_over()).cloned()
    }

    /// Leaves something with the thread of a client, which it is to be told instead of another one.
    pub(crate) fn pass(&self, to: &Arrival, stale: Stale) {
        if let Some(desk) = self.desks.get(to.thread)
            && desk.passed.lock().add(to.connection, stale)
        {
            desk.wake.wake();
        }
    }

    /// What clients of a thread are to be told instead of others.
    pub(crate) fn take_passed(&self, thread: usize) -> impl Iterator<Item = (u64, Stale)> + use<> {
        std::mem::take(&mut *self.desks[thread].passed.lock()).into_each()
    }

    /// The connections of a thread that are to be closed.
    pub(crate) fn take_ended(&self, thread: usize) -> Vec<u64> {
        std::mem::take(&mut *self.desks[thread].ended.lock())
    }

    /// Whether clients are paused.
    pub(crate) fn pausing(&self, now: Instant) -> Option<Pausing> {
        self.pause.at(now)
    }

    pub(crate) fn slow_log(&self) -> &SlowLog {
        &self.slow_log
    }

    /// How many there are, how many subscribe to anything, and how many are held up by a pause.
    pub(crate) fn counts(&self) -> Counts {
        let seats = self.seats.lock();
        let mut counts = Counts { all: 0, most: self.most, subscribers: 0, held_up: 0 };
        for seat in seats.values().filter(|seat| !seat.is_ended()) {
            counts.all += 1;
            counts.subscribers += usize::from(seat.is_subscriber());
            counts.held_up += usize::from(seat.is_held_up());
        }
        counts
    }
}

/// How many clients there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) all: usize,
    /// As many there may be, of both protocols.
    pub(crate) most: usize,
    pub(crate) subscribers: usize,
    pub(crate) held_up: usize,
}

/// A client's place among the others, which it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    clients: Arc<Clients>,
    seat: Arc<Seat>,
}

impl Member {
    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(crate) fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Notes a request of this client in the slow log, if it has taken long enough.
    pub(crate) fn note(&self, asked: &Asked, took: Duration) {
        if self.clients.slow_log.wants(took) {
            self.clients.slow_log.note(Slow {
                id: 0,
                at: SystemTime::now(),
                took,
                words: asked.shown(),
                peer: self.seat.peer(),
                name: self.seat.name(MOST_NAME_BYTES),
            });
        }
    }

    /// The same for the oldest of its requests in flight, which ends. `took`: nothing, if it was not executed.
    pub(crate) fn note_oldest(&self, requests: &mut Requests, kept: Kept, took: Option<Duration>) {
        let slow = took.filter(|took| self.clients.slow_log.wants(*took));
        requests.end(kept, slow.map(|took| move |asked: &Asked| self.note(asked, took)));
    }

    /// Disconnects the clients that are meant, other than this one. Returns how many those are, and whether this one is
    /// meant, too.
    pub(crate) fn end(&self, filter: &Filter) -> (usize, bool) {
        let (own, others): (Vec<_>, Vec<_>) =
            self.clients.find(filter).into_iter().partition(|seat| Arc::ptr_eq(seat, &self.seat));
        (others.into_iter().filter(|seat| self.clients.end(seat)).count(), !own.is_empty())
    }

    /// Pauses all clients for so many milliseconds. A longer or stricter pause goes on.
    pub(crate) fn pause(&self, what: Paused, milliseconds: u64, now: Instant) {
        self.clients.pause.begin(what, milliseconds, now);
    }

    /// Ends the pause.
    pub(crate) fn unpause(&self) {
        self.clients.pause.end();
        self.clients.desks.iter().for_each(|desk| desk.wake.wake());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.clients.seats.lock().remove(&self.seat.arrival().id);
    }
}

/// No more of a client's name is kept in the slow log.
const MOST_NAME_BYTES: usize = 256;

/// The order in which a thread publishes that a client is to be disconnected, and others look.
const PUBLISHED: Ordering = Ordering::SeqCst;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use bytes::Bytes;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn room() -> (Arc<Clients>, Vec<Arc<Bell>>) {
        let bells: Vec<Arc<Bell>> = (0..2).map(|_| Arc::default()).collect();
        let wakes = bells.iter().map(|bell| Arc::<Bell>::clone(bell) as Arc<dyn Wake>);
        (Arc::new(Clients::new(wakes, 10, Instant::now())), bells)
    }

    fn admit(clients: &Arc<Clients>, id: u64) -> Member {
        let (peer, local) = (SocketAddr::from(([127, 0, 0, 1], id as u16)), "[::1]:7002".parse().unwrap());
        let (peer, local) = (Some(peer), Some(local));
        let arrival = Arrival { id, thread: id as usize % 2, connection: 100 + id, peer, local, file: 9 };
        clients.admit(arrival, Instant::now())
    }

    fn ids(clients: &Clients, filter: &Filter) -> Vec<u64> {
        clients.find(filter).iter().map(|seat| seat.arrival().id).collect()
    }

    #[test]
    fn who_is_meant_is_disconnected_once_by_the_own_thread() {
        let (clients, bells) = room();
        let members: Vec<Member> = (1..=4).map(|id| admit(&clients, id)).collect();
        let meant = Filter::default().with_ids([2, 3, 9]);
        assert_eq!(ids(&clients, &meant), [2, 3]);
        assert_eq!(members[1].end(&meant), (1, true), "not itself");
        assert_eq!(members[0].end(&meant), (1, false), "the other one is being disconnected");
        assert_eq!(members[0].end(&meant), (0, false));
        assert_eq!((clients.take_ended(0), clients.take_ended(1)), (vec![102], vec![103]));
        assert!(clients.take_ended(0).is_empty());
        assert_eq!(bells.iter().map(|bell| bell.0.load(Ordering::Relaxed)).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(ids(&clients, &Filter::default()), [1, 4], "they are not shown any more");
        drop(members);
        assert_eq!(clients.counts().all, 0);
    }

    #[test]
    fn clients_are_found_by_all_that_is_asked_for() {
        let (clients, _) = room();
        let members: Vec<Member> = (1..=3).map(|id| admit(&clients, id)).collect();
        members[1].seat().show(|shown| {
            shown.user = Bytes::from_static(b"alice");
            shown.subscriptions = [1, 0, 0];
        });
        let all = Filter::default;
        assert_eq!(ids(&clients, &all().of_address(b"127.0.0.1:3")), [3]);
        assert_eq!(ids(&clients, &all().at_address(b"[::1]:7002")), [1, 2, 3]);
        assert_eq!(ids(&clients, &all().of_user(b"alice")), [2]);
        assert_eq!(ids(&clients, &all().of_kind(Kind::Subscriber)), [2]);
        assert_eq!(ids(&clients, &all().of_kind(Kind::Normal)), [1, 3]);
        assert!(ids(&clients, &all().of_kind(Kind::Server)).is_empty());
        assert!(ids(&clients, &all().of_kind(Kind::Normal).of_user(b"alice")).is_empty());
        assert_eq!(clients.counts(), Counts { all: 3, most: 10, subscribers: 1, held_up: 0 });
    }

    #[test]
    fn a_pause_that_ends_wakes_all_threads() {
        let (clients, bells) = room();
        let (member, now) = (admit(&clients, 1), Instant::now());
        member.pause(Paused::Writes, 1000, now);
        assert_eq!(clients.pausing(now).map(|pausing| pausing.what), Some(Paused::Writes));
        member.unpause();
        assert_eq!(clients.pausing(now), None);
        assert!(bells.iter().all(|bell| bell.0.load(Ordering::Relaxed) == 1));
    }
}
