//! All users together.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::rights::{Denial, Denied};
use super::rule::{BadRule, has_space};
use super::user::User;
use super::wanted::Wanted;
use crate::command::MAX_USER_NAME_BYTES;

/// The user that everybody is who has not said otherwise.
pub(crate) const DEFAULT: &[u8] = b"default";

/// The user of whoever gives the password for emergencies in a server's file: no part of the state, and may do everything.
pub(crate) const RESCUE: &[u8] = b"niagara.rescue";

/// Names that begin like this stand for no users.
const RESERVED: &[u8] = b"niagara.";

/// What all users may take in memory: about 8,000 patterns. A change copies as much at most.
const MAX_BYTES: usize = 16 << 20;

/// The users, by name. `default` is always among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Users {
    by_name: BTreeMap<Box<[u8]>, Arc<User>>,
    /// What all of them take in memory, about.
    bytes: usize,
}

/// Why users were not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotChanged {
    #[error(transparent)]
    Rule(#[from] BadRule),
    #[error("Usernames can't contain spaces or null characters")]
    BadName,
    #[error("a username has at most {MAX_USER_NAME_BYTES} bytes, and does not begin with \"niagara.\"")]
    NoName,
    #[error(
        "all users together take more than {MAX_BYTES} bytes (16 MiB): remove some, or some of their patterns"
    )]
    TooMuch,
    #[error("The 'default' user cannot be removed")]
    Default,
}

impl Default for Users {
    fn default() -> Users {
        let default = User::unlimited(DEFAULT);
        let bytes = default.bytes();
        Users { by_name: BTreeMap::from([(DEFAULT.into(), Arc::new(default))]), bytes }
    }
}

static RESCUER: LazyLock<Arc<User>> = LazyLock::new(|| Arc::new(User::unlimited(RESCUE)));

impl Users {
    /// Whether nobody has changed anything: then they take no room in snapshots.
    pub(crate) fn are_plain(&self) -> bool {
        self.by_name.len() == 1 && **self.default_user() == User::unlimited(DEFAULT)
    }

    pub(crate) fn default_user(&self) -> &Arc<User> {
        self.by_name.get(DEFAULT).expect("the default user is never removed")
    }

    /// Whether there are others than the default user.
    pub(crate) fn are_several(&self) -> bool {
        self.by_name.len() > 1
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<&Arc<User>> {
        if name == RESCUE { Some(&RESCUER) } else { self.by_name.get(name) }
    }

    /// In the order of their names.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.by_name.values()
    }

    /// Why a user may not do something.
    pub(crate) fn denied<'w>(&self, name: &[u8], wanted: impl FnOnce() -> Wanted<'w>) -> Option<Denied> {
        let denial = match self.find(name) {
            None => Some(Denial::Gone),
            Some(user) if user.is_unlimited() => None,
            Some(user) => user.denial(&wanted()),
        };
        denial.map(|denial| Denied { user: name.to_vec(), denial })
    }

    /// Makes a user, or changes one, by rules of [`prepare`](super::prepare): all of them or, if one is wrong, none.
    pub(crate) fn set<'r>(
        &mut self,
        name: &[u8],
        rules: impl Iterator<Item = &'r [u8]>,
    ) -> Result<(), NotChanged> {
        check_name(name)?;
        let mut user = self.by_name.get(name).map_or_else(|| User::new(name), |user| User::clone(user));
        for rule in rules {
            user.change(rule).map_err(|why| BadRule::new(rule, why))?;
        }
        let others = self.bytes - self.by_name.get(name).map_or(0, |user| user.bytes());
        let bytes = others + user.bytes();
        if bytes > MAX_BYTES {
            return Err(NotChanged::TooMuch);
        }
        self.by_name.insert(name.into(), Arc::new(user));
        self.bytes = bytes;
        Ok(())
    }

    /// Removes users, and counts those that there were.
    pub(crate) fn remove<'n>(
        &mut self,
        names: impl Iterator<Item = &'n [u8]> + Clone,
    ) -> Result<usize, NotChanged> {
        if names.clone().any(|name| name == DEFAULT) {
            return Err(NotChanged::Default);
        }
        let gone: Vec<Arc<User>> = names.filter_map(|name| self.by_name.remove(name)).collect();
        self.bytes -= gone.iter().map(|user| user.bytes()).sum::<usize>();
        Ok(gone.len())
    }

    /// All of them as lines, as in Redis' file of users.
    pub(crate) fn describe(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for user in self.by_name.values() {
            out.extend_from_slice(&user.describe());
            out.push(b'\n');
        }
        out
    }

    /// What snapshots hold of them: nothing unless somebody has changed them.
    pub(crate) fn saved(&self) -> Vec<u8> {
        if self.are_plain() { Vec::new() } else { self.describe() }
    }

    /// Reads such lines; `None` if they are no users that this release knows.
    pub(crate) fn parse(text: &[u8]) -> Option<Users> {
        let mut users = Users::default();
        for line in text.strip_suffix(b"\n")?.split(|byte| *byte == b'\n') {
            let rest = line.strip_prefix(b"user ")?;
            let space = rest.iter().position(|byte| *byte == b' ')?;
            let (name, rules) = (&rest[..space], &rest[space + 1..]);
            // The rules make the user from nothing, the default one, too.
            let rules = [b"reset".as_slice()].into_iter().chain(split_rules(rules));
            users.set(name, rules).ok()?;
        }
        Some(users)
    }
}

/// Rules of a user's line, of which those in brackets hold spaces, and come last. A pattern within may end with a bracket,
/// too, but none of the rules within begins with one.
fn split_rules(text: &[u8]) -> Vec<&[u8]> {
    let (mut rules, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let is_end = |behind: &[u8]| behind.is_empty() || behind.starts_with(b" (");
        let closes = |at: usize| rest[at] == b')' && is_end(&rest[at + 1..]);
        let end = if rest[0] == b'(' {
            (0..rest.len()).find(|at| closes(*at)).map_or(rest.len(), |at| at + 1)
        } else {
            rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len())
        };
        rules.push(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    rules
}

/// Whether a name may be that of a user.
pub(super) fn check_name(name: &[u8]) -> Result<(), NotChanged> {
    if has_space(name) {
        Err(NotChanged::BadName)
    } else if name.is_empty() || name.len() > MAX_USER_NAME_BYTES || name.starts_with(RESERVED) {
        Err(NotChanged::NoName)
    } else {
        Ok(())
    }
}
