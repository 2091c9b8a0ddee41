//! Commands for the log, and what becomes of them.

use std::time::Duration;

use super::RespConnection;
use crate::audit::{self, Told};
use crate::clients::Kept;
use crate::protocol::{Input, Outcome, Output};
use crate::resp::acts;
use crate::resp::encode::Replies;
use crate::resp::encoding::encode;
use crate::resp::entering;
use crate::resp::plan::{Plan, Print, Write};
use crate::resp::printing;
use crate::resp::refusals::{UNKNOWN_OUTCOME, refusal};
use crate::resp::transaction::Part;
use crate::table::Spec;
use crate::tracking::Awaited;
use crate::users::{Context, Denied};
use crate::{Database, Reply, command};

/// How the reply to a write is printed.
#[derive(Debug)]
enum Shape {
    One(Print),
    Transaction(Vec<Part>),
}

/// What must be remembered of a write.
#[derive(Debug)]
pub(crate) struct Written {
    asked: Kept,
    /// `None`: it has no reply.
    shape: Option<Shape>,
    /// What the audit tells of it.
    told: Option<Box<Told>>,
    /// If what it does is awaited, since the client tracks.
    tracked: Option<Box<Awaited>>,
}

impl RespConnection {
    /// Encodes the next request, which is a write.
    pub(super) fn send(&mut self, input: &mut Input, command: &mut Vec<u8>) -> Written {
        let Plan::Write(write) = self.take_plan() else { panic!("only a write has a command") };
        let arguments = self.parser.arguments(input.bytes());
        let (act, runs_scripts) = match &write {
            Write::Transaction => (self.conversation.act(), self.conversation.called().any(acts::is_script)),
            write => (acts::of(write, arguments, self.conversation.database()), acts::runs_script(write)),
        };
        let told = Told::begin(|what| self.entrance.begin(what), act, runs_scripts);
        if self.is_timed(&write) {
            command::encode_time(command, self.time.expect("a write without its time was refused"));
        }
        if let Some(user) = self.entrance.carried() {
            let arguments = self.parser.arguments(input.bytes());
            match write {
                Write::Transaction => command::encode_by(command, user, self.conversation.called()),
                _ => {
                    let called = Spec::find(arguments.get(0)).and_then(Spec::op);
                    command::encode_by(command, user, called.into_iter());
                }
            }
        }
        let database = self.conversation.database();
        let is_of_database = !matches!(write, Write::SetUser { .. } | Write::RemoveUsers | Write::FlushAll);
        if database != Database::FIRST && is_of_database {
            command::encode_in(command, database);
        }
        let may_read = matches!(write, Write::Transaction) || acts::runs_script(&write);
        let shape = match write {
            Write::Transaction => Shape::Transaction(self.conversation.take(command)),
            write => Shape::One(encode(&write, self.parser.arguments(input.bytes()), command)),
        };
        let tracked = self.tracker.send(may_read, command);
        self.consume(input);
        let shape = (!self.replying.is_silent_once()).then_some(shape);
        Written { asked: self.requests.begin(), shape, told, tracked }
    }

    /// Answers a write.
    pub(super) fn finish(
        &mut self,
        Written { asked, shape, told, tracked }: Written,
        outcome: Outcome,
        took: Duration,
        output: &mut Output,
    ) {
        let took = (!matches!(outcome, Outcome::Refused(_))).then_some(took);
        self.about.member.note_oldest(&mut self.requests, asked, took);
        if let Some(told) = told {
            match &outcome {
                Outcome::Applied { position, reply } => told.replied(*position, reply),
                Outcome::Refused(why) => told.refused(why),
                Outcome::Unknown => told.unknown(),
            }
        }
        match &outcome {
            Outcome::Applied { reply, .. } => {
                self.note_denials(reply);
                self.is_certain = true;
            }
            Outcome::Unknown => self.is_certain = false,
            Outcome::Refused(_) => {}
        }
        let position = if let Outcome::Applied { position, .. } = outcome { Some(position) } else { None };
        if let Some(shape) = shape {
            self.print(shape, outcome, output);
        }
        self.tracker.answered(tracked, position);
        self.tell_due(output);
    }

    /// Prints the reply of a write.
    fn print(&self, shape: Shape, outcome: Outcome, output: &mut Output) {
        let mut replies = Replies { output, version: self.version };
        match outcome {
            Outcome::Applied { reply, .. } => match shape {
                Shape::One(print) => printing::print(print, &reply, &mut replies),
                Shape::Transaction(parts) => printing::transaction(&parts, &reply, &mut replies),
            },
            Outcome::Refused(refused) => replies.error(&self.site.worded(&refusal(refused))),
            Outcome::Unknown => replies.error(&format!("UNKNOWN outcome: {UNKNOWN_OUTCOME}")),
        }
    }

    /// Remembers for ACL LOG, and for the audit, that a request was refused.
    pub(super) fn note_denied(&self, denied: &Denied, context: Context) {
        audit::denied(denied, self.entrance.address());
        let client = self.line();
        entering::note(&self.entrance, denied, context, &client);
    }

    /// The same for what was refused at its execution.
    pub(super) fn note_denials(&self, reply: &Reply) {
        match reply {
            Reply::Denied(denied) => self.note_denied(denied, Context::Alone),
            Reply::Block(Some(replies)) => {
                for reply in replies {
                    if let Reply::Denied(denied) = reply {
                        self.note_denied(denied, Context::Transaction);
                    }
                }
            }
            _ => {}
        }
    }
}
