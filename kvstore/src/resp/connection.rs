//! One Redis client's conversation: requests found in its input, replies printed to its output.

use std::rc::Rc;
use std::time::{Duration, Instant};

use niagara_engine::{Consistency, Refused};

use super::about::About;
use super::acl;
use super::acts;
use super::client::{self, Own};
use super::cluster;
use super::described;
use super::encode::{Replies, Version};
use super::encoding::{encode, encode_query};
use super::entering::{self, MAX_BARRED_BYTES};
use super::errors::{ProtocolError, TooLarge};
use super::handing_over;
use super::info;
use super::latency;
use super::local;
use super::parse::{Arguments, Parser};
use super::plan::{Local, Plan, Print, Read, Write};
use super::printing;
use super::refusals::{NO_TIME, UNKNOWN_OUTCOME, read_failure, refusal};
use super::replication;
use super::replying::Replying;
use super::sentinel::{self, Watched};
use super::settings;
use super::site::RedisSite;
use super::skip::Skip;
use super::slow_log;
use super::subscribing;
use super::tracking;
use super::transaction::{Conversation, Part, is_quick, out_of_memory};
use super::words::is;
use crate::access::Entrance;
use crate::audit::{self, Told};
use crate::clients::{Asked, Member, Paused};
use crate::command;
use crate::protocol::{
    Ask, Circumstances, Engine, Foreign, Input, Outcome, Output, Protocol, SHORT, Served, Shown, Unread,
    View, Wire,
};
use crate::pubsub::{Message, Subscriber, Topic};
use crate::table::{Op, Spec};
use crate::tracking::{Awaited, Mode, Stale, Tracker};
use crate::users::{Access, Context, Denied, Wanted};
use crate::{Database, KvReader, Reply};

/// The Redis protocol's part of a session.
#[derive(Debug)]
pub(crate) struct RespConnection {
    about: Box<About>,
    site: Rc<RedisSite>,
    subscriber: Subscriber,
    tracker: Tracker,
    entrance: Entrance,
    parser: Parser,
    next: Next,
    conversation: Conversation,
    /// The last request.
    asked: Box<Asked>,
    /// When it was understood.
    active: Instant,
    /// When the turn has begun.
    now: Instant,
    /// The next request waits until a pause ends.
    is_held_up: bool,
    /// The time of the cluster when the next request was understood, in milliseconds since 1970, if it is known.
    time: Option<u64>,
    version: Version,
    replying: Replying,
    /// Reads need not be strong.
    weak: bool,
    /// The outcome of the last write is known.
    is_certain: bool,
    over: bool,
    /// The client has just been told that it speaks another protocol.
    foreign: Option<Foreign>,
}

/// What is known of the next request.
#[derive(Debug)]
enum Next {
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
    /// A conversation with a client.
    pub(crate) fn new(
        member: Member,
        site: Rc<RedisSite>,
        (subscriber, tracker): (Subscriber, Tracker),
        entrance: Entrance,
    ) -> RespConnection {
        RespConnection {
            now: member.seat().since(),
            active: member.seat().since(),
            asked: Box::default(),
            is_held_up: false,
            about: Box::new(About::new(member)),
            site,
            subscriber,
            tracker,
            entrance,
            parser: Parser::default(),
            next: Next::Unknown,
            conversation: Conversation::default(),
            time: None,
            version: Version::Two,
            replying: Replying::On,
            weak: false,
            is_certain: true,
            over: false,
            foreign: None,
        }
    }

    /// A line as in CLIENT LIST.
    fn line(&self) -> String {
        self.publish();
        self.about.seat().line(self.now)
    }

