//! One HTTP client's conversation: requests found in its input, replies printed to its output.

mod receiving;
mod watching;

use std::rc::Rc;
use std::time::{Duration, Instant};

use niagara_engine::{Consistency, Reads, Refused};
use niagara_planted::{self as planted, Bug};

use receiving::{Rest, Stage};
use watching::Keeping;

use super::fault::{Context, Fault};
use super::idempotency;
use super::listing::ListRequest;
use super::naming::Naming;
use super::pages;
use super::preconditions::{Preconditions, Verdict};
use super::request::{Page, Request, What};
use super::respond::{Framing, ResponseHead};
use super::rights;
use super::site::Site;
use super::tags::Current;
use super::transaction::{self, Timed};
use super::watch::Watch;
use crate::access::Entrance;
use crate::command;
use crate::protocol::{
    Ask, Circumstances, Engine, Foreign, Input, Outcome, Output, Protocol, Served, Shown, Streamed, Unread,
    View, Wire,
};
use crate::table::Op;
use crate::{CommandError, Found, Reply, Version, query};

/// HTTP's part of a session.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    site: Rc<Site>,
    entrance: Entrance,
    stage: Stage,
    /// How much of the input has been searched for the end of a head.
    searched: usize,
    /// The first line of the next head has arrived, and is valid.
    line_read: bool,
    /// The command of a PUT whose body is being received, or another body.
    command: Vec<u8>,
    /// The time of the cluster when the next request was understood, if that is executed once.
    time: u64,
    naming: Naming,
    /// Whether this connection has asked in the log that changes be kept, for the next request.
    keeping: Keeping,
    /// A reply without an end of its own, which is the connection's last.
    watch: Option<Box<Watch>>,
    /// The server has reached its limit of clients: this connection serves one page about the server.
    only_pages: bool,
    /// A request has said that it is the connection's last.
    last: bool,
    over: bool,
    /// The client speaks another protocol, and has been told so.
    foreign: Option<Foreign>,
}

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

/// What must be remembered of an attached read to print its reply.
#[derive(Debug)]
pub(crate) struct Look {
    framing: Framing,
    preconditions: Preconditions,
}

/// A read of a longer key, or with more tags, is not remembered while it is in flight.
const MOST_ATTACHED_KEY_BYTES: usize = 1 << 10;
const MOST_ATTACHED_TAGS: usize = 16;

/// What scripts of other origins may send.
const SCRIPTS_HEADERS: &str =
    "Authorization, Content-Type, Content-Encoding, Idempotency-Key, If-Match, If-None-Match";

/// How long a browser need not ask again.
const PREFLIGHT_SECONDS: u64 = 600;

impl HttpConnection {
    pub(crate) fn new(site: Rc<Site>, entrance: Entrance) -> HttpConnection {
        HttpConnection {
            site,
            entrance,
            stage: Stage::Head,
            searched: 0,
            line_read: false,
            command: Vec::new(),
            time: 0,
            naming: Naming::default(),
            keeping: Keeping::Unasked,
            watch: None,
            only_pages: false,
            last: false,
            over: false,
            foreign: None,
        }
    }

    /// Serves one request, and only for a page about the server, because there is no room for more.
    pub(crate) fn only_pages(self, only_pages: bool) -> HttpConnection {
        HttpConnection { only_pages, ..self }
    }

    fn take_request(&mut self) -> Request {
        self.naming.request_taken();
        self.keeping = Keeping::Unasked;
        match std::mem::replace(&mut self.stage, Stage::Head) {
            Stage::Body { request, .. } | Stage::Ready(request) => request,
            Stage::Head => panic!("a request is served once it is known"),
        }
    }

    /// Records that a reply was printed. One that announces the end is the connection's last.
    fn replied(&mut self, framing: Framing) {
        self.over |= !framing.keep_alive;
    }

