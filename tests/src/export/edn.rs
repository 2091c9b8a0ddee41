//! One event a line, as Jepsen's tools take them: each operation is invoked, and then completed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{argument, condition_version, name};
use crate::linearizability::{Input, Operation, Output};

/// A history of several keys: each value is a pair of key and value, as `jepsen.independent` has them.
pub fn edn(history: &[Operation<String>]) -> String {
    written(history, |key, value| format!("[{} {value}]", quoted(key)))
}

/// A history of one key, with bare values.
pub fn edn_of_key(history: &[Operation<String>]) -> String {
    written(history, |_, value| value)
}

fn written(history: &[Operation<String>], put: impl Fn(&str, String) -> String) -> String {
    let mut text = String::new();
    for (index, Event { time, process, kind, operation }) in events(history).into_iter().enumerate() {
        let Operation { client, key, input, .. } = operation;
        let (of, value, more) = match kind {
            Kind::Invoke => ("invoke", asked(input), String::new()),
            Kind::Complete => told(operation),
        };
        let value = put(key, value);
        let condition = condition_version(input).map(|version| format!(", :if-version {version}"));
        writeln!(
            text,
            "{{:index {index}, :time {time}, :process {process}, :type :{of}, :f :{}, :value {value}{}{more}, :client {client}}}",
            name(input),
            condition.unwrap_or_default(),
        )
        .expect("a string takes all");
    }
    text
}

struct Event<'h> {
    time: u64,
    process: usize,
    kind: Kind,
    operation: &'h Operation<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Invoke,
    Complete,
}

/// All events, in order. At the same time invocations come first, since operations that meet in time overlap.
///
/// A process does one thing at a time there, and nothing after one whose outcome it does not know. Clients here do several at once,
/// so processes are numbered anew. What has an unknown outcome is completed at the end, when nobody waits for it any more.
fn events(history: &[Operation<String>]) -> Vec<Event<'_>> {
    let end =
        history.iter().map(|operation| operation.ended.map_or(operation.began, |(ended, _)| ended)).max();
    let moments = history.iter().enumerate().flat_map(|(at, operation)| {
        let ended = operation.ended.map_or(end.unwrap_or(0), |(ended, _)| ended);
        [(operation.began, Kind::Invoke, at), (ended, Kind::Complete, at)]
    });
    let mut moments: Vec<_> = moments.collect();
    moments.sort_unstable();
    let (mut free, mut processes) = (BTreeSet::new(), 0);
    let mut of = vec![0; history.len()];
    let event = |(time, kind, at): (u64, Kind, usize)| {
        match kind {
            Kind::Invoke => {
                of[at] = free.pop_first().unwrap_or_else(|| {
                    processes += 1;
                    processes - 1
                });
            }
            Kind::Complete if history[at].ended.is_some() => {
                free.insert(of[at]);
            }
            Kind::Complete => {}
        }
        Event { time, process: of[at], kind, operation: &history[at] }
    };
    moments.into_iter().map(event).collect()
}

fn asked(input: &Input) -> String {
    argument(input).map_or("nil".into(), |argument| argument.to_string())
}

/// Type, value, and what else there is to say.
fn told(Operation { input, ended, .. }: &Operation<String>) -> (&'static str, String, String) {
    let asked = asked(input);
    let Some((_, output)) = ended else { return ("info", asked, ", :error :unknown".into()) };
    let with =
        |version: &Option<u64>| version.map_or_else(String::new, |version| format!(", :version {version}"));
    match output {
        Output::ConditionFailed => ("fail", asked, ", :error :condition-failed".into()),
        Output::Absent => ("ok", "nil".into(), String::new()),
        Output::Found { value, version } => ("ok", value.to_string(), with(version)),
        Output::Deleted { existed } => ("ok", existed.to_string(), String::new()),
        Output::Written { value, version } if matches!(input, Input::Increment { .. }) => {
            let sum = value.map_or("nil".into(), |sum| sum.to_string());
            ("ok", format!("[{asked} {sum}]"), with(version))
        }
        Output::Written { version, .. } => ("ok", asked, with(version)),
        // What was there before is left out: others' models have no name for it.
        Output::Swapped { .. } => ("ok", asked, String::new()),
    }
}

fn quoted(key: &str) -> String {
    serde_json::Value::from(key).to_string()
}
