//! Which versions of the crates are measured: those that this was built with.

use anyhow::{Context, Result};

use crate::work::Peer;

const LOCK: &str = include_str!("../Cargo.lock");

/// The version of a crate that is measured.
///
/// # Errors
/// When it is no crate.
pub fn of(peer: Peer) -> Result<String> {
    let name = match peer {
        Peer::RaftRs => "raft",
        Peer::Openraft => "openraft",
        Peer::Omnipaxos => "omnipaxos",
        Peer::Etcd => anyhow::bail!("etcd is no crate"),
    };
    let entry = format!("name = \"{name}\"\nversion = \"");
    let (_, after) = LOCK.split_once(&entry).with_context(|| format!("{name} is not in Cargo.lock"))?;
    let (version, _) = after.split_once('"').context("Cargo.lock is not as cargo writes it")?;
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_has_a_version() {
        assert_eq!(of(Peer::RaftRs).ok().as_deref(), Some("0.7.0"));
        for peer in [Peer::Openraft, Peer::Omnipaxos] {
            assert!(of(peer).is_ok_and(|version| version.starts_with("0.")));
        }
    }
}
