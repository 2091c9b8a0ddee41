//! One HTTP client's conversation: requests found in its input, replies printed to its output.

use std::net::SocketAddr;
use std::rc::Rc;

use niagara_engine::{Consistency, ServerId, Status};
use serde::Serialize;

use super::chunked::{ChunkError, Chunked};
use super::date::Clock;
use super::fault::{Context, Fault};
use super::parse::{self, Body, HeadError};
use super::request::{Page, Request, What};
use super::respond::{Framing, ResponseHead};
use crate::Reply;
use crate::command::{self, MAX_VALUE_BYTES};
use crate::front::{Ask, Engine, Input, Outcome, Output, Protocol, Served, View, Wire};

/// What all connections of a thread share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) clock: Clock,
    /// Where this server's front ends listen.
    pub(crate) http: SocketAddr,
    pub(crate) redis: SocketAddr,
    /// Where the cluster's members answer HTTP, as far as it is known.
    pub(crate) members: Vec<(ServerId, String)>,
}

/// HTTP's part of a session.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    site: Rc<Site>,
    stage: Stage,
    /// How much of the input has been searched for the end of a head.
    searched: usize,
    /// The command of a PUT whose body is being received.
    command: Vec<u8>,
    /// A request has said that it is the connection's last.
    last: bool,
    over: bool,
}

/// How far the next request has come.
#[derive(Debug)]
enum Stage {
    Head,
    /// The head of a PUT is there; its body is being added to the command.
    Body {
        request: Request,
        rest: Rest,
        interim: bool,
    },
    Ready(Request),
}

/// What of a body is still to come.
#[derive(Debug)]
enum Rest {
    /// It ends when the command has this many bytes.
    UpTo(usize),
    Chunked {
        chunked: Chunked,
        limit: usize,
    },
}

/// The content of /status.
#[derive(Serialize)]
struct StatusPage<'s> {
    #[serde(flatten)]
    status: Status,
    http: SocketAddr,
    redis: SocketAddr,
    /// So that whoever knows one server finds the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<MemberEntry<'s>>,
}

/// A member of the cluster.
#[derive(Serialize)]
struct MemberEntry<'s> {
    server: ServerId,
    http: &'s str,
}

impl HttpConnection {
    pub(crate) fn new(site: Rc<Site>) -> HttpConnection {
        HttpConnection {
            site,
            stage: Stage::Head,
            searched: 0,
            command: Vec::new(),
            last: false,
            over: false,
        }
    }

    /// Reads the head of the next request. `false`: it is not all there.
    fn head(&mut self, input: &mut Input) -> bool {
        // Lines that a client has put between its requests (RFC 9112, section 2.2).
        let blank = input.bytes().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        input.consume(blank);
        let head = match parse::find_end(input.bytes(), self.searched.saturating_sub(blank)) {
            Ok(None) => {
                self.searched = input.len();
                return false;
            }
            Ok(Some(end)) => parse::parse_whole(&input.bytes()[..end]),
            Err(error) => Err(error),
        };
        self.searched = 0;
        match head {
            Ok(head) => {
                let (length, body, expects_continue) = (head.length, head.body, head.expects_continue);
                let request = Request::of(&head);
                input.consume(length);
                self.last = !request.framing.keep_alive;
                self.begin(request, body, expects_continue && input.is_empty());
            }
            Err(error) => self.give_up(error),
        }
        true
    }

    fn give_up(&mut self, error: HeadError) {
        let framing = Framing { minor: 1, keep_alive: false, head_only: false };
        self.last = true;
        self.stage = Stage::Ready(Request::fail(Fault::head(error), framing));
    }

    fn begin(&mut self, request: Request, body: Body, interim: bool) {
        let What::Put { key, condition } = &request.what else {
            self.stage = Stage::Ready(request);
            return;
        };
        self.command.clear();
        command::encode_set_head(&mut self.command, key, condition, false);
        let head = self.command.len();
        let rest = match body {
            // Request::of has checked that it is at most the longest value.
            Body::Length(length) => Rest::UpTo(head + length as usize),
            _ => Rest::Chunked { chunked: Chunked::new(), limit: head + MAX_VALUE_BYTES },
        };
        self.stage = Stage::Body { request, rest, interim };
    }

