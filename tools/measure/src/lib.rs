//! What programs that measure share, whatever they measure.
//!
//! | file | holds |
//! |---|---|
//! | `latency.rs` | histograms of latencies, and the percentiles that sum them up |
//! | `table.rs`, `grouped.rs` | results as people and as programs read them |
//! | `guarded.rs`, `program.rs`, `cpu.rs` | processes: that end with who started them, their files, and what they use |
//! | `addresses.rs` | addresses for servers on this machine |

mod addresses;
mod cpu;
mod grouped;
mod guarded;
mod latency;
mod program;
mod table;

pub use addresses::free_addresses;
pub use cpu::{cpu_seconds, cpu_time, ticks};
pub use grouped::grouped;
pub use guarded::GuardedChild;
pub use latency::{Latency, nanoseconds};
pub use program::{find_program, last_lines};
pub use table::{Cell, ResultTable};
