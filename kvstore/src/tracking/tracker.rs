//! One connection's part.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use bytes::Bytes;

use super::trackers::{Redirected, Trackers};
use super::{Choice, Mode, Stale};

/// Most bytes that wait for the replies of requests that were sent before. Beyond that, the client is told that all is stale.
const MOST_HELD_BYTES: usize = 1 << 20;

/// See the [module](self). Dropping it ends the tracking.
#[derive(Debug)]
pub(crate) struct Tracker {
    trackers: Rc<RefCell<Trackers>>,
    connection: u64,
    /// `None` while it does not track, as most connections do not.
    own: Option<Box<Own>>,
}

#[derive(Debug)]
struct Own {
    mode: Mode,
    prefixes: BTreeSet<Bytes>,
    /// The client has said CLIENT CACHING, which holds for the next command or transaction.
    has_chosen: bool,
    /// The client that was to be told instead has gone.
    is_broken: bool,
    /// Requests that the log has taken, and that have been answered.
    sent: u64,
    answered: u64,
    /// How many of them somebody here wants to know of what they have done.
    awaited: usize,
    /// What waits until so many are answered: whoever changes a key hears of it behind the reply, as from Redis.
    held: VecDeque<(u64, Stale)>,
    held_bytes: usize,
}

/// A request whose doings are awaited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    /// A digest of its command.
    digest: u64,
    losses: u64,
    /// What it reads is to be remembered.
    reads: bool,
}

impl Tracker {
    /// A connection of this number, which does not track.
    pub(crate) fn new(trackers: Rc<RefCell<Trackers>>, connection: u64) -> Tracker {
        Tracker { trackers, connection, own: None }
    }

    fn trackers(&self) -> RefMut<'_, Trackers> {
        self.trackers.borrow_mut()
    }

    /// How it tracks, if it does.
    pub(crate) fn mode(&self) -> Option<&Mode> {
        self.own.as_ref().map(|own| &own.mode)
    }

    /// Whether CLIENT CACHING holds for what comes next.
    pub(crate) fn has_chosen(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.has_chosen)
    }

    /// CLIENT CACHING holds for what comes next, or does not any more.
    pub(crate) fn choose(&mut self, has_chosen: bool) {
        if let Some(own) = &mut self.own {
            own.has_chosen = has_chosen;
        }
    }

    /// Whether the client that was to be told instead has gone.
    pub(crate) fn is_broken(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.is_broken)
    }

    /// The client that was to be told instead has gone.
    pub(crate) fn break_off(&mut self) {
        if let Some(own) = &mut self.own {
            own.is_broken = true;
        }
    }

    /// All prefixes of which it hears.
    pub(crate) fn prefixes(&self) -> impl ExactSizeIterator<Item = &Bytes> {
        static NONE: BTreeSet<Bytes> = BTreeSet::new();
        self.own.as_ref().map_or(&NONE, |own| &own.prefixes).iter()
    }

    /// Tracks from now on, or in another way. Prefixes are added to those that it has.
    pub(crate) fn begin(&mut self, mode: Mode) {
        let was_loopless = self.mode().is_some_and(|mode| mode.is_loopless);
        let connection = self.connection;
        let mut trackers = self.trackers.borrow_mut();
        trackers.join(connection, mode.prefixes.is_some());
        let own = self.own.get_or_insert_with(|| Box::new(Own::new(mode.clone())));
        (own.is_broken, own.mode) = (false, mode);
        let since = trackers.exchange.last();
        for prefix in own.mode.prefixes.iter().flatten() {
            trackers.prefixes.add(connection, prefix, since);
            own.prefixes.insert(prefix.clone());
        }
        if own.mode.is_loopless != was_loopless {
            trackers.exchange.set_loopless(own.mode.is_loopless);
        }
    }

    /// Tracks no more.
    pub(crate) fn end(&mut self) {
        let Some(own) = self.own.take() else { return };
        let connection = self.connection;
        let mut trackers = self.trackers();
        own.prefixes.iter().for_each(|prefix| trackers.prefixes.remove(connection, prefix));
        trackers.recent.end(own.awaited);
        if own.mode.is_loopless {
            trackers.exchange.set_loopless(false);
        }
        trackers.leave(connection);
    }

    /// Whether what the next request reads is to be remembered.
    pub(crate) fn remembers(&self) -> bool {
        self.own.as_ref().is_some_and(|own| {
            own.mode.prefixes.is_none()
                && match own.mode.choice {
                    Choice::All => true,
                    Choice::Wanted => own.has_chosen,
                    Choice::NotUnwanted => !own.has_chosen,
                }
        })
    }

    /// The number of the last change: what is read from now on shows it.
    pub(crate) fn last_change(&self) -> u64 {
        self.trackers.borrow().exchange.last()
    }

    /// Remembers that the client has read a key, and seen at least the change with this number.
    pub(crate) fn remember(&self, key: &[u8], since: u64) {
        self.trackers().table.add(self.connection, key, since);
    }

    /// A read goes to the log whose keys are not remembered.
    pub(crate) fn send_read(&mut self) {
        if let Some(own) = &mut self.own {
            own.sent += 1;
        }
    }

    /// A command goes to the log, which may run others that read. Returns what `answered` is to be told.
    pub(crate) fn send(&mut self, may_read: bool, command: &[u8]) -> Option<Box<Awaited>> {
        let reads = may_read && self.remembers();
        let own = self.own.as_mut()?;
        own.sent += 1;
        if !own.mode.is_loopless && !reads {
            return None;
        }
        own.awaited += 1;
        let mut trackers = self.trackers.borrow_mut();
        let (digest, losses) = (trackers.exchange.digest(command), trackers.recent.begin());
        Some(Box::new(Awaited { digest, losses, reads }))
    }

    /// The reply of a request to the log is printed; it was executed at this position, if at all. `due` is to be told then.
    pub(crate) fn answered(&mut self, awaited: Option<Box<Awaited>>, position: Option<u64>) {
        let connection = self.connection;
        let Some(own) = &mut self.own else { return };
        if let Some(awaited) = awaited {
            let mut trackers = self.trackers.borrow_mut();
            if let Some(position) = position {
                own.take_done(&mut trackers, connection, (position, *awaited));
            }
            trackers.recent.end(1);
            own.awaited -= 1;
        }
        own.answered += 1;
    }

    /// The client must not use something any more.
    pub(crate) fn outdate(&mut self, stale: Stale) {
        if let Some(own) = &mut self.own {
            own.hold(stale);
        }
    }

    /// Takes the next thing that is to be told now.
    pub(crate) fn due(&mut self) -> Option<Stale> {
        let own = self.own.as_mut()?;
        loop {
            let (_, stale) = own.held.pop_front_if(|(until, _)| *until <= own.answered)?;
            own.held_bytes -= stale.bytes();
            if !stale.is_nothing() {
                return Some(stale);
            }
        }
    }

    /// Has another client told.
    pub(crate) fn redirect(&self, to: u64, stale: Stale) {
        self.trackers().redirect(Redirected { connection: self.connection, to, stale });
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.end();
    }
}

