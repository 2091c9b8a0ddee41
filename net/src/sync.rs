//! The primitives of hand-overs between threads. They have a file of their own, so that `tests/models` can
//! replace them with a model checker's types, and explore the very code that runs.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};

pub(crate) use mio::{Registry, Token, Waker as Eventfd};
