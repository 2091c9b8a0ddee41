//! Commands of which those are executed that fit what keys hold.

use super::call::take_commands;
use super::condition::{put_condition, take_condition};
use super::fields::{
    VALUE_TOO_LONG, put_count, put_list, put_sized, take_count, take_key, take_sized, take_u8,
};
use super::{CHOICE, Command, Condition, Keys, MAX_VALUE_BYTES, MalformedCommand, decode};

/// Most tests and commands of a choice, all together, that front ends send. A log may hold more.
pub const MAX_CHOICE_PARTS: usize = 1 << 10;

/// Two lists of commands. All keys in question are looked at and changed as if it were one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    tests: Tests<'a>,
    then: Keys<'a>,
    otherwise: Keys<'a>,
}

/// What a key must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test<'a> {
    /// It is absent, present, or in some version.
    Condition(Condition),
    /// It has this value.
    Value(&'a [u8]),
    /// It is absent or has another value.
    OtherValue(&'a [u8]),
    /// It has a value that sorts before this one, byte by byte.
    Before(&'a [u8]),
    /// It has a value that sorts after this one, byte by byte.
    After(&'a [u8]),
}

impl Test<'_> {
    /// The level that names this kind of test.
    pub(super) fn needed_level(&self) -> u32 {
        match self {
            Test::Condition(_) | Test::Value(_) | Test::OtherValue(_) => 1,
            Test::Before(_) | Test::After(_) => 2,
        }
    }
}

impl<'a> Choice<'a> {
    /// What decides.
    pub fn tests(&self) -> Tests<'a> {
        self.tests.clone()
    }

    /// The commands that are executed if all tests hold (`true`), or if one does not.
    pub fn commands(&self, hold: bool) -> impl ExactSizeIterator<Item = Command<'a>> + use<'a> {
        self.encoded(hold).map(|bytes| decode(bytes).expect("decode has checked all of them"))
    }

    /// The same, each as bytes.
    pub fn encoded(&self, hold: bool) -> Keys<'a> {
        if hold { self.then.clone() } else { self.otherwise.clone() }
    }
}

/// The tests of a choice, each with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tests<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Tests<'a> {
    type Item = (&'a [u8], Test<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(take_test(&mut self.rest).expect("decode has checked all of them"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Tests<'_> {}

const CONDITION: u8 = 0;
const VALUE: u8 = 1;
const OTHER_VALUE: u8 = 2;
const BEFORE: u8 = 3;
const AFTER: u8 = 4;

/// Appends a choice: tests of keys, and encoded commands for either case, which are neither blocks, choices nor timed.
///
/// ```
/// use niagara_engine::{GlobalPosition, StateMachine};
/// use niagara_kvstore::{Kv, Reply, command};
/// use niagara_kvstore::command::{Condition, Test};
///
/// let mut kv = Kv::new();
/// let (mut take, mut look, mut choice) = (Vec::new(), Vec::new(), Vec::new());
/// command::encode_set_head(&mut take, b"lock", &Condition::Always, false);
/// take.extend_from_slice(b"mine");
/// command::encode_look(&mut look, b"lock");
/// let is_free = (&b"lock"[..], Test::Condition(Condition::IfAbsent));
/// command::encode_choice(&mut choice, [is_free].into_iter(), [&take[..]].into_iter(), [&look[..]].into_iter());
/// let choice = choice.into();
/// let first = kv.execute(GlobalPosition::new(1), &choice);
/// assert!(matches!(first, Reply::Chosen { hold: true, .. }));
/// let Reply::Chosen { hold: false, replies } = kv.execute(GlobalPosition::new(2), &choice) else { panic!() };
/// let Reply::Entry(Some(stored)) = &replies[0] else { panic!() };
/// assert_eq!(stored.value(), "mine");
/// ```
pub fn encode_choice<'k>(
    out: &mut Vec<u8>,
    tests: impl ExactSizeIterator<Item = (&'k [u8], Test<'k>)>,
    then: impl ExactSizeIterator<Item = &'k [u8]>,
    otherwise: impl ExactSizeIterator<Item = &'k [u8]>,
) {
    out.push(CHOICE);
    put_count(out, tests.len());
    for (key, test) in tests {
        put_sized(out, key);
        match test {
            Test::Condition(condition) => {
                out.push(CONDITION);
                put_condition(out, &condition);
            }
            Test::Value(value) => {
                out.push(VALUE);
                put_sized(out, value);
            }
            Test::OtherValue(value) => {
                out.push(OTHER_VALUE);
                put_sized(out, value);
            }
            Test::Before(value) => {
                out.push(BEFORE);
                put_sized(out, value);
            }
            Test::After(value) => {
                out.push(AFTER);
                put_sized(out, value);
            }
        }
    }
    put_list(out, then);
    put_list(out, otherwise);
}

pub(super) fn decode_choice<'a>(rest: &mut &'a [u8]) -> Result<Command<'a>, MalformedCommand> {
    let count = take_count(rest)?;
    let tests = Tests { rest, left: count };
    for _ in 0..count {
        take_test(rest)?;
    }
    let (then, otherwise) = (take_commands(rest)?, take_commands(rest)?);
    Ok(Command::Choice(Choice { tests, then, otherwise }))
}

fn take_test<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], Test<'a>), MalformedCommand> {
    let key = take_key(rest)?;
    let test = match take_u8(rest)? {
        CONDITION => Test::Condition(take_condition(rest)?),
        VALUE => Test::Value(take_value(rest)?),
        OTHER_VALUE => Test::OtherValue(take_value(rest)?),
        BEFORE => Test::Before(take_value(rest)?),
        AFTER => Test::After(take_value(rest)?),
        _ => return Err(MalformedCommand("unknown test of a choice")),
    };
    Ok((key, test))
}

fn take_value<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MalformedCommand> {
    let value = take_sized(rest)?;
    if value.len() <= MAX_VALUE_BYTES { Ok(value) } else { Err(VALUE_TOO_LONG) }
}
