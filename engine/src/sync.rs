//! What hand-overs between threads are made of here. One file, so that `tests/models` can put a model checker's types in their
//! place, and explore the very code that runs.

pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::thread::{Thread, current, park_timeout};

pub(crate) use parking_lot::{Condvar, Mutex};
