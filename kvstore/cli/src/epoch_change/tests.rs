use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use niagara_client::survey::Row;
use niagara_engine::Status;

use super::*;
use crate::failure::Status as Exit;

/// A server that gives this reply once.
fn server(reply: &'static str) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\nbody") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(reply.as_bytes()).unwrap();
    });
    endpoint
}

/// An address where nothing listens.
fn nobody() -> Endpoint {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string().parse().unwrap()
}

fn servers(endpoints: impl IntoIterator<Item = Endpoint>) -> Servers {
    Servers { servers: (1..).zip(endpoints).collect(), page: "/members", timeout: Duration::from_secs(1) }
}

const TAKEN: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
const NOT_LEADING: &str = "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_server_that_is_away_has_not_taken_the_request() {
    assert_eq!(servers([nobody(), server(TAKEN)]).ask_for(b"body", Instant::now()).unwrap(), 2);
    let failure = servers([nobody(), nobody()]).ask_for(b"body", Instant::now()).unwrap_err();
    assert!(failure.status() == Exit::Refused && failure.what.contains("nothing listens"), "{failure:?}");
    let said = servers([server(NOT_LEADING), nobody()]);
    let failure = said.ask_for(b"body", Instant::now() - said.timeout).unwrap_err();
    assert!(failure.status() == Exit::Refused && failure.what.contains("409"), "{failure:?}");
}

#[test]
fn after_a_lost_answer_no_other_server_is_asked() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let next = other.local_addr().unwrap().to_string().parse().unwrap();
    let failure = servers([server(""), next]).ask_for(b"body", Instant::now()).unwrap_err();
    assert_eq!(failure.status(), Exit::Unknown);
    assert!(other.accept().is_err(), "nobody connected");
}

fn row(at: &str, named: bool, stranger: bool) -> Row {
    let status = (!stranger).then(Status::default);
    let error = stranger.then(|| "is a server of another cluster, b; the one asked for is a".to_owned());
    Row { at: at.to_owned(), endpoint: at.parse().unwrap(), status, error, named, stranger }
}

#[test]
fn servers_of_two_clusters_cannot_be_named_at_once() {
    let found = |named| {
        let rows = vec![row("http://p:1", true, false), row("http://q:1", named, true)];
        Servers::of(&Survey { rows }, "/members", Duration::ZERO)
    };
    let failure = found(true).err().expect("which one is to change?");
    assert_eq!(failure.status(), Exit::Refused);
    assert_eq!(failure.what, "http://p:1 and http://q:1 are servers of different clusters");
    let servers = found(false).expect("a list may be out of date").servers;
    assert_eq!(servers.iter().map(|(_, at)| at.to_string()).collect::<Vec<_>>(), ["http://p:1"]);
}
