//! Which keys and channels a set of rights allows.

use std::fmt;
use std::sync::Arc;

use super::rule::RuleError;
use crate::glob::{Glob, MAX_PATTERN_BYTES};

/// What is done to a key: nothing but to look whether it exists, reading, writing, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access(u8);

impl Access {
    pub(crate) const NONE: Access = Access(0);
    pub(crate) const READ: Access = Access(1);
    pub(crate) const WRITE: Access = Access(2);
    pub(crate) const BOTH: Access = Access(3);

    fn includes(self, other: Access) -> bool {
        self.0 & other.0 == other.0
    }

    /// What stands in front of a pattern of keys.
    fn prefix(self) -> &'static str {
        match self {
            Access::READ => "%R~",
            Access::WRITE => "%W~",
            _ => "~",
        }
    }
}

/// Patterns of keys, or of channels, for which the access means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Patterns {
    All,
    Some(Vec<Pattern>),
}

#[derive(Clone)]
pub(super) struct Pattern {
    text: Box<[u8]>,
    access: Access,
    glob: Arc<Glob>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        (&self.text, self.access) == (&other.text, other.access)
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.access.prefix(), String::from_utf8_lossy(&self.text))
    }
}

impl Patterns {
    pub(super) fn none() -> Patterns {
        Patterns::Some(Vec::new())
    }

    pub(super) fn is_all(&self) -> bool {
        *self == Patterns::All
    }

    /// Adds a pattern. `redundant` is the error if all are allowed already.
    pub(super) fn add(&mut self, text: &[u8], access: Access, redundant: RuleError) -> Result<(), RuleError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(RuleError::LongPattern);
        }
        let Patterns::Some(all) = self else { return Err(redundant) };
        let glob = Glob::new(text).ok_or(RuleError::LongPattern)?;
        match all.iter_mut().find(|pattern| *pattern.text == *text) {
            Some(known) => known.access = Access(known.access.0 | access.0),
            None => all.push(Pattern { text: text.into(), access, glob: Arc::new(glob) }),
        }
        Ok(())
    }

    /// Whether a key, or a channel, is allowed.
    pub(super) fn allow(&self, text: &[u8], access: Access) -> bool {
        match self {
            Patterns::All => true,
            Patterns::Some(all) => {
                all.iter().any(|pattern| pattern.access.includes(access) && pattern.glob.matches(text))
            }
        }
    }

    /// Whether a pattern is one of these: what else it matches, nobody can tell.
    pub(super) fn have(&self, text: &[u8]) -> bool {
        match self {
            Patterns::All => true,
            Patterns::Some(all) => all.iter().any(|pattern| *pattern.text == *text),
        }
    }

    /// Appends each as a rule, with a space behind it.
    pub(super) fn describe_keys(&self, out: &mut Vec<u8>) {
        self.describe(out, b"~*", |pattern| pattern.access.prefix());
    }

    /// The same for channels.
    pub(super) fn describe_channels(&self, out: &mut Vec<u8>) {
        self.describe(out, b"&*", |_| "&");
    }

    fn describe(&self, out: &mut Vec<u8>, all: &[u8], prefix: impl Fn(&Pattern) -> &'static str) {
        let patterns = match self {
            Patterns::All => {
                out.extend_from_slice(all);
                out.push(b' ');
                return;
            }
            Patterns::Some(patterns) => patterns,
        };
        for pattern in patterns {
            // One that reads and writes all keys is not the same as all keys: others may be added to it.
            let prefix =
                if &*pattern.text == b"*" && prefix(pattern) == "~" { "%RW~" } else { prefix(pattern) };
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(&pattern.text);
            out.push(b' ');
        }
    }

    /// What the patterns take in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let Patterns::Some(all) = self else { return 0 };
        all.iter().map(|pattern| (pattern.text.len() / 64 + 1) * (2 << 10)).sum()
    }
}
