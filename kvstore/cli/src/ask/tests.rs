use std::io::Read;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::*;
use crate::failure::Status;

const TIMEOUT: Duration = Duration::from_secs(20);
const OK: &str = "HTTP/1.1 200 OK\r\nNiagara-Position: 7\r\nContent-Length: 2\r\n\r\nok";
const HEALTHY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// A server that says that it lives, reads one request and answers it; an empty answer closes the connection after it has read.
fn server(answer: String) -> (Endpoint, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
    let thread = thread::spawn(move || {
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            if request.starts_with(b"GET /healthz ") {
                stream.write_all(HEALTHY.as_bytes()).unwrap();
                continue;
            }
            return stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (endpoint, thread)
}

/// Something that gives everybody the same answer, whatever was asked.
fn stranger(answer: &'static str) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // Whoever asks may have gone already.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    endpoint
}

/// An address at which nothing listens.
fn nobody() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string().parse().unwrap()
}

fn error_reply(status: u16) -> String {
    let body = format!(r#"{{"error":"x","message":"message {status}","hint":"hint {status}"}}"#);
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Asks, and gives the status or the failure's text, and what was noted on the way.
fn try_at(endpoints: &[Endpoint], again: Again) -> (Result<u16, String>, String) {
    let mut notices = Vec::new();
    let request = Request::on_key("PUT", b"k", "");
    let outcome = ask(endpoints, &request, again, TIMEOUT, &mut notices);
    let outcome = outcome.map(|response| response.status).map_err(|failure| failure.what);
    (outcome, String::from_utf8(notices).unwrap())
}

#[test]
fn servers_that_have_not_executed_a_request_are_passed_over_in_silence() {
    for again in [Again::Harmless, Again::SameEffect, Again::Never] {
        let (busy, busy_thread) = server(error_reply(429));
        let (leaderless, leaderless_thread) = server(error_reply(503));
        let (good, good_thread) = server(OK.into());
        assert_eq!(try_at(&[nobody(), busy, leaderless, good], again), (Ok(200), String::new()));
        busy_thread.join().unwrap();
        leaderless_thread.join().unwrap();
        good_thread.join().unwrap();
    }
}

#[test]
fn strangers_are_passed_over_and_named() {
    let strangers = [
        ("-ERR unknown command\r\n", "the Redis protocol"),
        ("\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        ("SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
        ("220 mail.example.org ESMTP\r\n", "does not speak HTTP"),
        ("", "without a word"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found", "HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "larger than any"),
    ];
    for (answer, said) in strangers {
        for again in [Again::Harmless, Again::SameEffect, Again::Never] {
            let (good, thread) = server(OK.into());
            assert_eq!(try_at(&[stranger(answer), good], again), (Ok(200), String::new()), "{answer}");
            thread.join().unwrap();
            let failure = try_at(&[stranger(answer)], again).0.unwrap_err();
            assert!(failure.starts_with("no server could serve"), "{answer}: {failure}");
            assert!(failure.contains(said), "{answer}: {failure}");
        }
    }
}

#[test]
fn the_exit_status_tells_what_became_of_a_write() {
    let status = |endpoints: &[Endpoint], again| {
        let request = Request::on_key("PUT", b"k", "");
        ask(endpoints, &request, again, TIMEOUT, &mut Vec::new()).unwrap_err().status()
    };
    assert_eq!(status(&[nobody()], Again::SameEffect), Status::Refused);
    assert_eq!(status(&[stranger("+OK\r\n")], Again::Never), Status::Refused);
    for (answer, expected) in [
        (error_reply(503), Status::Refused),
        (error_reply(429), Status::Refused),
        (error_reply(504), Status::Unknown),
        (String::new(), Status::Unknown),
    ] {
        let (endpoint, thread) = server(answer);
        assert_eq!(status(&[endpoint], Again::Never), expected);
        thread.join().unwrap();
    }
}

#[test]
fn a_read_whose_answer_is_lost_is_asked_again_in_silence() {
    let (lost, lost_thread) = server(String::new());
    let (good, good_thread) = server(OK.into());
    assert_eq!(try_at(&[lost, good], Again::Harmless), (Ok(200), String::new()));
    lost_thread.join().unwrap();
    good_thread.join().unwrap();
}

#[test]
fn an_unconditional_write_of_unknown_outcome_is_sent_again_and_said() {
    for answer in [String::new(), error_reply(504)] {
        let (lost, lost_thread) = server(answer);
        let (good, good_thread) = server(OK.into());
        let (outcome, notices) = try_at(&[lost.clone(), good.clone()], Again::SameEffect);
        assert_eq!(outcome, Ok(200));
        assert!(
            notices.contains(&lost.to_string()) && notices.contains(&format!("again to {good}")),
            "{notices}"
        );
        lost_thread.join().unwrap();
        good_thread.join().unwrap();
    }
}

#[test]
fn a_conditional_write_of_unknown_outcome_is_not_sent_again() {
    let (lost, lost_thread) = server(error_reply(504));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let other_endpoint = other.local_addr().unwrap().to_string().parse().unwrap();
    let (outcome, _) = try_at(&[lost, other_endpoint], Again::Never);
    assert!(outcome.unwrap_err().starts_with("the outcome is unknown"));
    assert!(other.accept().is_err(), "nobody connected");
    lost_thread.join().unwrap();
}

#[test]
fn an_unknown_outcome_stays_unknown_when_the_others_cannot_serve() {
    let (lost, thread) = server(String::new());
    let (outcome, _) = try_at(&[lost, nobody()], Again::SameEffect);
    assert!(outcome.unwrap_err().starts_with("the outcome is unknown"));
    thread.join().unwrap();
}

#[test]
fn when_nobody_serves_each_server_s_reason_is_given() {
    let (leaderless, thread) = server(error_reply(503));
    let (outcome, notices) = try_at(&[nobody(), leaderless], Again::SameEffect);
    let text = outcome.unwrap_err();
    assert!(text.contains("nothing listens there") && text.contains("message 503"), "{text}");
    assert_eq!(notices, "");
    thread.join().unwrap();
}

#[test]
fn a_server_s_own_words_are_passed_on() {
    let (endpoint, thread) = server(error_reply(413));
    let request = Request::on_key("PUT", b"k", "");
    let response = ask(&[endpoint], &request, Again::SameEffect, TIMEOUT, &mut Vec::new()).unwrap();
    let refusal = refusal(&response);
    assert_eq!((refusal.what.as_str(), refusal.hint.as_str()), ("message 413", "hint 413"));
    thread.join().unwrap();
}

#[test]
fn versions_are_quoted_for_http() {
    assert_eq!(parse_version("*").as_deref(), Ok("*"));
    assert_eq!(parse_version("12").as_deref(), Ok("\"12\""));
    assert_eq!(parse_version("9f86d081884c7d65-12.3").as_deref(), Ok("\"9f86d081884c7d65-12.3\""));
    assert_eq!(parse_version("\"9f86d081884c7d65-1\"").as_deref(), Ok("\"9f86d081884c7d65-1\""));
    assert_eq!(parse_version("\"12.3\"").as_deref(), Ok("\"12.3\""));
    for text in ["", "12.", ".3", "1.2.3", "W/\"1\"", "abc", "\"12"] {
        assert!(parse_version(text).is_err(), "{text}");
    }
}
