//! Histories with one thing each that clients notice, and what the checker says of it.

use niagara_tests::linearizability::{Condition, Input, Operation, Output, Verdict, check};

const BUDGET: u64 = 500_000;

/// Client, begin, end, question and answer; no end and answer is an unknown outcome.
type Line = (u64, u64, Option<(u64, Output)>, Input);

fn verdict(lines: &[Line]) -> Verdict {
    let operation = |(client, began, ended, input): &Line| Operation {
        client: *client,
        key: "k",
        began: *began,
        ended: *ended,
        input: input.clone(),
    };
    check(&lines.iter().map(operation).collect::<Vec<_>>(), BUDGET)
}

#[track_caller]
fn fine(lines: &[Line]) {
    let verdict = verdict(lines);
    assert_eq!(verdict, Verdict::Linearizable, "{verdict}");
}

/// Wrong, and the explanation names so many operations.
#[track_caller]
fn wrong(lines: &[Line], contradict: usize) -> String {
    match verdict(lines) {
        Verdict::Violation(violation) => {
            assert_eq!(violation.operations.len(), contradict, "{violation}");
            violation.to_string()
        }
        other => panic!("{other}"),
    }
}

fn set(value: u64, condition: Condition) -> Input {
    Input::Set { value, condition }
}

fn put(value: u64) -> Input {
    set(value, Condition::Always)
}

fn delete(condition: Condition) -> Input {
    Input::Delete { condition }
}

const GET: Input = Input::Get;
const INCREMENT: Input = Input::Increment { by: 1 };

fn at(end: u64, output: Output) -> Option<(u64, Output)> {
    Some((end, output))
}

const DONE: Output = Output::Written { value: None, version: None };

fn version(version: u64) -> Output {
    Output::Written { value: None, version: Some(version) }
}

fn sum(value: i64) -> Output {
    Output::Written { value: Some(value), version: None }
}

fn found(value: i64) -> Output {
    Output::Found { value, version: None }
}

fn found_at(value: i64, version: u64) -> Output {
    Output::Found { value, version: Some(version) }
}

#[test]
fn one_client_alone() {
    fine(&[]);
    fine(&[
        (1, 0, at(1, Output::Absent), GET),
        (1, 2, at(3, DONE), put(7)),
        (1, 4, at(5, found(7)), GET),
        (1, 6, at(7, sum(8)), INCREMENT),
        (1, 8, at(9, Output::Deleted { existed: true }), delete(Condition::Always)),
        (1, 10, at(11, Output::Deleted { existed: false }), delete(Condition::Always)),
        (1, 12, at(13, sum(-3)), Input::Increment { by: -3 }),
        (1, 14, at(15, Output::ConditionFailed), set(1, Condition::IfAbsent)),
        (1, 16, at(17, DONE), set(u64::MAX, Condition::IfPresent)),
        (1, 18, at(19, found(-1)), GET),
    ]);
}

#[test]
fn a_stale_read() {
    let text = wrong(
        &[
            (1, 0, at(10, DONE), put(1)),
            (1, 20, at(30, DONE), put(2)),
            (2, 32, at(34, found(2)), GET),
            (2, 40, at(50, found(1)), GET),
            (3, 60, at(70, found(2)), GET),
        ],
        3,
    );
    assert_eq!(
        text,
        r#"key "k" is not linearizable: no order of the operations explains their answers.
These contradict each other (begin to end, who, what: answer):
         0 to       10  client 1   set 1: done
        20 to       30  client 1   set 2: done
        40 to       50  client 2   get: found 1
Whatever the answers to 1 other operations on the key were, that is so.
An order that comes as far as any ends with:
         0 to       10  client 1   set 1: done
        20 to       30  client 1   set 2: done
        32 to       34  client 2   get: found 2
Then the key holds 2 (nobody was told its version), and what is left to follow does not fit:
        40 to       50  client 2   get: found 1
"#
    );
    fine(&[(1, 0, at(10, DONE), put(1)), (1, 20, at(40, DONE), put(2)), (2, 40, at(50, found(1)), GET)]);
}

