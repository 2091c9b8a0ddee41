//! What is wrong with a rule, and rules made fit for the log.

use super::all::DEFAULT;
use super::password::Password;
use super::user::User;
use crate::glob::MAX_PATTERN_BYTES;

/// Why a rule changes no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("Syntax error")]
    Syntax,
    #[error("Unknown command or category name in ACL")]
    Unknown,
    #[error(
        "Unknown subcommand: rights to a command's first argument are given with key patterns, or not at all"
    )]
    UnknownSubcommand,
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgument,
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try \
         'resetkeys' to start with an empty list of patterns"
    )]
    AllKeys,
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try \
         'resetchannels' to start with an empty list of channels"
    )]
    AllChannels,
    #[error("a pattern has at most {MAX_PATTERN_BYTES} bytes")]
    LongPattern,
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    NoHash,
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
}

/// A rule that changes no user, as far as it may be shown, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Error in ACL SETUSER modifier '{shown}': {why}")]
pub(crate) struct BadRule {
    shown: String,
    why: RuleError,
}

impl BadRule {
    /// What may be a password is not shown.
    pub(super) fn new(rule: &[u8], why: RuleError) -> BadRule {
        let shown = match rule {
            [sign @ (b'>' | b'<' | b'#' | b'!'), ..] => format!("{}..", char::from(*sign)),
            rule => {
                let rule = &rule[..rule.len().min(128)];
                let text = String::from_utf8_lossy(rule);
                text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
            }
        };
        BadRule { shown, why }
    }
}

/// Whether a text has what separates rules.
pub(super) fn has_space(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0 || *byte == 11)
}

/// Rules as the log carries them: the words of a set of rights in brackets are one rule, and passwords are hashed. What
/// cannot be a rule is refused here, since it may be a password that lacks its sign.
///
/// # Errors
/// The text of the error for the client.
pub(crate) fn prepare<'r>(words: impl Iterator<Item = &'r [u8]>) -> Result<Vec<Vec<u8>>, String> {
    let rules = merged(words)?;
    let mut trial = User::new(DEFAULT);
    for rule in &rules {
        match trial.change(rule) {
            // The user may have the password, and need not have rights to everything yet.
            Ok(()) | Err(RuleError::NoSuchPassword | RuleError::AllKeys | RuleError::AllChannels) => {}
            Err(why) => return Err(format!("ERR {}", BadRule::new(rule, why))),
        }
    }
    Ok(rules)
}

fn merged<'r>(words: impl Iterator<Item = &'r [u8]>) -> Result<Vec<Vec<u8>>, String> {
    let mut rules: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for word in words {
        let rule = match open.take() {
            Some(begun) => [&begun, b" ".as_slice(), word].concat(),
            None => word.to_vec(),
        };
        if rule.starts_with(b"(") && !rule.ends_with(b")") {
            open = Some(rule);
        } else {
            rules.push(hashed(rule));
        }
    }
    match open {
        None => Ok(rules),
        Some(open) => {
            let shown = String::from_utf8_lossy(&open[..open.len().min(128)]).into_owned();
            let shown = shown.replace(['\r', '\n'], " ");
            Err(format!("ERR Unmatched parenthesis in acl selector starting at '{shown}'."))
        }
    }
}

fn hashed(rule: Vec<u8>) -> Vec<u8> {
    let sign = match rule.first() {
        Some(b'>') => '#',
        Some(b'<') => '!',
        _ => return rule,
    };
    format!("{sign}{}", Password::of(&rule[1..]).digits()).into_bytes()
}
