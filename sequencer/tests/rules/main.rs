//! The rules together: what holds for every history, and what a few histories look like.
//!
//! - [`golden`] replays the scripts in `tests/golden/*.txt`, each a [`story`] about one global log, and
//!   compares their traces. Read these files first.
//! - [`cluster`] is a small model of servers that lead and follow groups; in random [`histories`], messages
//!   are late or lost, and leaders change.
//! - [`epochs`] has logs that end and go on with other groups.
//! - [`global_log`], [`skips`] and [`idle_reads`] check the invariants against it, and plant known mistakes
//!   to show that the model can fail.

mod cluster;
mod epochs;
mod global_log;
mod golden;
mod histories;
mod idle_reads;
mod skips;
mod story;
