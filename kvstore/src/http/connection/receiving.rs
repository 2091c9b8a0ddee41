//! How a request arrives: its head, and its body. That of a PUT goes directly into the command.

use super::HttpConnection;
use crate::command;
use crate::http::chunked::{ChunkError, Chunked};
use crate::http::elsewhere;
use crate::http::fault::Fault;
use crate::http::gate;
use crate::http::head_error::HeadError;
use crate::http::idempotency;
use crate::http::parse::{self, Body};
use crate::http::request::{Request, What};
use crate::http::request_line::request_line;
use crate::http::respond::Framing;
use crate::http::rights;
use crate::http::transaction::{self, Timed};
use crate::protocol::{Engine, Foreign, Input};
use crate::table::Op;
use crate::users::Context;

/// How much of the next request has arrived.
#[derive(Debug)]
pub(super) enum Stage {
    Head,
    /// The head of a request with a body has arrived; the body is being added to the command.
    Body {
        request: Request,
        rest: Rest,
        interim: bool,
    },
    Ready(Request),
}

/// What is missing of a body.
#[derive(Debug)]
pub(super) enum Rest {
    /// It ends when the command has this many bytes.
    UpTo(usize),
    Chunked {
        chunked: Chunked,
        limit: usize,
    },
}

impl HttpConnection {
    /// Reads the head of the next request. `false`: it is incomplete.
    /// `is_short`: there is no memory for one that takes some.
    pub(super) fn head<E: Engine>(&mut self, input: &mut Input, engine: &E, is_short: bool) -> bool {
        while self.searched == 0 && input.bytes().starts_with(b"\r\n") {
            // An empty line that a client put between its requests (RFC 9112, section 2.2).
            input.consume(2);
        }
        if input.bytes() == b"\r" {
            return false;
        }
        let head = match self.find_end(input.bytes()) {
            Ok(None) => {
                self.searched = input.len();
                return false;
            }
            Ok(Some(end)) => parse::parse_whole(&input.bytes()[..end]),
            Err(error) => Err(error),
        };
        self.searched = 0;
        self.line_read = false;
        match head {
            Ok(head) => {
                let (length, body, expects_continue) = (head.length, head.body, head.expects_continue);
                let mut request = gate::request(&head, &self.site.names, &mut self.entrance);
                if is_short && request.what.takes_memory() {
                    request = Request::refused(&head, Fault::short(), request.framing);
                }
                let request = elsewhere::redirect(&self.site, engine, &head, request);
                let request = if self.only_pages { request.for_a_page() } else { request };
                input.consume(length);
                self.last = !request.framing.keep_alive;
                self.begin(request, body, expects_continue && input.is_empty());
            }
            Err(error) => {
                self.foreign = Foreign::anywhere(input.bytes()).or_else(|| Foreign::to_http(input.bytes()));
                let head_only = input.bytes().starts_with(b"HEAD ");
                self.give_up(error, head_only);
            }
        }
        true
    }

    /// Where the head at the start of the input ends, if it has arrived. A client of another protocol is told
    /// so as soon as the first line has arrived, since an empty line may never follow it.
    fn find_end(&mut self, input: &[u8]) -> Result<Option<usize>, HeadError> {
        if !self.line_read {
            if Foreign::anywhere(input) == Some(Foreign::Server) {
                return Err(HeadError::Malformed("it begins like the greeting of another server"));
            }
            self.line_read = request_line(input)?.is_some();
        }
        parse::find_end(input, self.searched)
    }

    fn give_up(&mut self, error: HeadError, head_only: bool) {
        let framing = Framing { minor: 1, keep_alive: false, head_only, page: None };
        self.last = true;
        self.stage = Stage::Ready(Request::fail(Fault::head(error), framing));
    }

    fn begin(&mut self, request: Request, body: Body, interim: bool) {
        let Some(most) = request.what.longest_body() else {
            self.stage = Stage::Ready(request);
            return;
        };
        self.command.clear();
        if let What::Put { key, condition, description, lasts } = &request.what {
            if let Some(once) = &request.once {
                idempotency::begin(&mut self.command, idempotency::name(self.entrance.user().name(), once));
            } else if lasts.is_some() {
                // The time is set when the whole command has arrived.
                command::encode_time(&mut self.command, 0);
            }
            if let Some(user) = self.entrance.carried() {
                command::encode_by(&mut self.command, user, std::iter::once(Op::Set));
            }
            if let Some(lasts) = lasts {
                command::encode_lasting(&mut self.command, *lasts);
            }
            command::encode_put_head(&mut self.command, key, condition, false, description.get());
        }
        let head = self.command.len();
        let rest = match body {
            // Request::of has checked that it is at most the longest.
            Body::Length(length) => Rest::UpTo(head + length as usize),
            _ => Rest::Chunked { chunked: Chunked::new(), limit: head + most },
        };
        self.stage = Stage::Body { request, rest, interim };
    }

    /// Moves what has arrived of a body into the command. `false`: it is incomplete.
    pub(super) fn body(&mut self, input: &mut Input) -> bool {
        let Stage::Body { rest, request, .. } = &mut self.stage else { panic!("it has a body") };
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
                    Err(ChunkError::TooLong) => Some(request.what.too_large()),
                    Err(ChunkError::Malformed) => {
                        let hint = "send chunks (RFC 9112, section 7.1), or Content-Length";
                        Some(Fault::bad_request("the body is not in chunks", hint))
                    }
                }
            }
        };
        let request = self.take_request();
        self.stage = Stage::Ready(match fault {
            None => self.understand_body(request),
            Some(fault) => {
                self.last = true;
                self.command = Vec::new();
                Request::fail(fault, request.framing)
            }
        });
        true
    }

    /// Completes the command of a request whose body has arrived: turns that of a transaction into its command, if its user may do
    /// all of it.
    fn understand_body(&mut self, mut request: Request) -> Request {
        if let (What::Put { .. }, Some(_)) = (&request.what, &request.once) {
            idempotency::complete(&mut self.command);
        }
        if let What::Transaction { timed, .. } = &mut request.what {
            let body = std::mem::take(&mut self.command);
            let entrance = &self.entrance;
            let encoded = transaction::encode(&body, entrance.carried(), &mut self.command);
            let allowed = encoded.and_then(|is_timed| {
                gate::check(rights::denied_part(entrance, &self.command), entrance, Context::Transaction)?;
                Ok(is_timed)
            });
            match allowed {
                Ok(is_timed) => {
                    *timed = is_timed;
                    if let Some(once) = &request.once {
                        let name = idempotency::name(self.entrance.user().name(), once);
                        idempotency::wrap(&mut self.command, is_timed == Timed::Yes, name);
                    }
                }
                Err(fault) => request.what = What::Fail(fault),
            }
        }
        request
    }
}
