//! Which peers a server lets in: those that are who they were.

use niagara_net::{Admission, Hello, Refusal};

use super::Identity;
use super::record::Met;
use crate::planted::{self, Bug};

impl Admission for Identity {
    /// Checks that a peer is who it was: the same store under the same server id, in the same start or a
    /// later one. A new start is recorded durably before the peer is admitted.
    fn admit(&self, peer: &Hello) -> Result<(), Refusal> {
        let (here, there) = (self.server, peer.server);
        self.check_first_level(peer)?;
        self.peer_levels.note(there, peer.levels().known);
        self.recognise(peer)?;
        let known = self.record.lock().peers.get(&there).copied();
        let met = Met { store: peer.store, incarnation: peer.incarnation, life: peer.lives[0] };
        if let Some(known) = known {
            if is_old_copy(&known, peer) && !planted::is(Bug::IncarnationNotCompared) {
                return Err(Refusal::OldCopy(format!(
                    "the data directory of server {there} was restored from an old copy: this is its start \
                     {}, but server {here} has met its start {}. Restore the newest state, or leave it \
                     stopped, and see docs/recovery.md",
                    peer.incarnation, known.incarnation
                )));
            }
            if known == met {
                return Ok(());
            }
        }
        let noted = self.change(|record| {
            record.peers.insert(there, met);
        });
        noted.map_err(|error| Refusal::Store(format!("server {here} cannot record a new peer: {error}")))
    }

    /// Checks that a peer has the data that it had.
    fn recognise(&self, peer: &Hello) -> Result<(), Refusal> {
        let (here, there) = (self.server, peer.server);
        let known = self.record.lock().peers.get(&there).copied();
        match known {
            Some(known) if known.store != peer.store => Err(Refusal::Store(format!(
                "server {there} has another log than the one that server {here} knows, so it may have forgotten what it \
                 acknowledged: leave it stopped, and replace it by one with an id that was never used (docs/members.md)"
            ))),
            _ => Ok(()),
        }
    }

    /// Records a refusal that no later start can remedy.
    fn refused(&self, refusal: &Refusal) {
        if !matches!(refusal, Refusal::OldCopy(_)) {
            return;
        }
        tracing::error!("this server no longer takes part in anything: {refusal}");
        if let Err(error) = self.change(|record| record.old_copy = true) {
            tracing::error!(%error, "cannot record that the data directory is an old copy");
        }
    }
}

impl Identity {
    /// Whether a peer that knows this server with other data is right: this data has never met it before, so it was made after
    /// that which the peer knows had been lost. That holds for later starts, too.
    pub fn is_disowned_by(&self, peer: u64) -> bool {
        if self.met_before.contains(&peer) {
            return false;
        }
        let has_met = self.record.lock().peers.contains_key(&peer);
        let forget = || self.change(|record| record.peers.retain(|met, _| *met != peer));
        if has_met && let Err(error) = forget() {
            tracing::error!(%error, "cannot record which servers this one has not met");
        }
        true
    }
}

/// Whether a peer's start does not follow from the one met last.
fn is_old_copy(known: &Met, peer: &Hello) -> bool {
    let Some(since) = peer.incarnation.checked_sub(known.incarnation) else { return true };
    let life = peer.lives.get(since as usize).copied().unwrap_or(0);
    // Starts too old for the peer to name, and those of releases without lives, cannot be told apart.
    known.life != 0 && life != 0 && life != known.life
}

impl Identity {
    /// Whether a cluster that begins, begins at the same level at both ends: their epochs would differ otherwise.
    fn check_first_level(&self, peer: &Hello) -> Result<(), Refusal> {
        let (ours, theirs) = (self.first_level(), peer.levels().in_force);
        // Later ones follow from the first. The numbers below are of its groups, and 0 is that of the snapshots.
        let is_of_first_epoch = (1..1 << 16).contains(&peer.channel);
        if !is_of_first_epoch || ours == theirs {
            return Ok(());
        }
        Err(Refusal::Level(format!(
            "server {} begins a cluster at level {ours}, and server {} at level {theirs}: set the same first level on all \
             servers of a new cluster",
            self.server, peer.server
        )))
    }
}
