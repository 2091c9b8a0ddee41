//! What is wrong with a rule.

use crate::glob::MAX_PATTERN_BYTES;

/// Why a rule changes no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("Syntax error")]
    Syntax,
    #[error("Unknown command or category name in ACL")]
    Unknown,
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
