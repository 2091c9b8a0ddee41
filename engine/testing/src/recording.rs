//! Your state machine, observed: what it executes, what it replies, and what it holds.
//!
//! It also uses the freedom that the engine has: commands at one position may come in several calls of
//! `apply`, so each server groups them differently.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use niagara_engine::{
    Commands, Frozen, GlobalPosition, MalformedState, NotACommand, NotAQuery, Restoring, StateMachine,
};

use crate::failure::Found;
use crate::history::{Fingerprint, Held, History};
use crate::parts::chance::Chance;

/// A state machine whose replies can be compared: all with a `Reply` that is `Clone`, `PartialEq` and `Debug`.
pub trait Observable: StateMachine<Reply: Clone + PartialEq + Debug> {}

impl<S: StateMachine<Reply: Clone + PartialEq + Debug>> Observable for S {}

/// What has been executed, shared by all servers.
pub(crate) type SharedHistory<R> = Arc<Mutex<History<R>>>;

/// How states are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparing {
    /// States are encoded after every so many positions; 0 for never.
    pub states_every: u64,
    /// Whether equal states are encoded equally.
    pub encoded_states: bool,
    /// Whether each server groups commands in its own way.
    pub split_batches: bool,
}

/// A server's state machine, and whether a view of it is in use.
pub(crate) struct Observed<S> {
    state: S,
    /// There is at most one view at a time.
    view: Weak<()>,
}

/// The state machine that the engine gets.
pub(crate) struct Recording<S: Observable> {
    server: u64,
    observed: Arc<Mutex<Observed<S>>>,
    history: SharedHistory<S::Reply>,
    comparing: Comparing,
    chance: Chance,
    /// The last position that has been executed.
    position: GlobalPosition,
    /// What subscribers are not shown of the last call of `apply`.
    unshown: Vec<u32>,
}

/// Locks a value that one thread uses, so that a poisoned lock means that something has panicked already.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nobody panics while holding this")
}

/// All bytes of the state at this moment.
pub(crate) fn encode<S: StateMachine>(state: &mut S) -> Vec<u8> {
    let mut frozen = state.freeze();
    let mut encoded = Vec::new();
    while frozen.next_chunk(&mut encoded) {}
    encoded
}

impl<S: StateMachine> Observed<S> {
    /// Whether a view of it is in use.
    pub fn has_view(&self) -> bool {
        self.view.strong_count() > 0
    }

    /// The state's digest, and its encoding unless a view is in use or it is not wanted.
    fn held(&mut self, encoded: bool) -> Held {
        let encoded = (encoded && !self.has_view()).then(|| Fingerprint::of(&encode(&mut self.state)));
        Held { digest: self.state.digest(), encoded }
    }

    /// What it holds, to be compared with others.
    pub fn holds(&mut self, comparing: Comparing) -> Held {
        self.held(comparing.encoded_states)
    }

    /// Restores a copy of this state into an empty one. Says how the copy differs.
    pub fn copied_into(&mut self, mut empty: S, server: u64, position: GlobalPosition) -> Option<Found> {
        let mut restoring = S::restoring(&empty.reader());
        let mut frozen = self.state.freeze();
        let (mut before, mut chunk) = (Vec::new(), Vec::new());
        let not_restored =
            |error: MalformedState| Some(Found::NotRestored { server, position, why: error.to_string() });
        while frozen.next_chunk(&mut chunk) {
            before.extend_from_slice(&chunk);
            if let Err(error) = restoring.add_chunk(&Bytes::from(std::mem::take(&mut chunk))) {
                return not_restored(error);
            }
        }
        drop(frozen);
        if let Err(error) = empty.restore(position, restoring) {
            return not_restored(error);
        }
        restored_differently(server, position, &before, &encode(&mut empty))
    }
}

fn restored_differently(server: u64, position: GlobalPosition, before: &[u8], after: &[u8]) -> Option<Found> {
    let (frozen, restored) = (Fingerprint::of(before), Fingerprint::of(after));
    (frozen != restored).then(|| Found::Restored {
        server,
        position,
        frozen: frozen.show(),
        restored: restored.show(),
    })
}

impl<S: Observable> Recording<S> {
    pub fn new(
        server: u64,
        state: S,
        history: SharedHistory<S::Reply>,
        comparing: Comparing,
        chance: Chance,
    ) -> Recording<S> {
        let observed = Arc::new(Mutex::new(Observed { state, view: Weak::new() }));
        let (position, unshown) = (GlobalPosition::ZERO, Vec::new());
        Recording { server, observed, history, comparing, chance, position, unshown }
    }

    pub fn observed(&self) -> Arc<Mutex<Observed<S>>> {
        Arc::clone(&self.observed)
    }
}

impl<S: Observable> StateMachine for Recording<S> {
    type Reply = S::Reply;
    type Reader = Lens<S>;
    type Frozen = View<S>;
    type Restoring = Refill<S>;

    fn reader(&self) -> Lens<S> {
        let reader = lock(&self.observed).state.reader();
        Lens { server: self.server, reader, history: Arc::clone(&self.history) }
    }

    fn check(command: &[u8]) -> Result<(), NotACommand> {
        S::check(command)
    }

