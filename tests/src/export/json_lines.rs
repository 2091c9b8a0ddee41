//! One operation a line, as Porcupine takes them: who asked, when it began and ended, what was asked and told.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{argument, condition_version, name};
use crate::linearizability::{Operation, Output};

/// A history as lines of JSON, by begin.
pub fn json_lines(history: &[Operation<String>]) -> String {
    let mut sorted: Vec<_> = history.iter().collect();
    sorted.sort_by_key(|operation| operation.began);
    let mut text = String::new();
    for operation in sorted {
        let Operation { client, key, began, ended, input } = operation;
        let (ended, output) = ended.unzip();
        let (outcome, result, version) = told(output);
        let line = json!({
            "client": client, "key": key, "call": began, "return": ended, "op": name(input), "arg": argument(input),
            "if_version": condition_version(input), "outcome": outcome, "result": result, "version": version,
        });
        writeln!(text, "{line}").expect("a string takes all");
    }
    text
}

/// Outcome, result and version.
fn told(output: Option<Output>) -> (&'static str, Value, Option<u64>) {
    match output {
        None => ("unknown", Value::Null, None),
        Some(Output::ConditionFailed) => ("condition-failed", Value::Null, None),
        // What a swap has shown is left out: others' models have no name for it.
        Some(Output::Absent | Output::Swapped { .. }) => ("ok", Value::Null, None),
        Some(Output::Found { value, version }) => ("ok", value.into(), version),
        Some(Output::Written { value, version }) => ("ok", value.into(), version),
        Some(Output::Deleted { existed }) => ("ok", existed.into(), None),
    }
}
