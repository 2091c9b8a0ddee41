//! Locks, atomics and threads, under the names that the included files use, made of loom's.
//!
//! loom follows C++'s memory model with one exception: for sequentially consistent accesses of one atomic, it
//! leaves its initial value and plain stores out of their total order. So each atomic here starts with a
//! sequentially consistent store, and such a store is a swap, as on x86. This does not strengthen orders
//! between different atomics, except that a store acquires, too.

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic as model;

// Set by a thread before others can rely on it, so its orders are not modelled.
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::Ordering;

/// A fault of the memory orders themselves, rather than of the code that relies on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// Fences do nothing.
    NoFences,
    /// Sequentially consistent accesses only acquire and release.
    NoTotalOrder,
}

thread_local! {
    /// All threads of a model run in one thread of the system.
    static WEAKNESS: Cell<Option<Weakness>> = const { Cell::new(None) };
}

/// Weakens the orders in the current thread.
pub(crate) fn weaken(by: Option<Weakness>) {
    WEAKNESS.set(by);
}

fn is_weakened(by: Weakness) -> bool {
    WEAKNESS.get() == Some(by)
}

pub(crate) fn fence(order: Ordering) {
    if !is_weakened(Weakness::NoFences) {
        model::fence(order);
    }
}

/// The order of an access that both loads and stores.
fn both(order: Ordering) -> Ordering {
    if order == Ordering::SeqCst && is_weakened(Weakness::NoTotalOrder) { Ordering::AcqRel } else { order }
}

fn of_load(order: Ordering) -> Ordering {
    if both(order) == Ordering::AcqRel { Ordering::Acquire } else { order }
}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        pub(crate) struct $name(model::$name);

        impl $name {
            pub fn new(value: $value) -> Self {
                let atomic = model::$name::new(value);
                atomic.swap(value, both(Ordering::SeqCst));
                $name(atomic)
            }

            pub fn load(&self, order: Ordering) -> $value {
                self.0.load(of_load(order))
            }

            pub fn store(&self, value: $value, order: Ordering) {
                if order == Ordering::SeqCst {
                    self.swap(value, order);
                } else {
                    self.0.store(value, order);
                }
            }

            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                self.0.swap(value, both(order))
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::new(<$value>::default())
            }
        }

        impl fmt::Debug for $name {
            /// Reading it would be another step of the model.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

macro_rules! number {
    ($name:ident, $value:ty) => {
        atomic!($name, $value);

        impl $name {
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_add(value, both(order))
            }

            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_sub(value, both(order))
            }

            pub fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_max(value, both(order))
            }
        }
    };
}

atomic!(AtomicBool, bool);
number!(AtomicU32, u32);
number!(AtomicU64, u64);
number!(AtomicUsize, usize);

/// Same interface as `parking_lot`'s.
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().expect("a model that panics ends")))
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken while waiting only")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("taken while waiting only")
    }
}

/// Same interface as `parking_lot`'s.
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub fn new() -> Self {
        Condvar(loom::sync::Condvar::new())
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect("it is locked");
        guard.0 = Some(self.0.wait(held).expect("a model that panics ends"));
    }
}

/// A signal persists until somebody has waited for it, like an eventfd or a thread's token.
#[derive(Clone)]
pub(crate) struct Signal(Arc<(Mutex<bool>, Condvar)>);

impl Signal {
    pub fn new() -> Self {
        Signal(Arc::new((Mutex::new(false), Condvar::new())))
    }

    pub fn give(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_one();
    }

    pub fn wait(&self) {
        let mut given = self.0.0.lock();
        while !*given {
            self.0.1.wait(&mut given);
        }
        *given = false;
    }
}

loom::thread_local! {
    static TOKEN: Signal = Signal::new();
}

/// A thread, as seen by its wakers.
pub(crate) struct Thread(Signal);

impl Thread {
    pub fn unpark(&self) {
        self.0.give();
    }
}

pub(crate) fn current() -> Thread {
    TOKEN.with(|token| Thread(token.clone()))
}

/// Time does not pass here: a thread that is not woken sleeps for ever.
pub(crate) fn park_timeout(_: Duration) {
    TOKEN.with(Clone::clone).wait();
}

/// A poll of sockets that only its eventfd ends.
pub(crate) struct Registry(pub Signal);

pub(crate) struct Token;

pub(crate) struct Eventfd(Signal);

#[expect(clippy::unnecessary_wraps, reason = "the real one can fail")]
impl Eventfd {
    pub fn new(registry: &Registry, _: Token) -> std::io::Result<Eventfd> {
        Ok(Eventfd(registry.0.clone()))
    }

    pub fn wake(&self) -> std::io::Result<()> {
        self.0.give();
        Ok(())
    }
}

impl fmt::Debug for Eventfd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Eventfd")
    }
}
