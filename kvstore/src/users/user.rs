//! One user, and the rules that change it.

use bytes::Bytes;

use super::password::Password;
use super::rights::{Denial, Denied, Rights};
use super::rule::RuleError;
use super::wanted::Wanted;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    name: Bytes,
    pub(crate) enabled: bool,
    /// Any password is right.
    pub(crate) nopass: bool,
    /// Means nothing here; it is kept for the tools of Redis.
    skips_sanitizing: bool,
    passwords: Vec<Password>,
    rights: Rights,
    selectors: Vec<Rights>,
}

/// The rights of a selector, as GETUSER shows them.
pub(crate) struct ShownRights {
    pub(crate) commands: String,
    pub(crate) keys: Vec<u8>,
    pub(crate) channels: Vec<u8>,
}

impl User {
    /// A user who may do nothing yet.
    pub(crate) fn new(name: &[u8]) -> User {
        User {
            name: Bytes::copy_from_slice(name),
            enabled: false,
            nopass: false,
            skips_sanitizing: false,
            passwords: Vec::new(),
            rights: Rights::none(),
            selectors: Vec::new(),
        }
    }

    /// A user who may do everything.
    pub(super) fn unlimited(name: &[u8]) -> User {
        User { enabled: true, nopass: true, rights: Rights::all(), ..User::new(name) }
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The same, for those who keep it.
    pub(crate) fn shared_name(&self) -> &Bytes {
        &self.name
    }

    /// Whether the user may do everything.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.rights.are_all()
    }

    /// Whether this is one of the user's passwords. How long that takes tells nothing of them.
    pub(crate) fn has(&self, given: &Password) -> bool {
        self.passwords.iter().fold(false, |is, password| is | (password == given))
    }

    /// What the user lacks a right to.
    pub(crate) fn denial(&self, wanted: &Wanted<'_>) -> Option<Denial> {
        // What comes nearest to being allowed says most.
        let mut nearest = self.rights.denial(wanted)?;
        for selector in &self.selectors {
            let other = selector.denial(wanted)?;
            if other.0 > nearest.0 {
                nearest = other;
            }
        }
        Some(nearest.1)
    }

    /// The same, with the user's name.
    pub(crate) fn denied(&self, wanted: &Wanted<'_>) -> Option<Denied> {
        self.denial(wanted).map(|denial| Denied { user: self.name.to_vec(), denial })
    }

    /// Changes the user by a rule of [`prepare`](super::prepare). If the rule is wrong, nothing changes.
    pub(super) fn change(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let word = |name: &str| rule.eq_ignore_ascii_case(name.as_bytes());
        if rule.is_empty() {
        } else if word("on") {
            self.enabled = true;
        } else if word("off") {
            self.enabled = false;
        } else if word("nopass") {
            self.nopass = true;
            self.passwords.clear();
        } else if word("resetpass") {
            self.nopass = false;
            self.passwords.clear();
        } else if word("sanitize-payload") {
            self.skips_sanitizing = false;
        } else if word("skip-sanitize-payload") {
            self.skips_sanitizing = true;
        } else if word("clearselectors") {
            self.selectors.clear();
        } else if word("reset") {
            *self = User::new(&self.name);
        } else {
            return match rule {
                [b'#', digits @ ..] => {
                    let password = digest(digits)?;
                    self.nopass = false;
                    if !self.has(&password) {
                        self.passwords.push(password);
                    }
                    Ok(())
                }
                [b'!', digits @ ..] => {
                    let password = digest(digits)?;
                    let at = self.passwords.iter().position(|known| *known == password);
                    self.passwords.remove(at.ok_or(RuleError::NoSuchPassword)?);
                    Ok(())
                }
                [b'(', rules @ .., b')'] => {
                    let mut selector = Rights::none();
                    let rules = rules.split(|byte| *byte == b' ').filter(|rule| !rule.is_empty());
                    for rule in rules {
                        selector.change(rule)?;
                    }
                    self.selectors.push(selector);
                    Ok(())
                }
                rule => self.rights.change(rule),
            };
        }
        Ok(())
    }

    /// The words that tell what the user is, as GETUSER shows them.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> {
        let enabled = if self.enabled { "on" } else { "off" };
        let sanitized = if self.skips_sanitizing { "skip-sanitize-payload" } else { "sanitize-payload" };
        [Some(enabled), self.nopass.then_some("nopass"), Some(sanitized)].into_iter().flatten()
    }

    /// The digests of the passwords, as Redis shows them.
    pub(crate) fn passwords(&self) -> impl ExactSizeIterator<Item = String> {
        self.passwords.iter().map(|password| password.digits())
    }

    /// The rights, and further sets of them.
    pub(crate) fn shown(&self) -> (ShownRights, Vec<ShownRights>) {
        (shown(&self.rights), self.selectors.iter().map(shown).collect())
    }

    /// The rules that make the user, as a line of Redis' file of users.
    pub(crate) fn describe(&self) -> Vec<u8> {
        let mut out = [b"user ", &*self.name, b" "].concat();
        for flag in self.flags() {
            out.extend_from_slice(flag.as_bytes());
            out.push(b' ');
        }
        for password in &self.passwords {
            out.extend_from_slice(format!("#{} ", password.digits()).as_bytes());
        }
        self.rights.describe(&mut out);
        for selector in &self.selectors {
            out.extend_from_slice(b" (");
            selector.describe(&mut out);
            out.push(b')');
        }
        out
    }

    /// What the user takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let rights: usize = self.selectors.iter().chain([&self.rights]).map(Rights::bytes).sum();
        rights + 128 * self.passwords.len() + self.name.len()
    }
}

fn shown(rights: &Rights) -> ShownRights {
    let (mut keys, mut channels) = (Vec::new(), Vec::new());
    rights.keys.describe_keys(&mut keys);
    rights.channels.describe_channels(&mut channels);
    keys.pop();
    channels.pop();
    ShownRights { commands: rights.commands.describe(), keys, channels }
}

fn digest(digits: &[u8]) -> Result<Password, RuleError> {
    let is_lower = !digits.iter().any(u8::is_ascii_uppercase);
    Password::of_digits(digits).filter(|_| is_lower).ok_or(RuleError::NoHash)
}
