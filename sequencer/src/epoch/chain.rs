//! The chain of epochs: which may follow which.

use std::fmt;

use super::lanes::lanes_after;
use super::record::{ChainHash, Contact, Epoch, Record, Terms};
use crate::layout::{GlobalPosition, MAX_BASE, MAX_GROUPS, MAX_PLACE};

/// The most servers in a cluster.
pub const MAX_MEMBERS: usize = 64;

/// A record, and the hash of the chain up to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// The epoch.
    pub record: Record,
    /// Names it and all before it.
    pub hash: ChainHash,
}

/// All epochs of a cluster, from the first to the newest: replicated state, and the same on every server that is as far.
///
/// ```
/// use niagara_sequencer::GlobalPosition;
/// use niagara_sequencer::epoch::{Chain, Epoch, Terms};
///
/// let terms = |groups| Terms { groups, members: vec![1, 2, 3], level: 1, ..Terms::default() };
/// let mut chain = Chain::genesis(terms(2)).expect("two groups on three servers");
/// // Epoch 1 ends with its round 4, and three groups continue.
/// chain.extend(4, terms(3)).expect("more groups");
///
/// let newest = &chain.newest().record;
/// assert_eq!((newest.epoch, newest.base), (Epoch::new(2), GlobalPosition::new(8)));
/// assert_eq!(chain.last_round(Epoch::FIRST), Some(4));
/// assert_eq!(chain.last_round(Epoch::new(2)), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// Never empty; epoch e is at index e - 1.
    links: Vec<Link>,
}

/// Why terms cannot follow a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The number of groups is not in `1..=MAX_GROUPS`.
    Groups(u16),
    /// There are no members.
    NoMembers,
    /// There are more than [`MAX_MEMBERS`] members.
    TooManyMembers(usize),
    /// A member has the id 0.
    NoId,
    /// A member is named twice.
    MemberTwice(u64),
    /// A server with this id was a member before. It may have forgotten how it voted, or the others may have: a server that
    /// comes back needs a new id.
    MemberAgain(u64),
    /// The level is lower than the present one.
    LowerLevel {
        /// The present one.
        now: u32,
        /// The one asked for.
        next: u32,
    },
    /// A contact is of no member, there are two of a member, or it has no address.
    Contact(u64),
    /// Positions end here: the base would exceed [`MAX_BASE`].
    TooFar,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Groups(groups) => {
                write!(f, "{groups} groups are not possible: choose 1 to {MAX_GROUPS}")
            }
            Refused::NoMembers => write!(f, "a cluster needs at least one member"),
            Refused::TooManyMembers(count) => {
                write!(f, "{count} servers are too many: a cluster has at most {MAX_MEMBERS}")
            }
            Refused::NoId => write!(f, "server ids start at 1"),
            Refused::MemberTwice(id) => write!(f, "server {id} is named twice"),
            Refused::MemberAgain(id) => {
                write!(
                    f,
                    "server {id} was a member before, and has been removed: choose an id that was never used"
                )
            }
            Refused::LowerLevel { now, next } => {
                write!(f, "the cluster is at level {now}, and cannot go back to {next}")
            }
            Refused::Contact(id) => {
                write!(
                    f,
                    "the addresses of server {id} are of no use: give those of members, once, with at least one for each, and none longer than 1 KiB"
                )
            }
            Refused::TooFar => write!(f, "positions are used up"),
        }
    }
}

impl std::error::Error for Refused {}

impl Chain {
    /// A chain of one epoch.
    ///
    /// # Errors
    /// If there can be no such epoch.
    pub fn genesis(terms: Terms) -> Result<Chain, Refused> {
        check_alone(&terms)?;
        let mut chain = Chain { links: Vec::new() };
        chain.push(GlobalPosition::ZERO, terms);
        Ok(chain)
    }

    /// The newest epoch.
    #[must_use]
    pub fn newest(&self) -> &Link {
        self.links.last().expect("a chain has a first link")
    }

    /// An epoch, if the chain reaches it.
    #[must_use]
    pub fn get(&self, epoch: Epoch) -> Option<&Link> {
        self.links.get(epoch.get() as usize - 1)
    }

