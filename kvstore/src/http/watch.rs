//! `GET /watch`: the changes of keys as they are executed, in a reply without an end.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::json::Object;
use super::list::elements;
use super::parameters::{self, number, parameters};
use super::parse::Head;
use crate::changes::{Change, ChangeId, Gone, Kind, Watched, Watcher};
use crate::protocol::Output;
use crate::{Life, Tag};

/// What a request for changes asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WatchRequest {
    pub(super) prefix: Vec<u8>,
    /// The first change; without it, what is executed from now on.
    pub(super) from: Option<ChangeId>,
    with_values: bool,
    heartbeat: Duration,
    form: Form,
}

/// How changes are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Server-sent events, as in the HTML standard.
    Events,
    /// A JSON object on each line.
    Lines,
}

/// How often the position that is reached is told, in seconds, and how often it may be.
const HEARTBEAT: u64 = 10;
const HEARTBEATS: std::ops::RangeInclusive<u64> = 1..=60;

/// What a watcher is told takes so many bytes at most before it is sent.
const PIECE_BYTES: usize = 256 << 10;

impl WatchRequest {
    pub(super) fn of(head: &Head<'_>, query: Option<&str>) -> Result<WatchRequest, Fault> {
        let mut request = WatchRequest {
            prefix: Vec::new(),
            from: None,
            with_values: false,
            heartbeat: Duration::from_secs(HEARTBEAT),
            form: Form::negotiate(head.accept.as_deref()),
        };
        for (name, value) in parameters(query) {
            let bad = || bad_parameter(name, value);
            match name {
                "prefix" => request.prefix = parameters::key(value)?,
                "from" => request.from = Some(number(value).map(ChangeId::first_at).ok_or_else(bad)?),
                "after" => request.from = Some(ChangeId::after(value).ok_or_else(bad)?),
                "values" => request.with_values = value.parse().map_err(|_| bad())?,
                "heartbeat" => {
                    let seconds = number(value).filter(|seconds| HEARTBEATS.contains(seconds));
                    request.heartbeat = Duration::from_secs(seconds.ok_or_else(bad)?);
                }
                _ => return Err(bad()),
            }
        }
        // A browser resumes by this header, at the same address as before.
        if let Some(last) = head.last_event_id {
            let seen = std::str::from_utf8(last).ok().and_then(ChangeId::after);
            let bad = || {
                Fault::bad_request("Last-Event-ID names no change", "send an `id` as this server has sent it")
            };
            request.from = Some(seen.ok_or_else(bad)?);
        }
        Ok(request)
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self.form {
            Form::Events => "text/event-stream",
            Form::Lines => "application/x-ndjson",
        }
    }
}

fn bad_parameter(name: &str, value: &str) -> Fault {
    let message = format!("the parameter {name}={value:?} means nothing for a watch");
    let hint = "use ?prefix=, from= with a position, after= with the last `id`, values=true, and heartbeat= with 1 to \
                60 seconds, separated by &";
    Fault::bad_request(message, hint)
}

impl Form {
    /// The first form that the client accepts.
    fn negotiate(accept: Option<&[u8]>) -> Form {
        let media = |element: &[u8]| {
            let media = element.split(|byte| *byte == b';').next().unwrap_or_default();
            media.trim_ascii().to_ascii_lowercase()
        };
        let known =
            elements(accept.unwrap_or_default()).find_map(|element| match media(element).as_slice() {
                b"text/event-stream" | b"text/*" | b"*/*" => Some(Form::Events),
                b"application/x-ndjson" | b"application/jsonl" | b"application/json" | b"application/*" => {
                    Some(Form::Lines)
                }
                _ => None,
            });
        known.unwrap_or(Form::Events)
    }
}

impl Fault {
    /// The changes that a client wants are not kept here.
    pub(super) fn gone(gone: Gone) -> Fault {
        let message = "the changes from there on are not kept on this server any more";
        let hint = "begin to watch without `from`, then list the keys; or watch from the position `least`, if the keys have \
                    not changed meanwhile";
        Fault { least: gone.least, ..Fault::new(410, "gone", message, hint) }
    }
}

/// A reply that is being sent.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: Watcher,
    request: WatchRequest,
    life: Option<Life>,
    /// Whether the reply comes in chunks; without them, the connection's end is its end.
    chunked: bool,
    /// When the next heartbeat is due; the first one at once.
    beats: Option<Instant>,
}

impl Watch {
    pub(super) fn new(watcher: Watcher, request: WatchRequest, life: Option<Life>, chunked: bool) -> Watch {
        Watch { watcher, request, life, chunked, beats: None }
    }

    /// Prints what has come of keys that are shown, up to a piece. Everything up to `applied` is executed.
    pub(super) fn go_on(
        &mut self,
        applied: u64,
        now: Instant,
        output: &mut Output,
        mut shows: impl FnMut(&[u8]) -> bool,
    ) -> Result<Watched, Gone> {
        let mut piece = Vec::new();
        let Watch { watcher, request, life, .. } = self;
        let watched = watcher.read(|change| {
            // All keys together are nobody's in particular.
            if change.kind == Kind::Flush || shows(&change.key) {
                print_change(change, request, *life, &mut piece);
            }
            piece.len() < PIECE_BYTES
        });
        if watched == Ok(Watched::All) && self.beats.is_none_or(|beats| now >= beats) {
            self.watcher.pass(applied);
            self.beats = Some(now + self.request.heartbeat);
            self.print_heartbeat(&mut piece);
        }
        self.send(&piece, output);
        watched
    }

