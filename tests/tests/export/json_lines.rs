//! Reads histories that were exported as lines of JSON.

use niagara_tests::linearizability::{Condition, Input, Operation, Output};
use serde_json::Value;

pub fn read(text: &str) -> Vec<Operation<String>> {
    text.lines().map(|line| operation(&serde_json::from_str(line).expect("a line is JSON"))).collect()
}

fn operation(line: &Value) -> Operation<String> {
    let number = |name: &str| line[name].as_u64();
    let input = input(line["op"].as_str().unwrap(), line["arg"].as_i64(), number("if_version"));
    let (result, version) = (&line["result"], number("version"));
    let output = match line["outcome"].as_str().unwrap() {
        "unknown" => None,
        "condition-failed" => Some(Output::ConditionFailed),
        "ok" => Some(match (&input, result) {
            (Input::Get, Value::Null) => Output::Absent,
            (Input::Get, value) => Output::Found { value: value.as_i64().unwrap(), version },
            (Input::Delete { .. }, existed) => Output::Deleted { existed: existed.as_bool().unwrap() },
            (_, value) => Output::Written { value: value.as_i64(), version },
        }),
        other => panic!("{other}"),
    };
    Operation {
        client: number("client").unwrap(),
        key: line["key"].as_str().unwrap().to_owned(),
        began: number("call").unwrap(),
        ended: output.map(|output| (number("return").unwrap(), output)),
        input,
    }
}

/// What was asked, by its name.
pub fn input(name: &str, argument: Option<i64>, version: Option<u64>) -> Input {
    let condition = match name.split_once("-if-").map(|(_, condition)| condition) {
        None => Condition::Always,
        Some("absent") => Condition::IfAbsent,
        Some("present") => Condition::IfPresent,
        Some("version") => Condition::IfVersion(version.expect("a condition on a version names it")),
        Some(other) => panic!("{other}"),
    };
    match name.split('-').next().unwrap() {
        "read" => Input::Get,
        "write" => Input::Set { value: argument.expect("something is written").cast_unsigned(), condition },
        "delete" => Input::Delete { condition },
        "add" => Input::Increment { by: argument.expect("something is added") },
        other => panic!("{other}"),
    }
}
