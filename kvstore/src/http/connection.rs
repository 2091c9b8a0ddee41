//! One HTTP client's conversation: requests found in its input, replies printed to its output.
//!
//! | file | holds |
//! |---|---|
//! | `receiving.rs` | how a request arrives |
//! | `requests.rs` | what the next request is |
//! | `writes.rs`, `reads.rs` | those about the state |
//! | `watching.rs` | replies without an end |
//! | `local.rs` | those that a server answers by itself |

mod local;
mod reads;
mod receiving;
mod requests;
mod watching;
mod writes;

use std::rc::Rc;
use std::time::{Duration, Instant};

use niagara_engine::Refused;

use self::reads::Look;
use self::receiving::{Rest, Stage};
use self::watching::Keeping;
use self::writes::Shape;
use super::fault::{Context, Fault};
use super::naming::Naming;
use super::request::Request;
use super::respond::Framing;
use super::site::Site;
use super::watch::Watch;
use crate::access::Entrance;
use crate::protocol::{
    Ask, Circumstances, Engine, Foreign, Input, Outcome, Output, Protocol, Served, Shown, Streamed, View,
    Wire,
};

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
}

impl Protocol for HttpConnection {
    type Shape = Shape;

    const WIRE: Wire = Wire::Http;

    type Look = Look;

    fn next<E: Engine>(&mut self, input: &mut Input, engine: &E, now: Circumstances) -> Option<Ask> {
        self.understand_next(input, engine, now)
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
        self.send(command)
    }

    fn is_request(shape: &Shape) -> bool {
        !matches!(shape, Shape::Name | Shape::Keep)
    }

    fn read(&mut self, _input: &mut Input, view: &View<'_>, output: &mut Output) {
        self.look(view, output);
    }

    fn may_attach(&self, _input: &Input) -> bool {
        self.may_look_between()
    }

    fn attach(&mut self, _input: &mut Input, query: &mut Vec<u8>) -> Look {
        self.look_behind(query)
    }

    fn show(&mut self, look: Look, shown: Shown, _took: Duration, output: &mut Output) {
        self.show_look(look, shown, output);
    }

    fn local<E: Engine>(&mut self, _input: &mut Input, engine: &E, output: &mut Output) -> Served {
        self.answer_next(engine, output)
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
        self.finish(shape, outcome, output);
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
