//! Choices, against what a reader of the state would decide.

use std::collections::BTreeMap;

use bytes::Bytes;
use niagara_engine::{GlobalPosition, StateMachine};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::command::{self, Condition, Test};
use crate::{Kv, Reply};

/// What a part of a choice does.
#[derive(Clone, Debug)]
enum Part {
    Put(u8, u8),
    Look(u8),
    Delete(u8),
}

/// What a choice tests: the key, and its value, `None` for its absence, or whether it is another one.
type Tested = (u8, Option<u8>, bool);

fn part() -> impl Strategy<Value = Part> {
    let key = 0u8..3;
    prop_oneof![
        (key.clone(), 0u8..3).prop_map(|(key, value)| Part::Put(key, value)),
        key.clone().prop_map(Part::Look),
        key.prop_map(Part::Delete),
    ]
}

fn encode(part: &Part) -> Vec<u8> {
    let mut out = Vec::new();
    match part {
        Part::Put(key, value) => {
            command::encode_set_head(&mut out, &[*key], &Condition::Always, false);
            out.push(*value);
        }
        Part::Look(key) => command::encode_look(&mut out, &[*key]),
        Part::Delete(key) => {
            command::encode_delete(&mut out, std::iter::once(&[*key][..]), &Condition::Always);
        }
    }
    out
}

fn execute(kv: &mut Kv, position: u64, tests: &[Tested], then: &[Part], otherwise: &[Part]) -> Reply {
    let keys: Vec<[u8; 1]> = tests.iter().map(|(key, ..)| [*key]).collect();
    let values: Vec<[u8; 1]> = tests.iter().map(|(_, value, _)| [value.unwrap_or(0)]).collect();
    let tests = tests.iter().zip(keys.iter().zip(&values)).map(|((_, value, other), (key, bytes))| {
        let test = match (value, other) {
            (None, false) => Test::Condition(Condition::IfAbsent),
            (None, true) => Test::Condition(Condition::IfPresent),
            (Some(_), false) => Test::Value(bytes),
            (Some(_), true) => Test::OtherValue(bytes),
        };
        (key.as_slice(), test)
    });
    let parts = |parts: &[Part]| parts.iter().map(encode).collect::<Vec<_>>();
    let (then, otherwise) = (parts(then), parts(otherwise));
    let mut out = Vec::new();
    let (then, otherwise) = (then.iter().map(Vec::as_slice), otherwise.iter().map(Vec::as_slice));
    command::encode_choice(&mut out, tests, then, otherwise);
    kv.execute(GlobalPosition::new(position), &out.into())
}

proptest! {
    #[test]
    fn a_choice_does_what_its_tests_say_and_nothing_else(
        choices in vec((vec((0u8..3, proptest::option::of(0u8..3), any::<bool>()), 0..3), vec(part(), 0..4), vec(part(), 0..4)), 1..8),
    ) {
        let (mut kv, mut model) = (Kv::new(), BTreeMap::<u8, u8>::new());
        for (position, (tests, then, otherwise)) in (1..).zip(&choices) {
            let holds = tests.iter().all(|(key, value, other)| (model.get(key).copied() == *value) != *other);
            let Reply::Chosen { hold, replies } = execute(&mut kv, position, tests, then, otherwise) else {
                return Err(TestCaseError::fail("a choice was not executed"));
            };
            prop_assert_eq!(hold, holds);
            let chosen = if holds { then } else { otherwise };
            prop_assert_eq!(chosen.len(), replies.len());
            for (part, reply) in chosen.iter().zip(&replies) {
                match (part, reply) {
                    (Part::Put(key, value), Reply::Stored { version, created, .. }) => {
                        prop_assert_eq!((version.position, *created), (position, model.insert(*key, *value).is_none()));
                    }
                    (Part::Look(key), Reply::Entry(found)) => {
                        let found = found.as_ref().map(|stored| stored.value()[0]);
                        prop_assert_eq!(found, model.get(key).copied());
                    }
                    (Part::Delete(key), Reply::Deleted { removed }) => {
                        prop_assert_eq!(*removed > 0, model.remove(key).is_some());
                    }
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                }
            }
        }
        let entries = kv.reader().entries();
        prop_assert!(entries.iter().map(|(key, value, _)| (key[0], value[0])).eq(model));
    }
}

#[test]
fn a_look_alone_shows_what_is_stored() {
    let mut kv = Kv::new();
    assert!(matches!(execute(&mut kv, 1, &[], &[Part::Put(1, 2)], &[]), Reply::Chosen { hold: true, .. }));
    let look: Bytes = encode(&Part::Look(1)).into();
    let Reply::Entry(Some(stored)) = kv.execute(GlobalPosition::new(2), &look) else { panic!("it is there") };
    assert_eq!((stored.value().as_ref(), stored.version().position), (&[2][..], 1));
}
