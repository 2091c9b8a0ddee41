//! What an epoch is: its record, and the hash that names it with all before it.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::layout::{GlobalPosition, Layout};

/// Number of an epoch, from 1.
///
/// ```
/// use niagara_sequencer::epoch::Epoch;
///
/// assert_eq!(Epoch::FIRST.next(), Epoch::new(2));
/// assert_eq!(Epoch::new(2).to_string(), "2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch that a cluster begins with.
    pub const FIRST: Self = Self(1);

    /// Epoch `e`, from 1; panics on 0.
    #[must_use]
    pub const fn new(e: u32) -> Self {
        assert!(e >= 1, "epochs are numbered from 1");
        Self(e)
    }

    /// The epoch's number, at least 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The epoch that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What changes from one epoch to the next, as an operator asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Number of groups, R.
    pub groups: u16,
    /// Ids of all servers that have a replica of each group.
    pub members: Vec<u64>,
    /// What all members understand: a higher level has more kinds of entries.
    pub level: u32,
    /// Where members are. One without a contact is where the servers' configurations say: contacts come with the first
    /// change of members.
    pub contacts: Vec<Contact>,
}

/// Where a member is, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contact {
    /// Its id.
    pub server: u64,
    /// `host:port` for its groups, which take turns if there are more of them.
    pub addresses: Vec<String>,
    /// `host:port` for snapshots.
    pub transfer: String,
    /// Its share of the leaderships, compared with those of the others; 0 for none.
    pub weight: u16,
    /// What the application says of it. Nothing here reads it.
    pub note: String,
}

/// An epoch: its terms, and what follows from the epochs before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Its number.
    pub epoch: Epoch,
    /// The last position of the epoch before; 0 for the first.
    pub base: GlobalPosition,
    /// Number of lanes of each server. It never falls, so that a lane's commands always have a successor to go to.
    pub lanes: u16,
    /// Groups, members and level.
    pub terms: Terms,
}

/// Names an epoch and all epochs before it. Servers whose hashes of an epoch differ do not belong together, and exchange no
/// message of its groups. It guards against mistakes, not against forgery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainHash(u128);

impl ChainHash {
    /// From a file or a message.
    #[must_use]
    pub const fn new(hash: u128) -> Self {
        Self(hash)
    }

    /// As a number, for files and messages.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Record {
    /// The arithmetic of its slots.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::above(self.base, self.terms.groups)
    }

    /// Whether the server with this id has replicas of its groups.
    #[must_use]
    pub fn is_member(&self, server: u64) -> bool {
        self.terms.members.contains(&server)
    }

    /// Where a member is, if the chain says so.
    #[must_use]
    pub fn contact(&self, server: u64) -> Option<&Contact> {
        self.terms.contacts.iter().find(|contact| contact.server == server)
    }

    /// Whether another epoch has the same members, at the same places.
    pub(super) fn has_members_of(&self, other: &Record) -> bool {
        let same_size = self.terms.members.len() == other.terms.members.len();
        same_size
            && self.terms.members.iter().all(|member| other.is_member(*member))
            && self.terms.contacts == other.terms.contacts
    }

    /// Number of members that are a quorum.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.terms.members.len() / 2 + 1
    }

    /// The hash of this record and all before it. Keys, order and widths are part of the format: all servers of a cluster
    /// compute the same.
    pub(super) fn hash_after(&self, before: ChainHash) -> ChainHash {
        let Record { epoch, base, lanes, terms: Terms { groups, members, level, contacts } } = self;
        let mut hasher = SipHasher24::new_with_keys(0x6e69_6167_6172_6120, 0x6570_6f63_6873_2031);
        hasher.write(&before.0.to_le_bytes());
        hasher.write(&epoch.0.to_le_bytes());
        hasher.write(&base.get().to_le_bytes());
        hasher.write(&groups.to_le_bytes());
        hasher.write(&lanes.to_le_bytes());
        hasher.write(&level.to_le_bytes());
        hasher.write(&(members.len() as u64).to_le_bytes());
        members.iter().for_each(|member| hasher.write(&member.to_le_bytes()));
        contacts.iter().for_each(|contact| contact.hash_into(&mut hasher));
        ChainHash(hasher.finish128().as_u128())
    }
}

/// The most addresses of a contact, and bytes of each text in it.
const MOST_ADDRESSES: usize = 256;
const MOST_TEXT_BYTES: usize = 1024;

impl Contact {
    /// The weight of a member of which nothing else is said.
    pub const DEFAULT_WEIGHT: u16 = 100;

    /// Whether it has addresses, and is no longer than a record should be.
    pub(super) fn is_of_use(&self) -> bool {
        let texts = self.addresses.iter().chain([&self.transfer, &self.note]);
        (1..=MOST_ADDRESSES).contains(&self.addresses.len())
            && texts.map(String::len).all(|length| length <= MOST_TEXT_BYTES)
    }

    fn hash_into(&self, hasher: &mut SipHasher24) {
        let Contact { server, addresses, transfer, weight, note } = self;
        hasher.write(&server.to_le_bytes());
        hasher.write(&weight.to_le_bytes());
        hasher.write(&(addresses.len() as u64).to_le_bytes());
        for text in addresses.iter().chain([transfer, note]) {
            hasher.write(&(text.len() as u64).to_le_bytes());
            hasher.write(text.as_bytes());
        }
    }
}
