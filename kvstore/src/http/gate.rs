//! Whether a request may be served: which server it means, whose script sends it, whose password it has, and whether this
//! user has the right to it.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::Fault;
use super::page::Page;
use super::parse::Head;
use super::request::{Request, What};
use super::rights;
use super::target;
use crate::access::{Entrance, Names, OriginKind};
use crate::audit;
use crate::users::{Context, Denied};

/// Types of bodies that a browser sends for any page, without asking first. Here, none of them means anything.
const FORMS: [&[u8]; 2] = [b"application/x-www-form-urlencoded", b"multipart/form-data"];
const TEXT: &[u8] = b"text/plain";

/// What a request asks for, if it may.
pub(super) fn request(head: &Head<'_>, names: &Names, entrance: &mut Entrance) -> Request {
    let origin = names.origin(head.origin, head.host);
    let mut request = Request::of(head);
    if let OriginKind::Allowed(page) = origin {
        request.framing.page = Some(page);
    }
    let for_all = match &request.what {
        // A browser asks without the password, and whoever watches over servers need not know it.
        What::Options(methods) => {
            if head.is_preflight && request.framing.page.is_some() {
                request.what = What::Preflight(methods);
            }
            true
        }
        What::Page { page: Page::Healthz | Page::Readyz, .. } => true,
        _ => false,
    };
    let passed = check_names(head, names).and_then(|()| {
        if for_all {
            return Ok(());
        }
        check_password(head, entrance)?;
        check_page(head, origin)?;
        check_rights(&request.what, entrance)
    });
    match passed {
        Ok(()) => request,
        Err(fault) => Request::refused(head, fault, request.framing),
    }
}

/// Whether the client may use the server.
fn check_password(head: &Head<'_>, entrance: &mut Entrance) -> Result<(), Fault> {
    let credentials = credentials(head);
    let given = credentials.as_ref().map(|(user, password)| (user.as_slice(), password.as_slice()));
    entrance.pass(given).map_err(Fault::barred)
}

/// Whether the client's user may do what the request asks for.
fn check_rights(what: &What, entrance: &Entrance) -> Result<(), Fault> {
    check(rights::wanted(what).and_then(|wanted| entrance.denied(|| wanted)), entrance, Context::Alone)
}

/// Remembers that something was denied, if it was.
pub(super) fn check(denied: Option<Denied>, entrance: &Entrance, context: Context) -> Result<(), Fault> {
    denied.map_or(Ok(()), |denied| {
        entrance.directory().refusals.denied(&denied, context, "http", SystemTime::now());
        audit::denied(&denied, entrance.address());
        Err(Fault::forbidden(&denied))
    })
}

/// Whether the request means this server.
fn check_names(head: &Head<'_>, names: &Names) -> Result<(), Fault> {
    let others = [head.host, target::authority(head.target).map(str::as_bytes)];
    match others.into_iter().flatten().find(|name| !names.is_ours(name)) {
        None => Ok(()),
        Some(name) => Err(Fault::misdirected(&String::from_utf8_lossy(name))),
    }
}

/// Whether a browser may have sent a change on behalf of a page that has no business here.
fn check_page(head: &Head<'_>, origin: OriginKind) -> Result<(), Fault> {
    if matches!(head.method, "GET" | "HEAD" | "OPTIONS") {
        return Ok(());
    }
    if origin == OriginKind::Foreign {
        return Err(Fault::foreign_page(&String::from_utf8_lossy(head.origin.unwrap_or_default())));
    }
    let media = head.content_type.as_deref().unwrap_or_default();
    let media = media.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is = |form: &[u8]| media.eq_ignore_ascii_case(form);
    let is_form = FORMS.into_iter().any(is) || head.origin.is_some() && is(TEXT);
    if head.method == "POST" && is_form { Err(Fault::form()) } else { Ok(()) }
}