    /// All epochs, the first one first.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The last round of an epoch, P; `None` unless the chain has a later one.
    #[must_use]
    pub fn last_round(&self, epoch: Epoch) -> Option<u64> {
        let next = &self.get(epoch.next())?.record;
        Some(self.get(epoch)?.record.layout().rounds_within(next.base))
    }

    /// The first epoch with each list of members, and of where they are.
    ///
    /// ```
    /// use niagara_sequencer::epoch::{Chain, Terms};
    ///
    /// let terms = |groups, members: &[u64]| Terms { groups, members: members.to_vec(), level: 1, ..Terms::default() };
    /// let mut chain = Chain::genesis(terms(2, &[1, 2, 3])).expect("three members");
    /// chain.extend(4, terms(3, &[1, 2, 3])).expect("more groups");
    /// chain.extend(4, terms(3, &[1, 2, 4])).expect("server 4 replaces server 3");
    /// let since: Vec<u32> = chain.memberships().map(|record| record.epoch.get()).collect();
    /// assert_eq!(since, [1, 3]);
    /// ```
    pub fn memberships(&self) -> impl DoubleEndedIterator<Item = &Record> {
        let records = || self.links.iter().map(|link| &link.record);
        let changed =
            records().skip(1).zip(records()).filter(|(record, before)| !record.has_members_of(before));
        records().take(1).chain(changed.map(|(record, _)| record))
    }

    /// Whether a server with this id is or was a member.
    #[must_use]
    pub fn was_member(&self, server: u64) -> bool {
        self.links.iter().any(|link| link.record.is_member(server))
    }

    /// Whether epochs with these terms may follow. The answer depends on the chain alone, so every server gives the same one at
    /// the same position.
    ///
    /// # Errors
    /// If they may not: see [`Refused`].
    pub fn check(&self, next: &Terms) -> Result<(), Refused> {
        check_alone(next)?;
        let now = &self.newest().record;
        if next.level < now.terms.level {
            return Err(Refused::LowerLevel { now: now.terms.level, next: next.level });
        }
        let again = |id: &&u64| !now.is_member(**id) && self.was_member(**id);
        next.members.iter().find(again).map_or(Ok(()), |id| Err(Refused::MemberAgain(*id)))
    }

    /// Ends the newest epoch after `last_round`, and adds the next one.
    ///
    /// # Errors
    /// If the terms may not follow, or the base would be too high. Then nothing has changed.
    pub fn extend(&mut self, last_round: u64, next: Terms) -> Result<(), Refused> {
        self.check(&next)?;
        self.push(self.base_after(last_round).ok_or(Refused::TooFar)?, next);
        Ok(())
    }

    /// The last position of the newest epoch if it ends after `last_round`; `None` if no layout can begin there.
    pub(super) fn base_after(&self, last_round: u64) -> Option<GlobalPosition> {
        let base = (last_round <= MAX_PLACE).then(|| self.newest().record.layout().round_end(last_round));
        base.filter(|base| base.get() <= MAX_BASE)
    }

    fn push(&mut self, base: GlobalPosition, terms: Terms) {
        let (epoch, lanes, hash) = match self.links.last() {
            Some(Link { record, hash }) => (record.epoch.next(), record.lanes, *hash),
            None => (Epoch::FIRST, 0, ChainHash::default()),
        };
        let record = Record { epoch, base, lanes: lanes_after(lanes, terms.groups), terms };
        let hash = record.hash_after(hash);
        self.links.push(Link { record, hash });
    }
}

