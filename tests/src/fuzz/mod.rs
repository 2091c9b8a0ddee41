//! Fuzz targets: what must hold whatever bytes arrive from a network, a disk or a client.
//!
//! A target is a function of bytes that panics when its property does not hold. `tests/tests/fuzz.rs` runs them in
//! `cargo test`, for seconds, on the corpora in `tests/fuzz/corpus`, on mutations of them, and on noise. What stands in the
//! corpora comes from [`seeds`], but for inputs that have once found a bug. `tests/fuzz` runs the same functions with
//! [cargo-fuzz](https://rust-fuzz.github.io/book/), for hours if wanted. What that finds worth keeping goes to the first
//! directory, so that the repository stays as it is:
//!
//! ```text
//! mkdir -p target/fuzz/redis
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz redis target/fuzz/redis tests/fuzz/corpus/redis
//! ```
//!
//! | target | bytes of | property, in short |
//! |---|---|---|
//! | [`frame`] | a connection between servers | the frames do not depend on the reads; no others than by definition |
//! | [`greeting`] | its first frames | understood or refused; can be said again |
//! | [`message`] | frames behind the greeting | one meaning: encoding gives the same bytes |
//! | [`driver`] | what members say to a replica, and when | no server ends, nothing committed changes |
//! | [`entry`] | context and data of a log's entry | the same |
//! | [`log_damage`] | segments of a log, damaged | refused, or a prefix of what was written |
//! | [`log_forgery`] | segments of a log, made up | refused, or a log that can be read and written on |
//! | [`snapshot`] | a snapshot's file | refused, or read to its end |
//! | [`transfer`] | the channel over which snapshots travel | one meaning: encoding gives the same bytes |
//! | [`feed`] | the channel between followers and members | one meaning; a member goes on whatever it is told |
//! | [`redis`] | a client of the Redis protocol | replies do not depend on the pieces |
//! | [`http`] | a client of HTTP | the same |
//! | [`command`] | commands in the log | every server executes them alike |

mod command;
mod driver;
mod driver_seeds;
mod entry;
mod feed;
mod frame;
mod greeting;
mod http;
mod log_damage;
mod log_forgery;
mod log_on_disk;
mod message;
mod redis;
mod script;
pub mod seeds;
mod segment_image;
mod snapshot;
mod snapshot_seeds;
mod transfer;

pub use command::command;
pub use driver::driver;
pub use entry::entry;
pub use feed::feed;
pub use frame::frame;
pub use greeting::greeting;
pub use http::http;
pub use log_damage::log_damage;
pub use log_forgery::log_forgery;
pub use message::message;
pub use redis::redis;
pub use snapshot::snapshot;
pub use transfer::transfer;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also of its entry point and of its corpus.
    pub name: &'static str,
    /// What it runs.
    pub run: fn(&[u8]),
    /// What its corpus begins with: each input with a name of its own.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
}

/// All targets. The entry points in `tests/fuzz` are as many.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", run: frame, seeds: seeds::frame },
    Target { name: "greeting", run: greeting, seeds: seeds::greeting },
    Target { name: "message", run: message, seeds: seeds::message },
    Target { name: "driver", run: driver, seeds: driver_seeds::driver },
    Target { name: "entry", run: entry, seeds: seeds::entry },
    Target { name: "log_damage", run: log_damage, seeds: seeds::log_damage },
    Target { name: "log_forgery", run: log_forgery, seeds: seeds::log_forgery },
    Target { name: "snapshot", run: snapshot, seeds: snapshot_seeds::snapshot },
    Target { name: "transfer", run: transfer, seeds: snapshot_seeds::transfer },
    Target { name: "feed", run: feed, seeds: seeds::feed },
    Target { name: "redis", run: redis, seeds: seeds::redis },
    Target { name: "http", run: http, seeds: seeds::http },
    Target { name: "command", run: command, seeds: seeds::command },
];
