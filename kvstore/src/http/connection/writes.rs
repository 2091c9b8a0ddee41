//! Commands for the log, and what becomes of them.

use niagara_planted::{self as planted, Bug};

use super::HttpConnection;
use super::receiving::Stage;
use super::watching::Keeping;
use crate::command;
use crate::http::fault::{Context, Fault};
use crate::http::idempotency;
use crate::http::request::{Request, What};
use crate::http::respond::{Framing, ResponseHead};
use crate::http::transaction;
use crate::protocol::{Outcome, Output};
use crate::table::Op;
use crate::{CommandError, Reply};

/// What must be remembered of a write to print its reply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Put(Framing),
    Delete(Framing),
    Transaction(Framing),
    /// Names the life of the state, for the requests that follow. It has no reply.
    Name,
    /// Has changes kept, for the request that follows. It has no reply.
    Keep,
}

impl HttpConnection {
    /// Encodes the next request, which is a write, or the command that it waits for.
    pub(super) fn send(&mut self, command: &mut Vec<u8>) -> Shape {
        if self.naming.begins() {
            command::encode_name_life(command, self.site.life);
            return Shape::Name;
        }
        if self.keeping == Keeping::Next {
            self.keeping = Keeping::Asked;
            command::encode_keep_changes(command);
            return Shape::Keep;
        }
        let Request { what, once, framing } = self.take_request();
        match &what {
            What::Put { .. } => {
                *command = std::mem::take(&mut self.command);
                Shape::Put(framing)
            }
            What::Transaction { .. } => {
                *command = std::mem::take(&mut self.command);
                Shape::Transaction(framing)
            }
            What::Delete { key, condition } => {
                if let Some(user) = self.entrance.carried() {
                    command::encode_by(command, user, std::iter::once(Op::Del));
                }
                command::encode_delete(command, std::iter::once(key.as_slice()), condition);
                if let Some(once) = once {
                    let name = idempotency::name(self.entrance.user().name(), &once);
                    idempotency::wrap(command, false, name);
                    idempotency::set_time(command, self.time);
                }
                Shape::Delete(framing)
            }
            other => panic!("only a PUT, a DELETE or a transaction has a command, not {other:?}"),
        }
    }

    /// Answers a write.
    pub(super) fn finish(&mut self, shape: Shape, outcome: Outcome, output: &mut Output) {
        let (framing, deletes) = match shape {
            Shape::Name => return self.named(outcome),
            Shape::Keep => return self.kept(&outcome),
            Shape::Put(framing) | Shape::Transaction(framing) => (framing, false),
            Shape::Delete(framing) => (framing, true),
        };
        let fault = match outcome {
            Outcome::Applied { position, reply } => {
                self.print_reply(position, reply, deletes, framing, output);
                return self.replied(framing);
            }
            Outcome::Refused(refused) => Some(Fault::refused(refused)),
            Outcome::Unknown if planted::is(Bug::HttpUnknownNotTold) => None,
            Outcome::Unknown => Some(Fault::unknown()),
        };
        if let Some(fault) = fault {
            fault.print(Context::default(), framing, &self.site, output);
        }
        self.replied(framing);
    }

    /// Prints the reply of a write that was executed.
    fn print_reply(&self, position: u64, reply: Reply, deletes: bool, framing: Framing, output: &mut Output) {
        let site = &self.site;
        let (position, reply, is_again) = match reply {
            Reply::Again { position, reply } => (position, reply.map(|reply| *reply), true),
            reply => (position, Some(reply), false),
        };
        let context = Context { position: Some(position), tag: None, is_again };
        let fault =
            |fault: Fault, context: Context, output: &mut Output| fault.print(context, framing, site, output);
        let begin = |status, output| ResponseHead::begin(output, status, framing, site).again(is_again);
        let done = |status, output| begin(status, output).number("Niagara-Position", position);
        let Some(reply) = reply else {
            let body = format!("{{\"position\":{position},\"omitted\":true}}\n");
            return done(200, output).end_with("application/json", body.as_bytes());
        };
        match reply {
            Reply::Stored { version, created, .. } => {
                done(if created { 201 } else { 200 }, output).tag(self.naming.tag(version)).end_empty();
            }
            // Without its condition the DELETE would not have succeeded, either.
            Reply::Deleted { removed: 0 } | Reply::ConditionFailed { current: None, .. } if deletes => {
                fault(Fault::no_such_key(), context, output);
            }
            Reply::ConditionFailed { current, .. } => {
                let tag = current.and_then(|version| self.naming.tag(version));
                fault(Fault::condition_failed(), Context { tag, ..context }, output);
            }
            Reply::Denied(denied) => fault(Fault::forbidden(&denied), context, output),
            Reply::Chosen { hold, replies } => {
                let head = begin(200, output);
                transaction::print(hold, &replies, position, self.naming.life(), head);
            }
            Reply::NotOnce(why) => fault(idempotency::not_once(why), context, output),
            Reply::Failed(CommandError::OutOfMemory) => {
                fault(Fault::out_of_memory(), context, output);
            }
            Reply::Failed(error) => {
                let hint = "this is a bug in the server: please report it";
                fault(Fault::new(500, "internal", error.to_string(), hint), context, output);
            }
            Reply::Deleted { .. }
            | Reply::Appended { .. }
            | Reply::Counted { .. }
            | Reply::Flushed
            | Reply::Named { .. }
            | Reply::Value(_)
            | Reply::Entry(_)
            | Reply::Data(_)
            | Reply::Administered { .. }
            | Reply::Block(_)
            | Reply::Again { .. }
            | Reply::Timed => {
                done(200, output).end_empty();
            }
        }
    }

    /// The outcome of the command that names the life. If no quorum accepted it, a read that waited for it
    /// cannot be fresh, either.
    fn named(&mut self, outcome: Outcome) {
        let Some(fault) = self.naming.ended(outcome) else { return };
        if let Stage::Ready(request) = &mut self.stage
            && matches!(request.what, What::Get { .. } | What::List { .. })
            && request.what.needs_life()
        {
            request.what = What::Fail(fault);
        }
    }
}
