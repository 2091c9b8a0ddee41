//! Appends to the replicated log as fast as it goes, at a rate, or with so many commands in flight.
//!
//! ```text
//! niagara-load append ──┬─ server 1 (this program again, hidden subcommand `append-server`)
//!   assignments,        ├─ server 2   engine + an application that counts + `origin` threads that
//!   phases, report      └─ server 3   propose commands and complete each one's own ticket
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `options.rs`, `assignment.rs` | what is to be measured, as a user says it, and as a server is told |
//! | `session.rs`, `run.rs` | the parent: a cluster measured at one load after the other, or once |
//! | `certificates.rs` | certificates of the servers, with `--tls` |
//! | `cluster.rs`, `process.rs`, `route.rs` | servers as processes, together and each, and how this program becomes one |
//! | `server.rs`, `appender.rs` | a server process, and its application |
//! | `origin.rs`, `pace.rs`, `tickets.rs` | the thread that proposes, when it does, and what it waits for |
//! | `reading.rs`, `threads.rs` | counters at one moment, CPU time by kind of thread |
//! | `placement.rs`, `quota.rs` | which cores the threads have: the machine's, or CPU quotas that stand for them |
//! | `system_calls.rs` | counting system calls, where the machine allows it |
//! | `report.rs`, `table.rs` | the figures |

mod appender;
mod assignment;
mod certificates;
mod cluster;
mod demand;
mod options;
mod origin;
mod pace;
mod placement;
mod process;
mod quota;
mod reading;
mod report;
mod route;
mod run;
mod server;
mod session;
mod system_calls;
mod table;
mod threads;
mod tickets;

pub use demand::Demand;
pub use options::AppendOptions;
pub use placement::{Core, Cores, Placement, real_cores_suffice};
pub use quota::{OWNED, remove_leftovers};
pub use report::{AppendReport, CpuSeconds};
pub use route::Route;
pub use run::run;
pub use server::serve;
pub use session::{Session, Span};
pub use threads::ThreadKind;
