//! Replies of the state machine, printed.

use super::encode::{Replies, Version};
use super::entering::no_permission;
use super::plan::Print;
use super::transaction::{Part, out_of_memory};
use crate::{CommandError, Data, Reply};

/// Prints the reply of a write that was executed.
pub(super) fn print(print: Print, reply: &Reply, replies: &mut Replies<'_>) {
    match (reply, print) {
        (Reply::Stored { old, .. } | Reply::ConditionFailed { old, .. }, Print::Old) => {
            replies.value_or_null(old.as_ref());
        }
        (Reply::Stored { .. }, Print::Flag) => replies.integer(1),
        (Reply::ConditionFailed { .. }, Print::Flag) => replies.integer(0),
        (Reply::Stored { .. }, Print::Ok) | (Reply::Flushed | Reply::Named { .. } | Reply::Timed, _) => {
            replies.simple("OK");
        }
        (Reply::ConditionFailed { .. }, Print::Ok) => replies.null(),
        (Reply::Deleted { removed }, _) => replies.count(*removed),
        (Reply::Appended { length, .. }, _) => replies.count(*length),
        (Reply::Counted { value, .. }, _) => replies.integer(*value),
        (Reply::Failed(error), _) => replies.error(&format!("{} {error}", error.word())),
        (Reply::Administered { data, .. }, _) => self::data(data, replies),
        (Reply::Value(_) | Reply::Data(_) | Reply::Denied(_), _) => answer(reply, replies),
        (
            Reply::Block(_)
            | Reply::Chosen { .. }
            | Reply::Entry(_)
            | Reply::Again { .. }
            | Reply::NotOnce(_),
            _,
        ) => {
            panic!("a command is not answered with {reply:?}")
        }
    }
}

/// Prints the replies to the commands of a transaction.
pub(super) fn transaction(parts: &[Part], reply: &Reply, replies: &mut Replies<'_>) {
    let executed = match reply {
        Reply::Block(Some(executed)) => executed,
        Reply::Block(None) => return replies.null_array(),
        Reply::Failed(CommandError::OutOfMemory) => {
            let why = format!("EXECABORT Transaction discarded because of: {}", out_of_memory());
            return replies.error(&why);
        }
        other => return print(Print::Ok, other, replies),
    };
    let mut executed = executed.iter();
    replies.array(parts.len());
    for part in parts {
        match part {
            Part::Command(how) => print(*how, executed.next().expect("each command has a reply"), replies),
            Part::Word(word) => replies.simple(word),
            Part::Error(text) => replies.error(text),
        }
    }
}

/// Prints the answer to a read.
pub(super) fn answer(reply: &Reply, replies: &mut Replies<'_>) {
    match reply {
        Reply::Value(value) => replies.value_or_null(value.as_ref()),
        Reply::Data(data) => self::data(data, replies),
        Reply::Denied(denied) => replies.error(&no_permission(denied)),
        other => panic!("a query is not answered with {other:?}"),
    }
}

/// Prints an answer in the terms of Redis.
pub(super) fn data(data: &Data, replies: &mut Replies<'_>) {
    match data {
        Data::Null => replies.null(),
        Data::Word(word) => replies.simple(word),
        Data::Status(text) => replies.simple(&String::from_utf8_lossy(text)),
        Data::Integer(number) => replies.integer(*number),
        Data::Bulk(bytes) => replies.value(bytes),
        Data::Array(all) => {
            replies.array(all.len());
            all.iter().for_each(|data| self::data(data, replies));
        }
        Data::Map(pairs) => {
            replies.map(pairs.len());
            for (name, data) in pairs {
                replies.bulk(name.as_bytes());
                self::data(data, replies);
            }
        }
        Data::Error(text) => replies.error(text),
    }
}

impl Replies<'_> {
    /// No array, where there could have been one.
    pub(super) fn null_array(&mut self) {
        match self.version {
            Version::Two => self.output.text().extend_from_slice(b"*-1\r\n"),
            Version::Three => self.null(),
        }
    }
}