    fn get(&self, what: &What, framing: Framing, view: &View<'_>, applied: u64, output: &mut Output) {
        let What::Get { key, preconditions, freshness } = what else { panic!("only a GET looks at a key") };
        view.reader.with(key, |found| {
            let misses = |version: Version| {
                planted::is(Bug::LooseReadBelowPosition)
                    && freshness.consistency != Consistency::Strong
                    && version.position >= applied
            };
            let found = found.filter(|found| !misses(found.version));
            self.print_read(found, applied, preconditions, framing, output);
        });
    }

    fn print_read(
        &self,
        found: Option<Found<'_>>,
        applied: u64,
        preconditions: &Preconditions,
        framing: Framing,
        output: &mut Output,
    ) {
        let site = &self.site;
        let tag = found.and_then(|found| self.naming.tag(found.version));
        let context = Context { position: Some(applied), tag, is_again: false };
        // Conditions decide only what would have succeeded without them (RFC 9110, section 13.2.1).
        let Some(found) = found else {
            return Fault::no_such_key().print(context, framing, site, output);
        };
        let verdict = preconditions.evaluate(tag.map_or(Current::Untagged, Current::Tagged));
        if verdict == Verdict::Failed {
            return Fault::condition_failed().print(context, framing, site, output);
        }
        let unchanged = verdict == Verdict::Unchanged;
        let head = ResponseHead::begin(output, if unchanged { 304 } else { 200 }, framing, site)
            .tag(tag)
            .number("Niagara-Position", applied)
            .expires(found.deadline)
            .no_cache();
        if unchanged { head.end() } else { head.end_with_value(found.value, found.description) }
    }

