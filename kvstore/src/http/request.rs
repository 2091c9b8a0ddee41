//! What a request asks for, and what is wrong with it.

use niagara_engine::{Consistency, GlobalPosition};
use percent_encoding::percent_decode;

use super::fault::Fault;
use super::parse::{Body, Head};
use super::respond::Framing;
use super::tags::{Comparison, Tags};
use crate::command::{Condition, MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// A request that has been understood, apart from its body.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) what: What,
    pub(super) framing: Framing,
}

#[derive(Debug)]
pub(super) enum What {
    Put {
        key: Vec<u8>,
        condition: Condition,
    },
    Delete {
        key: Vec<u8>,
        condition: Condition,
    },
    Get {
        key: Vec<u8>,
        consistency: Consistency,
        if_match: Option<Tags>,
        if_none_match: Option<Tags>,
    },
    /// A page about the server.
    Page(Page),
    /// A snapshot is to be made.
    Snapshot,
    Fail(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Status,
    Healthz,
    Readyz,
    Metrics,
}

const KEY_METHODS: &str = "GET, HEAD, PUT, DELETE";
const PAGE_METHODS: &str = "GET, HEAD";
const SNAPSHOT_METHODS: &str = "POST";

impl Request {
    /// A request that cannot be served. What follows it in the stream may be its body, so the connection ends with it.
    pub(super) fn fail(fault: Fault, framing: Framing) -> Request {
        Request { what: What::Fail(fault), framing: Framing { keep_alive: false, ..framing } }
    }

    pub(super) fn of(head: &Head<'_>) -> Request {
        let framing =
            Framing { minor: head.minor, keep_alive: head.keep_alive, head_only: head.method == "HEAD" };
        match understand(head).and_then(|what| check_body(&what, head.body).map(|()| what)) {
            Ok(what) => Request { what, framing },
            Err(fault) if head.body == Body::Absent => Request { what: What::Fail(fault), framing },
            Err(fault) => Request::fail(fault, framing),
        }
    }
}

fn understand(head: &Head<'_>) -> Result<What, Fault> {
    let target = origin_form(head.target).ok_or_else(|| {
        Fault::bad_request("the target of the request is no path", "ask for a path such as /kv/{key}")
    })?;
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    if let Some(key) = path.strip_prefix("/kv/") {
        return understand_key(head, decode_key(key)?, query);
    }
    let page = match path {
        "/status" => Page::Status,
        "/healthz" => Page::Healthz,
        "/readyz" => Page::Readyz,
        "/metrics" => Page::Metrics,
        "/snapshot" if head.method == "POST" => return Ok(What::Snapshot),
        "/snapshot" => return Err(Fault::method_not_allowed(SNAPSHOT_METHODS)),
        _ => {
            let hint = "there are /kv/{key}, /status, /healthz, /readyz, /metrics and /snapshot";
            return Err(Fault::new(404, "not_found", "there is no such resource", hint));
        }
    };
    if matches!(head.method, "GET" | "HEAD") {
        Ok(What::Page(page))
    } else {
        Err(Fault::method_not_allowed(PAGE_METHODS))
    }
}

fn understand_key(head: &Head<'_>, key: Vec<u8>, query: Option<&str>) -> Result<What, Fault> {
    let is_read = matches!(head.method, "GET" | "HEAD");
    if !is_read && !matches!(head.method, "PUT" | "DELETE") {
        return Err(Fault::method_not_allowed(KEY_METHODS));
    }
    if let (false, Some(query)) = (is_read, query) {
        let message = format!("a {} has no parameters, but {query:?} was sent", head.method);
        return Err(Fault::bad_request(message, "a question mark in a key is written %3F"));
    }
    match head.method {
        "PUT" => Ok(What::Put { key, condition: condition(head, true)? }),
        "DELETE" => Ok(What::Delete { key, condition: condition(head, false)? }),
        _ => {
            let tags = |value: Option<&[u8]>, comparison| {
                value.map(|value| Tags::parse(value, comparison).ok_or_else(malformed_tags)).transpose()
            };
            Ok(What::Get {
                key,
                consistency: consistency(query)?,
                if_match: tags(head.if_match, Comparison::Strong)?,
                if_none_match: tags(head.if_none_match, Comparison::Weak)?,
            })
        }
    }
}

/// The path and query of a target, which may name the server before them.
fn origin_form(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        return Some(target);
    }
    let (_, rest) = target.split_once("://")?;
    rest.find('/').map(|path| &rest[path..])
}

