//! Rules as the log carries them.

use super::password::Password;
use super::rule::{BadRule, RuleError};
use super::user::User;

/// Rules as the log carries them: the words of a set of rights in brackets are one rule, and passwords are hashed. What
/// cannot be a rule is refused here, since it may be a password that lacks its sign.
///
/// # Errors
/// The text of the error for the client.
pub(crate) fn prepare<'r>(words: impl Iterator<Item = &'r [u8]>) -> Result<Vec<Vec<u8>>, String> {
    let rules = merged(words)?;
    let mut trial = User::new(b"");
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
