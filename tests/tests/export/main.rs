//! Histories that were exported for other checkers are what they were: read back, they lead to the same verdict.
//!
//! With `NIAGARA_PORCUPINE` naming the program that `tests/porcupine/check.sh` builds, that one is asked, too.

mod edn;
mod json_lines;

use std::fs;
use std::path::Path;
use std::process::Command;

use niagara_tests::export;
use niagara_tests::linearizability::{Condition, Input, Operation, Output, Verdict, check};
use niagara_tests::rounds;
use niagara_tests::sim::{Plan, run};

const BUDGET: u64 = 3_000_000;

type History = Vec<Operation<String>>;

/// What simulated clients asked and were told.
fn simulated(seed: u64) -> History {
    let report = run(Plan::of(seed), false);
    assert_eq!(report.failure, None, "seed {seed}");
    let operations = report.history.len();
    assert!(operations > 100, "seed {seed} has only {operations} operations");
    report.history
}

/// All of it in words, in an order of its own.
fn words(history: &[Operation<String>]) -> Vec<String> {
    let mut words: Vec<String> = history.iter().map(|operation| format!("{operation:?}")).collect();
    words.sort();
    words
}

/// What is read back of all forms: several keys in one file, and a file for each key.
fn read_back(history: &[Operation<String>]) -> Vec<(&'static str, History)> {
    let dir = tempfile::tempdir().unwrap();
    for name in ["{key}.edn", "{key}.jsonl"] {
        export::write(history, &dir.path().join(name)).unwrap();
    }
    let of_each_key = |extension: &str, read: fn(&str, &str) -> History| {
        let files = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
        let read = |path: &Path| {
            let key = path.file_stem().unwrap().to_str().unwrap();
            read(&fs::read_to_string(path).unwrap(), key)
        };
        files.filter(|path| path.extension().unwrap() == extension).flat_map(|path| read(&path)).collect()
    };
    vec![
        ("EDN", edn::read(&export::edn(history), None)),
        ("EDN of each key", of_each_key("edn", |text, key| edn::read(text, Some(key)))),
        ("JSON", json_lines::read(&export::json_lines(history))),
        ("JSON of each key", of_each_key("jsonl", |text, _| json_lines::read(text))),
    ]
}

#[test]
fn what_is_read_back_is_the_same_and_has_the_same_verdict() {
    let mut operations = 0;
    for seed in 1..=4 * rounds(1) as u64 {
        let history = simulated(seed);
        operations += history.len();
        assert_eq!(check(&history, BUDGET), Verdict::Linearizable, "seed {seed}");
        for (form, again) in read_back(&history) {
            assert_eq!(words(&again), words(&exported(&history)), "seed {seed} as {form}");
            assert_eq!(check(&again, BUDGET), Verdict::Linearizable, "seed {seed} as {form}");
        }
        assert!(porcupine(&history).unwrap_or(true), "seed {seed} for Porcupine");
    }
    assert!(operations > 1000, "{operations} operations");
}

/// What an export says of a history: all but what swaps have shown.
fn exported(history: &[Operation<String>]) -> Vec<Operation<String>> {
    let mut exported = history.to_vec();
    for (_, output) in exported.iter_mut().filter_map(|operation| operation.ended.as_mut()) {
        if matches!(output, Output::Swapped { .. }) {
            *output = Output::Written { value: None, version: None };
        }
    }
    exported
}

/// What no simulation need show: all kinds of operations and answers, extreme numbers, and keys that have to be quoted.
#[test]
fn every_kind_of_operation_comes_back() {
    let set = |value, condition| Input::Set { value, condition };
    let delete = |condition| Input::Delete { condition };
    let written = |value, version| Some(Output::Written { value, version });
    let all = [
        (set(1, Condition::Always), written(None, Some(1))),
        (set(i64::MIN.cast_unsigned(), Condition::IfAbsent), Some(Output::ConditionFailed)),
        (set(u64::MAX, Condition::IfPresent), written(None, None)),
        (set(7, Condition::IfVersion(u64::MAX)), Some(Output::ConditionFailed)),
        (set(8, Condition::IfVersion(2)), None),
        (Input::Increment { by: i64::MIN }, written(Some(i64::MAX), Some(3))),
        (Input::Increment { by: -1 }, written(None, None)),
        (Input::Increment { by: 5 }, None),
        (Input::Get, Some(Output::Absent)),
        (Input::Get, Some(Output::Found { value: i64::MIN, version: None })),
        (Input::Get, Some(Output::Found { value: -3, version: Some(9) })),
        (delete(Condition::Always), Some(Output::Deleted { existed: true })),
        (delete(Condition::Always), Some(Output::Deleted { existed: false })),
        (delete(Condition::IfAbsent), None),
        (delete(Condition::IfPresent), Some(Output::ConditionFailed)),
        (delete(Condition::IfVersion(4)), Some(Output::Deleted { existed: true })),
    ];
    let mut history = Vec::new();
    for (at, (input, output)) in all.into_iter().enumerate() {
        for key in ["plain", "with \"quotes\" and \\", "späße {} [] :k nil"] {
            let began = at as u64 * 2;
            let ended = output.map(|output| (began + at as u64 % 5, output));
            history.push(Operation {
                client: at as u64,
                key: key.into(),
                began,
                ended,
                input: input.clone(),
            });
        }
    }
    for (form, again) in read_back(&history) {
        assert_eq!(words(&again), words(&history), "as {form}");
    }
}

#[test]
fn a_stale_read_is_a_violation_for_everybody() {
    let mut history = simulated(5);
    let end =
        history.iter().map(|operation| operation.ended.map_or(operation.began, |(ended, _)| ended)).max();
    let (key, end) = (history[0].key.clone(), end.unwrap());
    let mut then = |began: u64, input: Input, output: Output| {
        let (key, ended) = (key.clone(), Some((end + began + 1, output)));
        history.push(Operation { client: 999, key, began: end + began, ended, input });
    };
    let set = |value| Input::Set { value, condition: Condition::Always };
    let done = Output::Written { value: None, version: None };
    then(10, set(4_000_000_001), done);
    then(20, set(4_000_000_002), done);
    then(30, Input::Get, Output::Found { value: 4_000_000_001, version: None });
    let is_violation =
        |history: &[Operation<String>]| matches!(check(history, BUDGET), Verdict::Violation(_));
    assert!(is_violation(&history));
    for (form, again) in read_back(&history) {
        assert!(is_violation(&again), "as {form}");
    }
    assert!(!porcupine(&history).unwrap_or(false), "for Porcupine");
    let last = history.len() - 1;
    history[last].ended = Some((end + 31, Output::Found { value: 4_000_000_002, version: None }));
    assert_eq!(check(&history, BUDGET), Verdict::Linearizable, "a fresh read is none");
    assert!(porcupine(&history).unwrap_or(true), "a fresh read is none for Porcupine");
}

#[test]
fn a_file_of_no_form_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(export::write(&[], &dir.path().join("history.txt")).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Whether Porcupine finds an order; nothing if it is not there.
fn porcupine(history: &[Operation<String>]) -> Option<bool> {
    let Some(program) = std::env::var_os("NIAGARA_PORCUPINE") else {
        eprintln!("Porcupine is not asked: NIAGARA_PORCUPINE names no program");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.jsonl");
    export::write(history, &path).unwrap();
    let output = Command::new(program).arg(path).output().expect("NIAGARA_PORCUPINE names a program");
    match output.status.code() {
        Some(0) => Some(true),
        Some(1) => Some(false),
        _ => panic!("{}", String::from_utf8_lossy(&output.stderr)),
    }
}