#[test]
fn a_lost_write() {
    wrong(&[(1, 0, at(10, DONE), put(1)), (2, 11, at(12, Output::Absent), GET)], 2);
    wrong(&[(1, 0, at(10, sum(1)), INCREMENT), (2, 11, at(12, sum(1)), INCREMENT)], 2);
    fine(&[(1, 0, at(10, DONE), put(1)), (2, 10, at(12, Output::Absent), GET)]);
}

#[test]
fn a_value_that_nobody_wrote() {
    wrong(&[(1, 0, at(10, DONE), put(1)), (2, 11, at(12, found(3)), GET)], 1);
}

#[test]
fn a_double_increment() {
    wrong(&[(1, 0, at(10, sum(1)), INCREMENT), (2, 11, at(12, found(2)), GET)], 1);
    wrong(&[(1, 0, at(10, sum(2)), INCREMENT), (2, 0, at(12, sum(2)), INCREMENT)], 2);
    // An unknown one happens once or never, whatever is retried for it.
    let unknown = (3, 0, None, INCREMENT);
    for total in 1..=2 {
        fine(&[unknown.clone(), (1, 0, at(10, DONE), INCREMENT), (2, 11, at(12, found(total)), GET)]);
    }
    wrong(&[unknown, (1, 0, at(10, sum(1)), INCREMENT), (2, 11, at(12, found(3)), GET)], 1);
}

#[test]
fn a_write_that_is_seen_and_then_not() {
    wrong(
        &[
            (1, 0, at(5, DONE), put(1)),
            (1, 10, at(100, DONE), put(2)),
            (2, 20, at(30, found(2)), GET),
            (3, 40, at(50, found(1)), GET),
        ],
        3,
    );
    // The same of a write with an unknown outcome: once seen, it has happened.
    let unknown = |second| {
        [
            (1, 0, at(5, DONE), put(1)),
            (1, 10, None, put(2)),
            (2, 20, at(30, found(2)), GET),
            (3, 40, at(50, second), GET),
        ]
    };
    fine(&unknown(found(2)));
    wrong(&unknown(found(1)), 3);
    wrong(&unknown(Output::Absent), 2);
}

#[test]
fn a_write_with_an_unknown_outcome_appears_late_but_not_early() {
    let history = |seen: u64| {
        [
            (1, 10, None, put(2)),
            (2, 20, at(30, DONE), put(3)),
            (3, 40, at(50, found(3)), GET),
            (3, seen, at(seen + 5, found(2)), GET),
        ]
    };
    fine(&history(60));
    fine(&history(1_000_000));
    wrong(&history(0), 1);
}

#[test]
fn many_unknown_outcomes_cost_little() {
    let unknown = (0..60).map(|value| (value, value, None, put(value)));
    let increments = (0..60).map(|client| (client, 10, None, INCREMENT));
    let mut lines: Vec<Line> = unknown.chain(increments).collect();
    for step in 0..30u64 {
        let began = 1000 + 10 * step;
        lines.push((1, began, at(began + 1, version(step)), put(5000 + step)));
        lines.push((2, began + 2, at(began + 3, found(5000 + step as i64)), GET));
        lines.push((2, began + 4, at(began + 5, found(step as i64)), GET));
    }
    fine(&lines);
    lines.push((3, 2000, at(2001, found(29 + 55)), GET));
    fine(&lines);
    lines.push((3, 2002, at(2003, found(-1)), GET));
    assert!(matches!(verdict(&lines), Verdict::Violation(_)), "increments lead upwards only");
}

#[test]
fn a_conditional_write_that_two_clients_win() {
    for (condition, rival) in
        [(Condition::IfAbsent, Condition::IfAbsent), (Condition::IfVersion(7), Condition::IfVersion(7))]
    {
        let first = if condition == Condition::IfAbsent {
            (1, 0, at(5, Output::Absent), GET)
        } else {
            (1, 0, at(5, version(7)), put(0))
        };
        let second = (2, 10, at(30, version(8)), set(1, condition));
        let failed = (3, 20, at(40, Output::ConditionFailed), set(2, rival));
        let won = (3, 20, at(40, version(9)), set(2, rival));
        fine(&[first.clone(), second.clone(), failed]);
        wrong(&[first, second, won], 2);
    }
}

