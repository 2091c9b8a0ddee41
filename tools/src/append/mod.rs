//! Appends to the replicated log as fast as it goes, at a rate, or with so many commands in flight.
//!
//! ```text
//! niagara-load append ──┬─ server 1 (this binary again, hidden subcommand `append-server`)
//!   plan, phases,       ├─ server 2   engine + an application that counts + `origin` threads that
//!   report              └─ server 3   propose commands and complete each one's own ticket
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `options.rs`, `plan.rs` | what is to be measured, as a user says it, and as a server is told |
//! | `run.rs`, `process.rs` | the parent: servers as processes, one window after the warm-up |
//! | `server.rs`, `appender.rs` | a server process, and its application |
//! | `origin.rs`, `pace.rs`, `tickets.rs` | the thread that proposes, when it does, and what it waits for |
//! | `reading.rs`, `threads.rs` | counters at one moment, CPU time by kind of thread |
//! | `quota.rs`, `system_calls.rs` | CPU quotas per thread, and counting system calls, where the machine allows it |
//! | `report.rs`, `table.rs` | the figures |

mod appender;
mod options;
mod origin;
mod pace;
mod plan;
mod process;
mod quota;
mod reading;
mod report;
mod run;
mod server;
mod system_calls;
mod table;
mod threads;
mod tickets;

pub use options::AppendOptions;
pub use plan::Load;
pub use report::{CpuSeconds, Report};
pub use run::run;
pub use server::serve;
pub use threads::Kind;
