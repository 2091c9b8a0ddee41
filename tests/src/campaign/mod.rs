//! Campaigns: real servers, clients at work, faults at random, and every answer judged.
//!
//! A [`CampaignPlan`] decides how many servers and groups there are, how long the campaign lasts, and the seed from which faults
//! and requests are chosen. [`run`](CampaignPlan::run) starts a cluster, in a [network](crate::network) of its own where that
//! is possible, and goes through *episodes*:
//!
//! 1. For a while clients work on a few shared keys over both protocols, and faults come and go (`fault.rs`, `world.rs`):
//!    several at a time, from a broken link of one group to the death of all servers.
//! 2. Everything is healed. Every server must serve writes and strong reads again, over both protocols, in bounded time
//!    (`progress_after_heal`).
//! 3. The clients pause. All servers must come to the same position with the same digest (`global_prefix`), and each must
//!    give the same strong reads of all keys in use (`acked_is_applied`).
//!
//! All the while each key's history is judged as soon as its life is over ([`linearizability`](crate::linearizability)).
//! Since logs are kept whole, each cluster ends after some episodes, and a new one begins: disks do not fill in a long night.
//!
//! | file | is about |
//! |---|---|
//! | `run.rs` | the course of a campaign, episode by episode |
//! | `fault.rs` | the faults, and the choice of the next one |
//! | `world.rs` | a cluster and what is broken of it |
//! | `keys.rs` | shared keys and their histories |
//! | `request.rs` | one operation, over each protocol |
//! | `worker.rs` | the clients' threads |
//! | `judge.rs` | the search for an order |
//! | `keeping.rs` | what is left behind, if it is wanted |
//! | `healing.rs` | what must hold when all is healed |
//! | `stop.rs` | why an episode ends early |
//! | `tally.rs` | counts, and the table at the end |

mod fault;
mod healing;
mod judge;
mod keeping;
mod keys;
mod request;
mod run;
mod stop;
mod tally;
mod worker;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use niagara_engine::Durability;

use crate::network::{Host, Namespaces, NetworkError};

use fault::Kind;
use niagara_testing::parts::chance::Chance;
use run::Campaign;

/// A campaign that is to be run.
#[derive(Clone, Debug)]
pub struct CampaignPlan {
    /// Servers of each cluster, at least 2.
    pub servers: u16,
    /// Groups of each cluster.
    pub groups: u16,
    /// How long clients work under faults, all clusters together. Starts and healings come on top.
    pub time: Duration,
    /// Decides faults and requests. What the servers make of them depends on the machine: the same seed need not show the
    /// same failure again.
    pub seed: u64,
    /// What an acknowledged write of the clusters survives. All faults here leave the operating system alive, so `os` keeps
    /// as much as `fsync`.
    pub durability: Durability,
    /// Why there shall be no network of its own, if so.
    pub loopback: Option<String>,
    /// Where histories, the servers' logs and what was done to them are to be kept, in a directory for each cluster; they are
    /// removed otherwise, unless something is wrong.
    pub keep: Option<PathBuf>,
}

/// What became of a campaign.
pub struct Report {
    /// How many operations, faults and checks there were: a table.
    pub table: String,
    /// Operations that were answered.
    pub operations: u64,
    /// Faults of all kinds.
    pub faults: u64,
    /// Histories that were searched for an order.
    pub histories: u64,
    /// What no correct store does; it ended the campaign.
    pub violation: Option<Violation>,
}

/// What no correct store does.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What it was.
    pub what: String,
    /// Where the servers' files are kept: logs, data, `faults.log`, `violation.txt`, and `history.jsonl` if it is a history that
    /// has no order.
    pub directory: PathBuf,
}

/// What a campaign is at, for whoever watches.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The time under faults so far.
    pub time: Duration,
    /// Operations that were answered.
    pub operations: u64,
    /// Faults so far.
    pub faults: u64,
    /// Of them in effect now.
    pub broken: usize,
    /// Histories judged.
    pub histories: u64,
}

impl CampaignPlan {
    /// Runs the campaign until its time is over, something is wrong, or `end` is set; tells `watch` how it goes, several
    /// times a second.
    ///
    /// Where there can be no network, it runs on loopback, without the faults that need one, and prints the reason.
    ///
    /// # Errors
    /// When the network fails under way.
    ///
    /// # Panics
    /// When a cluster does not even start.
    pub fn run(
        &self,
        end: &Arc<AtomicBool>,
        watch: impl FnMut(Progress) + Send,
    ) -> Result<Report, NetworkError> {
        // The servers are built where there is a network to the world.
        crate::binary::niagara();
        let (network, kinds) = self.prepare();
        let inside = || {
            if let Some(network) = &network {
                network.enter(Host::Clients)?;
            }
            Campaign {
                plan: self,
                network: network.clone(),
                kinds,
                random: Chance::new(self.seed),
                end,
                watch,
            }
            .run()
        };
        // In a thread that can go where the clients are, and all their threads after it; the caller stays.
        thread::scope(|scope| {
            scope.spawn(inside).join().expect("a campaign does not panic; why stands above")
        })
    }

    /// The network, if there is one, and the faults that are possible.
    fn prepare(&self) -> (Option<Arc<Namespaces>>, Vec<Kind>) {
        let made = match &self.loopback {
            Some(reason) => Err(reason.clone()),
            None => Namespaces::create(self.servers, self.groups).map_err(|error| error.to_string()),
        };
        let mut kinds = Kind::ALL.to_vec();
        match made {
            Err(reason) => {
                kinds.retain(|kind| !kind.needs_network());
                println!("on loopback, without faults of the network: {reason}");
                (None, kinds)
            }
            Ok(network) => {
                if let Err(reason) = network.can_throttle() {
                    kinds.retain(|kind| *kind != Kind::Throttle);
                    println!("without throttled links: {reason}");
                }
                (Some(Arc::new(network)), kinds)
            }
        }
    }
}