impl Own {
    fn new(mode: Mode) -> Own {
        Own {
            mode,
            prefixes: BTreeSet::new(),
            has_chosen: false,
            is_broken: false,
            sent: 0,
            answered: 0,
            awaited: 0,
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// Holds something back until all requests that are in the log are answered.
    fn hold(&mut self, stale: Stale) {
        self.held_bytes += stale.bytes();
        self.held.push_back((self.sent, stale));
        if self.held_bytes > MOST_HELD_BYTES && self.held.len() > 1 {
            self.held_bytes = Stale::All.bytes();
            self.held = VecDeque::from([(self.sent, Stale::All)]);
        }
    }

    /// Looks at what an awaited command has done: it is not told of its own changes, and what it has read is remembered.
    fn take_done(&mut self, trackers: &mut Trackers, connection: u64, (position, awaited): (u64, Awaited)) {
        let Awaited { digest, losses, reads } = awaited;
        let done = trackers.recent.done((position, digest), losses);
        // What it has changed itself it may keep, and hears of when somebody else changes it.
        let mut kept = Vec::new();
        if self.mode.is_loopless {
            for (_, stale) in &mut self.held {
                let before = stale.bytes();
                kept.append(&mut stale.take_own(&done.own));
                self.held_bytes -= before - stale.bytes();
            }
        }
        if self.mode.prefixes.is_some() {
            return;
        }
        match done.reads {
            _ if !reads => {}
            Some(read) => kept.extend(read),
            None => self.hold(Stale::All),
        }
        for (since, key) in kept {
            if trackers.recent.changed_after(&key, since) {
                self.hold(Stale::key(0, key));
            } else {
                trackers.table.add(connection, &key, since);
            }
        }
    }
}