    /// Ends the reply with a word.
    pub(super) fn end(&self, fault: &Fault, output: &mut Output) {
        let mut piece = Vec::new();
        let seen = self.watcher.awaited().seen_before();
        print(self.request.form, Some("end"), &seen, &mut piece, |object| {
            object.text("kind", "end");
            object.text("id", &seen);
            object.text("error", fault.error);
            object.text("message", &fault.message);
            object.text("hint", &fault.hint);
            if let Some(least) = fault.least {
                object.number("least", least);
            }
        });
        self.send(&piece, output);
        if self.chunked {
            output.text().extend_from_slice(b"0\r\n\r\n");
        }
    }

    fn print_heartbeat(&self, piece: &mut Vec<u8>) {
        let awaited = self.watcher.awaited();
        let seen = awaited.seen_before();
        print(self.request.form, Some("heartbeat"), &seen, piece, |object| {
            object.text("kind", "heartbeat");
            object.text("id", &seen);
            object.number("position", awaited.whole_position() - 1);
        });
    }

    fn send(&self, piece: &[u8], output: &mut Output) {
        if piece.is_empty() {
            return;
        }
        let out = output.text();
        if self.chunked {
            write!(out, "{:x}\r\n", piece.len()).expect("writing to a buffer never fails");
        }
        out.extend_from_slice(piece);
        if self.chunked {
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn print_change(change: &Change, request: &WatchRequest, life: Option<Life>, piece: &mut Vec<u8>) {
    let Change { id, kind, key, now } = change;
    let seen = id.next().seen_before();
    print(request.form, None, &seen, piece, |object| {
        object.text("kind", kind.name());
        object.text("id", &seen);
        object.number("position", id.position);
        object.number("index", id.index.into());
        if *kind != Kind::Flush {
            object.bytes("key", key);
        }
        let Some(now) = now else { return };
        if let Some(life) = life {
            object.text("version", &Tag { life, version: now.version }.to_string());
        }
        object.number("bytes", now.bytes as u64);
        if let Some(deadline) = now.deadline {
            object.number("expires_at", deadline);
        }
        match &now.value {
            Some(value) if request.with_values => object.bytes("value", value),
            None if request.with_values => object.flag("omitted", true),
            _ => {}
        }
    });
}

/// Prints an object in its form.
fn print(form: Form, event: Option<&str>, id: &str, piece: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    if form == Form::Events {
        let event = event.map(|event| format!("event: {event}\n")).unwrap_or_default();
        write!(piece, "{event}id: {id}\ndata: ").expect("writing to a buffer never fails");
    }
    let mut object = Object::begin(piece);
    fill(&mut object);
    object.end();
    piece.extend_from_slice(if form == Form::Events { b"\n\n" } else { b"\n" });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse;

    fn request(query: &str, headers: &str) -> Result<WatchRequest, Fault> {
        let text = format!("GET /watch HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        WatchRequest::of(&parse(text.as_bytes()).unwrap().unwrap(), Some(query))
    }

    #[test]
    fn parameters_are_checked() {
        let all = request("prefix=a%2F&from=7&values=true&heartbeat=60", "").unwrap();
        assert_eq!((all.prefix.as_slice(), all.with_values, all.heartbeat.as_secs()), (&b"a/"[..], true, 60));
        assert_eq!(all.from, Some(ChangeId::first_at(7)));
        assert_eq!(request("after=7.2", "").unwrap().from, Some(ChangeId { position: 7, index: 3 }));
        let resumed = request("from=1", "Last-Event-ID: 9\r\n").unwrap();
        assert_eq!(resumed.from, Some(ChangeId::first_at(10)), "a browser resumes where it was");
        for wrong in
            ["from=", "from=-1", "from=7.1", "after=x", "values=yes", "heartbeat=0", "heartbeat=61", "form=1"]
        {
            assert_eq!(request(wrong, "").expect_err(wrong).status, 400, "{wrong}");
        }
        assert_eq!(request("", "Last-Event-ID: x\r\n").expect_err("it names nothing").status, 400);
    }

    #[test]
    fn the_form_is_the_first_that_the_client_accepts() {
        for (accept, expected) in [
            ("", Form::Events),
            ("Accept: */*\r\n", Form::Events),
            ("Accept: text/event-stream\r\n", Form::Events),
            ("Accept: application/x-ndjson\r\n", Form::Lines),
            ("Accept: image/png, application/JSON;q=0.9, */*\r\n", Form::Lines),
            ("Accept: image/png\r\n", Form::Events),
        ] {
            assert_eq!(request("", accept).unwrap().form, expected, "{accept}");
        }
    }
}