    /// Moves what has come of a body into the command. `false`: it is not all there.
    fn body(&mut self, input: &mut Input) -> bool {
        let Stage::Body { rest, .. } = &mut self.stage else { panic!("only a PUT has a body") };
        let fault = match rest {
            Rest::UpTo(end) => {
                let take = (*end - self.command.len()).min(input.len());
                self.command.extend_from_slice(&input.bytes()[..take]);
                input.consume(take);
                if self.command.len() < *end {
                    return false;
                }
                None
            }
            Rest::Chunked { chunked, limit } => {
                match chunked.decode(input.bytes(), &mut self.command, *limit) {
                    Ok(consumed) => {
                        let done = chunked.is_done();
                        input.consume(consumed);
                        if !done {
                            return false;
                        }
                        None
                    }
                    Err(ChunkError::TooLong) => Some(Fault::too_large()),
                    Err(ChunkError::Malformed) => {
                        let hint = "send chunks as of RFC 9112, section 7.1, or Content-Length";
                        Some(Fault::bad_request("the body is not made of chunks", hint))
                    }
                }
            }
        };
        let request = self.take_request();
        self.stage = Stage::Ready(match fault {
            None => request,
            Some(fault) => {
                self.last = true;
                self.command = Vec::new();
                Request::fail(fault, request.framing)
            }
        });
        true
    }

    fn take_request(&mut self) -> Request {
        match std::mem::replace(&mut self.stage, Stage::Head) {
            Stage::Body { request, .. } | Stage::Ready(request) => request,
            Stage::Head => panic!("a request is served when it is known"),
        }
    }

    /// Notes that a reply was printed; the one that says so is the connection's last.
    fn replied(&mut self, framing: Framing) {
        self.over |= !framing.keep_alive;
    }

    fn page<E: Engine>(&self, page: Page, framing: Framing, engine: &E, output: &mut Output) {
        let head = ResponseHead::begin(output, 200, framing, self.site.clock.text());
        match page {
            Page::Healthz | Page::Readyz => head.end_with("text/plain", b"ok\n"),
            Page::Status => {
                let Site { http, redis, members, .. } = &*self.site;
                let members = members.iter().map(|(server, http)| MemberEntry { server: *server, http });
                let page = StatusPage {
                    status: engine.status(),
                    http: *http,
                    redis: *redis,
                    members: members.collect(),
                };
                end_with_json(head, &page);
            }
            Page::Metrics => {
                let mut body = String::new();
                engine.encode_metrics(&mut body);
                head.end_with("application/openmetrics-text; version=1.0.0; charset=utf-8", body.as_bytes());
            }
        }
    }

    /// Asks for a snapshot, and says how that stands: what comes of it is told by later looks at the status.
    fn snapshot<E: Engine>(&self, framing: Framing, engine: &E, output: &mut Output) {
        engine.snapshot();
        let head = ResponseHead::begin(output, 202, framing, self.site.clock.text());
        end_with_json(head, &engine.status().snapshot);
    }

    fn get(&self, what: &What, framing: Framing, view: &View<'_>, applied: u64, output: &mut Output) {
        let What::Get { key, if_match, if_none_match, .. } = what else {
            panic!("only a GET looks at a key")
        };
        let date = self.site.clock.text();
        view.reader.with(key, |found| {
            let version = found.map(|found| found.version);
            let context = Context { position: Some(applied), version };
            if if_match.as_ref().is_some_and(|tags| !tags.name(version)) {
                return Fault::condition_failed().print(context, framing, date, output);
            }
            let Some(found) = found else {
                return Fault::no_such_key().print(context, framing, date, output);
            };
            let unchanged = if_none_match.as_ref().is_some_and(|tags| tags.name(version));
            let head = ResponseHead::begin(output, if unchanged { 304 } else { 200 }, framing, date)
                .header("ETag", format_args!("\"{}\"", found.version))
                .number("Niagara-Position", applied);
            if unchanged { head.end() } else { head.end_with_value(found.value) }
        });
    }
}

fn end_with_json(head: ResponseHead<'_>, page: &impl Serialize) {
    let mut body = serde_json::to_vec(page).expect("plain data has a JSON form");
    body.push(b'\n');
    head.end_with("application/json", &body);
}

impl Protocol for HttpConnection {
    type Shape = Framing;

    const WIRE: Wire = Wire::Http;

