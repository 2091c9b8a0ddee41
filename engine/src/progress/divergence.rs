//! Whether this server has diverged from the others, and the evidence.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use niagara_group::digest_mark::DigestMark;
use parking_lot::Mutex;

use crate::agreement::{Compared, DigestOf, FirstDifference, compare};

/// Evidence that this server has diverged from others: they have executed different commands, or the same
/// with different results. It is never withdrawn: only a new process starts without it.
///
/// A server that differs from another one keeps serving only while more than half of all servers, including
/// itself, are known to equal it at that difference. So of three servers with a bad one, the bad one is not
/// ready, and the two good ones are; and of two servers that differ, with nobody to decide between them,
/// neither is.
pub(crate) struct Divergence {
    servers: AtomicUsize,
    is_diverged: AtomicBool,
    known: Mutex<KnownPeers>,
}

#[derive(Default)]
struct KnownPeers {
    peers: BTreeMap<u64, Peer>,
    /// Entries committed here that a leader lacks, by the group's channel.
    contradicted: BTreeMap<u32, String>,
}

/// What is known about another server.
#[derive(Default)]
struct Peer {
    marks: Vec<DigestMark>,
    equal: Compared,
    differs: Option<FirstDifference>,
}

impl Peer {
    /// Whether that server is known to equal this one at the difference.
    fn is_equal_at(&self, difference: FirstDifference) -> bool {
        let FirstDifference { position, of } = difference;
        self.differs.is_none()
            && self.equal.log >= position
            && (of == DigestOf::Log || self.equal.state >= position)
    }
}

impl Divergence {
    /// For a cluster of this many servers.
    pub fn new(servers: usize) -> Divergence {
        let servers = AtomicUsize::new(servers);
        Divergence { servers, is_diverged: AtomicBool::new(false), known: Mutex::default() }
    }

    /// Another epoch begins, with so many servers.
    pub fn servers_are(&self, servers: usize) {
        self.servers.store(servers, SeqCst);
    }

    /// Whether this server must refuse commands, answer no strong reads and not be ready.
    pub fn is_diverged(&self) -> bool {
        self.is_diverged.load(SeqCst)
    }

    /// The reason, in words; `None` while all is well.
    pub fn told(&self) -> Option<String> {
        self.is_diverged().then(|| self.known.lock().tell())
    }

    /// Compares digests that another server has sent with this one's.
    pub fn heard(&self, peer: u64, theirs: Vec<DigestMark>, mine: &[DigestMark]) {
        let mut known = self.known.lock();
        known.peers.entry(peer).or_default().marks = theirs;
        known.compare(peer, mine);
        self.conclude(&known);
    }

    /// Compares again what others have sent, now that this server has executed more.
    pub fn moved_on(&self, mine: &[DigestMark]) {
        let mut known = self.known.lock();
        let peers: Vec<u64> = known.peers.keys().copied().collect();
        peers.into_iter().for_each(|peer| known.compare(peer, mine));
        self.conclude(&known);
    }

    /// Records that a leader of the group with this channel lacks what is known to be committed here.
    pub fn contradicted(&self, channel: u32, what: String) {
        let mut known = self.known.lock();
        if let Entry::Vacant(vacant) = known.contradicted.entry(channel) {
            vacant.insert(what);
            self.conclude(&known);
        }
    }

    fn conclude(&self, known: &KnownPeers) {
        if known.is_diverged(self.servers.load(SeqCst)) != self.is_diverged() {
            let diverged = !self.is_diverged();
            self.is_diverged.store(diverged, SeqCst);
            if diverged {
                let why = known.tell();
                tracing::error!(
                    "this server is not ready, answers no strong reads and accepts no commands: {why}. \
                     {ADVICE}"
                );
            } else {
                tracing::error!("more than half of the servers are equal to this one, so it resumes service");
            }
        }
    }
}

const ADVICE: &str =
    "Keep all data directories as they are, check `niagara status`, and report this: it must never happen";

