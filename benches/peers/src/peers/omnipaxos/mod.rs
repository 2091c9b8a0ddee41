//! Not there yet.
use anyhow::Result;
/// Not there yet.
pub fn serve(_: &crate::node::Cluster, _: &crate::plan::Plan, _: crate::tally::SharedTally) -> Result<()> {
    anyhow::bail!("omnipaxos is not measured yet")
}
