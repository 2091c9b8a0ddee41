//! Which requests the audit tells of, and in which words.

use super::parse::Arguments;
use super::plan::Write;
use super::transaction::Conversation;
use super::words::{is, shown};
use crate::audit::{is_administrative, words};
use crate::table::{Op, Spec};

/// What a write does that administers the cluster, if it does.
pub(super) fn of(write: &Write, arguments: Arguments<'_>, conversation: &Conversation) -> Option<String> {
    match write {
        Write::SetUser { rules } => {
            let name = arguments.get(2);
            Some(words("ACL SETUSER", [name].into_iter().chain(rules.iter().map(Vec::as_slice))))
        }
        Write::RemoveUsers => Some(words("ACL DELUSER", arguments.from(2).iter())),
        Write::FlushAll => Some("FLUSHALL".into()),
        Write::Call { op: Op::FlushDb, .. } => Some(format!("FLUSHDB {}", conversation.database().number())),
        Write::Call { op: Op::SwapDb, .. } => Some(words("SWAPDB", arguments.from(1).iter())),
        // Only settings that all servers share come here, and none of them is a secret.
        Write::Call { op: Op::Config, .. } => Some(words("CONFIG SET", arguments.from(2).iter())),
        Write::Call { op: Op::Script, .. } if is(arguments.get(1), "FLUSH") => Some("SCRIPT FLUSH".into()),
        Write::Transaction => within(conversation),
        _ => None,
    }
}

/// The same for a transaction: the names of those commands among its own.
fn within(conversation: &Conversation) -> Option<String> {
    let names = conversation.called().map(|op| Spec::of(op).name);
    let named: Vec<&str> = names.filter(|name| is_administrative(name)).take(MOST_NAMES).collect();
    (!named.is_empty()).then(|| format!("in a transaction: {}", named.join(", ")))
}

/// No more commands of a transaction are named.
const MOST_NAMES: usize = 16;

/// `CONFIG SET` of what the servers' files decide: the names alone, since a value may be a password.
pub(super) fn config_set(arguments: Arguments<'_>) -> String {
    let names: Vec<String> =
        arguments.from(2).iter().step_by(2).take(MOST_NAMES).map(|name| shown(name, 128)).collect();
    format!("CONFIG SET {}", names.join(" "))
}

/// Whether this is `ACL LOG RESET`.
pub(super) fn clears_the_log(arguments: Arguments<'_>) -> bool {
    is(arguments.get(1), "LOG") && arguments.iter().nth(2).is_some_and(|word| is(word, "RESET"))
}
