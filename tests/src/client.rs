//! A client of one server that says how each of its requests ended, whichever protocol it speaks.

use std::fmt;
use std::io;

use crate::{Endpoint, Http, Resp, Response, Value};

/// How a request ended, as its client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It has been executed, with this result.
    Done(T),
    /// It has not been executed and never will be.
    Refused,
    /// Nobody knows; it may even be executed later.
    Unknown,
}

/// A client of one server.
pub enum Client {
    /// Over HTTP.
    Http(Http),
    /// Over the Redis protocol.
    Redis(Resp),
}

impl Client {
    /// A client of each protocol.
    pub fn both(endpoint: &Endpoint) -> [Client; 2] {
        [Client::Http(endpoint.http()), Client::Redis(endpoint.redis())]
    }

    /// Sets a key.
    ///
    /// # Panics
    /// When the server answers what it must not answer, here and below.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Answer<()> {
        match self {
            Client::Http(http) => http_answer(http.put(key, value), |response| match response.status {
                200 | 201 | 204 => Some(()),
                _ => None,
            }),
            Client::Redis(redis) => {
                redis_answer(redis.command(&[b"SET", key.as_bytes(), value]), |value| match value {
                    Value::Simple(word) if word == "OK" => Some(()),
                    _ => None,
                })
            }
        }
    }

    /// Reads a key with a strong read.
    pub fn get(&mut self, key: &str) -> Answer<Option<Vec<u8>>> {
        match self {
            Client::Http(http) => http_answer(http.get(key, "strong"), |response| match response.status {
                200 => Some(Some(response.body)),
                404 => Some(None),
                _ => None,
            }),
            Client::Redis(redis) => redis_answer(redis.command(&["GET", key]), |value| match value {
                Value::Bulk(bytes) => Some(Some(bytes)),
                Value::Null => Some(None),
                _ => None,
            }),
        }
    }

    /// Adds one to the number that a key holds, and gives the sum.
    ///
    /// # Panics
    /// Over HTTP too: it has no such request.
    pub fn increment(&mut self, key: &str) -> Answer<i64> {
        let Client::Redis(redis) = self else { panic!("increments go over the Redis protocol") };
        redis_answer(redis.command(&["INCR", key]), |value| match value {
            Value::Integer(sum) => Some(sum),
            _ => None,
        })
    }
}

/// 503, 507 and 429 say that a request was not executed; 504 that nobody knows.
fn http_answer<T>(answer: io::Result<Response>, done: impl FnOnce(Response) -> Option<T>) -> Answer<T> {
    match answer {
        Ok(response) => match response.status {
            429 | 503 | 507 => Answer::Refused,
            504 => Answer::Unknown,
            _ => expected(response, done),
        },
        Err(error) => no_answer(&error),
    }
}

/// The first word of an error says the same.
fn redis_answer<T>(answer: io::Result<Value>, done: impl FnOnce(Value) -> Option<T>) -> Answer<T> {
    match answer {
        Ok(Value::Error(text)) => match text.split(' ').next() {
            Some("OVERLOADED" | "NOQUORUM" | "READONLY" | "LOADING") => Answer::Refused,
            Some("UNKNOWN") => Answer::Unknown,
            _ => panic!("the server answered -{text}"),
        },
        Ok(value) => expected(value, done),
        Err(error) => no_answer(&error),
    }
}

fn expected<A: Clone + fmt::Debug, T>(answer: A, done: impl FnOnce(A) -> Option<T>) -> Answer<T> {
    match done(answer.clone()) {
        Some(result) => Answer::Done(result),
        None => panic!("the server answered {answer:?}"),
    }
}

fn no_answer<T>(error: &io::Error) -> Answer<T> {
    match error.kind() {
        // Nobody listens, so nobody has read the request.
        io::ErrorKind::ConnectionRefused => Answer::Refused,
        io::ErrorKind::InvalidData => panic!("the server does not speak its protocol: {error}"),
        _ => Answer::Unknown,
    }
}
