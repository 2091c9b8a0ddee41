//! What the next request of a client is, and what it asks for.

use niagara_engine::{Consistency, Refused};

use super::RespConnection;
use crate::KvReader;
use crate::clients::Paused;
use crate::protocol::{Ask, Circumstances, Engine, Foreign, Input, SHORT};
use crate::resp::entering::{self, MAX_BARRED_BYTES};
use crate::resp::errors::{ProtocolError, TooLarge};
use crate::resp::plan::{Local, Plan, Read, Write};
use crate::resp::refusals::{NO_TIME, refusal};
use crate::resp::skip::Skip;
use crate::resp::subscribing;
use crate::resp::transaction::out_of_memory;
use crate::resp::words::is;
use crate::users::Context;

/// What is known of the next request.
#[derive(Debug)]
pub(super) enum Next {
    /// Not all there.
    Unknown,
    Planned(Plan),
    /// There is no memory for it: the error.
    Short(String),
    Broken(ProtocolError),
    /// It is too large, and not skipped yet.
    Skipping(Skip),
    /// It was too large.
    Skipped(TooLarge),
}

impl RespConnection {
    /// What the next request asks for; `None`: it is not all there.
    pub(super) fn understand_next<E: Engine>(
        &mut self,
        input: &mut Input,
        engine: &E,
        now: Circumstances,
    ) -> Option<Ask> {
        self.now = now.now;
        if self.about.seat().is_ended() {
            self.over = true;
            return None;
        }
        if !self.understand(input, engine.reader()) {
            return None;
        }
        self.time = now.time;
        if now.is_short {
            self.refuse_for_memory();
        }
        self.refuse_untimed(engine.follows());
        Some(match &self.next {
            Next::Planned(Plan::Read(Read::Watch | Read::Users)) => Ask::Read(Consistency::Strong),
            Next::Planned(Plan::Write(_)) => Ask::Write,
            Next::Planned(Plan::Read(_)) if self.weak => Ask::Read(Consistency::Weak),
            Next::Planned(Plan::Read(_)) => Ask::Read(Consistency::Strong),
            _ => Ask::Local,
        })
    }

    /// Determines what the next request asks for. `false`: it is incomplete.
    fn understand(&mut self, input: &mut Input, reader: &KvReader) -> bool {
        loop {
            match &mut self.next {
                Next::Unknown => match self.parser.parse(input.bytes()) {
                    Ok(None) if self.entrance.barred().is_some() && input.len() > MAX_BARRED_BYTES => {
                        self.next = Next::Broken(ProtocolError::Barred);
                    }
                    Ok(None) => {
                        input.expect(self.parser.announced());
                        return false;
                    }
                    Ok(Some(_)) => self.plan(input, reader),
                    Err(ProtocolError::TooLarge(_)) => self.begin_to_skip(input),
                    Err(error) => self.next = Next::Broken(error),
                },
                Next::Skipping(skip) => match skip.advance(input) {
                    Ok(false) => return false,
                    Ok(true) => self.next = Next::Skipped(skip.why),
                    Err(error) => self.next = Next::Broken(error),
                },
                Next::Planned(_) | Next::Short(_) | Next::Broken(_) | Next::Skipped(_) => return true,
            }
        }
    }

