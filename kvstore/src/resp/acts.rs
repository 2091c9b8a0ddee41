//! Which requests the audit tells of, and in which words.

use super::parse::Arguments;
use super::plan::Write;
use super::words::{is, shown};
use crate::Database;
use crate::audit::words;
use crate::table::Op;

/// What a write for a database does that administers the cluster, if it does. Transactions are told of by their
/// [conversation](super::transaction::Conversation::act).
pub(super) fn of(write: &Write, arguments: Arguments<'_>, database: Database) -> Option<String> {
    match write {
        Write::SetUser { rules } => {
            let name = arguments.get(2);
            Some(words("ACL SETUSER", [name].into_iter().chain(rules.iter().map(Vec::as_slice))))
        }
        Write::RemoveUsers => Some(words("ACL DELUSER", arguments.from(2).iter())),
        Write::FlushAll => Some("FLUSHALL".into()),
        Write::Call { op: Op::FlushDb, .. } => Some(format!("FLUSHDB {}", database.number())),
        Write::Call { op: Op::SwapDb, .. } => Some(words("SWAPDB", arguments.from(1).iter())),
        // Only settings that all servers share come here, and none of them is a secret.
        Write::Call { op: Op::Config, .. } => Some(words("CONFIG SET", arguments.from(2).iter())),
        Write::Call { op: Op::Script, .. } if is(arguments.get(1), "FLUSH") => Some("SCRIPT FLUSH".into()),
        _ => None,
    }
}

/// Whether a write runs a script, which may call what administers the cluster.
pub(super) fn runs_script(write: &Write) -> bool {
    match write {
        Write::Script { .. } => true,
        Write::Call { op, .. } => is_script(*op),
        _ => false,
    }
}

/// Whether a command is a script.
pub(super) fn is_script(op: Op) -> bool {
    matches!(op, Op::Eval | Op::EvalRo | Op::EvalSha | Op::EvalShaRo)
}

/// The acts among the commands of a transaction.
#[derive(Debug, Default)]
pub(super) struct Acts {
    told: Vec<String>,
    further: usize,
}

impl Acts {
    pub(super) fn add(&mut self, act: String) {
        if self.told.len() < MOST_NAMES {
            self.told.push(act);
        } else {
            self.further += 1;
        }
    }

    /// All of them, in words.
    pub(super) fn in_words(&self) -> Option<String> {
        let told = self.told.join("; ");
        match self.further {
            0 if self.told.is_empty() => None,
            0 => Some(format!("in a transaction: {told}")),
            further => Some(format!("in a transaction: {told}; {further} more")),
        }
    }

    /// Bytes that it keeps in memory.
    pub(super) fn bytes(&self) -> usize {
        self.told.iter().map(String::len).sum()
    }
}

/// No more acts of a transaction, or settings of one act, are named.
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
