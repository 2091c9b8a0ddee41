//! Hash chains: each is one client that stores the link h under its key, and then the link SHA-256(h). So one look at a key says
//! whether an acknowledged write is missing, or something is there that was never written.
//!
//! A write whose outcome is unknown may be executed at any later time, and would then lead the key back. So the chain leaves
//! that key for good, once a strong read has shown that what was acknowledged is there, and writes the same link to a new key.
//! In each of its keys there is the last link that was acknowledged there, or the one whose outcome is unknown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use niagara_engine::Consistency;
use sha2::{Digest as _, Sha256};

use super::{Findings, Phase, Share, Workload};
use crate::drive::chain_key::ChainKey;
use crate::drive::operation::{Operation, Outcome, Verb};

/// A link of a chain.
type Link = [u8; 32];

/// The key's name.
fn key_name(seed: u64, key: &ChainKey) -> Vec<u8> {
    format!("chain-{seed}-{}-{}", key.chain, key.key).into_bytes()
}

/// The link after this one.
fn link_after(link: &Link) -> Link {
    Sha256::digest(link).into()
}

/// A link of a chain, found by walking there from the seed.
fn walk(seed: u64, chain: u64, number: u64) -> Link {
    let first = Sha256::digest(format!("niagara-load chain {seed} {chain}")).into();
    (0..number).fold(first, |link, _| link_after(&link))
}

/// As it is stored.
fn text(link: &Link) -> String {
    link.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

/// A key and the two links that it may hold.
#[derive(Clone, Copy)]
struct Stored {
    key: ChainKey,
    acknowledged: Link,
    next: Link,
}

impl Stored {
    /// Whether the key holds what it must; if not, what is wrong.
    fn judge(&self, seed: u64, value: Option<&[u8]>) -> Result<(), String> {
        let ChainKey { acknowledged, sent, .. } = self.key;
        if acknowledged == 0 {
            // Whatever is there is of another run.
            return Ok(());
        }
        let is = |link: &Link| value == Some(text(link).as_bytes());
        if is(&self.acknowledged) || (sent > acknowledged && is(&self.next)) {
            return Ok(());
        }
        let name = String::from_utf8_lossy(&key_name(seed, &self.key)).into_owned();
        let what = match value {
            None => "is not there".to_owned(),
            Some(value) => match self.place_of(seed, value) {
                Some(number) if number < acknowledged => format!("holds link {number}: it went back"),
                Some(number) => format!("holds link {number}, which was not sent"),
                None => {
                    format!(
                        "holds {:?}, which is not on its chain",
                        String::from_utf8_lossy(&value[..value.len().min(64)])
                    )
                }
            },
        };
        Err(format!("{name} {what}; link {acknowledged} was acknowledged, and link {sent} sent"))
    }

    /// Which link this is, if it is one near or before what was sent.
    fn place_of(&self, seed: u64, value: &[u8]) -> Option<u64> {
        let mut link = walk(seed, self.key.chain, 0);
        (0..self.key.sent + 2).find(|_| {
            let found = text(&link).as_bytes() == value;
            link = link_after(&link);
            found
        })
    }
}

/// One chain, which has a place.
struct Chain {
    /// The last link that was acknowledged, under whatever key.
    acknowledged: u64,
    /// All its keys; the last one is written to.
    keys: Vec<Stored>,
    /// A write to that key is of unknown outcome: it is to be looked at, and left.
    doubtful: bool,
}

impl Chain {
    fn new(seed: u64, chain: u64) -> Chain {
        let acknowledged = walk(seed, chain, 0);
        let key = ChainKey { chain, key: 0, acknowledged: 0, sent: 0 };
        let stored = Stored { key, acknowledged, next: link_after(&acknowledged) };
        Chain { acknowledged: 0, keys: vec![stored], doubtful: false }
    }

    fn current(&mut self) -> &mut Stored {
        self.keys.last_mut().expect("a chain has a key")
    }

    /// The next link was acknowledged.
    fn advance(&mut self) {
        self.acknowledged += 1;
        let number = self.acknowledged;
        let Stored { key, acknowledged, next } = self.current();
        (key.acknowledged, key.sent) = (number, number);
        *acknowledged = *next;
        *next = link_after(next);
    }

    /// Goes on under another key.
    fn leave(&mut self) {
        let Stored { key, acknowledged, next } = *self.current();
        let key = ChainKey { key: key.key + 1, acknowledged: 0, sent: 0, ..key };
        self.keys.push(Stored { key, acknowledged, next });
        self.doubtful = false;
    }
}

/// The chains of one thread, each with a place of its own.
pub(in crate::drive) struct Chains {
    seed: u64,
    phase: Phase,
    chains: Vec<Chain>,
    /// Keys to look at: a chain, and which of its keys.
    to_check: Vec<(usize, usize)>,
    /// The key that each place looks at.
    looking: Vec<Option<(usize, usize)>>,
    checked: u64,
    failed: BTreeSet<String>,
}

impl Chains {
    pub fn new(seed: u64, share: Share) -> Chains {
        let numbers = share.first_place..share.first_place + share.places;
        let chains = numbers.map(|number| Chain::new(seed, number as u64)).collect();
        Chains::of(seed, chains, share.places)
    }

    /// Chains that were written before, to be checked only.
    pub fn written(seed: u64, mut keys: Vec<ChainKey>, share: Share) -> Chains {
        keys.sort_unstable();
        let mut chains: Vec<Chain> = Vec::new();
        for key in keys.into_iter().filter(|key| key.chain as usize % share.threads == share.thread) {
            let acknowledged = walk(seed, key.chain, key.acknowledged);
            let stored = Stored { key, acknowledged, next: link_after(&acknowledged) };
            match chains.last_mut() {
                Some(chain) if chain.keys[0].key.chain == key.chain => chain.keys.push(stored),
                _ => {
                    chains.push(Chain {
                        acknowledged: key.acknowledged,
                        keys: vec![stored],
                        doubtful: false,
                    });
                }
            }
        }
        Chains::of(seed, chains, share.places)
    }

    fn of(seed: u64, chains: Vec<Chain>, places: usize) -> Chains {
        Chains {
            seed,
            phase: Phase::Prepare,
            chains,
            to_check: Vec::new(),
            looking: vec![None; places],
            checked: 0,
            failed: BTreeSet::new(),
        }
    }

    /// What the next operation of a place looks at, if it looks.
    fn what_to_look_at(&mut self, place: usize) -> Option<(usize, usize)> {
        match self.phase {
            Phase::Run if self.chains[place].doubtful => Some((place, self.chains[place].keys.len() - 1)),
            Phase::Check => self.to_check.pop(),
            _ => None,
        }
    }

    /// What a place has found, or that it has not.
    fn looked(&mut self, (chain, key): (usize, usize), outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Done(done) => {
                self.checked += 1;
                self.failed.extend(self.chains[chain].keys[key].judge(self.seed, done.value).err());
                if self.phase == Phase::Run {
                    self.chains[chain].leave();
                }
            }
            Outcome::Failed(..) if self.phase == Phase::Check => self.to_check.push((chain, key)),
            Outcome::Failed(..) => {}
        }
    }

    fn wrote(&mut self, chain: usize, outcome: &Outcome<'_>) {
        let chain = &mut self.chains[chain];
        match outcome {
            Outcome::Done(_) => chain.advance(),
            Outcome::Failed(trouble, _) => {
                chain.doubtful = trouble.is_unknown();
                if !chain.doubtful {
                    let key = &mut chain.current().key;
                    key.sent = key.acknowledged;
                }
            }
        }
    }
}

