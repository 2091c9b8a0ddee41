//! Which level of the cluster a command needs.

use super::fields::{take_count, take_sized};
use super::once::ONCE_BYTES;
use super::{BY, CHOICE, Command, IN, MAKE_ROOM, ONCE, TIME_BYTES, TIMED, decode};

/// The level that a command needs, which has been decoded before: that of the newest part of it.
///
/// ```
/// use niagara_kvstore::command::{self, Test};
///
/// let nothing = || std::iter::empty();
/// let mut fence = Vec::new();
/// let is_older = (&b"token"[..], Test::Before(b"0042"));
/// command::encode_choice(&mut fence, [is_older].into_iter(), nothing(), nothing());
/// assert_eq!(command::needed_level(&fence), 2);
/// let mut get = Vec::new();
/// command::encode_look(&mut get, b"token");
/// assert_eq!(command::needed_level(&get), 1);
/// let mut make_room = Vec::new();
/// command::encode_make_room(&mut make_room);
/// assert_eq!(command::needed_level(&make_room), 3);
/// ```
pub fn needed_level(command: &[u8]) -> u32 {
    match innermost(command) {
        [MAKE_ROOM] => 3,
        // Only these have parts that a level adds. Most commands are none, and are not looked at further.
        choice @ [CHOICE, ..] => match decode(choice) {
            Ok(Command::Choice(choice)) => {
                choice.tests().map(|(_, test)| test.needed_level()).max().unwrap_or(1)
            }
            _ => 1,
        },
        _ => 1,
    }
}

/// The command itself, without what says when, by whom, how often and in which database it is executed.
fn innermost(mut command: &[u8]) -> &[u8] {
    loop {
        let inner = match command {
            [TIMED, ..] => command.get(TIME_BYTES..),
            [ONCE, ..] => command.get(ONCE_BYTES..),
            [IN, ..] => command.get(2..),
            [BY, rest @ ..] => behind_user(rest),
            _ => return command,
        };
        let Some(inner) = inner else { return command };
        command = inner;
    }
}

/// What follows a user and what he has called.
fn behind_user(mut rest: &[u8]) -> Option<&[u8]> {
    take_sized(&mut rest).ok()?;
    for _ in 0..take_count(&mut rest).ok()? {
        take_count(&mut rest).ok()?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::super::{Condition, Test, encode_by, encode_choice, encode_in, encode_once, encode_time};
    use super::*;
    use crate::Database;
    use crate::table::Op;

    fn choice(out: &mut Vec<u8>, tests: &[Test<'_>]) {
        let tests = tests.iter().map(|test| (&b"k"[..], test.clone()));
        let tests = tests.collect::<Vec<_>>();
        encode_choice(out, tests.into_iter(), iter::empty(), iter::empty());
    }

    #[test]
    fn the_newest_test_counts_whatever_surrounds_it() {
        let old = [Test::Condition(Condition::IfAbsent), Test::Value(b"1"), Test::OtherValue(b"2")];
        let new = |test| [&old[..], &[test]].concat();
        for (tests, level) in [(old.to_vec(), 1), (new(Test::Before(b"3")), 2), (new(Test::After(b"")), 2)] {
            let mut plain = Vec::new();
            choice(&mut plain, &tests);
            assert_eq!(needed_level(&plain), level);
            let mut wrapped = Vec::new();
            encode_time(&mut wrapped, 9);
            encode_once(&mut wrapped, 10, [1; 16], [2; 16]);
            encode_by(&mut wrapped, b"alice", [Op::SetNx, Op::Get].into_iter());
            encode_in(&mut wrapped, Database::new(3).unwrap());
            choice(&mut wrapped, &tests);
            assert!(decode(&wrapped).is_ok());
            assert_eq!(needed_level(&wrapped), level);
        }
    }
}
