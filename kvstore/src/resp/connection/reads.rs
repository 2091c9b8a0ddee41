//! Reads of the state: now, or attached to a write before them.

use std::time::{Duration, Instant};

use super::RespConnection;
use super::requests::Next;
use crate::clients::Kept;
use crate::protocol::{Input, Output, Shown, Unread, View};
use crate::resp::acl;
use crate::resp::encode::Replies;
use crate::resp::encoding::encode_query;
use crate::resp::entering;
use crate::resp::errors::ProtocolError;
use crate::resp::plan::{Plan, Read};
use crate::resp::printing;
use crate::resp::refusals::read_failure;
use crate::resp::tracking;
use crate::resp::transaction::is_quick;
use crate::users::Context;

/// What is remembered of an attached read.
#[derive(Debug)]
pub(crate) struct Look {
    asked: Kept,
    has_reply: bool,
}

/// Whether a read looks at the keys that it names, so that it is known to be quick if these are few.
fn is_point(read: Read) -> bool {
    match read {
        Read::Get => true,
        Read::Call(op) => is_quick(op),
        Read::Watch | Read::Users => false,
    }
}

/// A read that names more keys, or takes more bytes, is not executed between commands, where everybody waits
/// for it.
const MOST_ATTACHED_KEYS: usize = 16;
const MOST_ATTACHED_BYTES: usize = 1 << 10;

impl RespConnection {
    /// Executes a read, unless its user has lost the right to it, and answers it.
    pub(super) fn look(&mut self, input: &mut Input, view: &View<'_>, output: &mut Output) {
        let Plan::Read(read) = self.take_plan() else { panic!("only a read looks at the state") };
        let began = (!is_point(read)).then(Instant::now);
        let mut nowhere = Output::default();
        let heard = if self.replying.is_silent_once() { &mut nowhere } else { output };
        let mut replies = Replies { output: heard, version: self.version };
        let arguments = self.parser.arguments(input.bytes());
        // The user may have lost the right since the request came.
        let is_gone = self.entrance.refresh().is_err();
        if is_gone {
            replies.error(&format!("ERR {}", ProtocolError::UserRemoved));
            self.over = true;
        } else if let Some(denied) = entering::denied(&self.entrance, arguments) {
            self.note_denied(&denied, Context::Alone);
            replies.error(&entering::no_permission(&denied));
        } else if view.applied.is_some() {
            // Loaded before the state is read, so no change is missed.
            let since = self.tracker.remembers().then(|| self.tracker.last_change());
            self.show_found(read, input, view, &mut replies);
            if let Some(since) = since {
                let keys = tracking::keys_read(self.parser.arguments(input.bytes()));
                keys.for_each(|key| self.tracker.remember(key, since));
            }
        } else {
            let why = if view.diverged { Unread::Diverged } else { Unread::NoQuorum };
            replies.error(&self.site.worded(read_failure(why)));
        }
        self.consume(input);
        let took = view.waited + began.map_or(Duration::ZERO, |began| began.elapsed());
        self.about.member.note(self.requests.last(), took);
    }

    /// Shows what a read finds.
    fn show_found(&mut self, read: Read, input: &Input, view: &View<'_>, replies: &mut Replies<'_>) {
        let arguments = self.parser.arguments(input.bytes());
        let database = self.conversation.database();
        match read {
            Read::Get => {
                view.reader.with_in(database, arguments.get(1), |found| {
                    replies.value_or_null(found.map(|found| found.value));
                });
            }
            Read::Call(_) => {
                let mut query = Vec::new();
                let for_whom = (self.entrance.carried(), database, self.time.unwrap_or(0));
                encode_query(read, arguments, for_whom, &mut query);
                printing::answer(&view.reader.answer(&query).expect("it was made here"), replies);
            }
            Read::Users => acl::tell(arguments, &view.reader.directory().users(), replies),
            Read::Watch if self.conversation.watches_too_many(arguments.len() - 1) => {
                replies.error("ERR too many keys are watched: send UNWATCH");
            }
            Read::Watch => {
                for key in arguments.from(1).iter() {
                    let version =
                        view.reader.with_in(database, key, |found| found.map(|found| found.version));
                    self.conversation.watch(key, version);
                }
                replies.simple("OK");
            }
        }
    }

    /// Whether the next request is a read that may be executed between commands.
    pub(super) fn may_look_between(&self, input: &Input) -> bool {
        let Next::Planned(Plan::Read(read)) = &self.next else { return false };
        // What is remembered is read on this thread.
        is_point(*read)
            && !self.tracker.remembers()
            && self.parser.length() <= MOST_ATTACHED_BYTES
            && self.parser.arguments(input.bytes()).len() <= MOST_ATTACHED_KEYS + 1
    }

    /// Encodes a read that is executed behind a command.
    pub(super) fn look_behind(&mut self, input: &mut Input, query: &mut Vec<u8>) -> Look {
        let Plan::Read(read) = self.take_plan() else { panic!("only a read is attached") };
        let for_whom = (self.entrance.carried(), self.conversation.database(), self.time.unwrap_or(0));
        encode_query(read, self.parser.arguments(input.bytes()), for_whom, query);
        self.tracker.send_read();
        self.consume(input);
        Look { asked: self.requests.begin(), has_reply: !self.replying.is_silent_once() }
    }

    /// Answers such a read.
    pub(super) fn show_look(
        &mut self,
        Look { asked, has_reply }: Look,
        shown: Shown,
        took: Duration,
        output: &mut Output,
    ) {
        self.about.member.note_oldest(&mut self.requests, asked, Some(took));
        if let Shown::Answer { reply, .. } = &shown {
            self.note_denials(reply);
        }
        if has_reply {
            let mut replies = Replies { output, version: self.version };
            match shown {
                Shown::Answer { reply, .. } => printing::answer(&reply, &mut replies),
                Shown::Nothing(why) => replies.error(&self.site.worded(read_failure(why))),
            }
        }
        self.tracker.answered(None, None);
        self.tell_due(output);
    }
}
