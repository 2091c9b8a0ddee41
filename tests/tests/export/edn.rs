//! Reads histories that were exported as EDN, and holds them to what Jepsen's tools expect: a process does one thing at a time,
//! and nothing after one whose outcome it does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::str::Chars;

use niagara_tests::linearizability::{Operation, Output};

use super::json_lines::input;

#[derive(Clone, Debug, PartialEq)]
enum Edn {
    Nil,
    Bool(bool),
    Number(i128),
    Text(String),
    Keyword(String),
    Vector(Vec<Edn>),
    Map(BTreeMap<String, Edn>),
}

/// The operations of a history; all of one key, if that is given, or else each value is a pair of key and value.
pub fn read(text: &str, key: Option<&str>) -> Vec<Operation<String>> {
    let mut operations: Vec<Operation<String>> = Vec::new();
    let mut at_work: BTreeMap<i128, usize> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    let mut last = 0;
    for (index, line) in text.lines().enumerate() {
        let mut rest = line.chars().peekable();
        let Edn::Map(event) = value(&mut rest) else { panic!("{line}") };
        assert_eq!(rest.next(), None, "{line}");
        let number = |name: &str| event.get(name).map(Edn::number);
        assert_eq!(number("index"), Some(index as i128));
        let (time, process) = (number("time").unwrap(), number("process").unwrap());
        assert!(time >= last, "time goes back: {line}");
        last = time;
        let (key, value) = match (key, &event["value"]) {
            (Some(key), value) => (key.to_owned(), value),
            (None, Edn::Vector(pair)) => match &pair[..] {
                [Edn::Text(key), value] => (key.clone(), value),
                _ => panic!("{line}"),
            },
            _ => panic!("{line}"),
        };
        let version = number("version").map(|version| version as u64);
        let asked = |value: &Edn| match value {
            Edn::Vector(pair) => Some(pair[0].number() as i64),
            Edn::Number(number) => Some(*number as i64),
            _ => None,
        };
        let f = event["f"].word();
        if event["type"].word() == "invoke" {
            assert!(!gone.contains(&process), "{line}: its process has gone");
            assert_eq!(at_work.insert(process, operations.len()), None, "{line}: its process is at work");
            let input = input(f, asked(value), number("if-version").map(|version| version as u64));
            let client = number("client").unwrap() as u64;
            operations.push(Operation { client, key, began: time as u64, ended: None, input });
            continue;
        }
        let operation = &mut operations[at_work.remove(&process).expect("it was invoked")];
        assert_eq!(operation.key, key, "{line}");
        let output = match event["type"].word() {
            "info" => {
                gone.insert(process);
                continue;
            }
            "fail" => {
                assert_eq!(event["error"].word(), "condition-failed");
                Output::ConditionFailed
            }
            "ok" => match (f.split('-').next().unwrap(), value) {
                ("read", Edn::Nil) => Output::Absent,
                ("read", value) => Output::Found { value: value.number() as i64, version },
                ("delete", Edn::Bool(existed)) => Output::Deleted { existed: *existed },
                ("add", Edn::Vector(pair)) => {
                    let sum = (pair[1] != Edn::Nil).then(|| pair[1].number() as i64);
                    Output::Written { value: sum, version }
                }
                ("write", _) => Output::Written { value: None, version },
                _ => panic!("{line}"),
            },
            other => panic!("{other}"),
        };
        operation.ended = Some((time as u64, output));
    }
    assert!(at_work.is_empty(), "all that was invoked is completed");
    operations
}

impl Edn {
    fn number(&self) -> i128 {
        if let Edn::Number(number) = self { *number } else { panic!("{self:?} is no number") }
    }

    fn word(&self) -> &str {
        if let Edn::Keyword(word) = self { word } else { panic!("{self:?} is no keyword") }
    }
}

fn value(text: &mut Peekable<Chars<'_>>) -> Edn {
    space(text);
    match text.peek().expect("a value") {
        '{' => {
            let all = until('}', text);
            let pairs = all.chunks_exact(2).map(|pair| (pair[0].word().to_owned(), pair[1].clone()));
            Edn::Map(pairs.collect())
        }
        '[' => Edn::Vector(until(']', text)),
        '"' => string(text),
        ':' => {
            text.next();
            Edn::Keyword(symbol(text))
        }
        _ => match symbol(text).as_str() {
            "nil" => Edn::Nil,
            "true" => Edn::Bool(true),
            "false" => Edn::Bool(false),
            number => Edn::Number(number.parse().unwrap_or_else(|_| panic!("{number:?} is no number"))),
        },
    }
}

fn until(end: char, text: &mut Peekable<Chars<'_>>) -> Vec<Edn> {
    text.next();
    let mut all = Vec::new();
    loop {
        space(text);
        if text.next_if_eq(&end).is_some() {
            return all;
        }
        all.push(value(text));
    }
}

fn string(text: &mut Peekable<Chars<'_>>) -> Edn {
    text.next();
    let mut string = String::new();
    loop {
        match text.next().expect("a string ends") {
            '"' => return Edn::Text(string),
            '\\' => string.push(match text.next().expect("something is quoted") {
                quoted @ ('"' | '\\') => quoted,
                other => panic!("\\{other}"),
            }),
            other => string.push(other),
        }
    }
}

fn symbol(text: &mut Peekable<Chars<'_>>) -> String {
    std::iter::from_fn(|| text.next_if(|next| next.is_alphanumeric() || "-+".contains(*next))).collect()
}

/// Commas are spaces in EDN.
fn space(text: &mut Peekable<Chars<'_>>) {
    while text.next_if(|next| next.is_whitespace() || *next == ',').is_some() {}
}
