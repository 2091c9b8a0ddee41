//! Histories in the forms that other checkers of linearizability read, so that nobody has to trust this project's own.
//!
//! [`edn`] writes what Jepsen's tools read, and [`json_lines`] what a program around Porcupine reads; `docs/testing.md` says what
//! stands in them, and `tests/tests/export/` reads them back.
//!
//! ```
//! use niagara_tests::export;
//! use niagara_tests::linearizability::{Input, Operation, Output};
//!
//! let read = Operation { client: 1, key: "k".into(), began: 3, ended: Some((5, Output::Absent)), input: Input::Get };
//! assert_eq!(export::edn_of_key(&[read]), "\
//! {:index 0, :time 3, :process 0, :type :invoke, :f :read, :value nil, :client 1}
//! {:index 1, :time 5, :process 0, :type :ok, :f :read, :value nil, :client 1}
//! ");
//! ```

mod edn;
mod json_lines;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::linearizability::{Condition, Input, Operation};

pub use edn::{edn, edn_of_key};
pub use json_lines::json_lines;

/// What stands for the key in the name of a file, where each key is to get one.
pub const KEY: &str = "{key}";

/// Writes a history into a file, in the form that its extension says: `edn` or `jsonl`. If the name holds [`KEY`], each key gets a
/// file of its own.
///
/// # Errors
/// When a file cannot be written, or its name says no form.
pub fn write(history: &[Operation<String>], to: &Path) -> io::Result<()> {
    let name = to.to_string_lossy();
    let is_edn = match to.extension().and_then(|extension| extension.to_str()) {
        Some("edn") => true,
        Some("jsonl") => false,
        _ => {
            let what = format!("{name} is to end in .edn, for Jepsen's tools, or .jsonl, for Porcupine");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
    };
    if !name.contains(KEY) {
        return fs::write(to, if is_edn { edn(history) } else { json_lines(history) });
    }
    let mut by_key: BTreeMap<&String, Vec<Operation<String>>> = BTreeMap::new();
    for operation in history {
        by_key.entry(&operation.key).or_default().push(operation.clone());
    }
    for (key, history) in by_key {
        let text = if is_edn { edn_of_key(&history) } else { json_lines(&history) };
        fs::write(name.replace(KEY, key), text)?;
    }
    Ok(())
}

/// What an operation is called.
fn name(input: &Input) -> &'static str {
    match input {
        Input::Get => "read",
        Input::Set { condition, .. } => match condition {
            Condition::Always => "write",
            Condition::IfAbsent => "write-if-absent",
            Condition::IfPresent => "write-if-present",
            Condition::IfVersion(_) => "write-if-version",
        },
        Input::Delete { condition } => match condition {
            Condition::Always => "delete",
            Condition::IfAbsent => "delete-if-absent",
            Condition::IfPresent => "delete-if-present",
            Condition::IfVersion(_) => "delete-if-version",
        },
        Input::Increment { .. } => "add",
    }
}

/// What is written or added.
fn argument(input: &Input) -> Option<i64> {
    match input {
        Input::Get | Input::Delete { .. } => None,
        Input::Set { value, .. } => Some(value.cast_signed()),
        Input::Increment { by } => Some(*by),
    }
}

/// The version that a condition is on.
fn condition_version(input: &Input) -> Option<u64> {
    match input {
        Input::Set { condition: Condition::IfVersion(version), .. }
        | Input::Delete { condition: Condition::IfVersion(version) } => Some(*version),
        _ => None,
    }
}