impl Workload for Chains {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        if phase == Phase::Check {
            let keys = |(at, chain): (usize, &Chain)| (0..chain.keys.len()).map(move |key| (at, key));
            let all: Vec<(usize, usize)> = self.chains.iter().enumerate().flat_map(keys).collect();
            let acknowledged =
                |(chain, key): &(usize, usize)| self.chains[*chain].keys[*key].key.acknowledged;
            self.to_check = all.into_iter().filter(|at| acknowledged(at) > 0).collect();
        }
    }

    fn next(&mut self, place: usize, operation: &mut Operation) -> bool {
        self.looking[place] = self.what_to_look_at(place);
        let stored = if let Some((chain, key)) = self.looking[place] {
            operation.verb = Verb::Get(Consistency::Strong);
            &self.chains[chain].keys[key]
        } else if self.phase == Phase::Run {
            let number = self.chains[place].acknowledged + 1;
            let stored = self.chains[place].current();
            stored.key.sent = number;
            operation.verb = Verb::Set;
            operation.value.clear();
            operation.value.extend_from_slice(text(&stored.next).as_bytes());
            stored
        } else {
            return false;
        };
        operation.key.clear();
        operation.key.extend_from_slice(&key_name(self.seed, &stored.key));
        true
    }

    fn done(&mut self, place: usize, outcome: &Outcome<'_>) {
        match self.looking[place].take() {
            Some(at) => self.looked(at, outcome),
            None => self.wrote(place, outcome),
        }
    }

    fn findings(&mut self) -> Findings {
        let unread = self.to_check.iter().chain(self.looking.iter().flatten());
        for (chain, key) in unread {
            let name = key_name(self.seed, &self.chains[*chain].keys[*key].key);
            self.failed.insert(format!("{} could not be read", String::from_utf8_lossy(&name)));
        }
        Findings {
            chains: self.chains.iter().flat_map(|chain| chain.keys.iter().map(|stored| stored.key)).collect(),
            checked: self.checked,
            failed: std::mem::take(&mut self.failed).into_iter().collect(),
            ..Findings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::operation::{Done, Trouble};

    const SHARE: Share = Share { thread: 0, threads: 1, first_place: 3, places: 1, pipeline: 1 };

    /// One chain, and the key that it writes to as a server would have it.
    struct Rig {
        chains: Chains,
        operation: Operation,
    }

    impl Rig {
        fn new() -> Rig {
            let mut chains = Chains::new(9, SHARE);
            chains.enter(Phase::Run);
            Rig { chains, operation: Operation::new() }
        }

        fn step(&mut self, outcome: &Outcome<'_>) -> Operation {
            assert!(self.chains.next(0, &mut self.operation));
            self.chains.done(0, outcome);
            self.operation.clone()
        }

        fn acknowledge(&mut self, times: usize) {
            (0..times).for_each(|_| assert_eq!(self.step(&done(None)).verb, Verb::Set));
        }

        /// The check at the end, with every key holding what `stored` says.
        fn check(mut self, stored: impl Fn(&[u8]) -> Option<String>) -> (u64, Vec<String>) {
            self.chains.enter(Phase::Check);
            while self.chains.next(0, &mut self.operation) {
                assert_eq!(self.operation.verb, Verb::Get(Consistency::Strong));
                let value = stored(&self.operation.key);
                self.chains.done(0, &done(value.as_deref().map(str::as_bytes)));
            }
            let findings = self.chains.findings();
            (findings.checked, findings.failed)
        }
    }

    fn done(value: Option<&[u8]>) -> Outcome<'_> {
        Outcome::Done(Done { position: 0, value })
    }

    fn link(number: u64) -> String {
        text(&walk(9, 3, number))
    }

    #[test]
    fn a_chain_is_written_link_by_link() {
        let mut rig = Rig::new();
        for number in 1..5 {
            let write = rig.step(&done(None));
            assert_eq!((write.key.as_slice(), write.value), (b"chain-9-3-0".as_slice(), link(number).into()));
        }
        let again = rig.step(&Outcome::Failed(Trouble::Overloaded, b""));
        assert_eq!((rig.step(&done(None)).value, again.value), (link(5).into(), link(5).into()));
        assert_eq!(rig.check(|_| Some(link(5))), (1, vec![]));
    }

    #[test]
    fn what_is_not_the_last_acknowledged_link_fails() {
        for (stored, why) in [
            (Some(link(9)), "holds link 9: it went back"),
            (Some(link(11)), "holds link 11, which was not sent"),
            (Some(text(&[7; 32])), "not on its chain"),
            (None, "is not there"),
        ] {
            let mut rig = Rig::new();
            rig.acknowledge(10);
            let (checked, failed) = rig.check(|_| stored.clone());
            assert!(checked == 1 && failed.len() == 1 && failed[0].contains(why), "{failed:?}");
        }
    }

    #[test]
    fn after_an_unknown_outcome_the_key_is_looked_at_and_left() {
        for (found, fails) in [(4, false), (5, false), (3, true), (6, true)] {
            let mut rig = Rig::new();
            rig.acknowledge(4);
            rig.step(&Outcome::Failed(Trouble::Lost, b""));
            rig.step(&Outcome::Failed(Trouble::NoQuorum, b""));
            let look = rig.step(&done(Some(link(found).as_bytes())));
            assert_eq!(
                (look.verb, look.key.as_slice()),
                (Verb::Get(Consistency::Strong), b"chain-9-3-0".as_slice())
            );
            let write = rig.step(&done(None));
            assert_eq!((write.key.as_slice(), write.value), (b"chain-9-3-1".as_slice(), link(5).into()));
            rig.acknowledge(1);
            // The lost write comes late: no harm to what the key must hold.
            let stored = |key: &[u8]| Some(link(if key.ends_with(b"-0") { 5 } else { 6 }));
            let (checked, failed) = rig.check(stored);
            assert_eq!((checked, !failed.is_empty()), (3, fails), "{failed:?}");
        }
    }

    #[test]
    fn a_write_that_ends_unknown_may_be_there() {
        for (found, fails) in [(2, false), (3, false), (1, true), (4, true)] {
            let mut rig = Rig::new();
            rig.acknowledge(2);
            rig.step(&Outcome::Failed(Trouble::Timeout, b""));
            let (_, failed) = rig.check(|_| Some(link(found)));
            assert_eq!(!failed.is_empty(), fails, "{failed:?}");
        }
    }

    #[test]
    fn chains_that_were_written_are_checked_against_their_report() {
        let keys = vec![
            ChainKey { chain: 3, key: 1, acknowledged: 8, sent: 8 },
            ChainKey { chain: 3, key: 0, acknowledged: 4, sent: 5 },
            ChainKey { chain: 3, key: 2, acknowledged: 0, sent: 9 },
        ];
        for (newest, fails) in [(8, false), (7, true), (9, true)] {
            let chains = Chains::written(9, keys.clone(), SHARE);
            let rig = Rig { chains, operation: Operation::new() };
            let (checked, failed) =
                rig.check(|key| Some(link(if key.ends_with(b"-0") { 5 } else { newest })));
            assert_eq!((checked, !failed.is_empty()), (2, fails), "{failed:?}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_fails() {
        let mut rig = Rig::new();
        rig.acknowledge(1);
        rig.chains.enter(Phase::Check);
        rig.step(&Outcome::Failed(Trouble::NoQuorum, b""));
        assert_eq!(rig.chains.findings().failed, ["chain-9-3-0 could not be read"]);
    }
}
