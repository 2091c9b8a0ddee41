//! Requests over HTTP, and the meaning of responses: from docs/http.md, and without any code of the server.

use std::fmt::Write as _;

use niagara_kvstore::{Life, Version};

use super::reads::{AT_LEAST, WEAK};
use super::{Call, Checks, Clients};
use crate::Response;
use crate::invariants::Broken;
use crate::linearizability::{Condition, Input, Output};
use crate::sim::request::{Request, Seen, fifo_key, name, number_of, once_key, version_of};
use crate::sim::sizes::{LENGTH_PART, number_in, text};

/// The bytes of a request. A client that knows any version also knows the life of the state.
pub(super) fn bytes_of(request: &Request, life: Option<Life>) -> Vec<u8> {
    let tag = |version| tag_of(life.expect("a version comes with the life"), version);
    let when = |condition: Condition| match condition {
        Condition::Always => None,
        Condition::IfAbsent => Some(("If-None-Match", "*".into())),
        Condition::IfPresent => Some(("If-Match", "*".into())),
        Condition::IfVersion(version) => Some(("If-Match", tag(version))),
    };
    match request {
        Request::Key { key, input: Input::Get } => without_body("GET", &kv(&name(*key)), None),
        Request::Key { key, input: Input::Set { value, condition } } => {
            put(&name(*key), when(*condition), &text(*value), Framing::of(value / LENGTH_PART))
        }
        Request::Key { key, input: Input::Delete { condition } } => {
            without_body("DELETE", &kv(&name(*key)), when(*condition))
        }
        Request::Refresh { key, seen } => {
            without_body("GET", &kv(&name(*key)), Some(("If-None-Match", tag(seen.version))))
        }
        Request::AtLeast { key, position } => {
            without_body("GET", &format!("{}?read=at-least:{position}", kv(&name(*key))), None)
        }
        Request::Weak { key } => without_body("GET", &format!("{}?read=weak", kv(&name(*key))), None),
        Request::Fifo { connection, number } => {
            put(&fifo_key(*connection), None, number.to_string().as_bytes(), Framing::of(*number))
        }
        Request::OwnWrite { connection, weak, .. } => {
            let query = if *weak { "?read=weak" } else { "" };
            without_body("GET", &format!("{}{query}", kv(&fifo_key(*connection))), None)
        }
        Request::Once(number) => {
            let key = once_key(*number);
            let headers = [("If-None-Match", "*".into()), ("Idempotency-Key", key.clone())];
            put(&key, headers, number.to_string().as_bytes(), Framing::of(*number))
        }
        Request::Health => without_body("GET", "/healthz", None),
        other => unreachable!("HTTP has no words for {other:?}"),
    }
}

fn kv(key: &str) -> String {
    // A colon may be escaped or not.
    format!("/kv/{}", key.replace(':', "%3A"))
}

type Header = (&'static str, String);

fn head_of(method: &str, target: &str, headers: impl IntoIterator<Item = Header>) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: simulated\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("strings grow");
    }
    head
}

fn without_body(method: &str, target: &str, header: Option<Header>) -> Vec<u8> {
    (head_of(method, target, header) + "\r\n").into_bytes()
}

/// How a PUT sends its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// With its length.
    Length,
    /// In two chunks.
    Chunks,
    /// With its length and `Expect: 100-continue`, but without waiting.
    Expected,
}

impl Framing {
    /// Each of them in turn.
    fn of(number: u64) -> Framing {
        [Framing::Length, Framing::Chunks, Framing::Expected][(number % 3) as usize]
    }
}

fn put(key: &str, headers: impl IntoIterator<Item = Header>, body: &[u8], framing: Framing) -> Vec<u8> {
    let head = head_of("PUT", &kv(key), headers);
    let length = format!("Content-Length: {}\r\n", body.len());
    match framing {
        Framing::Length => [format!("{head}{length}\r\n").as_bytes(), body].concat(),
        Framing::Expected => {
            [format!("{head}{length}Expect: 100-continue\r\n\r\n").as_bytes(), body].concat()
        }
        Framing::Chunks => {
            let mut bytes = (head + "Transfer-Encoding: chunked\r\n\r\n").into_bytes();
            let (first, second) = body.split_at(body.len() / 2);
            for chunk in [first, second].into_iter().filter(|chunk| !chunk.is_empty()) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            bytes
        }
    }
}

