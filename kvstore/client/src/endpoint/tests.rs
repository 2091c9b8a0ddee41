use std::io::Read as _;
use std::net::TcpListener;
use std::thread;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(20);

fn local(port: u16) -> Endpoint {
    Endpoint { at: HostPort { host: "127.0.0.1".into(), port }, tls: false, access: Access::default() }
}

/// A server for one connection: it reads up to `until`, answers with `reply`, and closes.
fn serve_once(until: &'static str, reply: &'static [u8]) -> (Endpoint, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = local(listener.local_addr().unwrap().port());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(until.as_bytes()) {
            match stream.read(&mut byte).unwrap() {
                0 => break,
                _ => request.push(byte[0]),
            }
        }
        stream.write_all(reply).unwrap();
        String::from_utf8(request).unwrap()
    });
    (endpoint, server)
}

#[test]
fn a_request_and_its_reply() {
    let reply = b"HTTP/1.1 201 Created\r\nETag: \"7\"\r\nContent-Length: 2\r\n\r\nok and what is not ours";
    let (endpoint, server) = serve_once("\r\n\r\nhello", reply);
    let request =
        Request::on_key("PUT", b"a b/\xff~", "").header("If-Match", "\"6\"").body(b"hello".to_vec());
    let response = endpoint.send(&request, TIMEOUT).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (201, b"ok".as_slice()));
    assert_eq!(response.header("etag"), Some("\"7\""));
    let sent = server.join().unwrap();
    let expected = format!(
        "PUT /kv/a%20b%2F%FF~ HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nIf-Match: \"6\"\r\nContent-Length: 5\r\n\r\nhello",
        endpoint.at.port
    );
    assert_eq!(sent, expected);
}

#[test]
fn a_reply_without_a_length_ends_with_the_connection() {
    let (endpoint, server) = serve_once("\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nall of it");
    let response = endpoint.send(&Request::get("/"), TIMEOUT).unwrap();
    assert_eq!(response.body, b"all of it");
    server.join().unwrap();
}

#[test]
fn a_reply_that_is_cut_short_leaves_the_outcome_open() {
    for reply in
        ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "SSH-2.0-OpenSSH\r\n\r\n"]
    {
        let (endpoint, server) = serve_once("\r\n\r\n", reply.as_bytes());
        let trouble = endpoint.send(&Request::get("/"), TIMEOUT).unwrap_err();
        assert!(matches!(trouble, Trouble::Lost(_)), "{reply}: {trouble}");
        server.join().unwrap();
    }
}

#[test]
fn a_request_that_nobody_takes_was_not_sent() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = local(port);
    let trouble = endpoint.send(&Request::get("/"), TIMEOUT).unwrap_err();
    assert!(matches!(trouble, Trouble::NotSent(_)));
    assert_eq!(trouble.to_string(), "nothing listens there");
}

#[test]
fn a_server_that_hears_and_never_answers_leaves_the_outcome_open() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = local(listener.local_addr().unwrap().port());
    let trouble = endpoint.send(&Request::get("/"), Duration::from_millis(50)).unwrap_err();
    assert!(matches!(trouble, Trouble::Lost(_)));
    assert_eq!(trouble.to_string(), "no answer in time");
}

#[test]
fn endpoints_are_written_as_urls() {
    for (text, expected) in [
        ("http://127.0.0.1:7000", "http://127.0.0.1:7000"),
        ("http://db-1.example.org:80/", "http://db-1.example.org:80"),
        ("localhost:7000", "http://localhost:7000"),
        ("http://[::1]:7000", "http://[::1]:7000"),
    ] {
        assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), expected);
    }
    for text in [
        "",
        "http://",
        "host",
        "http://host",
        "http://host:0",
        "http://host:70000",
        "http://a b:1",
        "::1:70",
        "h:1/x",
    ] {
        assert!(text.parse::<Endpoint>().unwrap_err().contains("http://HOST:PORT"), "{text}");
    }
    let encrypted: Endpoint = "https://host:1".parse().unwrap();
    assert!(encrypted.is_encrypted() && encrypted.to_string() == "https://host:1");
    assert_ne!(encrypted, "http://host:1".parse().unwrap());
    assert!("ftp://host:1".parse::<Endpoint>().unwrap_err().contains("not ftp"));
    let default: Endpoint = DEFAULT_URL.parse().unwrap();
    assert_eq!(default.at.port, DEFAULT_PORT);
}

#[test]
fn a_reply_without_an_end_is_read_line_by_line() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n";
    for (rest, whole) in [("one\ntwo\n", true), ("one\ntwo\nthr", false)] {
        let reply: &'static [u8] = format!("{head}{rest}").leak().as_bytes();
        let (endpoint, server) = serve_once("\r\n\r\n", reply);
        let mut streaming = endpoint.open(&Request::watch(b"a/", "&values=true"), TIMEOUT).unwrap();
        let sent = server.join().unwrap();
        assert!(sent.starts_with("GET /watch?prefix=a%2F&values=true HTTP/1.0\r\n"), "{sent}");
        assert_eq!(streaming.response.status, 200);
        assert_eq!(streaming.next_line().unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(streaming.next_line().unwrap().as_deref(), Some(&b"two"[..]));
        match streaming.next_line() {
            Ok(None) => assert!(whole, "half a line is no end"),
            Err(error) => assert!(!whole && error.kind() == ErrorKind::UnexpectedEof, "{error}"),
            Ok(Some(line)) => panic!("{line:?}"),
        }
    }
    let reply = b"HTTP/1.1 410 Gone\r\nContent-Length: 26\r\n\r\n{\"message\":\"a\",\"hint\":\"b\"}";
    let (endpoint, _server) = serve_once("\r\n\r\n", reply);
    let mut gone = endpoint.open(&Request::watch(b"", ""), TIMEOUT).unwrap();
    assert_eq!(gone.response.explanation().unwrap().message, "a");
    assert_eq!(gone.next_line().unwrap(), None);
}