fn decode_key(encoded: &str) -> Result<Vec<u8>, Fault> {
    let mut escapes = encoded.as_bytes().split(|byte| *byte == b'%').skip(1);
    if !escapes.all(|escape| matches!(escape, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())) {
        let hint = "write a percent sign as %25";
        return Err(Fault::bad_request("a percent sign is not followed by two hexadecimal digits", hint));
    }
    let key: Vec<u8> = percent_decode(encoded.as_bytes()).collect();
    if (1..=MAX_KEY_BYTES).contains(&key.len()) {
        return Ok(key);
    }
    let message = format!("a key has 1 to {MAX_KEY_BYTES} bytes, and this one {}", key.len());
    Err(Fault::bad_request(message, "put the key behind /kv/; it may hold any bytes, percent-encoded"))
}

fn consistency(query: Option<&str>) -> Result<Consistency, Fault> {
    let mut consistency = Consistency::Strong;
    for parameter in query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
        consistency = match parameter.split_once('=') {
            Some(("read", "strong")) => Consistency::Strong,
            Some(("read", "weak")) => Consistency::Weak,
            Some(("read", value)) => value
                .strip_prefix("at-least:")
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .map(|position| Consistency::AtLeast(GlobalPosition::new(position)))
                .ok_or_else(|| bad_parameter(parameter))?,
            _ => return Err(bad_parameter(parameter)),
        };
    }
    Ok(consistency)
}

fn bad_parameter(parameter: &str) -> Fault {
    let message = format!("the parameter {parameter:?} is unknown");
    Fault::bad_request(message, "use ?read=strong, ?read=weak or ?read=at-least:{position}")
}

/// The condition of a write. If-None-Match means a write that creates, so only a PUT has it, and only with a star.
fn condition(head: &Head<'_>, may_create: bool) -> Result<Condition, Fault> {
    let both = "send If-Match with versions, or If-None-Match: * to create only";
    match (head.if_match, head.if_none_match) {
        (None, None) => Ok(Condition::Always),
        (Some(value), None) => match Tags::parse(value, Comparison::Strong).ok_or_else(malformed_tags)? {
            Tags::Any => Ok(Condition::IfPresent),
            Tags::Versions(versions) => Ok(Condition::IfAnyVersion(versions)),
        },
        (None, Some(value)) if may_create && value.trim_ascii() == b"*" => Ok(Condition::IfAbsent),
        (None, Some(_)) if may_create => Err(Fault::bad_request(
            "If-None-Match of a PUT must be *",
            "name the version to replace in If-Match",
        )),
        (None, Some(_)) => Err(Fault::bad_request("a DELETE has no If-None-Match", "use If-Match")),
        (Some(_), Some(_)) => Err(Fault::bad_request("If-Match and If-None-Match are both there", both)),
    }
}

fn malformed_tags() -> Fault {
    Fault::bad_request(
        "If-Match or If-None-Match is no list of at most 64 entity tags",
        "send * or tags in quotes, such as \"17\" or \"17.2\", as they came in ETag",
    )
}

