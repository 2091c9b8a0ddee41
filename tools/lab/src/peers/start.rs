//! Starts the servers of a contender.

use niagara_load::Failure;

use super::contender::{Contender, Product};
use super::store::Store;
use super::{etcd, niagara, redis};
use crate::experiment_run::ExperimentRun;

/// Starts three servers of a contender.
pub(super) fn start(contender: Contender, run: &ExperimentRun) -> Result<Box<dyn Store>, Failure> {
    Ok(match contender.product {
        Product::Niagara { groups, protocol } => {
            Box::new(niagara::Niagara::start(run, groups, protocol, contender.durability)?)
        }
        Product::Etcd => Box::new(etcd::Etcd::start(run, contender.is_synced())?),
        Product::Redis => Box::new(redis::Redis::start(run, contender.durability)?),
    })
}