#[test]
fn versions_that_do_not_match() {
    let write = (1, 0, at(5, version(7)), put(1));
    fine(&[write.clone(), (2, 6, at(8, found_at(1, 7)), GET)]);
    wrong(&[write.clone(), (2, 6, at(8, found_at(1, 8)), GET)], 2);
    wrong(&[write.clone(), (2, 6, at(8, Output::ConditionFailed), delete(Condition::IfVersion(7)))], 2);
    fine(&[write.clone(), (2, 6, at(8, Output::ConditionFailed), delete(Condition::IfVersion(8)))]);
    wrong(
        &[write.clone(), (2, 6, at(8, Output::Deleted { existed: true }), delete(Condition::IfVersion(8)))],
        2,
    );
    let text = wrong(&[write.clone(), (2, 6, at(8, version(7)), put(2))], 2);
    assert!(text.contains("two changes were given version 7"), "{text}");
    // The version of an equal value that was written in between.
    wrong(&[write, (1, 6, at(8, version(9)), put(1)), (2, 9, at(10, found_at(1, 7)), GET)], 3);
}

#[test]
fn a_version_that_no_client_was_told_is_revealed_once() {
    let write = (1, 0, None, put(1));
    let read = |at_version| move |began| (2, began, at(began + 5, found_at(1, at_version)), GET);
    fine(&[write.clone(), read(7)(10), read(7)(20)]);
    wrong(&[write.clone(), read(7)(10), read(8)(20)], 2);
    // Two changes to the same value, with unknown outcomes: the version changes once, and not back.
    let again = (3, 0, None, put(1));
    fine(&[write.clone(), again.clone(), read(7)(10), read(8)(20)]);
    wrong(&[write.clone(), again.clone(), read(7)(10), read(8)(20), read(7)(30)], 3);
    // A condition that held reveals it too.
    let deleted = |asked| {
        move |began| {
            (3, began, at(began + 5, Output::Deleted { existed: true }), delete(Condition::IfVersion(asked)))
        }
    };
    let failed = |asked| {
        move |began| (3, began, at(began + 5, Output::ConditionFailed), delete(Condition::IfVersion(asked)))
    };
    fine(&[write.clone(), read(7)(10), deleted(7)(20)]);
    wrong(&[write.clone(), read(7)(10), deleted(8)(20)], 2);
    wrong(&[write.clone(), read(7)(10), failed(7)(20)], 2);
    // One that failed says which it is not.
    let seen = (2, 5, at(6, found(1)), GET);
    fine(&[write.clone(), seen.clone(), failed(7)(10), read(8)(20)]);
    fine(&[write.clone(), failed(7)(10), read(7)(20)]);
    wrong(&[write.clone(), seen.clone(), failed(7)(10), read(7)(20)], 3);
    // It is not that of another change.
    wrong(&[write.clone(), (4, 100, at(105, version(7)), put(2)), read(7)(10)], 2);
}

#[test]
fn keys_are_told_apart() {
    let operation = |key, began, output, input| Operation {
        client: 1,
        key,
        began,
        ended: Some((began + 1, output)),
        input,
    };
    let mut history = vec![
        operation(1, 0, DONE, put(1)),
        operation(2, 2, Output::Absent, GET),
        operation(2, 4, DONE, put(2)),
        operation(1, 6, found(1), GET),
    ];
    assert_eq!(check(&history, BUDGET), Verdict::Linearizable);
    history.push(operation(2, 8, found(1), GET));
    let Verdict::Violation(violation) = check(&history, BUDGET) else { panic!("key 2 holds 2") };
    assert_eq!(violation.key, "2");
}

#[test]
fn a_search_ends_with_its_budget() {
    let lines: Vec<Line> = (0..20)
        .map(|client| (client, 0, at(100, DONE), put(client)))
        .chain([(20, 200, at(201, found(77)), GET)])
        .collect();
    let verdict = verdict(&lines);
    assert!(matches!(verdict, Verdict::OutOfBudget { operations: 21, budget: BUDGET, .. }), "{verdict}");
}

#[test]
#[should_panic(expected = "an operation ends before it begins")]
fn time_does_not_go_back() {
    verdict(&[(1, 10, at(9, found(1)), GET)]);
}