    /// Plans the complete request.
    fn plan(&mut self, input: &mut Input, reader: &KvReader) {
        let arguments = self.parser.arguments(input.bytes());
        if arguments.len() == 0 {
            self.consume(input);
        } else if Foreign::is_http(arguments.iter(), self.parser.is_line()) {
            self.next = Next::Broken(Foreign::Http.into());
        } else {
            self.active = self.now;
            self.requests.keep(&input.bytes()[..self.parser.length()]);
            if self.entrance.refresh().is_err() {
                self.next = Next::Broken(ProtocolError::UserRemoved);
                return;
            }
            if let Some(barred) = self.entrance.barred()
                && let Some(plan) = entering::plan(barred, arguments)
            {
                self.next = Next::Planned(plan);
                return;
            }
            if let Some(denied) = entering::denied(&self.entrance, arguments) {
                let within = self.conversation.refused();
                self.note_denied(&denied, if within { Context::Transaction } else { Context::Alone });
                let mut text = entering::no_permission(&denied);
                if within && is(self.parser.arguments(input.bytes()).get(0), "EXEC") {
                    self.conversation.abandon();
                    text = format!("EXECABORT Transaction discarded because of: {text}");
                }
                self.next = Next::Planned(Plan::Refuse(text.into()));
                return;
            }
            if self.conversation.may_not_queue(arguments, reader) {
                self.next = Next::Planned(Plan::Refuse(out_of_memory().into()));
                return;
            }
            if self.is_restricted()
                && let Some(why) = subscribing::refuse_other(arguments)
            {
                self.next = Next::Planned(Plan::Refuse(why.into()));
                return;
            }
            self.next = Next::Planned(self.conversation.plan(arguments, reader.scripts()));
        }
    }

    /// Whether a write carries the time.
    pub(super) fn is_timed(&self, write: &Write) -> bool {
        match write {
            Write::Transaction => self.conversation.is_timed(),
            write => write.is_timed(),
        }
    }

    /// Refuses what takes memory. A transaction is over then.
    fn refuse_for_memory(&mut self) {
        let Next::Planned(plan @ (Plan::Write(_) | Plan::Read(_))) = &self.next else { return };
        let mut text = format!("TRYAGAIN {SHORT}: retry after a pause, or use another server");
        if matches!(plan, Plan::Write(Write::Transaction)) {
            self.conversation.abandon();
            text = format!("EXECABORT Transaction discarded because of: {text}");
        }
        self.next = Next::Short(text);
    }

    /// A write that carries the time cannot be served before the time is known.
    fn refuse_untimed(&mut self, follows: bool) {
        let Next::Planned(Plan::Write(write)) = &self.next else { return };
        if self.time.is_none() && self.is_timed(write) {
            if matches!(write, Write::Transaction) {
                self.conversation.abandon();
            }
            // A follower keeps no time, and would not execute it with one.
            let why = if follows { refusal(Refused::Follower).into() } else { NO_TIME.into() };
            self.next = Next::Planned(Plan::Refuse(why));
        }
    }

    fn begin_to_skip(&mut self, input: &mut Input) {
        let (parsed, skip) = self.parser.take_skip().expect("a request that is too large can be skipped");
        input.consume(parsed);
        self.parser.reset();
        self.next = Next::Skipping(skip);
    }

    pub(super) fn consume(&mut self, input: &mut Input) {
        if self.tracker.has_chosen() && !self.conversation.is_open() {
            let name = self.parser.arguments(input.bytes()).iter().next();
            self.tracker.choose(name.is_none_or(|name| is(name, "CLIENT")));
        }
        input.consume(self.parser.length());
        self.parser.reset();
        self.next = Next::Unknown;
    }

    pub(super) fn take_plan(&mut self) -> Plan {
        match std::mem::replace(&mut self.next, Next::Unknown) {
            Next::Planned(plan) => plan,
            other => panic!("a request is served once it is known, not {other:?}"),
        }
    }

    /// Whether the next request waits until a pause ends.
    pub(super) fn waits_for_a_pause(&mut self) -> bool {
        let pausing = self.about.member.clients().pausing(self.now);
        self.is_held_up = pausing.is_some_and(|pausing| match &self.next {
            // Otherwise nobody could end it.
            Next::Planned(Plan::Local(Local::Unpause)) => false,
            Next::Planned(Plan::Write(Write::Transaction)) => {
                pausing.what == Paused::All || self.conversation.changes_something()
            }
            Next::Planned(Plan::Write(write)) => pausing.what == Paused::All || write.changes_something(),
            _ => pausing.what == Paused::All,
        });
        self.is_held_up
    }
}