fn tag_of(life: Life, version: u64) -> String {
    let Version { position, further } = version_of(version);
    match further {
        0 => format!("\"{:016x}-{position}\"", life.get()),
        further => format!("\"{:016x}-{position}.{further}\"", life.get()),
    }
}

/// The life and the version in a tag.
fn parse_tag(tag: &str) -> Option<(Life, u64)> {
    let (life, version) = tag.strip_prefix('"')?.strip_suffix('"')?.split_once('-')?;
    let (position, further) = version.split_once('.').unwrap_or((version, "0"));
    let version = Version { position: position.parse().ok()?, further: further.parse().ok()? };
    Some((Life::new(u64::from_str_radix(life, 16).ok()?)?, number_of(version)))
}

impl Clients {
    /// A response to a client's oldest request has arrived.
    pub(super) fn end_http(
        &mut self,
        client: usize,
        call: &Call,
        response: &Response,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        checks.coverage.count("HTTP response");
        match response.status {
            413 => self.too_large(call, checks),
            429 | 503 | 507 => {
                checks.coverage.count("HTTP request refused");
                self.refuse(call, checks);
            }
            504 => {
                checks.coverage.count("HTTP outcome unknown");
                checks.coverage.count("outcome unknown");
            }
            _ => return self.end_served(client, call, response, checks),
        }
        Ok(())
    }

    /// The server has served the request, and names the position.
    fn end_served(
        &mut self,
        client: usize,
        call: &Call,
        response: &Response,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        let strange = || strange(call, response);
        if call.request == Request::Health {
            checks.coverage.count("page about a server read");
            return if response.status == 200 { Ok(()) } else { Err(strange()) };
        }
        let position = response.header("niagara-position").and_then(|position| position.parse().ok());
        let position: u64 = position.ok_or_else(strange)?;
        let version = self.version_in(response)?;
        match &call.request {
            Request::Fifo { .. } if matches!(response.status, 200 | 201) => {
                checks.fresh.acknowledged(position);
                self.acknowledge(client, call, checks)
            }
            Request::Once(number) => {
                checks.coverage.count("request executed once");
                if response.header("idempotency-replayed").is_some() {
                    checks.coverage.count("request told again what became of it");
                }
                checks.fresh.acknowledged(position);
                self.once.told(*number, response.status, position)
            }
            Request::Key { input: input @ (Input::Set { .. } | Input::Delete { .. }), .. } => {
                checks.fresh.acknowledged(position);
                self.position = self.position.max(position);
                self.end_http_write(client, call, input, (response, version), checks)
            }
            Request::Key { key, .. } | Request::Refresh { key, .. } => {
                let key = name(*key);
                let output =
                    self.end_http_read(client, (call, &key), (response, position, version), checks)?;
                self.end(client, call, output, checks)
            }
            Request::AtLeast { key, .. } | Request::Weak { key } => {
                let key = name(*key);
                self.end_http_read(client, (call, &key), (response, position, version), checks).map(|_| ())
            }
            Request::OwnWrite { connection, number, .. } => {
                checks.coverage.count("own write read in an HTTP pipeline");
                let key = fifo_key(*connection);
                let output =
                    self.end_http_read(client, (call, &key), (response, position, version), checks)?;
                let shown = match output {
                    Output::Found { value, .. } => value.cast_unsigned(),
                    _ => 0,
                };
                self.own_write_shown(client, &key, shown, *number)
            }
            _ => Err(strange()),
        }
    }

