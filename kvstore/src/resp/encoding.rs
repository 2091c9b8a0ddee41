//! Requests as commands of the log, and as queries.

use super::parse::Arguments;
use super::plan::{self, Print, Read, Write};
use crate::command::{self, Condition};
use crate::{Database, query};

/// Appends the command of a request, and returns how to print its reply.
pub(super) fn encode(write: &Write, arguments: Arguments<'_>, command: &mut Vec<u8>) -> Print {
    match write {
        Write::Set { condition, print } => {
            command::encode_set_head(command, arguments.get(1), condition, *print == Print::Old);
            command.extend_from_slice(arguments.get(2));
            return *print;
        }
        Write::Put => {
            let (key, described) = (arguments.get(1), plan::described(arguments));
            command::encode_put_head(command, key, &Condition::Always, false, described);
            command.extend_from_slice(arguments.get(2));
        }
        Write::Delete => command::encode_delete(command, arguments.from(1).iter(), &Condition::Always),
        Write::MSet { if_absent } => {
            let pairs = (1..arguments.len()).step_by(2).map(|at| (arguments.get(at), arguments.get(at + 1)));
            command::encode_mset(command, pairs, *if_absent);
            if *if_absent {
                return Print::Flag;
            }
        }
        Write::Append => command::encode_append(command, arguments.get(1), arguments.get(2)),
        Write::IncrBy(delta) => command::encode_incr_by(command, arguments.get(1), *delta),
        Write::FlushAll => command::encode_flush_all(command),
        Write::Call { op, .. } => command::encode_call(command, *op, arguments.from(1).iter()),
        Write::Script { op, source } => {
            let words: Vec<&[u8]> = [&source[..]].into_iter().chain(arguments.from(2).iter()).collect();
            command::encode_call(command, *op, words.into_iter());
        }
        Write::SetUser { rules } => {
            let rules = rules.iter().map(Vec::as_slice);
            command::encode_set_user(command, arguments.get(2), rules);
        }
        Write::RemoveUsers => command::encode_remove_users(command, arguments.from(2).iter()),
        Write::Transaction => unreachable!("a transaction is encoded by itself"),
    }
    Print::Ok
}

/// Appends a read as a query of a user for a database. `time` is what is left of keys' time told by.
pub(super) fn encode_query(
    read: Read,
    arguments: Arguments<'_>,
    (user, database, time): (Option<&[u8]>, Database, u64),
    out: &mut Vec<u8>,
) {
    if let Some(user) = user {
        query::encode_by(out, user);
    }
    if database != Database::FIRST {
        query::encode_in(out, database);
    }
    match read {
        Read::Get => query::encode_value(out, arguments.get(1)),
        Read::Call(op) => query::encode_call(out, time, op, arguments.from(1).iter()),
        Read::Watch | Read::Users => unreachable!("{read:?} is no query"),
    }
}