impl KnownPeers {
    fn compare(&mut self, peer: u64, mine: &[DigestMark]) {
        let known = self.peers.entry(peer).or_default();
        match compare(mine, &known.marks) {
            Ok(equal) => {
                known.equal.log = known.equal.log.max(equal.log);
                known.equal.state = known.equal.state.max(equal.state);
            }
            Err(difference) => {
                if known.differs.is_none() {
                    let FirstDifference { position, of } = difference;
                    tracing::error!(
                        peer,
                        position,
                        "the {of} of this server and server {peer} differ. {ADVICE}"
                    );
                }
                let earliest = known.differs.filter(|before| before.position <= difference.position);
                known.differs = Some(earliest.unwrap_or(difference));
            }
        }
    }

    fn is_diverged(&self, servers: usize) -> bool {
        let is_outvoted = |difference: FirstDifference| {
            let equal = self.peers.values().filter(|peer| peer.is_equal_at(difference)).count();
            2 * (equal + 1) <= servers
        };
        !self.contradicted.is_empty() || self.peers.values().filter_map(|peer| peer.differs).any(is_outvoted)
    }

    fn tell(&self) -> String {
        let mut told = String::new();
        let differ = self.peers.iter().filter_map(|(peer, known)| Some((peer, known.differs?)));
        for (peer, FirstDifference { position, of }) in differ {
            let _ = write!(told, "; the {of} of this server and server {peer} differ at position {position}");
        }
        for what in self.contradicted.values() {
            let _ = write!(told, "; {what}");
        }
        told.split_off("; ".len().min(told.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(digests: &[(u64, u64, u64)]) -> Vec<DigestMark> {
        let mark =
            |&(position, log, state): &(u64, u64, u64)| DigestMark { position, log, state: Some(state) };
        digests.iter().map(mark).collect()
    }

    #[test]
    fn the_one_that_differs_from_both_others_is_not_ready_and_they_are() {
        let (good, bad) = (marks(&[(8, 1, 1), (16, 2, 2)]), marks(&[(8, 1, 1), (16, 2, 3)]));
        let here = Divergence::new(3);
        here.heard(2, good.clone(), &bad);
        here.heard(3, good.clone(), &bad);
        assert!(here.is_diverged());
        let told = here.told().unwrap();
        assert_eq!(
            told,
            "the states of this server and server 2 differ at position 16; the states of this server and server 3 differ at \
             position 16"
        );
        let there = Divergence::new(3);
        there.heard(3, good.clone(), &good);
        there.heard(1, bad, &good);
        assert_eq!((there.is_diverged(), there.told()), (false, None));
    }

    /// Until it is known which one the third server equals.
    #[test]
    fn nobody_is_ready_where_two_differ_and_nobody_decides() {
        let (mine, other) = (marks(&[(8, 1, 1)]), marks(&[(8, 9, 9)]));
        let here = Divergence::new(3);
        here.heard(2, other.clone(), &mine);
        assert!(here.is_diverged());
        // Being equal before the difference proves nothing about it.
        here.heard(3, marks(&[(4, 1, 1)]), &marks(&[(4, 1, 1), (8, 1, 1)]));
        assert!(here.is_diverged());
        here.heard(3, mine.clone(), &mine);
        assert!(!here.is_diverged());
        let of_two = Divergence::new(2);
        of_two.heard(2, other, &mine);
        assert!(of_two.is_diverged());
    }

    /// Both sent their digests before either got that far: the slower one compares when it does.
    #[test]
    fn what_was_heard_early_is_compared_later() {
        let here = Divergence::new(2);
        here.heard(2, marks(&[(8, 1, 1), (16, 2, 2)]), &marks(&[(8, 1, 1)]));
        assert!(!here.is_diverged());
        here.moved_on(&marks(&[(8, 1, 1), (16, 3, 3)]));
        assert!(here.is_diverged());
    }

    #[test]
    fn a_state_that_becomes_equal_again_stays_suspect() {
        let here = Divergence::new(2);
        here.heard(2, marks(&[(8, 1, 1)]), &marks(&[(8, 1, 2)]));
        here.heard(2, marks(&[(16, 2, 2)]), &marks(&[(16, 2, 2)]));
        assert!(here.is_diverged());
    }

    #[test]
    fn a_leader_that_lacks_what_is_committed_here_needs_no_second_witness() {
        let here = Divergence::new(3);
        here.contradicted(1, "group 2: server 3 leads without entry 9".into());
        here.contradicted(1, "and again".into());
        assert_eq!(here.told().as_deref(), Some("group 2: server 3 leads without entry 9"));
    }
}
