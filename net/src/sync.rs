//! What hand-overs between threads are made of here. One file, so that `tests/models` can put a model checker's types in their
//! place, and explore the very code that runs.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};

pub(crate) use mio::{Registry, Token, Waker as Eventfd};
