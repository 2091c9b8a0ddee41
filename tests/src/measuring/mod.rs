//! What snapshots cost a cluster of real processes: throughput, latency, memory, time to start, and disk.
//!
//! [`SnapshotRun`] loads keys, then writes at a constant rate while snapshots are made, a server is killed, and one comes back
//! that was away (`cargo run --release -p niagara-tests --bin snapshots`). [`EndlessRun`] writes as fast as it goes, with small
//! limits, and watches disk and memory (`--bin endless`).

mod endless;
mod loading;
mod open_loop;
mod phase;
mod report;
mod run;
mod set_command;

pub use endless::{EndlessReport, EndlessRun, Reading, Verdict};
pub use open_loop::{Latencies, OpenLoop};
pub use phase::{Phase, PhaseReport, ServerReport};
pub use report::{Restart, SnapshotReport};
pub use run::SnapshotRun;
pub use set_command::SetCommand;
