//! Connections that this server or another one has refused.

use std::collections::BTreeSet;

use crate::sync::Mutex;

/// The most refusals to remember, so that a stranger with made-up names cannot grow the process.
const MOST: usize = 64;

/// A refused server retries every second or so: one that has not for so many ticks has given up.
const FORGOTTEN_AFTER_TICKS: u32 = 600;

/// Refusals on the groups' channels that hold now.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Vec<Noted>>);

struct Noted {
    channel: u32,
    refusal: PeerRefusal,
    ticks_left: u32,
}

/// One end of a connection refused the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerRefusal {
    /// The other server, as it names itself.
    pub peer: Option<u64>,
    /// Whether this server refused the other.
    pub by_us: bool,
    pub why: String,
}

impl Refusals {
    /// Returns whether it is news.
    pub fn note(&self, channel: u32, refusal: &PeerRefusal) -> bool {
        let mut noted = self.0.lock();
        let known = noted.iter_mut().find(|noted| noted.channel == channel && noted.refusal == *refusal);
        if let Some(known) = known {
            known.ticks_left = FORGOTTEN_AFTER_TICKS;
            return false;
        }
        if noted.len() == MOST {
            noted.remove(0);
        }
        noted.push(Noted { channel, refusal: refusal.clone(), ticks_left: FORGOTTEN_AFTER_TICKS });
        true
    }

    /// A connection is up, so neither end refuses the other.
    pub fn accepted(&self, channel: u32, peer: u64) {
        self.0.lock().retain(|noted| (noted.channel, noted.refusal.peer) != (channel, Some(peer)));
    }

    /// A channel is closed, as its epoch is over.
    pub fn closed(&self, channel: u32) {
        self.0.lock().retain(|noted| noted.channel != channel);
    }

    /// Time passes for a group's channel.
    pub fn tick(&self, channel: u32) {
        self.0.lock().retain_mut(|noted| {
            noted.ticks_left -= u32::from(noted.channel == channel);
            noted.ticks_left > 0
        });
    }

    /// Refusals between this server and these, each once.
    pub fn between(&self, servers: &[u64]) -> BTreeSet<PeerRefusal> {
        let noted = self.0.lock();
        let refusals = noted.iter().map(|noted| &noted.refusal);
        refusals.filter(|refusal| refusal.peer.is_some_and(|peer| servers.contains(&peer))).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(peer: u64, why: &str) -> PeerRefusal {
        PeerRefusal { peer: Some(peer), by_us: false, why: why.to_owned() }
    }

    #[test]
    fn a_refusal_holds_until_a_connection_is_up_or_nobody_retries() {
        let refusals = Refusals::default();
        assert!(refusals.note(0, &refusal(2, "why")) && !refusals.note(0, &refusal(2, "why")));
        assert!(refusals.note(1, &refusal(2, "why")) && refusals.note(1, &refusal(9, "a stranger")));
        assert_eq!(Vec::from_iter(refusals.between(&[1, 2, 3])), [refusal(2, "why")]);
        refusals.accepted(0, 2);
        for _ in 1..FORGOTTEN_AFTER_TICKS {
            refusals.tick(1);
        }
        assert_eq!(refusals.between(&[2]).len(), 1);
        refusals.tick(0);
        refusals.tick(1);
        assert!(refusals.between(&[2, 9]).is_empty());
    }

    #[test]
    fn a_stranger_with_many_names_takes_no_memory() {
        let refusals = Refusals::default();
        (0..10_000).for_each(|peer| assert!(refusals.note(0, &refusal(peer, "why"))));
        assert_eq!(refusals.0.lock().len(), MOST);
    }
}