/// User and password of the Basic scheme (RFC 7617), or the password as a bearer's token (RFC 6750).
fn credentials(head: &Head<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = head.authorization?.trim_ascii();
    let at = text.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&text[..at], text[at..].trim_ascii_start());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some((Vec::new(), rest.to_vec()));
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut user = STANDARD.decode(rest).ok()?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    let password = user.split_off(colon).split_off(1);
    Some((user, password))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::AccessConfig;
    use crate::access::Guard;
    use crate::http::parse;

    const FRIEND: &str = "https://app.example.org";

    /// The status that a request gets, 200 if it passes.
    fn status(entrance: &mut Entrance, request: &str, headers: &str) -> u16 {
        let names = Names::new(["db"], &[FRIEND.to_owned()]);
        let host = if headers.contains("Host:") { "" } else { "Host: db:7000\r\n" };
        let text = format!("{request} HTTP/1.1\r\n{host}{headers}\r\n");
        match super::request(&parse(text.as_bytes()).unwrap().unwrap(), &names, entrance).what {
            What::Fail(fault) => fault.status,
            _ => 200,
        }
    }

    #[test]
    fn a_request_must_mean_this_server() {
        let open =
            |request: &str, headers: &str| status(&mut Entrance::open(&Arc::default()), request, headers);
        for ours in ["db", "DB:1", "localhost", "127.0.0.1:7000", "[::1]"] {
            assert_eq!(open("GET /kv/k", &format!("Host: {ours}\r\n")), 200, "{ours}");
            assert_eq!(open(&format!("GET http://{ours}/kv/k"), ""), 200, "{ours}");
        }
        for request in
            ["GET /kv/k", "GET /healthz", "OPTIONS *", "DELETE /kv/k", "GET /none", "POST /snapshot"]
        {
            assert_eq!(open(request, "Host: evil.example\r\n"), 421, "{request}");
        }
        assert_eq!(open("GET http://evil.example/kv/k", ""), 421);
        assert_eq!(open("OPTIONS http://evil.example", ""), 421);
    }

    #[test]
    fn pages_change_nothing_here_unless_they_are_known() {
        let open =
            |request: &str, headers: &str| status(&mut Entrance::open(&Arc::default()), request, headers);
        for (origin, expected) in [
            ("http://db:7000", 200),
            (FRIEND, 200),
            ("http://evil.example", 403),
            ("null", 403),
            ("http://db", 403),
        ] {
            for request in ["DELETE /kv/k", "POST /snapshot", "PUT /kv/k"] {
                let headers = format!("Origin: {origin}\r\nContent-Length: 0\r\n");
                assert_eq!(open(request, &headers), expected, "{request} from {origin}");
            }
            for request in ["GET /kv/k", "HEAD /kv/k", "GET /status", "OPTIONS /kv/k"] {
                assert_eq!(open(request, &format!("Origin: {origin}\r\n")), 200, "{request} from {origin}");
            }
        }
    }

    #[test]
    fn forms_change_nothing() {
        let open =
            |request: &str, headers: &str| status(&mut Entrance::open(&Arc::default()), request, headers);
        let (text, own) = ("Content-Type: text/plain\r\n", "Origin: http://db:7000\r\n");
        for (headers, expected) in [
            ("Content-Type: application/x-www-form-urlencoded\r\n".to_owned(), 415),
            ("Content-Type: Multipart/Form-Data; boundary=x\r\n".to_owned(), 415),
            (format!("{own}{text}"), 415),
            (format!("{own}Content-Type: text/plain;charset=utf-8\r\n"), 415),
            (text.to_owned(), 200),
            ("Content-Type: application/json\r\n".to_owned(), 200),
        ] {
            assert_eq!(open("POST /snapshot", &headers), expected, "{headers}");
            let put = format!("{headers}Content-Length: 1\r\n");
            assert_eq!(open("PUT /kv/k", &put), 200, "no form sends a PUT: {headers}");
        }
    }

    #[test]
    fn a_password_comes_with_each_request() {
        let config = AccessConfig { password: Some("se:cret".parse().unwrap()), ..AccessConfig::default() };
        let mut entrance = Entrance::new(Arc::new(Guard::new(&config)), Arc::default(), None, false);
        let mut ask = |request: &str, authorization: &str| {
            let headers = if authorization.is_empty() {
                String::new()
            } else {
                format!("Authorization: {authorization}\r\n")
            };
            status(&mut entrance, request, &headers)
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for right in
            [basic("default:se:cret"), basic(":se:cret"), "Bearer se:cret".into(), "bearer  se:cret".into()]
        {
            assert_eq!(ask("GET /kv/k", &right), 200, "{right}");
            assert_eq!(ask("GET /none", &right), 404, "{right}");
        }
        for wrong in [
            "",
            "Bearer secret",
            "Bearer",
            "Digest se:cret",
            "Basic !",
            &basic("se:cret"),
            &basic("root:se:cret"),
        ] {
            for request in
                ["GET /kv/k", "GET /status", "GET /metrics", "GET /none", "POST /snapshot", "BREW /pot"]
            {
                assert_eq!(ask(request, wrong), 401, "{request} with {wrong}");
            }
            for request in ["GET /healthz", "GET /readyz", "OPTIONS /kv/k"] {
                assert_eq!(ask(request, wrong), 200, "{request} with {wrong}");
            }
        }
    }
}
