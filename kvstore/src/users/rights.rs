//! A set of rights: commands on keys and channels.

use std::borrow::Cow;
use std::fmt;

use super::commands::Commands;
use super::patterns::{Access, Patterns};
use super::rule::RuleError;
use super::wanted::{Touched, Wanted};

/// What may be done: the commands on the keys and channels. A user has one, and any number of further ones, each of which
/// stands for itself (Redis calls them selectors).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) commands: Commands,
    pub(super) keys: Patterns,
    pub(super) channels: Patterns,
}

/// What a user lacks a right to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The user does not exist any more.
    Gone,
    Command(&'static str),
    Key(Vec<u8>),
    Channel(Vec<u8>),
}

/// A user's command was not executed, since the user lacks a right to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub(crate) user: Vec<u8>,
    pub(crate) denial: Denial,
}

impl Denied {
    /// The command that the user may not run, if it is about that.
    pub(crate) fn command(&self) -> Option<&'static str> {
        match self.denial {
            Denial::Command(name) => Some(name),
            Denial::Gone | Denial::Key(_) | Denial::Channel(_) => None,
        }
    }

    /// What a client is told: not which key, as in Redis.
    pub(crate) fn text(&self) -> Cow<'static, str> {
        match &self.denial {
            Denial::Key(_) => "No permissions to access a key".into(),
            Denial::Channel(_) => "No permissions to access a channel".into(),
            _ => self.whole_text().into(),
        }
    }

    /// With what is missing, for who may know it.
    pub(crate) fn whole_text(&self) -> String {
        let user = String::from_utf8_lossy(&self.user);
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match &self.denial {
            Denial::Gone => format!("User {user} does not exist any more"),
            Denial::Command(name) => format!("User {user} has no permissions to run the '{name}' command"),
            Denial::Key(key) => format!("User {user} has no permissions to access the '{}' key", shown(key)),
            Denial::Channel(channel) => {
                format!("User {user} has no permissions to access the '{}' channel", shown(channel))
            }
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Rights {
    pub(super) fn none() -> Rights {
        Rights { commands: Commands::none(), keys: Patterns::none(), channels: Patterns::none() }
    }

    pub(super) fn all() -> Rights {
        Rights { commands: Commands::all(), keys: Patterns::All, channels: Patterns::All }
    }

    /// Whether they allow everything.
    pub(super) fn are_all(&self) -> bool {
        self.commands.is_all() && self.keys.is_all() && self.channels.is_all()
    }

    /// Why they do not allow something, and how many parts of it they do allow before that: the command, and what it touches.
    pub(super) fn denial(&self, wanted: &Wanted<'_>) -> Option<(usize, Denial)> {
        if let Some(first) = wanted.ids.first()
            && !wanted.ids.iter().any(|id| self.commands.allows(*id, wanted.argument))
        {
            return Some((0, Denial::Command(first.name())));
        }
        let denial = |touched: &Touched<'_>| match *touched {
            Touched::Key(key, access) => (!self.keys.allow(key, access)).then(|| Denial::Key(key.to_vec())),
            Touched::Channel(channel) => {
                (!self.channels.allow(channel, Access::NONE)).then(|| Denial::Channel(channel.to_vec()))
            }
            Touched::ChannelPattern(pattern) => {
                (!self.channels.have(pattern)).then(|| Denial::Channel(pattern.to_vec()))
            }
        };
        let mut parts = (1..).zip(&wanted.touched);
        parts.find_map(|(allowed, touched)| denial(touched).map(|denial| (allowed, denial)))
    }

    /// Changes them by a rule.
    pub(super) fn change(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let word = |name: &str| rule.eq_ignore_ascii_case(name.as_bytes());
        if word("allkeys") || rule == b"~*" {
            self.keys = Patterns::All;
        } else if word("resetkeys") {
            self.keys = Patterns::none();
        } else if word("allchannels") || rule == b"&*" {
            self.channels = Patterns::All;
        } else if word("resetchannels") {
            self.channels = Patterns::none();
        } else if word("allcommands") {
            self.commands = Commands::all();
        } else if word("nocommands") {
            self.commands = Commands::none();
        } else {
            return match rule {
                [b'~', pattern @ ..] => self.keys.add(unspaced(pattern)?, Access::BOTH, RuleError::AllKeys),
                [b'%', rest @ ..] => {
                    let (pattern, access) = limited(rest)?;
                    self.keys.add(unspaced(pattern)?, access, RuleError::AllKeys)
                }
                [b'&', pattern @ ..] => {
                    self.channels.add(unspaced(pattern)?, Access::BOTH, RuleError::AllChannels)
                }
                [b'+' | b'-', ..] => {
                    self.commands.change(std::str::from_utf8(rule).or(Err(RuleError::Unknown))?)
                }
                _ => Err(RuleError::Syntax),
            };
        }
        Ok(())
    }

    /// Appends them as rules.
    pub(super) fn describe(&self, out: &mut Vec<u8>) {
        self.keys.describe_keys(out);
        if !self.channels.is_all() {
            out.extend_from_slice(b"resetchannels ");
        }
        self.channels.describe_channels(out);
        out.extend_from_slice(self.commands.describe().as_bytes());
    }

    /// What they take in memory, about.
    pub(super) fn bytes(&self) -> usize {
        256 + self.commands.describe().len() + self.keys.bytes() + self.channels.bytes()
    }
}

/// Pattern and access of a rule such as `%R~pattern`, without the percent sign.
fn limited(rest: &[u8]) -> Result<(&[u8], Access), RuleError> {
    let tilde = rest.iter().position(|byte| *byte == b'~').ok_or(RuleError::Syntax)?;
    let access = match rest[..tilde].to_ascii_uppercase().as_slice() {
        b"R" => Access::READ,
        b"W" => Access::WRITE,
        b"RW" | b"WR" => Access::BOTH,
        _ => return Err(RuleError::Syntax),
    };
    Ok((&rest[tilde + 1..], access))
}

fn unspaced(text: &[u8]) -> Result<&[u8], RuleError> {
    if super::rule::has_space(text) { Err(RuleError::Syntax) } else { Ok(text) }
}
