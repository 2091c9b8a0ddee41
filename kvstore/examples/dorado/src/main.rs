//! Replicas of a counter that are no part of the cluster, and execute the same operations in the same order: the service that
//! DORADO orders requests for (Deyerl and Distler, PaPoC 2019).
//!
//! ```console
//! $ cargo run -p niagara-dorado-example -- --replicas 5 --kills 3
//! ```
//!
//! Each replica is a process. It submits operations of its own: `inc` adds one, `dou` doubles, `get` only looks, and their
//! results depend on their order. [`order`] gives each a number, by transactions (`POST /txn`), and tells all replicas of
//! all numbers (`GET /watch`). A replica that is killed loses all it knew; the next one in its place reads the order from its
//! beginning. In the end, all counters are equal.
//!
//! | file | holds |
//! |---|---|
//! | `order.rs` | the order of all operations, in the cluster |
//! | `follow.rs` | what is appended to it, as it comes |
//! | `counter.rs` | the counter |
//! | `replica.rs` | the process of one replica |
//! | `experiment.rs` | replicas that are started, killed and compared |

mod counter;
mod experiment;
mod follow;
mod order;
mod replica;

use std::process::ExitCode;

use experiment::Experiment;

const USAGE: &str = "dorado [--at URL,URL ..] [--replicas 1..15] [--operations N] [--kills N]

Without --at, three servers run in this process. Exit status: 0 if all counters are equal, 1 if not, or if something failed.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match replica::Assignment::parse(&arguments) {
        Some(assignment) => assignment.and_then(|assignment| replica::run(&assignment)).map(|()| true),
        None => Experiment::parse(&arguments).and_then(|experiment| experiment.run()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

/// What has gone wrong, in words.
pub type Failure = Box<dyn std::error::Error>;
