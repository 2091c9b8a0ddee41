//! When a write is executed, and the bytes that say so.

use niagara_planted::{self as planted, Bug};

use super::MalformedCommand;
use super::fields::{put_count, take_array, take_count, take_life, take_u8};
use crate::{Life, Tag, Version};

/// Most versions or tags in one condition: more than any client needs, and small against a key.
pub const MAX_CONDITION_VERSIONS: usize = 64;

const ALWAYS: u8 = 0;
const IF_ABSENT: u8 = 1;
const IF_PRESENT: u8 = 2;
const IF_ANY_VERSION: u8 = 3;
const IF_ANY_TAG: u8 = 4;
const UNLESS_ANY_TAG: u8 = 5;
const BOTH: u8 = 6;
/// The highest kind.
pub(super) const LAST_CONDITION: u8 = BOTH;

/// When a write is executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    #[default]
    Always,
    /// If the key does not exist.
    IfAbsent,
    /// If the key exists.
    IfPresent,
    /// If the key exists in one of these versions. Without versions, never.
    IfAnyVersion(Vec<Version>),
    /// If the key exists and has one of these tags. Without tags, never.
    IfAnyTag(Vec<Tag>),
    /// If the key does not exist, or has none of these tags.
    UnlessAnyTag(Vec<Tag>),
    /// If both hold. Neither is itself a pair.
    Both(Box<[Condition; 2]>),
}

impl Condition {
    /// Whether the write may be executed on a key in version `current`, or absent, in a state of this life.
    pub fn holds(&self, current: Option<Version>, life: Option<Life>) -> bool {
        let tag = || Some(Tag { life: life?, version: current? });
        let any_is_current = |tags: &[Tag]| {
            tag().is_some_and(|tag| {
                let same_position = |other: &Tag| other.version.position == tag.version.position;
                tags.contains(&tag) || planted::is(Bug::TagCountIgnored) && tags.iter().any(same_position)
            })
        };
        match self {
            Condition::Always => true,
            Condition::IfAbsent => current.is_none(),
            Condition::IfPresent => current.is_some(),
            Condition::IfAnyVersion(versions) => current.is_some_and(|current| versions.contains(&current)),
            Condition::IfAnyTag(tags) => any_is_current(tags),
            Condition::UnlessAnyTag(tags) => !any_is_current(tags),
            Condition::Both(both) => both.iter().all(|condition| condition.holds(current, life)),
        }
    }
}

pub(super) fn put_condition(out: &mut Vec<u8>, condition: &Condition) {
    match condition {
        Condition::Always => out.push(ALWAYS),
        Condition::IfAbsent => out.push(IF_ABSENT),
        Condition::IfPresent => out.push(IF_PRESENT),
        Condition::IfAnyVersion(versions) => {
            out.push(IF_ANY_VERSION);
            put_count(out, versions.len());
            for version in versions {
                put_version(out, *version);
            }
        }
        Condition::IfAnyTag(tags) => put_tags(out, IF_ANY_TAG, tags),
        Condition::UnlessAnyTag(tags) => put_tags(out, UNLESS_ANY_TAG, tags),
        Condition::Both(both) => {
            out.push(BOTH);
            both.iter().for_each(|condition| put_condition(out, condition));
        }
    }
}

fn put_tags(out: &mut Vec<u8>, kind: u8, tags: &[Tag]) {
    out.push(kind);
    put_count(out, tags.len());
    for tag in tags {
        out.extend_from_slice(&tag.life.get().to_le_bytes());
        put_version(out, tag.version);
    }
}

fn put_version(out: &mut Vec<u8>, version: Version) {
    out.extend_from_slice(&version.position.to_le_bytes());
    out.extend_from_slice(&version.further.to_le_bytes());
}

pub(super) fn take_condition(rest: &mut &[u8]) -> Result<Condition, MalformedCommand> {
    match take_u8(rest)? {
        BOTH => {
            let mut next = || take_u8(rest).and_then(|kind| take_single_condition(kind, rest));
            Ok(Condition::Both(Box::new([next()?, next()?])))
        }
        kind => take_single_condition(kind, rest),
    }
}

fn take_single_condition(kind: u8, rest: &mut &[u8]) -> Result<Condition, MalformedCommand> {
    Ok(match kind {
        ALWAYS => Condition::Always,
        IF_ABSENT => Condition::IfAbsent,
        IF_PRESENT => Condition::IfPresent,
        IF_ANY_VERSION => {
            let count = take_version_count(rest)?;
            Condition::IfAnyVersion((0..count).map(|_| take_version(rest)).collect::<Result<_, _>>()?)
        }
        IF_ANY_TAG => Condition::IfAnyTag(take_tags(rest)?),
        UNLESS_ANY_TAG => Condition::UnlessAnyTag(take_tags(rest)?),
        _ => return Err(MalformedCommand("unknown condition")),
    })
}

fn take_tags(rest: &mut &[u8]) -> Result<Vec<Tag>, MalformedCommand> {
    let count = take_version_count(rest)?;
    (0..count).map(|_| Ok(Tag { life: take_life(rest)?, version: take_version(rest)? })).collect()
}

fn take_version_count(rest: &mut &[u8]) -> Result<usize, MalformedCommand> {
    match take_count(rest)? {
        count @ 0..=MAX_CONDITION_VERSIONS => Ok(count),
        _ => Err(MalformedCommand("a condition names too many versions")),
    }
}

fn take_version(rest: &mut &[u8]) -> Result<Version, MalformedCommand> {
    let position = u64::from_le_bytes(take_array(rest)?);
    Ok(Version { position, further: u32::from_le_bytes(take_array(rest)?) })
}
