//! From the head of a request to what it asks for, or what is wrong with it.

use super::What;
use crate::http::change::Change;
use crate::http::description::OwnDescription;
use crate::http::fault::Fault;
use crate::http::lasting;
use crate::http::listing::ListRequest;
use crate::http::media_type::Exposition;
use crate::http::page::Page;
use crate::http::parameters::{self, Freshness, parameters};
use crate::http::parse::Head;
use crate::http::preconditions::Preconditions;
use crate::http::target::{Target, target};
use crate::http::transaction::Timed;
use crate::http::watch::WatchRequest;

const SERVER_METHODS: &str = "GET, HEAD, PUT, DELETE, POST, OPTIONS";
const KEY_METHODS: &str = "GET, HEAD, PUT, DELETE, OPTIONS";
const PAGE_METHODS: &str = "GET, HEAD, OPTIONS";
const WATCH_METHODS: &str = "GET, OPTIONS";
/// Of pages that a POST changes.
const CHANGED_PAGE_METHODS: &str = "GET, HEAD, POST, OPTIONS";
const SNAPSHOT_METHODS: &str = "POST, OPTIONS";
const TRANSACTION_METHODS: &str = "POST, OPTIONS";

/// Methods that some resource could have. For any other method the client learns that no resource has it.
const KNOWN_METHODS: [&str; 9] =
    ["GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// What a head asks for, apart from its body.
pub(super) fn understand(head: &Head<'_>) -> Result<What, Fault> {
    if !KNOWN_METHODS.contains(&head.method) {
        return Err(Fault::unknown_method());
    }
    let (path, query) = match target(head.method, head.target) {
        Ok(Target::Resource { path, query }) => (path, query),
        Ok(Target::Server) => return Ok(What::Options(SERVER_METHODS)),
        Ok(Target::Tunnel) => return Err(Fault::unknown_method()),
        Err(bad) => {
            return Err(Fault::bad_request(bad.0, "send a path such as /kv/{key}, percent-encoded"));
        }
    };
    if let Some(key) = path.strip_prefix("/kv/") {
        return match (parameters::key(key)?, head.method) {
            (_, "OPTIONS") => Ok(What::Options(KEY_METHODS)),
            (key, _) => understand_key(head, key, query),
        };
    }
    let page = match path {
        "/kv" => {
            return match head.method {
                "GET" | "HEAD" => Ok(What::List {
                    request: ListRequest::parse(query)?,
                    preconditions: Preconditions::of(head)?,
                }),
                "OPTIONS" => Ok(What::Options(PAGE_METHODS)),
                _ => Err(Fault::method_not_allowed(PAGE_METHODS)),
            };
        }
        "/watch" => {
            return match head.method {
                "GET" => Ok(What::Watch {
                    request: WatchRequest::of(head, query)?,
                    preconditions: Preconditions::of(head)?,
                }),
                "OPTIONS" => Ok(What::Options(WATCH_METHODS)),
                _ => Err(Fault::method_not_allowed(WATCH_METHODS)),
            };
        }
        "/status" => Page::Status,
        "/leaders" => Page::Leaders,
        "/groups" => Page::Groups,
        "/level" => Page::Level,
        "/members" => Page::Members,
        "/txn" => {
            return match head.method {
                "POST" => Ok(What::Transaction { timed: Timed::No, preconditions: Preconditions::of(head)? }),
                "OPTIONS" => Ok(What::Options(TRANSACTION_METHODS)),
                _ => Err(Fault::method_not_allowed(TRANSACTION_METHODS)),
            };
        }
        "/healthz" => Page::Healthz,
        "/readyz" => Page::Readyz,
        "/openapi.json" => Page::OpenApi,
        "/metrics" => Page::Metrics(Exposition::negotiate(head.accept.as_deref())),
        "/snapshot" => {
            return match head.method {
                "POST" => Ok(What::Snapshot { preconditions: Preconditions::of(head)? }),
                "OPTIONS" => Ok(What::Options(SNAPSHOT_METHODS)),
                _ => Err(Fault::method_not_allowed(SNAPSHOT_METHODS)),
            };
        }
        _ => {
            let hint = "there are /kv, /kv/{key}, /txn, /watch, /status, /leaders, /groups, /level, /members, /healthz, /readyz, /metrics, /snapshot and /openapi.json";
            return Err(Fault::new(404, "not_found", "the resource does not exist", hint));
        }
    };
    let change = Change::of(page);
    let methods = if change.is_some() { CHANGED_PAGE_METHODS } else { PAGE_METHODS };
    match (head.method, change) {
        ("GET" | "HEAD", _) => Ok(What::Page { page, preconditions: Preconditions::of(head)? }),
        ("POST", Some(what)) => Ok(What::Change { what, preconditions: Preconditions::of(head)? }),
        ("OPTIONS", _) => Ok(What::Options(methods)),
        _ => Err(Fault::method_not_allowed(methods)),
    }
}

fn understand_key(head: &Head<'_>, key: Vec<u8>, query: Option<&str>) -> Result<What, Fault> {
    let is_read = matches!(head.method, "GET" | "HEAD");
    if !is_read && !matches!(head.method, "PUT" | "DELETE") {
        return Err(Fault::method_not_allowed(KEY_METHODS));
    }
    let lasts = if head.method == "PUT" {
        query.and_then(|query| lasting::parse(query.strip_prefix("ttl=")?))
    } else {
        None
    };
    if let (false, Some(query), None) = (is_read, query, lasts) {
        if head.method == "PUT" {
            let message = format!("a PUT takes only the parameter ttl, above 0, but {query:?} was sent");
            let hint = "send ?ttl=60 for a minute or ?ttl=1500ms; write a question mark in a key as %3F";
            return Err(Fault::bad_request(message, hint));
        }
        let message = format!("a {} takes no parameters, but {query:?} was sent", head.method);
        return Err(Fault::bad_request(message, "write a question mark in a key as %3F"));
    }
    let preconditions = Preconditions::of(head)?;
    Ok(match head.method {
        "PUT" => {
            let description = OwnDescription::of(head)?;
            What::Put { key, condition: preconditions.condition(), description, lasts }
        }
        "DELETE" => What::Delete { key, condition: preconditions.condition() },
        _ => What::Get { key, freshness: freshness(query)?, preconditions },
    })
}

/// How fresh a read must be.
fn freshness(query: Option<&str>) -> Result<Freshness, Fault> {
    parameters(query).try_fold(Freshness::STRONG, |_, (name, value)| {
        Some(value)
            .filter(|_| name == "read")
            .and_then(Freshness::parse)
            .ok_or_else(|| bad_parameter(name, value))
    })
}

fn bad_parameter(name: &str, value: &str) -> Fault {
    let equals = if value.is_empty() { "" } else { "=" };
    let message = format!("the parameter \"{name}{equals}{value}\" is unknown");
    Fault::bad_request(message, "use ?read=strong, ?read=lease, ?read=weak or ?read=at-least:{position}")
}

#[cfg(test)]
mod tests {
    use niagara_engine::{Consistency, GlobalPosition};
    use proptest::prelude::*;

    use super::*;
    use crate::command::Condition;
    use crate::http::parse;
    use crate::http::request::Request;
    use crate::{Life, Tag, Version};

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
            ("/kv/", b""),
        ] {
            assert!(
                matches!(ask(&format!("GET {path}")), What::Get { key, .. } if key == expected),
                "{path}"
            );
        }
        for path in [
            "/kv/%",
            "/kv/%4",
            "/kv/%zz",
            "*",
            "host:80",
            "http://u@host/kv/x",
            &format!("/kv/{}", "k".repeat(65_537)),
        ] {
            assert_eq!(status(&format!("GET {path}")), 400, "{}", &path[..path.len().min(20)]);
        }
        assert_eq!(status(&format!("GET /kv/{}", "%6b".repeat(65_536))), 200);
    }

    #[test]
    fn reads_say_how_fresh() {
        for (query, expected) in [
            ("", Consistency::Strong),
            ("?read=strong", Consistency::Strong),
            ("?read=lease", Consistency::Strong),
            ("?read=weak", Consistency::Weak),
            ("?read=at-least:17", Consistency::AtLeast(GlobalPosition::new(17))),
        ] {
            let what = ask(&format!("GET /kv/k{query}"));
            let What::Get { freshness, .. } = what else { panic!("{query} is a read") };
            let by_lease = query == "?read=lease";
            assert_eq!(freshness, Freshness { consistency: expected, by_lease }, "{query}");
        }
        for query in
            ["?read=", "?read=at-least:", "?read=at-least:-1", "?read=at-least:+1", "?raed=weak", "?weak"]
        {
            assert_eq!(status(&format!("GET /kv/k{query}")), 400, "{query}");
        }
    }

    #[test]
    fn writes_have_conditions_in_any_combination() {
        let tag = |position| Tag { life: Life::new(1).unwrap(), version: Version { position, further: 0 } };
        let put = "Content-Length: 0\r\n";
        let both = |first, second| Condition::Both(Box::new([first, second]));
        for (lines, expected) in [
            ("", Condition::Always),
            ("If-Match: *", Condition::IfPresent),
            ("If-None-Match: *", Condition::IfAbsent),
            ("If-Match: W/\"0000000000000001-5\"", Condition::IfAnyTag(vec![])),
            ("If-None-Match: W/\"0000000000000001-5\"", Condition::UnlessAnyTag(vec![tag(5)])),
            (
                "If-Match: \"0000000000000001-5\",\r\nif-match: , \"0000000000000001-6\"",
                Condition::IfAnyTag(vec![tag(5), tag(6)]),
            ),
            (
                "If-None-Match: \"0000000000000001-5\"\r\nIf-None-Match:\r\nIf-Match: *",
                both(Condition::IfPresent, Condition::UnlessAnyTag(vec![tag(5)])),
            ),
            ("If-None-Match: *\r\nIf-Match: *", both(Condition::IfPresent, Condition::IfAbsent)),
        ] {
            let what = ask(&format!("PUT /kv/k|{put}{lines}").trim_end().replace("|\r\n", "|"));
            assert!(
                matches!(&what, What::Put { condition, .. } if *condition == expected),
                "{lines} {what:?}"
            );
            if !lines.is_empty() {
                let what = ask(&format!("DELETE /kv/k|{lines}"));
                assert!(
                    matches!(&what, What::Delete { condition, .. } if *condition == expected),
                    "{lines} {what:?}"
                );
            }
        }
        for request in [
            "PUT /kv/k|Content-Length: 0\r\nIf-Match: 5",
            "PUT /kv/k|Content-Length: 0\r\nIf-None-Match: *, \"5\"",
            "PUT /kv/k|Content-Length: 0\r\nIf-None-Match: *\r\nIf-None-Match: *",
            "DELETE /kv/k|If-None-Match: 5",
            "DELETE /kv/k?read=weak",
            "GET /kv/k|If-Match: 5",
            "GET /status|If-None-Match: 5",
            "POST /snapshot|If-Match: 5",
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
        assert_eq!(status("POST /leaders|Content-Length: 12"), 200);
        assert_eq!(status("POST /leaders|Content-Length: 1025"), 413);
        assert_eq!(status("POST /leaders"), 411);
        assert_eq!(status("POST /txn|Content-Length: 1048576"), 200);
        assert_eq!(status("POST /txn|Content-Length: 1048577"), 413);
        assert_eq!(status("POST /txn"), 411);
        assert_eq!(status("GET /txn"), 405);
        assert_eq!(status("PUT /leaders|Content-Length: 12"), 405);
        assert_eq!(status("GET /nothing"), 404);
        assert_eq!(status("GET http://host"), 404);
        for known in ["PATCH /kv/k", "TRACE /kv/k", "PATCH /metrics", "TRACE /snapshot"] {
            assert_eq!(status(known), 405, "{known}");
        }
        for unknown in ["BREW /kv/k", "get /kv/k", "PROPFIND /kv/k", "CONNECT host:80"] {
            assert_eq!(status(unknown), 501, "{unknown}");
        }
        for (target, methods) in [
            ("*", SERVER_METHODS),
            ("/kv/k", KEY_METHODS),
            ("/status", PAGE_METHODS),
            ("/leaders", CHANGED_PAGE_METHODS),
            ("/groups", CHANGED_PAGE_METHODS),
            ("/level", CHANGED_PAGE_METHODS),
            ("/members", CHANGED_PAGE_METHODS),
            ("/snapshot", SNAPSHOT_METHODS),
            ("/txn", TRANSACTION_METHODS),
            ("/kv", PAGE_METHODS),
            ("/watch", WATCH_METHODS),
        ] {
            let what = ask(&format!("OPTIONS {target}"));
            assert!(matches!(what, What::Options(allowed) if allowed == methods), "{target} {what:?}");
        }
        assert_eq!(status("OPTIONS /nothing"), 404);
        assert_eq!(status("PUT /kv/k|Content-Length: 1\r\nContent-Type: text"), 400);
        assert_eq!(status("GET /kv/k|Content-Type: text"), 200, "it describes no value");
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
