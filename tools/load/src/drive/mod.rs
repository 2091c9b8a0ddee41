//! Drives any cluster as its clients do, and measures what becomes of each operation.
//!
//! ```text
//! run ── threads ── worker ─┬─ workload   what is asked for next, and what is learned from the outcome
//!   phases,                 ├─ pace       when it is to begin
//!   intervals,              ├─ measure    how long it took
//!   report                  └─ transport ─┬─ sockets ── connection ── codec (http, redis)
//!                                         └─ embedded   ports of three engines in this process
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `options.rs`, `command_line.rs` | what a user says, what does not go together, and how a run is repeated |
//! | `run.rs`, `worker.rs` | the phases of a run, and one thread's part in them |
//! | `operation.rs` | what is asked of a server, and what becomes of it |
//! | `workload/`, `keys.rs` | the operations of each workload, and what its check looks at |
//! | `clock.rs`, `pace.rs`, `alarm.rs` | times: of the run, of each operation's start, and sleeping until then |
//! | `transport.rs`, `sockets.rs`, `connection.rs`, `embedded.rs` | how operations reach servers |
//! | `codec.rs`, `http.rs`, `redis.rs` | the protocols as bytes |
//! | `measure.rs`, `report.rs`, `table.rs`, `interval_log.rs`, `progress.rs` | the figures |
//! | `merge.rs`, `verify.rs` | reports that were saved: put together, and held against a cluster |
//!
//! Workloads, codecs, pace and measure know neither sockets nor clocks: times come in as numbers.

mod alarm;
mod chain_key;
mod clock;
mod codec;
mod command_line;
mod connection;
mod embedded;
mod greeting;
mod http;
mod interval_log;
mod keys;
mod measure;
mod merge;
mod operation;
mod options;
mod pace;
mod parsed;
mod progress;
mod redis;
mod report;
mod run;
mod sockets;
mod table;
mod transport;
mod verify;
mod worker;
mod workload;

pub use chain_key::ChainKey;
pub use interval_log::{IntervalLog, LogFile};
pub use keys::Distribution;
pub use merge::merge;
pub use options::{
    ChainOptions, CounterOptions, EmbeddedOptions, KvOptions, LoadOptions, PaceOptions, ReadConsistency,
    TargetOptions, WorkloadOptions, WriteOptions,
};
pub use progress::ProgressLine;
pub use report::{ChainEnds, Check, Interval, LoadReport, Operation};
pub use run::{Watch, run};
pub use verify::verify;
pub use workload::Phase;