/// Whether the request may come with such a body: only a PUT has one, and its end must be known.
fn check_body(what: &What, body: Body) -> Result<(), Fault> {
    match (what, body) {
        (What::Put { .. }, Body::Length(length)) if length > MAX_VALUE_BYTES as u64 => {
            Err(Fault::too_large())
        }
        (What::Put { .. }, Body::Absent) => {
            let hint = "send Content-Length, 0 for an empty value";
            Err(Fault::new(411, "length_required", "a PUT needs to say how long its body is", hint))
        }
        (What::Put { .. }, _) | (_, Body::Absent | Body::Length(0)) => Ok(()),
        _ => Err(Fault::bad_request("only a PUT has a body", "leave it out")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::parse;

    fn ask(text: &str) -> What {
        let text = format!("{} HTTP/1.1\r\nHost: h\r\n\r\n", text.replace('|', " HTTP/1.1\r\n"));
        let text = text.replacen(
            " HTTP/1.1\r\nHost",
            "\r\nHost",
            usize::from(text.matches(" HTTP/1.1").count() > 1),
        );
        Request::of(&parse(text.as_bytes()).unwrap().unwrap()).what
    }

    fn status(text: &str) -> u16 {
        match ask(text) {
            What::Fail(fault) => fault.status,
            _ => 200,
        }
    }

    #[test]
    fn keys_hold_any_bytes() {
        for (path, expected) in [
            ("/kv/a/b//c", b"a/b//c".as_slice()),
            ("/kv/%00%ff%2F+", b"\0\xff/+"),
            ("http://host:80/kv/x", b"x"),
            ("/kv/%3F", b"?"),
        ] {
            assert!(
                matches!(ask(&format!("GET {path}")), What::Get { key, .. } if key == expected),
                "{path}"
            );
        }
        for path in
            ["/kv/", "/kv/%", "/kv/%4", "/kv/%zz", "*", "http://host", &format!("/kv/{}", "k".repeat(65_537))]
        {
            assert_eq!(status(&format!("GET {path}")), 400, "{}", &path[..path.len().min(20)]);
        }
        assert_eq!(status(&format!("GET /kv/{}", "%6b".repeat(65_536))), 200);
    }

    #[test]
    fn reads_say_how_fresh() {
        for (query, expected) in [
            ("", Consistency::Strong),
            ("?read=strong", Consistency::Strong),
            ("?read=weak", Consistency::Weak),
            ("?read=at-least:17", Consistency::AtLeast(GlobalPosition::new(17))),
        ] {
            let what = ask(&format!("GET /kv/k{query}"));
            assert!(matches!(what, What::Get { consistency, .. } if consistency == expected), "{query}");
        }
        for query in
            ["?read=", "?read=at-least:", "?read=at-least:-1", "?read=at-least:+1", "?raed=weak", "?weak"]
        {
            assert_eq!(status(&format!("GET /kv/k{query}")), 400, "{query}");
        }
    }

    #[test]
    fn writes_have_one_condition() {
        for (lines, expected) in [
            ("|Content-Length: 0", Condition::Always),
            ("|Content-Length: 0\r\nIf-Match: *", Condition::IfPresent),
            ("|Content-Length: 0\r\nIf-None-Match: *", Condition::IfAbsent),
            ("|Content-Length: 0\r\nIf-Match: W/\"5\"", Condition::IfAnyVersion(vec![])),
        ] {
            let what = ask(&format!("PUT /kv/k{lines}"));
            assert!(
                matches!(&what, What::Put { condition, .. } if *condition == expected),
                "{lines} {what:?}"
            );
        }
        for request in [
            "PUT /kv/k|Content-Length: 0\r\nIf-None-Match: \"5\"",
            "PUT /kv/k|Content-Length: 0\r\nIf-None-Match: *\r\nIf-Match: *",
            "PUT /kv/k|Content-Length: 0\r\nIf-Match: 5",
            "DELETE /kv/k|If-None-Match: *",
            "DELETE /kv/k?read=weak",
            "GET /kv/k|If-Match: 5",
            "GET /kv/k|Content-Length: 5",
        ] {
            assert_eq!(status(request), 400, "{request}");
        }
    }

    #[test]
    fn methods_and_bodies_are_checked_before_anything_is_read() {
        assert_eq!(status("POST /kv/k|Content-Length: 5"), 405);
        assert_eq!(status("PUT /status|Content-Length: 0"), 405);
        assert_eq!(status("POST /snapshot"), 200);
        assert_eq!(status("POST /snapshot|Content-Length: 0"), 200);
        assert_eq!(status("POST /snapshot|Content-Length: 1"), 400);
        assert_eq!(status("GET /snapshot"), 405);
        assert_eq!(status("GET /nothing"), 404);
        assert_eq!(status("PUT /kv/k"), 411);
        assert_eq!(status("PUT /kv/k|Content-Length: 16777216"), 200);
        assert_eq!(status("PUT /kv/k|Content-Length: 16777217"), 413);
    }

    proptest! {
        #[test]
        fn no_target_panics(target in "[a-z/%?&=:0-9]{0,30}") {
            let text = format!("GET /kv/{target} HTTP/1.1\r\nHost: h\r\n\r\n");
            if let Ok(Some(head)) = parse(text.as_bytes()) {
                Request::of(&head);
            }
        }
    }
}