    /// Determines what the next request asks for. `false`: it is incomplete.
    fn understand(&mut self, input: &mut Input, reader: &KvReader) -> bool {
        loop {
            match &mut self.next {
                Next::Unknown => match self.parser.parse(input.bytes()) {
                    Ok(None) if self.entrance.barred().is_some() && input.len() > MAX_BARRED_BYTES => {
                        self.next = Next::Broken(ProtocolError::Barred);
                    }
                    Ok(None) => return false,
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
            self.asked.keep(&input.bytes()[..self.parser.length()]);
            if self.entrance.refresh().is_err() {
                self.next = Next::Broken(ProtocolError::UserRemoved);
                return;
            }
            let barred = self.entrance.barred().and_then(|barred| entering::plan(barred, arguments));
            let denied = if barred.is_none() { entering::denied(&self.entrance, arguments) } else { None };
            if let Some(denied) = denied {
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
            if barred.is_none() && self.conversation.may_not_queue(arguments, reader) {
                self.next = Next::Planned(Plan::Refuse(out_of_memory().into()));
                return;
            }
            let restricted = || {
                let refused = if self.is_restricted() { subscribing::refuse_other(arguments) } else { None };
                refused.map(|why| Plan::Refuse(why.into()))
            };
            let refused = barred.or_else(restricted);
            self.next =
                Next::Planned(refused.unwrap_or_else(|| self.conversation.plan(arguments, reader.scripts())));
        }
    }

    /// Remembers for ACL LOG, and for the audit, that a request was refused.
    fn note_denied(&self, denied: &Denied, context: Context) {
        audit::denied(denied, self.entrance.address());
        let client = self.line();
        entering::note(&self.entrance, denied, context, &client);
    }

    /// The same for what was refused at its execution.
    fn note_denials(&self, reply: &Reply) {
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

    fn begin_to_skip(&mut self, input: &mut Input) {
        let (parsed, skip) = self.parser.take_skip().expect("a request that is too large can be skipped");
        input.consume(parsed);
        self.parser.reset();
        self.next = Next::Skipping(skip);
    }

    fn consume(&mut self, input: &mut Input) {
        if self.tracker.has_chosen() && !self.conversation.is_open() {
            let name = self.parser.arguments(input.bytes()).iter().next();
            self.tracker.choose(name.is_none_or(|name| is(name, "CLIENT")));
        }
        input.consume(self.parser.length());
        self.parser.reset();
        self.next = Next::Unknown;
    }

    /// Whether few commands are allowed, since the client could not tell replies from messages.
    fn is_restricted(&self) -> bool {
        self.version == Version::Two && self.subscriber.listens()
    }

    /// Whether a write carries the time.
    fn is_timed(&self, write: &Write) -> bool {
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
    fn refuse_untimed(&mut self) {
        let Next::Planned(Plan::Write(write)) = &self.next else { return };
        if self.time.is_none() && self.is_timed(write) {
            if matches!(write, Write::Transaction) {
                self.conversation.abandon();
            }
            self.next = Next::Planned(Plan::Refuse(NO_TIME.into()));
        }
    }

    /// Executes a read.
    fn look(&mut self, read: Read, input: &Input, view: &View<'_>, replies: &mut Replies<'_>) {
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

    /// Tells the client, or another one in its place, what it must not use any more and is to hear of now.
    fn tell_due(&mut self, output: &mut Output) {
        while let Some(mut stale) = self.tracker.due() {
            if self.entrance.refresh().is_err() {
                // It would take silence for no changes.
                self.over = true;
                return;
            }
            let Some(Mode { redirect, prefixes, .. }) = self.tracker.mode() else { return };
            if prefixes.is_some() {
                let entrance = &self.entrance;
                stale.retain(|key| entrance.denied(|| Wanted::on_key(Op::Get, key, Access::READ)).is_none());
            }
            if stale.is_nothing() {
                continue;
            }
            if *redirect == 0 {
                tracking::invalidate(&stale, false, &mut Replies { output, version: self.version });
            } else {
                self.tracker.redirect(*redirect, stale);
            }
        }
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

    /// Whether the next request is answered even if the client wants no replies: it is about messages, or the client wants all
    /// replies from then on.
    fn is_heard_anyway(&self) -> bool {
        matches!(
            self.next,
            Next::Planned(Plan::Local(Local::Subscribe(_) | Local::Unsubscribe(_) | Local::Reset))
        )
    }

    /// Answers a question about the cluster's servers.
    fn tell_of_servers(
        &self,
        what: Local,
        arguments: Arguments<'_>,
        engine: &impl Engine,
        replies: &mut Replies<'_>,
    ) -> bool {
        let status = engine.status();
        let topology = self.site.told(engine, &status, &self.about);
        match what {
            Local::Wait => {
                let copies = replication::copies(&status, self.is_certain);
                return replication::wait(arguments, copies, replies);
            }
            Local::Cluster | Local::Asking if !self.site.failover.cluster => {
                replies.error(cluster::DISABLED);
                return false;
            }
            Local::Cluster if cluster::is_about_slots(arguments) && !topology.serves() => {
                replies.error(cluster::DOWN);
                return false;
            }
            Local::Cluster => return cluster::cluster(arguments, &topology, status.applied, replies),
            Local::Asking => replies.simple("OK"),
            Local::Sentinel => {
                let name = &self.site.failover.master_name;
                let servers = status.voters.len();
                let watched = Watched { topology: &topology, name, servers, applied: status.applied };
                sentinel::sentinel(arguments, &watched, replies);
            }
            _ => replication::tell_role(&topology, status.applied, replies),
        }
        true
    }

    fn hand_over(
        &self,
        what: Local,
        arguments: Arguments<'_>,
        engine: &impl Engine,
        replies: &mut Replies<'_>,
    ) -> bool {
        let own = handing_over::Own { site: &self.site, engine, now: self.now };
        match what {
            Local::Failover => handing_over::failover(arguments, &own, &self.entrance, replies),
            _ => handing_over::sentinel_failover(&own, &self.entrance, replies),
        }
    }

    fn take_plan(&mut self) -> Plan {
        match std::mem::replace(&mut self.next, Next::Unknown) {
            Next::Planned(plan) => plan,
            other => panic!("a request is served once it is known, not {other:?}"),
        }
    }
}

/// How the reply to a write is printed.
#[derive(Debug)]
enum Shape {
    One(Print),
    Transaction(Vec<Part>),
}

/// What must be remembered of a write.
#[derive(Debug)]
pub(crate) struct Written {
    asked: Asked,
    /// `None`: it has no reply.
    shape: Option<Shape>,
    /// What the audit tells of it.
    told: Option<Box<Told>>,
    /// If what it does is awaited, since the client tracks.
    tracked: Option<Awaited>,
}

/// What is remembered of an attached read.
#[derive(Debug)]
pub(crate) struct Look {
    asked: Asked,
    has_reply: bool,
}

impl Protocol for RespConnection {
    type Shape = Written;

    const WIRE: Wire = Wire::Redis;

    fn next<E: Engine>(&mut self, input: &mut Input, engine: &E, now: Circumstances) -> Option<Ask> {
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
        self.refuse_untimed();
        Some(match &self.next {
            Next::Planned(Plan::Read(Read::Watch | Read::Users)) => Ask::Read(Consistency::Strong),
            Next::Planned(Plan::Write(_)) => Ask::Write,
            Next::Planned(Plan::Read(_)) if self.weak => Ask::Read(Consistency::Weak),
            Next::Planned(Plan::Read(_)) => Ask::Read(Consistency::Strong),
            _ => Ask::Local,
        })
    }

    fn length(&self) -> usize {
        self.parser.length()
    }

    fn introduce(&mut self, name: &str) {
        self.entrance.introduce(name);
    }

    fn held(&self) -> usize {
        self.conversation.held()
    }

    fn write(&mut self, input: &mut Input, command: &mut Vec<u8>) -> Written {
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
        Written { asked: *self.asked, shape, told, tracked }
    }

    fn read(&mut self, input: &mut Input, view: &View<'_>, output: &mut Output) {
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
            self.look(read, input, view, &mut replies);
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
        self.about.member.note(&self.asked, took);
    }

    type Look = Look;

    fn may_attach(&self, input: &Input) -> bool {
        let Next::Planned(Plan::Read(read)) = &self.next else { return false };
        // What is remembered is read on this thread.
        is_point(*read)
            && !self.tracker.remembers()
            && self.parser.length() <= MOST_ATTACHED_BYTES
            && self.parser.arguments(input.bytes()).len() <= MOST_ATTACHED_KEYS + 1
    }

    fn attach(&mut self, input: &mut Input, query: &mut Vec<u8>) -> Look {
        let Plan::Read(read) = self.take_plan() else { panic!("only a read is attached") };
        let for_whom = (self.entrance.carried(), self.conversation.database(), self.time.unwrap_or(0));
        encode_query(read, self.parser.arguments(input.bytes()), for_whom, query);
        self.tracker.send_read();
        self.consume(input);
        Look { asked: *self.asked, has_reply: !self.replying.is_silent_once() }
    }

    fn show(&mut self, Look { asked, has_reply }: Look, shown: Shown, took: Duration, output: &mut Output) {
        self.about.member.note(&asked, took);
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

    fn local<E: Engine>(&mut self, input: &mut Input, engine: &E, output: &mut Output) -> Served {
        let mut nowhere = Output::default();
        let silent = self.replying.is_silent_once();
        let arguments = self.parser.arguments(input.bytes());
        let is_heard = client::asks_for_replies(arguments) || self.is_heard_anyway();
        let heard = if silent && !is_heard { &mut nowhere } else { output };
        let mut replies = Replies { output: heard, version: self.version };
        let (mut noted, mut began) = (false, None);
        let understood = match &self.next {
            Next::Broken(error) => {
                if let ProtocolError::Foreign(foreign) = error {
                    self.foreign = Some(*foreign);
                }
                replies.error(&format!("ERR {error}"));
                self.over = true;
                return Served::Malformed;
            }
            Next::Skipped(why) => {
                replies.error(&format!("ERR {why}"));
                self.next = Next::Unknown;
                return Served::Malformed;
            }
            Next::Short(text) => {
                replies.error(text);
                self.consume(input);
                return Served::Short;
            }
            Next::Planned(Plan::Refuse(text) | Plan::Invalid(text)) => {
                replies.error(text);
                false
            }
            Next::Planned(Plan::Local(what)) => {
                noted = true;
                began = (!what.is_quick()).then(Instant::now);
                let mut understood = true;
                match *what {
                    Local::Ping if self.is_restricted() => subscribing::ping(arguments, &mut replies),
                    Local::Ping => local::ping(arguments, &mut replies),
                    Local::Subscribe(_) if engine.is_retiring() => {
                        replies.error(&refusal(Refused::Stopping));
                        understood = false;
                    }
                    Local::Subscribe(topic) => {
                        let subscriber = &mut self.subscriber;
                        understood = subscribing::subscribe(arguments, topic, subscriber, &mut replies);
                    }
                    Local::Unsubscribe(topic) => {
                        subscribing::unsubscribe(arguments, topic, &mut self.subscriber, &mut replies);
                    }
                    Local::PubSub => {
                        understood = subscribing::tell(arguments, &self.subscriber, &mut replies);
                    }
                    Local::Echo => replies.bulk(arguments.get(1)),
                    Local::Hello => {
                        let status = engine.status();
                        let topology = self.site.told(engine, &status, &self.about);
                        let role = if topology.is_master() { "master" } else { "replica" };
                        let client = self.line();
                        let mode = (&*client, self.site.mode(), role);
                        let (about, entrance) = (&mut self.about, &mut self.entrance);
                        understood = local::hello(arguments, about, entrance, mode, &mut replies);
                    }
                    Local::Auth => {
                        let client = self.line();
                        understood = entering::auth(arguments, &mut self.entrance, &client, &mut replies);
                    }
                    Local::Acl => {
                        understood = acl::answer(arguments, &self.entrance, &mut replies);
                        if understood && acts::clears_the_log(arguments) {
                            self.entrance.begin("ACL LOG RESET").done();
                        }
                    }
                    Local::Deny => {
                        entering::deny(&self.entrance, &mut replies);
                        self.over = true;
                    }
                    Local::Command => described::command(arguments, &mut replies),
                    Local::Client => {
                        self.publish();
                        self.about.seat().requests(self.parser.length());
                        let (about, replying, over) = (&mut *self.about, &mut self.replying, &mut self.over);
                        let (tracker, directory) = (&mut self.tracker, self.entrance.directory());
                        let own = Own { about, replying, tracker, over, directory, now: self.now };
                        understood = client::client(arguments, own, &mut replies);
                    }
                    Local::Unpause => client::unpause(&self.about, &mut replies),
                    Local::Help(container) => local::help(container, &mut replies),
                    Local::ConfigGet => {
                        let slow_log = self.about.member.clients().slow_log();
                        settings::tell(arguments.from(2), engine, slow_log, &mut replies);
                    }
                    Local::ConfigSet => {
                        let slow_log = self.about.member.clients().slow_log();
                        let act = self.entrance.begin(acts::config_set(arguments));
                        understood = settings::set(arguments.from(2), engine, slow_log, &mut replies);
                        match understood {
                            true => act.done(),
                            false => act.refused("servers' files decide it"),
                        }
                    }
                    Local::Latency => {
                        latency::answer(arguments, self.about.member.clients().slow_log(), &mut replies);
                    }
                    Local::SlowLog => {
                        let slow_log = self.about.member.clients().slow_log();
                        understood = slow_log::answer(arguments, slow_log, &mut replies);
                    }
                    Local::ResetStatistics => replies.simple("OK"),
                    Local::Info => {
                        let status = engine.status();
                        let topology = self.site.told(engine, &status, &self.about);
                        self.publish();
                        let of_clients = self.about.member.clients().counts();
                        let about = (&*self.site, &topology, of_clients);
                        info::info(arguments, (engine, &status), about, &mut replies);
                    }
                    Local::Role | Local::Sentinel | Local::Wait | Local::Cluster | Local::Asking => {
                        understood = self.tell_of_servers(*what, arguments, engine, &mut replies);
                    }
                    Local::Failover | Local::SentinelFailover => {
                        understood = self.hand_over(*what, arguments, engine, &mut replies);
                    }
                    Local::Select(_) | Local::Multi | Local::Discard | Local::Unwatch => {
                        replies.simple("OK");
                    }
                    Local::Queued => replies.simple("QUEUED"),
                    Local::KnownScripts => {
                        local::known_scripts(arguments, engine.reader().scripts(), &mut replies);
                    }
                    Local::Quit => {
                        self.over = true;
                        // Its connection may take a while to close.
                        self.tracker.end();
                        replies.simple("OK");
                    }
                    Local::ReadOnly(weak) => {
                        self.weak = weak && self.site.failover.weak_readonly;
                        replies.simple("OK");
                    }
                    Local::Reset => {
                        self.subscriber.unsubscribe_from_all();
                        self.tracker.end();
                        replies.version = Version::default();
                        self.about.reset();
                        self.replying = Replying::On;
                        self.weak = false;
                        self.entrance.leave();
                        replies.simple("RESET");
                    }
                }
                understood
            }
            other => panic!("not for this server alone: {other:?}"),
        };
        self.version = replies.version;
        self.consume(input);
        if noted {
            let took = began.map_or(Duration::ZERO, |began: Instant| began.elapsed());
            self.about.member.note(&self.asked, took);
        }
        if understood { Served::Answered } else { Served::Malformed }
    }

    fn is_held_up(&mut self) -> bool {
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

    fn publish(&self) {
        let About { name, library, touches_nothing, .. } = &*self.about;
        self.about.seat().show(|shown| {
            for (kept, text) in [
                (&mut shown.name, &name[..]),
                (&mut shown.user, self.entrance.user().name()),
                (&mut shown.library, &library.name),
                (&mut shown.library_version, &library.version),
            ] {
                if kept != text {
                    *kept = text.to_vec();
                }
            }
            shown.database = self.conversation.database().number();
            shown.subscriptions = Topic::ALL.map(|topic| self.subscriber.names(topic));
            shown.queued = self.conversation.queued();
            shown.queued_bytes = self.conversation.held();
            shown.is_weak = self.weak;
            shown.is_held_up = self.is_held_up;
            shown.is_over = self.over;
            shown.touches_nothing = *touches_nothing;
            shown.tracking = tracking::published(&self.tracker);
            shown.version = if self.version == Version::Two { 2 } else { 3 };
            shown.asked = *self.asked;
            shown.active = self.active;
        });
    }

    fn publish_bytes(&self, requests: usize, replies: usize) {
        self.about.seat().holds(requests, replies);
    }

    fn is_spared(&self) -> bool {
        self.about.seat().is_spared()
    }

    fn refuse(&mut self, input: &mut Input, output: &mut Output) {
        self.take_plan();
        if !self.replying.is_silent_once() {
            Replies { output, version: self.version }.error(&refusal(Refused::Stopping));
        }
        self.consume(input);
    }

    fn answer(
        &mut self,
        Written { asked, shape, told, tracked }: Written,
        outcome: Outcome,
        took: Duration,
        output: &mut Output,
    ) {
        if !matches!(outcome, Outcome::Refused(_)) {
            self.about.member.note(&asked, took);
        }
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

    fn outdate(&mut self, stale: Stale, output: &mut Output) {
        self.tracker.outdate(stale);
        self.tell_due(output);
    }

    fn hear_stale(&mut self, stale: &Stale, output: &mut Output) {
        let listens = self.subscriber.listens();
        tracking::invalidate(stale, listens, &mut Replies { output, version: self.version });
    }

    fn lose_redirect(&mut self, output: &mut Output) {
        self.tracker.break_off();
        if let Some(Mode { redirect, .. }) = self.tracker.mode() {
            tracking::lost_redirect(*redirect, &mut Replies { output, version: self.version });
        }
    }

    fn hear(&mut self, message: &Message, pattern: Option<&[u8]>, output: &mut Output) {
        let may_hear =
            |entrance: &Entrance| entrance.denied(|| Wanted::message(&message.channel, pattern)).is_none();
        if self.entrance.refresh().is_ok() && may_hear(&self.entrance) {
            subscribing::message(message, pattern, &mut Replies { output, version: self.version });
        } else {
            // It would take silence for no messages.
            self.over = true;
        }
    }

    fn listens(&self) -> bool {
        self.subscriber.listens() || self.tracker.mode().is_some()
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn is_amid_request(&self, input: &Input) -> bool {
        !input.is_empty() || matches!(self.next, Next::Skipping(_))
    }

    fn take_foreign(&mut self) -> Option<Foreign> {
        self.foreign.take()
    }
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
