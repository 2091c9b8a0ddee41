//! Who may follow a member.

use std::collections::BTreeMap;
use std::sync::Arc;

use niagara_net::{Admission, Hello, Refusal};
use parking_lot::Mutex;

use crate::progress::SharedProgress;

/// Admits any server that is no member and was none. Nothing is written down: what a follower forgets harms nobody.
pub(crate) struct FollowerAdmission {
    progress: Arc<SharedProgress>,
    /// The store of each follower that has said hello, and whether it is connected.
    known: Mutex<BTreeMap<u64, (u128, bool)>>,
}

/// So many followers that are not connected are remembered, at most.
const MOST_KNOWN: usize = 256;

impl FollowerAdmission {
    pub fn new(progress: &Arc<SharedProgress>) -> FollowerAdmission {
        FollowerAdmission { progress: Arc::clone(progress), known: Mutex::default() }
    }

    /// A follower is connected, or not any more.
    pub fn is_connected(&self, follower: u64, is_connected: bool) {
        if let Some(known) = self.known.lock().get_mut(&follower) {
            known.1 = is_connected;
        }
    }
}

impl Admission for FollowerAdmission {
    fn admit(&self, peer: &Hello) -> Result<(), Refusal> {
        let follower = peer.server;
        let epoch = self.progress.epoch();
        if epoch.members().contains(&follower) || epoch.former.contains(&follower) {
            return Err(Refusal::Store(format!(
                "server {follower} is or was a member of the cluster, so no follower can have its id: give the follower an id \
                 that was never used"
            )));
        }
        let mut known = self.known.lock();
        match known.get(&follower) {
            Some((store, true)) if *store != peer.store => {
                return Err(Refusal::Store(format!(
                    "another follower with the id {follower} is connected: give each an id of its own"
                )));
            }
            _ => {}
        }
        if known.len() >= MOST_KNOWN {
            known.retain(|_, (_, is_connected)| *is_connected);
        }
        let is_connected = known.get(&follower).is_some_and(|(_, is_connected)| *is_connected);
        known.insert(follower, (peer.store, is_connected));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use niagara_sequencer::epoch::{Chain, Epoch, Terms};

    use super::*;
    use crate::progress::{ByteLimits, EpochProgress};

    fn admission() -> FollowerAdmission {
        let terms =
            |members: &[u64]| Terms { groups: 1, members: members.to_vec(), level: 1, ..Terms::default() };
        let mut chain = Chain::genesis(terms(&[1, 2, 3])).unwrap();
        chain.extend(4, terms(&[1, 2])).unwrap();
        let epoch = EpochProgress::new(&chain, Epoch::new(2));
        let limits = ByteLimits { behind: 1 << 20, merge: 1 << 20 };
        FollowerAdmission::new(&Arc::new(SharedProgress::new(epoch, 2, limits)))
    }

    fn hello(server: u64, store: u128) -> Hello {
        Hello { server, store, ..Hello::default() }
    }

    #[test]
    fn members_and_former_members_are_no_followers() {
        let admission = admission();
        for server in [1, 2, 3] {
            assert!(admission.admit(&hello(server, 9)).is_err());
        }
        assert_eq!(admission.admit(&hello(4, 9)), Ok(()));
    }

    #[test]
    fn two_followers_cannot_have_one_id_at_a_time() {
        let admission = admission();
        assert_eq!(admission.admit(&hello(4, 9)), Ok(()));
        admission.is_connected(4, true);
        assert!(admission.admit(&hello(4, 8)).is_err());
        assert_eq!(
            admission.admit(&hello(4, 9)),
            Ok(()),
            "it connects anew before the old connection is known to be gone"
        );
        assert!(admission.admit(&hello(4, 8)).is_err(), "and is connected still");
        admission.is_connected(4, false);
        assert_eq!(admission.admit(&hello(4, 8)), Ok(()));
    }

    #[test]
    fn followers_that_come_and_go_take_no_memory() {
        let admission = admission();
        (10..10_000).for_each(|server| assert_eq!(admission.admit(&hello(server, 9)), Ok(())));
        assert!(admission.known.lock().len() <= MOST_KNOWN);
    }
}
