use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn body_of(headers: &str) -> Result<Body, HeadError> {
    let head = format!("PUT / HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    parse(head.as_bytes()).map(|head| head.expect("the head is complete").body)
}

#[test]
fn the_length_of_a_body_is_said_once_and_plainly() {
    assert_eq!(body_of(""), Ok(Body::Absent));
    assert_eq!(body_of("content-length: 12\r\n"), Ok(Body::Length(12)));
    assert_eq!(body_of("Transfer-Encoding: Chunked\r\n"), Ok(Body::Chunked));
    assert_eq!(body_of("Transfer-Encoding: gzip, chunked\r\n"), Err(HeadError::UnknownCoding));
    for bad in
        ["Content-Length: -1\r\n", "Content-Length: +1\r\n", "Content-Length: 99999999999999999999\r\n"]
    {
        assert_eq!(body_of(bad), Err(HeadError::Malformed("Content-Length is not a number")), "{bad}");
    }
    for twice in
        ["Content-Length: 1\r\nContent-Length: 1\r\n", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"]
    {
        assert_eq!(
            body_of(twice),
            Err(HeadError::Malformed("the length of the body is given twice")),
            "{twice}"
        );
    }
}

#[test]
fn connections_stay_or_close_by_version() {
    for (version, line, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: Keep-Alive, close\r\n", false),
        ("1.0", "Connection: close\r\nConnection: keep-alive\r\n", false),
        ("1.2", "", true),
    ] {
        let head = format!("GET / HTTP/{version}\r\nHost: h\r\n{line}\r\n");
        assert_eq!(parse(head.as_bytes()).unwrap().unwrap().keep_alive, stays, "{head}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn long_and_strange_heads_are_refused() {
    let endless = format!("GET /{} HTTP/1.1\r\n", "k".repeat(MAX_HEAD_BYTES));
    assert_eq!(parse(endless.as_bytes()), Err(HeadError::TooLong));
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS));
    assert_eq!(parse(many.as_bytes()), Err(HeadError::TooManyHeaders));
    for strange in ["GET / HTTP/1.1\r\n\r\n", "G=T\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"] {
        assert!(matches!(parse(strange.as_bytes()), Err(HeadError::Malformed(_))), "{strange}");
    }
}

/// Lines of the same name are one list. Its elements may be empty, and white space means nothing.
#[test]
fn lists_may_come_in_any_form() {
    let head_of = |lines: &str| format!("PUT / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    let error_of = |lines: &str| parse(head_of(lines).as_bytes()).unwrap_err();
    for lines in [
        "Connection: ,close\r\n",
        "Connection: keep-alive, ,\tclose ,\r\n",
        "Connection: keep-alive\r\nConnection: close\r\n",
        "Connection: close\r\nConnection: keep-alive\r\n",
        "Connection: upgrade\r\nConnection:\r\nCONNECTION: CLOSE\r\n",
    ] {
        assert!(!parse(head_of(lines).as_bytes()).unwrap().unwrap().keep_alive, "{lines}");
    }
    for lines in
        ["Connection: closed\r\n", "Connection: \"close\"\r\n", "Connection:\r\n", "Connection: close;x\r\n"]
    {
        assert!(parse(head_of(lines).as_bytes()).unwrap().unwrap().keep_alive, "{lines}");
    }
    for lines in [
        "Expect: 100-continue\r\n",
        "Expect: , 100-Continue\t,\r\n",
        "Expect:\r\nExpect: 100-continue\r\n",
        "Expect: 100-continue\r\nExpect: 100-continue\r\n",
    ] {
        assert!(parse(head_of(lines).as_bytes()).unwrap().unwrap().expects_continue, "{lines}");
    }
    assert!(!parse(head_of("Expect: ,\r\n").as_bytes()).unwrap().unwrap().expects_continue);
    for lines in [
        "Expect: 200-ok\r\n",
        "Expect: 100-continue, x=\"a,b\"\r\n",
        "Expect: 100-continue\r\nExpect: y\r\n",
        "Expect: 100-continue;q=1\r\n",
    ] {
        assert_eq!(error_of(lines), HeadError::UnknownExpectation, "{lines}");
    }
    for lines in ["Transfer-Encoding: ,chunked,\r\n", "Transfer-Encoding:\r\nTransfer-Encoding: CHUNKED\r\n"]
    {
        assert_eq!(body_of(lines), Ok(Body::Chunked), "{lines}");
    }
    for lines in [
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;x=y\r\n",
        "Transfer-Encoding: chunked chunked\r\n",
    ] {
        assert_eq!(body_of(lines), Err(HeadError::UnknownCoding), "{lines}");
    }
    for lines in [
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: ,\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert!(matches!(body_of(lines), Err(HeadError::Malformed(_))), "{lines}");
    }
}

/// What two servers in a row could understand differently is refused.
#[test]
fn nothing_can_be_smuggled() {
    for lines in [
        "Content-Length: 1, 1\r\n",
        "Content-Length: 1,\r\n",
        "Content-Length:\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Content-Length : 1\r\n",
        "Content-Length\t: 1\r\n",
        " Content-Length: 1\r\n",
        "A: b\r\n Content-Length: 1\r\n",
        "A: b\r\n\tc\r\n",
        "A: b\nContent-Length: 1\r\n",
        "A: b\rContent-Length: 1\r\n",
        "A: b\0\r\n",
        "A: b\x0bc\r\n",
        ": b\r\n",
        "A\r\n",
        "A(b): c\r\n",
        "Host: h\r\n",
        "Host: i\r\n",
    ] {
        assert!(matches!(body_of(lines), Err(HeadError::Malformed(_))), "{lines:?}: {:?}", body_of(lines));
    }
    let old = |lines: &str| {
        parse(format!("PUT / HTTP/1.0\r\n{lines}\r\n").as_bytes()).map(|head| head.unwrap().body)
    };
    assert!(matches!(old("Transfer-Encoding: chunked\r\n"), Err(HeadError::Malformed(_))));
    assert_eq!(old("Content-Length: 1\r\n"), Ok(Body::Length(1)), "HTTP/1.0 needs no Host");
    assert!(old("Host: a\r\nHost: a\r\n").is_err() && old("Host: a b\r\n").is_err());
    for head in [
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
    ] {
        assert_eq!(parse(head.as_bytes()), Err(BARE_LINE_FEED), "{head:?}");
    }
}

#[test]
fn headers_that_make_another_request_of_it_are_refused() {
    for name in UNHONOURED {
        let line = format!("{}: x\r\n", name.to_uppercase());
        assert_eq!(body_of(&line), Err(HeadError::Unhonoured(name)));
    }
    assert_eq!(
        body_of("If-Modified-Since: x\r\nIf-Unmodified-Since: x\r\nRange: bytes=0-1\r\nIf-Range: x\r\n"),
        Ok(Body::Absent)
    );
    assert_eq!(body_of("Prefer: x\r\nTE: trailers, x\r\nTrailer: x\r\nUpgrade: h2c\r\n"), Ok(Body::Absent));
}

proptest! {
    /// However a head is cut, its end is found in the same place.
    #[test]
    fn any_split_gives_the_same_end(
        lines in vec("[a-z]{0,3}", 1..8),
        ends in vec(prop_oneof![Just("\r\n"), Just("\n")], 8),
        step in 1usize..6,
    ) {
        let stream: String = lines.iter().zip(&ends).flat_map(|(line, end)| [line.as_str(), *end]).collect();
        let whole = find_end(stream.as_bytes(), 0);
        let mut searched = 0;
        let mut found = Ok(None);
        for end in (step..stream.len()).step_by(step).chain([stream.len()]) {
            found = find_end(&stream.as_bytes()[..end], searched);
            searched = end;
            if found != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(prop_oneof![Just(b'\n'), Just(b' '), any::<u8>()], 0..100)) {
        let _ = parse(&bytes);
        let _ = parse(&[b"GET / HTTP/1.1\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat());
    }
}