    fn next<E: Engine>(&mut self, input: &mut Input, engine: &E) -> Option<Ask> {
        loop {
            match &mut self.stage {
                Stage::Head if self.last => {
                    input.consume(input.len());
                    return None;
                }
                Stage::Head => {
                    if !self.head(input) {
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
                        What::Put { .. } | What::Delete { .. } => Ask::Write,
                        What::Get { consistency, .. } => Ask::Read(*consistency),
                        // Leaders everywhere, and then a strong read, which proves that a quorum answers.
                        What::Page(Page::Readyz) if engine.has_quorum() => Ask::Read(Consistency::Strong),
                        What::Page(Page::Readyz) => {
                            request.what = What::Fail(Fault::not_ready());
                            Ask::Local
                        }
                        What::Page(_) | What::Snapshot | What::Fail(_) => Ask::Local,
                    });
                }
            }
        }
    }

    fn length(&self) -> usize {
        // What has been understood of a request is consumed.
        0
    }

    fn write(&mut self, _input: &mut Input, command: &mut Vec<u8>) -> Framing {
        let request = self.take_request();
        match &request.what {
            What::Put { .. } => *command = std::mem::take(&mut self.command),
            What::Delete { key, condition } => {
                command::encode_delete(command, std::iter::once(key.as_slice()), condition);
            }
            other => panic!("only a PUT or DELETE has a command, not {other:?}"),
        }
        request.framing
    }

    fn read(&mut self, _input: &mut Input, view: &View<'_>, output: &mut Output) {
        let Request { what, framing } = self.take_request();
        let date = self.site.clock.text();
        match (&what, view.applied) {
            (What::Get { .. }, Some(applied)) => self.get(&what, framing, view, applied, output),
            (What::Get { .. }, None) => Fault::no_quorum().print(Context::default(), framing, date, output),
            (_, Some(_)) => ResponseHead::begin(output, 200, framing, date).end_with("text/plain", b"ok\n"),
            (_, None) => Fault::not_ready().print(Context::default(), framing, date, output),
        }
        self.replied(framing);
    }

    fn local<E: Engine>(&mut self, _input: &mut Input, engine: &E, output: &mut Output) -> Served {
        if let Stage::Body { interim, .. } = &mut self.stage {
            *interim = false;
            output.text().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            return Served::Interim;
        }
        let Request { what, framing } = self.take_request();
        let served = match what {
            What::Page(page) => {
                self.page(page, framing, engine, output);
                Served::Answered
            }
            What::Snapshot => {
                self.snapshot(framing, engine, output);
                Served::Answered
            }
            What::Fail(fault) => {
                fault.print(Context::default(), framing, self.site.clock.text(), output);
                if fault.status < 500 { Served::Malformed } else { Served::Answered }
            }
            other => panic!("not for this server alone: {other:?}"),
        };
        self.replied(framing);
        served
    }

    fn answer(&mut self, framing: Framing, outcome: Outcome, output: &mut Output) {
        let date = self.site.clock.text();
        let fault =
            |fault: Fault, context: Context, output: &mut Output| fault.print(context, framing, date, output);
        match outcome {
            Outcome::Refused(refused) => fault(Fault::refused(refused), Context::default(), output),
            Outcome::Unknown => fault(Fault::unknown(), Context::default(), output),
            Outcome::Applied { position, reply } => {
                let context = Context { position: Some(position), version: None };
                let done = |status, output| {
                    ResponseHead::begin(output, status, framing, date).number("Niagara-Position", position)
                };
                match reply {
                    Reply::Stored { version, created, .. } => done(if created { 201 } else { 200 }, output)
                        .header("ETag", format_args!("\"{version}\""))
                        .end_empty(),
                    Reply::Deleted { removed: 0 } => fault(Fault::no_such_key(), context, output),
                    Reply::ConditionFailed { current, .. } => {
                        fault(Fault::condition_failed(), Context { version: current, ..context }, output);
                    }
                    Reply::Failed(error) => {
                        let hint = "this is a fault of the server: report it";
                        fault(Fault::new(500, "internal", error.to_string(), hint), context, output);
                    }
                    Reply::Deleted { .. }
                    | Reply::Appended { .. }
                    | Reply::Counted { .. }
                    | Reply::Flushed => {
                        done(200, output).end_empty();
                    }
                }
            }
        }
        self.replied(framing);
    }

    fn is_over(&self) -> bool {
        self.over
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