    fn end_http_write(
        &mut self,
        client: usize,
        call: &Call,
        input: &Input,
        (response, version): (&Response, Option<u64>),
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        let output = match (input, response.status) {
            (Input::Set { .. }, 200 | 201) => Output::Written { value: None, version },
            (Input::Delete { .. }, 200) => Output::Deleted { existed: true },
            (Input::Delete { condition: Condition::Always }, 404) => Output::Deleted { existed: false },
            // Nothing was done, and the client has learnt what a read would have shown.
            (Input::Delete { .. }, 404) => {
                checks.coverage.count("HTTP precondition failed");
                self.history.becomes_a_read(call.operation);
                Output::Absent
            }
            (Input::Set { condition, .. } | Input::Delete { condition }, 412) => {
                checks.coverage.count("HTTP precondition failed");
                if version.is_some_and(|version| *condition == Condition::IfVersion(version)) {
                    return Err(strange(call, response));
                }
                Output::ConditionFailed
            }
            _ => return Err(strange(call, response)),
        };
        self.end(client, call, output, checks)
    }

    /// Checks what a read has shown: it is of the right state, and of one that is fresh enough.
    fn end_http_read(
        &mut self,
        client: usize,
        (call, key): (&Call, &str),
        (response, position, version): (&Response, u64, Option<u64>),
        checks: &mut Checks<'_>,
    ) -> Result<Output, Broken> {
        let server = self.server_of(client);
        checks.fresh.answered(server, call.must_see(), position)?;
        checks.says_position(server, position)?;
        let since = position.max(call.must_see());
        match (&call.request, response.status) {
            (_, 404) => checks.shows_since(server, since, key, None)?,
            (_, 200) => checks.shows_since(server, since, key, Some((&response.body, version)))?,
            (Request::Refresh { seen, .. }, 304) if version == Some(seen.version) => {
                checks.coverage.count("HTTP value unchanged");
                let Seen { value, version } = *seen;
                return Ok(Output::Found { value, version: Some(version) });
            }
            _ => return Err(strange(call, response)),
        }
        match call.request {
            Request::AtLeast { .. } => checks.count_read(AT_LEAST),
            Request::Weak { .. } | Request::OwnWrite { weak: true, .. } => {
                checks.count_read(WEAK);
            }
            _ => {}
        }
        if response.status == 404 {
            return Ok(Output::Absent);
        }
        let value = number_in(&response.body).ok_or_else(|| strange(call, response))?;
        Ok(Output::Found { value, version })
    }

    /// The version in a response's tag, if it has one. A state has one life, whichever server answers.
    fn version_in(&mut self, response: &Response) -> Result<Option<u64>, Broken> {
        let Some(tag) = response.header("etag") else { return Ok(None) };
        let Some((life, version)) = parse_tag(tag) else {
            return Err(Broken::new("reply_is_readable", format!("a tag of {tag}")));
        };
        let known = *self.life.get_or_insert(life);
        if known != life {
            let what = format!("the state's life is {known}, and a response has the tag {tag}");
            return Err(Broken::new("one_life", what));
        }
        Ok(Some(version))
    }
}

fn strange(call: &Call, response: &Response) -> Broken {
    let Response { status, headers, .. } = response;
    let body = response.text();
    let what = format!("{:?} is answered by {status} {headers:?} {body}", call.request);
    Broken::new("reply_fits_request", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_they_are_written() {
        let life = Life::new(0xfeed).expect("not 0");
        for version in [Version { position: 7, further: 0 }, Version { position: 7, further: 2 }] {
            let number = number_of(version);
            assert_eq!(parse_tag(&tag_of(life, number)), Some((life, number)));
        }
        assert_eq!(tag_of(life, 7 << 16 | 2), "\"000000000000feed-7.2\"");
        assert_eq!(parse_tag("W/\"000000000000feed-7\""), None);
    }

    #[test]
    fn bodies_come_whole_or_in_chunks() {
        let put = |framing| String::from_utf8(put("a:b", None, b"12345", framing)).expect("text");
        let whole = put(Framing::Length);
        assert!(whole.starts_with("PUT /kv/a%3Ab HTTP/1.1\r\n") && whole.ends_with("5\r\n\r\n12345"));
        assert!(put(Framing::Chunks).ends_with("\r\n\r\n2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"));
        assert!(put(Framing::Expected).ends_with("100-continue\r\n\r\n12345"));
    }
}
