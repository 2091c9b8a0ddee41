//! Requests that are too large: the error names the limit, nothing is kept of them, and the connection stays
//! open.

use super::golden::{Stage, redis};
use crate::front::session::Pumped;

/// Sends a request in pieces, and a ping after it.
fn told(request: &[u8]) -> String {
    let mut stage = Stage::new(redis());
    let stream = [request, b"*1\r\n$4\r\nPING\r\n"].concat();
    for piece in stream.chunks(99_991) {
        stage.receive(piece);
        stage.settle();
        assert!(stage.input.capacity() < 64 << 20, "{} bytes are kept", stage.input.capacity());
    }
    assert_eq!(stage.pumped, Pumped::NeedsInput);
    String::from_utf8(stage.output.take()).unwrap()
}

fn array(arguments: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[test]
fn a_value_above_the_limit_does_not_end_the_connection() {
    let value = vec![b'v'; (16 << 20) + 1];
    let expected = "-ERR the value has 16777217 bytes, but the limit is 16777216 (16 MiB): split it over several keys\r\n\
                    +PONG\r\n";
    for request in [
        array(&[b"SET", b"k", &value]),
        array(&[b"SET", b"k", &value, b"NX"]),
        array(&[b"SET", &value, &value]),
        array(&[b"MSET", b"a", b"1", b"b", &value, b"c", &value]),
        array(&[&value]),
    ] {
        assert_eq!(told(&request), expected);
    }
    let largest = told(&array(&[b"SET", b"k", &value[1..]]));
    assert_eq!(largest, "+OK\r\n+PONG\r\n");
}

#[test]
fn a_request_above_the_limit_does_not_end_the_connection() {
    let value = vec![b'v'; 12 << 20];
    let expected = "-ERR the request is longer than 33554432 bytes (32 MiB): send several\r\n+PONG\r\n";
    assert_eq!(told(&array(&[b"MSET", b"a", &value, b"b", &value, b"c", &value, b"d", b"1"])), expected);
    let many = vec![b"k".as_slice(); (1 << 20) + 1];
    let expected =
        "-ERR the request has 1048577 arguments, but the limit is 1048576: send several\r\n+PONG\r\n";
    assert_eq!(told(&array(&many)), expected);
}

#[test]
fn a_key_above_the_limit_does_not_end_the_connection() {
    let key = vec![b'k'; (64 << 10) + 1];
    let expected = "-ERR the key is longer than 65536 bytes (64 KiB)\r\n+PONG\r\n";
    assert_eq!(told(&array(&[b"GET", &key])), expected);
    assert_eq!(told(&array(&[b"MSET", b"a", b"1", &key, b"2"])), expected);
    assert_eq!(told(&array(&[b"SET", &key[1..], b"1"])), "+OK\r\n+PONG\r\n");
}

/// What is skipped must be well-formed, too: otherwise nobody knows where the next request begins.
#[test]
fn a_broken_request_ends_the_connection_while_it_is_passed_over() {
    for (rest, error) in [
        (b"xx".as_slice(), "-ERR Protocol error: expected CR LF after a bulk string\r\n"),
        (b"\r\n:3\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"),
        (b"\r\n$-3\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        (b"\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
    ] {
        let mut stage = Stage::new(redis());
        stage.receive(b"*2\r\n$16777217\r\n");
        stage.receive(&vec![b'v'; (16 << 20) + 1]);
        stage.receive(rest);
        stage.settle();
        assert_eq!(stage.pumped, Pumped::Over);
        assert_eq!(String::from_utf8(stage.output.take()).unwrap(), error);
    }
}
