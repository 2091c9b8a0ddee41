//! Requests that a server answers by itself.

use super::HttpConnection;
use super::receiving::Stage;
use crate::http::fault::Context;
use crate::http::pages;
use crate::http::request::{Request, What};
use crate::http::respond::ResponseHead;
use crate::protocol::{Engine, Output, Served};

/// What scripts of other origins may send.
const SCRIPTS_HEADERS: &str =
    "Authorization, Content-Type, Content-Encoding, Idempotency-Key, If-Match, If-None-Match";

/// How long a browser need not ask again.
const PREFLIGHT_SECONDS: u64 = 600;

impl HttpConnection {
    /// Answers the next request, which is for this server alone.
    pub(super) fn answer_next<E: Engine>(&mut self, engine: &E, output: &mut Output) -> Served {
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
            What::Change { what, preconditions } => {
                let body = std::mem::take(&mut self.command);
                let by = &self.entrance;
                what.start(&self.site, (&preconditions, by), &body, framing, engine, output)
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
}