    fn needed_level(command: &[u8]) -> u32 {
        S::needed_level(command)
    }

    fn check_query(query: &[u8]) -> Result<(), NotAQuery> {
        S::check_query(query)
    }

    fn answer(&self, query: &[u8]) -> S::Reply {
        lock(&self.observed).state.answer(query)
    }

    fn apply(&mut self, position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<S::Reply>) {
        let before = replies.len();
        let copies = commands.clone().map(|command| Bytes::copy_from_slice(command.as_slice())).collect();
        let observed = &mut *lock(&self.observed);
        // All servers' replies are compared.
        let mut rest = commands.awaited(true);
        let mut done = 0;
        while rest.len() > 0 {
            let most = rest.len() as u64;
            let count = if self.comparing.split_batches { self.chance.between(1, most) } else { most };
            let (front, back) = rest.split_at(count as usize);
            observed.state.apply(position, front, replies);
            if observed.state.unexecutable().is_some() {
                return;
            }
            let unshown = observed.state.unshown().into_iter().map(|index| done + index);
            self.unshown.extend(unshown);
            done += count as u32;
            rest = back;
        }
        self.position = position;
        let every = self.comparing.states_every;
        let looks = self.comparing.encoded_states && every > 0 && position.get().is_multiple_of(every);
        let held = observed.held(looks);
        lock(&self.history).executes(self.server, position, copies, &replies[before..], Some(held));
    }

    fn unshown(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.unshown)
    }

    fn unexecutable(&self) -> Option<NotACommand> {
        lock(&self.observed).state.unexecutable()
    }

    fn digest(&self) -> Option<u128> {
        lock(&self.observed).state.digest()
    }

    fn freeze(&mut self) -> View<S> {
        let observed = &mut *lock(&self.observed);
        let expected = self.comparing.encoded_states.then(|| Fingerprint::of(&encode(&mut observed.state)));
        let in_use = Arc::new(());
        observed.view = Arc::downgrade(&in_use);
        View {
            server: self.server,
            position: self.position,
            frozen: observed.state.freeze(),
            expected,
            read: Vec::new(),
            history: Arc::clone(&self.history),
            _in_use: in_use,
        }
    }

    fn restoring(reader: &Lens<S>) -> Refill<S> {
        let restoring = S::restoring(&reader.reader);
        Refill { server: reader.server, restoring, read: Vec::new(), history: Arc::clone(&reader.history) }
    }

    fn restore(&mut self, position: GlobalPosition, refill: Refill<S>) -> Result<(), MalformedState> {
        let Refill { restoring, read, .. } = refill;
        let observed = &mut *lock(&self.observed);
        let mut history = lock(&self.history);
        history.restores(self.server, position);
        self.position = position;
        if let Err(error) = observed.state.restore(position, restoring) {
            // The simulation ends with this; returned, it would be the engine's panic.
            let (server, why) = (self.server, error.to_string());
            history.fail(Found::NotRestored { server, position, why });
        } else if self.comparing.encoded_states
            && !observed.has_view()
            && let Some(found) =
                restored_differently(self.server, position, &read, &encode(&mut observed.state))
        {
            history.fail(found);
        }
        Ok(())
    }
}

/// A reader, and what else a state to restore into needs.
pub(crate) struct Lens<S: Observable> {
    server: u64,
    pub reader: S::Reader,
    history: SharedHistory<S::Reply>,
}

impl<S: Observable> Clone for Lens<S> {
    fn clone(&self) -> Self {
        let history = Arc::clone(&self.history);
        Lens { server: self.server, reader: self.reader.clone(), history }
    }
}

/// A view that notices when it has changed since it was made.
pub(crate) struct View<S: Observable> {
    server: u64,
    position: GlobalPosition,
    frozen: S::Frozen,
    expected: Option<Fingerprint>,
    read: Vec<u8>,
    history: SharedHistory<S::Reply>,
    _in_use: Arc<()>,
}

impl<S: Observable> Frozen for View<S> {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool {
        let before = chunk.len();
        let more = self.frozen.next_chunk(chunk);
        self.read.extend_from_slice(&chunk[before..]);
        if !more && let Some(expected) = self.expected.take() {
            let read = Fingerprint::of(&self.read);
            if read != expected {
                let (frozen, read) = (expected.show(), read.show());
                let (server, position) = (self.server, self.position);
                lock(&self.history).fail(Found::ViewChanged { server, position, frozen, read });
            }
        }
        more
    }
}

/// A state that is being read from a snapshot, with what was read.
pub(crate) struct Refill<S: Observable> {
    server: u64,
    restoring: S::Restoring,
    read: Vec<u8>,
    history: SharedHistory<S::Reply>,
}

impl<S: Observable> Restoring for Refill<S> {
    fn add_chunk(&mut self, chunk: &Bytes) -> Result<(), MalformedState> {
        self.read.extend_from_slice(chunk);
        self.restoring.add_chunk(chunk).inspect_err(|error| {
            let (server, why) = (self.server, error.to_string());
            let position = lock(&self.history).end();
            lock(&self.history).fail(Found::NotRestored { server, position, why });
        })
    }

    fn digest(&self) -> Option<u128> {
        self.restoring.digest()
    }
}