    /// Whether the life of the state must be named before the next request.
    fn must_name_life<E: Engine>(&mut self, engine: &E) -> bool {
        let Stage::Ready(request) = &self.stage else { return false };
        // A follower cannot name it: until a member has, replies have no tags.
        let needs_life = request.what.needs_life() && !engine.follows();
        self.naming.is_next(|| engine.reader().life(), needs_life)
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

impl Protocol for HttpConnection {
    type Shape = Shape;

    const WIRE: Wire = Wire::Http;

    fn next<E: Engine>(&mut self, input: &mut Input, engine: &E, now: Circumstances) -> Option<Ask> {
        loop {
            if self.must_name_life(engine) {
                return Some(Ask::Write);
            }
            match &mut self.stage {
                Stage::Head if self.last => {
                    input.consume(input.len());
                    return None;
                }
                Stage::Head => {
                    if !self.head(input, engine, now.is_short) {
                        return None;
                    }
                }
                Stage::Body { interim: true, .. } => return Some(Ask::Local),
                Stage::Body { .. } => {
                    if !self.body(input) {
                        return None;
                    }
                }
                Stage::Ready(request) => {
                    return Some(match &mut request.what {
                        What::Watch { .. } => self.ask_for_changes(engine),
                        What::Transaction { preconditions, .. }
                            if preconditions.evaluate(Current::Absent) != Verdict::Proceed =>
                        {
                            request.what = What::Fail(Fault::condition_failed());
                            Ask::Local
                        }
                        // What is executed once carries the time by which it is remembered.
                        What::Put { .. } | What::Delete { .. } | What::Transaction { .. }
                            if request.once.is_some() =>
                        {
                            self.time = now.time.unwrap_or(0);
                            match now.time {
                                Some(time) => {
                                    if !matches!(request.what, What::Delete { .. }) {
                                        idempotency::set_time(&mut self.command, time);
                                    }
                                    Ask::Write
                                }
                                None => {
                                    request.what = What::Fail(Fault::no_clock());
                                    Ask::Local
                                }
                            }
                        }
                        What::Put { lasts: Some(_), .. } | What::Transaction { timed: Timed::Yes, .. } => {
                            match now.time {
                                Some(time) => {
                                    command::set_time(&mut self.command, time);
                                    Ask::Write
                                }
                                None => {
                                    request.what = What::Fail(Fault::no_clock());
                                    Ask::Local
                                }
                            }
                        }
                        What::Put { .. } | What::Delete { .. } | What::Transaction { .. } => Ask::Write,
                        What::Get { freshness, .. }
                        | What::List { request: ListRequest { freshness, .. }, .. } => {
                            if freshness.by_lease && engine.reads() != Reads::Lease {
                                request.what = What::Fail(Fault::no_leases());
                                Ask::Local
                            } else {
                                Ask::Read(freshness.consistency)
                            }
                        }
                        What::Page { page: Page::Readyz, .. } if engine.is_diverged() => {
                            request.what = What::Fail(Fault::diverged());
                            Ask::Local
                        }
                        What::Page { page: Page::Readyz, .. } if engine.is_retiring() => {
                            request.what = What::Fail(Fault::draining());
                            Ask::Local
                        }
                        // Leaders everywhere, then a strong read, which proves that a quorum answers.
                        What::Page { page: Page::Readyz, .. } if engine.has_quorum() => {
                            Ask::Read(Consistency::Strong)
                        }
                        What::Page { page: Page::Readyz, .. } => {
                            request.what = What::Fail(Fault::not_ready());
                            Ask::Local
                        }
                        What::Page { .. }
                        | What::ChangeLeaders { .. }
                        | What::ChangeGroups { .. }
                        | What::ChangeLevel { .. }
                        | What::ChangeMembers { .. }
                        | What::Snapshot { .. }
                        | What::Options(_)
                        | What::Preflight(_)
                        | What::Fail(_) => Ask::Local,
                    });
                }
            }
        }
    }

    fn introduce(&mut self, name: &str) {
        self.entrance.introduce(name);
    }

    fn held(&self) -> usize {
        self.command.capacity()
    }

    fn length(&self) -> usize {
        // What has been understood of a request is consumed.
        0
    }

    fn write(&mut self, _input: &mut Input, command: &mut Vec<u8>) -> Shape {
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

    fn is_request(shape: &Shape) -> bool {
        !matches!(shape, Shape::Name | Shape::Keep)
    }

    fn read(&mut self, _input: &mut Input, view: &View<'_>, output: &mut Output) {
        let Request { what, framing, .. } = self.take_request();
        // The user may have lost the right since the request came.
        self.entrance.look_again();
        if let Some(denied) = rights::wanted(&what).and_then(|wanted| self.entrance.denied(|| wanted)) {
            Fault::forbidden(&denied).print(Context::default(), framing, &self.site, output);
            return self.replied(framing);
        }
        let site = &self.site;
        match (&what, view.applied) {
            (What::Get { .. }, Some(applied)) => self.get(&what, framing, view, applied, output),
            (What::List { request, preconditions }, Some(applied)) => {
                if pages::passes(site, preconditions, Current::Untagged, framing, output) {
                    let shows = |key: &[u8]| rights::shows(&self.entrance, key);
                    let mut page = view.reader.list_some(request.after, request.listed(), shows);
                    // Rights that are looked up now are not older than what the page shows.
                    self.entrance.look_again();
                    page.entries.retain(|(key, _)| rights::shows(&self.entrance, key));
                    let head = ResponseHead::begin(output, 200, framing, site);
                    request.print(&page, applied, self.naming.life(), head);
                }
            }
            (_, None) if view.diverged => Fault::diverged().print(Context::default(), framing, site, output),
            (What::Get { .. } | What::List { .. }, None) => {
                Fault::no_quorum().print(Context::default(), framing, site, output);
            }
            (What::Page { preconditions, .. }, Some(_)) => {
                pages::ready(&self.site, preconditions, framing, output);
            }
            (other, Some(_)) => panic!("only a key and the readiness are read, not {other:?}"),
            (_, None) => Fault::not_ready().print(Context::default(), framing, site, output),
        }
        self.replied(framing);
    }

    type Look = Look;

    /// Until the life of the state is known, replies wait for its name.
    fn may_attach(&self, _input: &Input) -> bool {
        let Stage::Ready(Request { what: What::Get { key, preconditions, .. }, .. }) = &self.stage else {
            return false;
        };
        self.naming.is_known()
            && key.len() <= MOST_ATTACHED_KEY_BYTES
            && preconditions.tags() <= MOST_ATTACHED_TAGS
    }

    fn attach(&mut self, _input: &mut Input, query: &mut Vec<u8>) -> Look {
        let Request { what, framing, .. } = self.take_request();
        let What::Get { key, preconditions, .. } = what else { panic!("only a GET is attached") };
        if let Some(user) = self.entrance.carried() {
            query::encode_by(query, user);
        }
        query::encode_entry(query, &key);
        Look { framing, preconditions }
    }

    fn show(
        &mut self,
        Look { framing, preconditions }: Look,
        shown: Shown,
        _took: Duration,
        output: &mut Output,
    ) {
        let site = &self.site;
        let fault = match shown {
            Shown::Answer { applied, reply: Reply::Entry(stored) } => {
                let found = stored.as_ref().map(|stored| Found {
                    value: stored.value().into(),
                    version: stored.version(),
                    description: stored.description(),
                    deadline: stored.deadline(),
                });
                self.print_read(found, applied, &preconditions, framing, output);
                return self.replied(framing);
            }
            Shown::Answer { reply: Reply::Denied(denied), .. } => Fault::forbidden(&denied),
            Shown::Answer { reply, .. } => panic!("a query is not answered with {reply:?}"),
            Shown::Nothing(Unread::NoQuorum) => Fault::no_quorum(),
            Shown::Nothing(Unread::Diverged) => Fault::diverged(),
            Shown::Nothing(Unread::Overtaken) => Fault::overtaken(),
        };
        fault.print(Context::default(), framing, site, output);
        self.replied(framing);
    }

    fn local<E: Engine>(&mut self, _input: &mut Input, engine: &E, output: &mut Output) -> Served {
        if let Stage::Body { interim, .. } = &mut self.stage {
            *interim = false;
            output.text().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            return Served::Interim;
        }
        let Request { what, framing, .. } = self.take_request();
        let served = match what {
            What::Page { page, preconditions } => {
                pages::page(&self.site, page, &preconditions, framing, engine, output);
                Served::Answered
            }
            What::Snapshot { preconditions } => {
                let by = &self.entrance;
                pages::snapshot(&self.site, (&preconditions, by), framing, engine, output);
                Served::Answered
            }
            What::ChangeLeaders { preconditions } => {
                let body = std::mem::take(&mut self.command);
                let by = &self.entrance;
                pages::change_leaders(&self.site, (&preconditions, by), &body, framing, engine, output)
            }
            What::ChangeGroups { preconditions } => {
                let body = std::mem::take(&mut self.command);
                let by = &self.entrance;
                pages::change_groups(&self.site, (&preconditions, by), &body, framing, engine, output)
            }
            What::ChangeLevel { preconditions } => {
                let body = std::mem::take(&mut self.command);
                let by = &self.entrance;
                pages::change_level(&self.site, (&preconditions, by), &body, framing, engine, output)
            }
            What::ChangeMembers { preconditions } => {
                let body = std::mem::take(&mut self.command);
                let by = &self.entrance;
                pages::change_members(&self.site, (&preconditions, by), &body, framing, engine, output)
            }
            What::Watch { request, .. } => {
                self.begin_to_watch(request, framing, engine, output);
                return Served::Answered;
            }
            What::Options(allow) => {
                let head = ResponseHead::begin(output, 200, framing, &self.site);
                head.header("Allow", allow).end_empty();
                Served::Answered
            }
            What::Preflight(methods) => {
                let head = ResponseHead::begin(output, 200, framing, &self.site);
                head.header("Access-Control-Allow-Methods", methods)
                    .header("Access-Control-Allow-Headers", SCRIPTS_HEADERS)
                    .number("Access-Control-Max-Age", PREFLIGHT_SECONDS)
                    .header("Allow", methods)
                    .end_empty();
                Served::Answered
            }
            What::Fail(fault) => {
                fault.print(Context::default(), framing, &self.site, output);
                match fault.status {
                    _ if fault.is_short() => Served::Short,
                    ..500 => Served::Malformed,
                    _ => Served::Answered,
                }
            }
            other => panic!("not for this server alone: {other:?}"),
        };
        self.replied(framing);
        served
    }

    fn refuse(&mut self, input: &mut Input, output: &mut Output) {
        let Request { framing, .. } = self.take_request();
        // The client learns that this connection serves nothing more, unless it has sent more already: that
        // gets its answer, too.
        let framing = Framing { keep_alive: framing.keep_alive && !input.is_empty(), ..framing };
        let fault = Fault::refused(Refused::Stopping);
        fault.print(Context::default(), framing, &self.site, output);
        self.replied(framing);
    }

    fn answer(&mut self, shape: Shape, outcome: Outcome, _took: Duration, output: &mut Output) {
        let (framing, deletes) = match shape {
            Shape::Name => return self.named(outcome),
            Shape::Keep => return self.kept(&outcome),
            Shape::Put(framing) | Shape::Transaction(framing) => (framing, false),
            Shape::Delete(framing) => (framing, true),
        };
        let site = &self.site;
        let fault =
            |fault: Fault, context: Context, output: &mut Output| fault.print(context, framing, site, output);
        match outcome {
            Outcome::Refused(refused) => fault(Fault::refused(refused), Context::default(), output),
            Outcome::Unknown if planted::is(Bug::HttpUnknownNotTold) => {}
            Outcome::Unknown => fault(Fault::unknown(), Context::default(), output),
            Outcome::Applied { position, reply } => {
                let (position, reply, is_again) = match reply {
                    Reply::Again { position, reply } => (position, reply.map(|reply| *reply), true),
                    reply => (position, Some(reply), false),
                };
                let context = Context { position: Some(position), tag: None, is_again };
                let begin =
                    |status, output| ResponseHead::begin(output, status, framing, site).again(is_again);
                let done = |status, output| begin(status, output).number("Niagara-Position", position);
                let Some(reply) = reply else {
                    let body = format!("{{\"position\":{position},\"omitted\":true}}\n");
                    done(200, output).end_with("application/json", body.as_bytes());
                    return self.replied(framing);
                };
                match reply {
                    Reply::Stored { version, created, .. } => {
                        done(if created { 201 } else { 200 }, output)
                            .tag(self.naming.tag(version))
                            .end_empty();
                    }
                    // Without its condition the DELETE would not have succeeded, either.
                    Reply::Deleted { removed: 0 } | Reply::ConditionFailed { current: None, .. }
                        if deletes =>
                    {
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
        }
        self.replied(framing);
    }

    fn stream<E: Engine>(&mut self, engine: &E, now: Instant, output: &mut Output) -> Option<Streamed> {
        self.go_on_watching(engine, now, output)
    }

    fn streams(&self) -> bool {
        self.watch.is_some()
    }

    fn listens(&self) -> bool {
        self.watch.is_some()
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn take_foreign(&mut self) -> Option<Foreign> {
        self.foreign.take()
    }

    fn is_amid_request(&self, input: &Input) -> bool {
        !input.is_empty() || matches!(self.stage, Stage::Body { .. })
    }

    fn sink(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        match &self.stage {
            Stage::Body { rest: Rest::UpTo(end), interim: false, .. } => {
                let missing = end - self.command.len();
                (missing > 0).then_some((&mut self.command, missing))
            }
            _ => None,
        }
    }
}
