//! The commands that the log carries in a form of their own, by their words: a script calls them so.

use super::words::{SYNTAX, integer, is};
use super::{Answer, Failure, Words, Writing};
use crate::attributes::Attributes;
use crate::command::Condition;
use crate::table::Op;
use crate::{Data, Reply};

pub(super) fn execute(writing: &mut Writing<'_>, op: Op, words: Words<'_>) -> Answer {
    match op {
        Op::SetNx => {
            let reply = set(writing, words, &Condition::IfAbsent, false);
            Ok(Data::flag(matches!(reply, Reply::Stored { .. })))
        }
        Op::GetSet => match set(writing, words, &Condition::Always, true) {
            Reply::Stored { old: Some(old), .. } => Ok(Data::Bulk(old)),
            _ => Ok(Data::Null),
        },
        Op::Del | Op::Unlink => number(writing.delete(words.iter().copied(), &Condition::Always)),
        Op::MSet => {
            writing.mset(pairs(words), false);
            Ok(Data::OK)
        }
        Op::MSetNx => {
            let reply = writing.mset(pairs(words), true);
            Ok(Data::flag(matches!(reply, Reply::Stored { .. })))
        }
        Op::Append => number(writing.append(words[0], words[1])),
        Op::Incr => number(writing.incr_by(words[0], 1)),
        Op::Decr => number(writing.incr_by(words[0], -1)),
        Op::IncrBy => {
            let delta = integer(words[1])?;
            number(writing.incr_by(words[0], delta))
        }
        Op::DecrBy => {
            let delta = integer(words[1])?.checked_neg().ok_or("ERR decrement would overflow")?;
            number(writing.incr_by(words[0], delta))
        }
        Op::FlushAll => {
            if words.len() > 1 || words.iter().any(|how| !is(how, "ASYNC") && !is(how, "SYNC")) {
                return Err(SYNTAX);
            }
            let before = writing.flush(true);
            writing.core.garbage.free(Box::new(before));
            Ok(Data::OK)
        }
        other => unreachable!("{other:?} is a call"),
    }
}

fn set(writing: &mut Writing<'_>, words: Words<'_>, condition: &Condition, want_old: bool) -> Reply {
    writing.set(words[0], words[1], Attributes::default(), condition, want_old)
}

fn pairs<'a>(words: Words<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
    words.chunks_exact(2).map(|pair| (pair[0], pair[1]))
}

/// The reply to a command that ends with a number.
fn number(reply: Reply) -> Answer {
    match reply {
        Reply::Deleted { removed } => Ok(Data::Integer(removed as i64)),
        Reply::Appended { length, .. } => Ok(Data::Integer(length as i64)),
        Reply::Counted { value, .. } => Ok(Data::Integer(value)),
        Reply::Failed(error) => Err(Failure::from(format!("ERR {error}"))),
        other => unreachable!("{other:?} is not the reply to such a command"),
    }
}
