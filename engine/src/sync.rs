//! The primitives of hand-overs between threads. They are in one file so that `tests/models` can substitute a
//! model checker's types and explore the very code that runs.

pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::thread::{Thread, current, park_timeout};

pub(crate) use parking_lot::Mutex;