/// What holds whatever came before.
fn check_alone(terms: &Terms) -> Result<(), Refused> {
    let Terms { groups, members, contacts, .. } = terms;
    if !(1..=MAX_GROUPS).contains(groups) {
        return Err(Refused::Groups(*groups));
    }
    if members.is_empty() {
        return Err(Refused::NoMembers);
    }
    if members.len() > MAX_MEMBERS {
        return Err(Refused::TooManyMembers(members.len()));
    }
    if members.contains(&0) {
        return Err(Refused::NoId);
    }
    let mut sorted = members.clone();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Refused::MemberTwice(pair[0]));
    }
    let is_of_use = |contact: &Contact, before: &[Contact]| {
        members.contains(&contact.server)
            && contact.is_of_use()
            && before.iter().all(|other| other.server != contact.server)
    };
    match contacts.iter().enumerate().find(|(at, contact)| !is_of_use(contact, &contacts[..*at])) {
        Some((_, contact)) => Err(Refused::Contact(contact.server)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(groups: u16, members: &[u64]) -> Terms {
        Terms { groups, members: members.to_vec(), level: 1, ..Terms::default() }
    }

    #[test]
    fn what_does_not_follow_is_refused_and_changes_nothing() {
        let mut chain = Chain::genesis(terms(2, &[1, 2, 3])).unwrap();
        chain.extend(5, terms(2, &[1, 2])).unwrap();
        let before = chain.clone();
        for (next, refused) in [
            (terms(0, &[1]), Refused::Groups(0)),
            (terms(MAX_GROUPS + 1, &[1]), Refused::Groups(MAX_GROUPS + 1)),
            (terms(1, &[]), Refused::NoMembers),
            (terms(1, &[0, 1]), Refused::NoId),
            (terms(1, &(1..=65).collect::<Vec<_>>()), Refused::TooManyMembers(65)),
            (terms(1, &[1, 4, 1]), Refused::MemberTwice(1)),
            (terms(1, &[1, 2, 3]), Refused::MemberAgain(3)),
            (Terms { level: 0, ..terms(1, &[1]) }, Refused::LowerLevel { now: 1, next: 0 }),
        ] {
            assert_eq!(chain.extend(7, next), Err(refused));
        }
        assert_eq!(chain.extend(MAX_PLACE, terms(1, &[1, 4])), Ok(()), "any place that there can be");
        chain = before.clone();
        assert_eq!(chain.extend(MAX_PLACE + 1, terms(1, &[1])), Err(Refused::TooFar));
        assert_eq!(chain, before);
    }

    #[test]
    fn positions_that_are_used_up_end_the_chain() {
        let mut chain = Chain::genesis(terms(MAX_GROUPS, &[1])).unwrap();
        assert_eq!(chain.extend(MAX_PLACE, terms(1, &[1])), Err(Refused::TooFar));
        chain.extend(MAX_PLACE / 4, terms(MAX_GROUPS, &[1])).unwrap();
        assert_eq!(chain.links().len(), 2);
    }

    /// The hash is part of what servers compare: a change would split a cluster in an upgrade.
    #[test]
    fn hashes_stay_as_they_are() {
        let mut chain = Chain::genesis(terms(2, &[1, 2, 3])).unwrap();
        chain.extend(4, terms(3, &[1, 2, 4])).unwrap();
        let hashes: Vec<String> = chain.links().iter().map(|link| link.hash.to_string()).collect();
        assert_eq!(hashes, ["10f4407d401c4852dfe4bfd59dd22725", "ff89c20b1353d32f11fab3ff39ffe04d"]);
    }

    proptest! {
        /// Records follow from ends and terms; chains with different pasts have different hashes, and lanes never fall.
        #[test]
        fn a_chain_is_its_history(
            ends in prop::collection::vec((1..1000u64, 1..6u16), 1..6),
            changed in (0..6usize, 1..3u64),
        ) {
            let build = |ends: &[(u64, u16)]| {
                let mut chain = Chain::genesis(terms(3, &[1, 2])).unwrap();
                ends.iter().for_each(|&(round, groups)| chain.extend(round, terms(groups, &[1, 2])).unwrap());
                chain
            };
            let chain = build(&ends);
            for (link, (round, groups)) in chain.links().iter().zip(&ends) {
                let next = &chain.get(link.record.epoch.next()).unwrap().record;
                prop_assert_eq!(next.base, link.record.layout().round_end(*round));
                prop_assert_eq!(chain.last_round(link.record.epoch), Some(*round));
                prop_assert_eq!(next.terms.groups, *groups);
                prop_assert!(next.lanes >= link.record.lanes && next.lanes >= *groups);
            }
            let mut other = ends.clone();
            let at = changed.0 % other.len();
            other[at].0 += changed.1;
            let other = build(&other);
            for (here, there) in chain.links().iter().zip(other.links()) {
                let same = here.record.epoch.get() as usize <= at + 1;
                prop_assert_eq!(here.hash == there.hash, same);
            }
        }
    }
}
