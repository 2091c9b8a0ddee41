use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::*;
use crate::ErrorBody;

const TIMEOUT: Duration = Duration::from_secs(20);
const OK: &str = "HTTP/1.1 200 OK\r\nNiagara-Position: 7\r\nContent-Length: 2\r\n\r\nok";
const HEALTHY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// A server that answers health checks, then reads one request and answers it. If `answer` is empty, it
/// closes the connection after it has read.
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

/// A stranger that answers everything alike.
fn stranger(answer: &'static str) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // The client may have disconnected already.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    endpoint
}

/// An address where nothing listens.
fn nobody() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string().parse().unwrap()
}

fn error_reply(status: u16) -> String {
    let body = format!(r#"{{"error":"x","message":"message {status}","hint":"hint {status}"}}"#);
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Sends a request. Returns the status or the failure's text, and the notes on the way.
fn try_at(endpoints: &[Endpoint], again: Again) -> (Result<u16, String>, String) {
    let mut told = String::new();
    let tell = |why: &Attempt, next: &Endpoint| told.push_str(&format!("{why}; again to {next}\n"));
    let outcome = send(endpoints, again, tell);
    (outcome.map(|response| response.status).map_err(|failed| failed.to_string()), told)
}

fn send(
    endpoints: &[Endpoint],
    again: Again,
    tell: impl FnMut(&Attempt, &Endpoint),
) -> Result<Response, Failed> {
    let cluster = Cluster::new(endpoints.iter().cloned()).timeout(TIMEOUT);
    cluster.send_and_tell(&Request::on_key("PUT", b"k", ""), again, tell)
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
        ("", "without a reply"),
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
fn what_became_of_a_write_is_told() {
    let outcome = |endpoints: &[Endpoint], again| match send(endpoints, again, |_, _| {}).unwrap_err() {
        Failed::Refused(_) => Outcome::Refused,
        Failed::Unknown(_) => Outcome::Unknown,
    };
    assert_eq!(outcome(&[nobody()], Again::SameEffect), Outcome::Refused);
    assert_eq!(outcome(&[stranger("+OK\r\n")], Again::Never), Outcome::Refused);
    for (answer, expected) in [
        (error_reply(503), Outcome::Refused),
        (error_reply(429), Outcome::Refused),
        (error_reply(504), Outcome::Unknown),
        (String::new(), Outcome::Unknown),
    ] {
        let (endpoint, thread) = server(answer);
        assert_eq!(outcome(&[endpoint], Again::Never), expected);
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
    let response = send(std::slice::from_ref(&endpoint), Again::SameEffect, |_, _| {}).unwrap();
    let ErrorBody { message, hint } = response.explanation().unwrap();
    assert_eq!((message.as_str(), hint.as_str()), ("message 413", "hint 413"));
    thread.join().unwrap();

    for (status, outcome) in [(413, Outcome::Refused), (500, Outcome::Unknown)] {
        let (endpoint, thread) = server(error_reply(status));
        let failed = Cluster::new([endpoint.clone()]).put(b"k", b"").unwrap_err();
        let said = vec![Attempt { endpoint, why: format!("message {status}") }];
        assert_eq!(
            failed,
            if outcome == Outcome::Refused { Failed::Refused(said) } else { Failed::Unknown(said) }
        );
        thread.join().unwrap();
    }
}

#[test]
fn values_come_with_versions_and_positions() {
    let (endpoint, thread) = server(
        "HTTP/1.1 200 OK\r\nETag: \"a-7\"\r\nNiagara-Position: 9\r\nContent-Length: 2\r\n\r\nok".into(),
    );
    let found = Cluster::new([endpoint]).get(b"k").unwrap();
    assert_eq!(found, Some(Found { value: b"ok".to_vec(), version: Some("a-7".into()), position: 9 }));
    thread.join().unwrap();

    let missing = error_reply(404);
    let (endpoint, thread) = server(missing);
    assert_eq!(Cluster::new([endpoint]).get(b"k"), Ok(None));
    thread.join().unwrap();
}

/// A password goes to Niagara servers only, with requests that need it.
#[test]
fn strangers_do_not_hear_the_password() {
    let hears = |answer: &'static str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint: Endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
        let (sender, requests) = std::sync::mpsc::channel();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut request = vec![0; 4096];
                let count = stream.read(&mut request).unwrap();
                let text = String::from_utf8_lossy(&request[..count]).into_owned();
                let health = text.starts_with("GET /healthz ");
                sender.send(text).unwrap();
                // Whoever asks may have gone already.
                let _ = stream.write_all(if health { HEALTHY } else { answer }.as_bytes());
            }
        });
        (endpoint, requests)
    };
    let access = crate::Access::new().password("secret");
    let asked = |endpoint: Endpoint| Cluster::new([endpoint]).with(&access).get(b"k");

    let (endpoint, requests) =
        hears("HTTP/1.1 404 Not Found\r\nNiagara-Position: 1\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(asked(endpoint), Ok(None));
    let heard: Vec<String> = requests.try_iter().collect();
    assert_eq!(heard.len(), 2);
    assert!(heard[0].starts_with("GET /healthz ") && !heard[0].contains("Authorization"), "{heard:?}");
    assert!(heard[1].contains("\r\nAuthorization: Basic ZGVmYXVsdDpzZWNyZXQ=\r\n"), "{heard:?}");

    assert!(asked(stranger("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")).is_err());
}

/// A server that answers requests in turn, and tells the keys of these. Besides, it answers health checks, and gives no status.
fn server_of_many(answers: Vec<String>) -> (Endpoint, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
    let thread = thread::spawn(move || {
        let (mut answers, mut keys) = (answers.into_iter().peekable(), Vec::new());
        while answers.peek().is_some() {
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
            if request.starts_with(b"GET /status ") {
                stream.write_all(error_reply(404).as_bytes()).unwrap();
                continue;
            }
            let text = String::from_utf8(request).unwrap();
            let key = text.lines().find_map(|line| line.strip_prefix("Idempotency-Key: "));
            keys.push(key.unwrap_or("none").to_owned());
            stream.write_all(answers.next().unwrap().as_bytes()).unwrap();
        }
        keys
    });
    (endpoint, thread)
}

#[test]
fn a_write_is_sent_with_one_key_until_its_outcome_is_known() {
    let (one, one_thread) = server_of_many(vec![error_reply(504), String::new(), error_reply(504)]);
    let (other, other_thread) = server_of_many(vec![String::new(), error_reply(503), OK.into()]);
    let cluster = Cluster::new([one, other]).timeout(TIMEOUT);
    assert_eq!(cluster.put(b"k", b"").map(|written| written.position), Ok(7));
    let keys = [one_thread.join().unwrap(), other_thread.join().unwrap()].concat();
    assert_eq!(keys.len(), 6);
    assert!(keys.iter().all(|key| key.len() == 32 && *key == keys[0]), "{keys:?}");
    let (endpoint, thread) = server_of_many(vec![OK.into(), OK.into(), OK.into()]);
    let cluster = Cluster::new([endpoint]);
    cluster.put(b"k", b"").unwrap();
    cluster.delete(b"k").unwrap();
    let own = Request::on_key("PUT", b"k", "").header("idempotency-key", "own");
    cluster.send(&own, Again::Once).unwrap();
    let keys = thread.join().unwrap();
    assert!(keys[0] != keys[1] && keys[2] == "none", "a header of the caller's own stays: {keys:?}");
}

#[test]
fn a_write_waits_for_servers_that_have_just_started() {
    let early = error_reply(503).replace(r#""error":"x""#, r#""error":"no_clock""#);
    let body = early.split_once("\r\n\r\n").unwrap().1;
    let early = format!("HTTP/1.1 503 X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (endpoint, thread) = server_of_many(vec![early.clone(), early.clone(), OK.into()]);
    assert_eq!(Cluster::new([endpoint]).put(b"k", b"").map(|written| written.position), Ok(7));
    let keys = thread.join().unwrap();
    assert!(keys.iter().all(|key| *key == keys[0]));
    let (endpoint, thread) = server_of_many(vec![early]);
    let get = Request::on_key("GET", b"k", "");
    let failed = Cluster::new([endpoint]).send(&get, Again::Harmless).unwrap_err();
    assert!(matches!(failed, Failed::Refused(_)), "only what is executed once needs a clock");
    thread.join().unwrap();
}

#[test]
fn a_write_without_effect_is_not_tried_for_long() {
    let begin = Instant::now();
    let failed = Cluster::new([nobody(), nobody()]).put(b"k", b"").unwrap_err();
    assert!(matches!(failed, Failed::Refused(tried) if tried.len() == 2));
    assert!(begin.elapsed() < PATIENCE);
}
