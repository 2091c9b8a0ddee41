//! `POST /txn`: commands that are executed together, as a JSON object says.

use std::num::NonZeroU64;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::fault::Fault;
use super::fields::{self, Fields};
use super::json::Object;
use super::lasting::{self, LASTS_HINT};
use super::listing::print_stored;
use super::media_type::is_media_type;
use super::respond::ResponseHead;
use crate::command::{self, Condition, MAX_CHOICE_PARTS, MAX_KEY_BYTES, Test};
use crate::{Description, Life, Reply, Tag};

/// The longest body: parsing it takes a front-end thread some milliseconds.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Values that a reply holds at most, since each is copied into it. Further ones are left out.
const MAX_REPLY_BYTES: usize = 16 << 20;

pub(super) const HINT: &str = "send {\"compare\":[{\"key\":\"a\",\"value\":\"1\"}],\"then\":[{\"put\":{\"key\":\"a\",\
                               \"value\":\"2\"}}],\"else\":[{\"get\":{\"key\":\"a\"}}]}";

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    compare: Vec<Fields<Compare>>,
    #[serde(default)]
    then: Vec<Operation>,
    #[serde(default, rename = "else")]
    otherwise: Vec<Operation>,
}

/// What a key must hold: exactly one of version, value, before, after and exists.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compare {
    key: Option<String>,
    key_base64: Option<String>,
    version: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    before: Option<String>,
    before_base64: Option<String>,
    after: Option<String>,
    after_base64: Option<String>,
    exists: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Operation {
    Put(Fields<Put>),
    Get(Fields<OneKey>),
    Delete(Fields<OneKey>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    content_type: Option<String>,
    ttl: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneKey {
    key: Option<String>,
    key_base64: Option<String>,
}

/// What is wrong with a transaction, and what to do.
type Wrong = (String, &'static str);

/// Turns a body into a command of a user, unless it is nobody's. If that carries the time, it has room for it at its beginning.
pub(super) fn encode(body: &[u8], user: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Timed, Fault> {
    let body: Body = fields::read(body)
        .map_err(|error| Fault::bad_request(format!("the body is no transaction: {error}"), HINT))?;
    let parts = body.compare.len() + body.then.len() + body.otherwise.len();
    if parts > MAX_CHOICE_PARTS {
        let message =
            format!("the transaction has {parts} comparisons and operations, of {MAX_CHOICE_PARTS} at most");
        return Err(Fault::new(
            413,
            "too_large",
            message,
            "split it; parts that need not be atomic can go alone",
        ));
    }
    let mut timed = Timed::No;
    let keys: Vec<Vec<u8>> =
        each("compare", &body.compare, |compare| key(&compare.key, &compare.key_base64))?;
    let values = each("compare", &body.compare, |compare| Compared::of(compare))?;
    let mut tests = Vec::with_capacity(keys.len());
    for (number, ((compare, key), value)) in body.compare.iter().zip(&keys).zip(&values).enumerate() {
        let test = test(compare, value).map_err(|wrong| at("compare", number, wrong))?;
        tests.push((key.as_slice(), test));
    }
    let then = each("then", &body.then, |operation| encode_operation(operation, &mut timed))?;
    let otherwise = each("else", &body.otherwise, |operation| encode_operation(operation, &mut timed))?;
    if timed == Timed::Yes {
        command::encode_time(out, 0);
    }
    if let Some(user) = user {
        command::encode_by(out, user, std::iter::empty());
    }
    let then = then.iter().map(Vec::as_slice);
    command::encode_choice(out, tests.into_iter(), then, otherwise.iter().map(Vec::as_slice));
    Ok(timed)
}

/// Whether a command carries the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timed {
    Yes,
    No,
}

/// Turns each element of a list into something; what is wrong with one is told with its place.
fn each<T, U>(
    list: &str,
    elements: &[T],
    mut turn: impl FnMut(&T) -> Result<U, Wrong>,
) -> Result<Vec<U>, Fault> {
    let turned = elements.iter().enumerate();
    turned.map(|(number, element)| turn(element).map_err(|wrong| at(list, number, wrong))).collect()
}

fn at(list: &str, number: usize, (what, hint): Wrong) -> Fault {
    Fault::bad_request(format!("{list}[{number}]: {what}"), hint)
}

/// The values that a key's is compared with.
struct Compared {
    value: Option<Vec<u8>>,
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
}

impl Compared {
    fn of(compare: &Compare) -> Result<Compared, Wrong> {
        Ok(Compared {
            value: bytes(&compare.value, &compare.value_base64)?,
            before: bytes(&compare.before, &compare.before_base64)?,
            after: bytes(&compare.after, &compare.after_base64)?,
        })
    }

    /// The test of a value; `None` if there is not exactly one.
    fn test(&self) -> Option<Test<'_>> {
        match (&self.value, &self.before, &self.after) {
            (Some(value), None, None) => Some(Test::Value(value)),
            (None, Some(value), None) => Some(Test::Before(value)),
            (None, None, Some(value)) => Some(Test::After(value)),
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.value.is_none() && self.before.is_none() && self.after.is_none()
    }
}

fn test<'v>(compare: &Compare, values: &'v Compared) -> Result<Test<'v>, Wrong> {
    let value = if values.is_empty() { None } else { Some(values.test()) };
    match (&compare.version, value, compare.exists) {
        (Some(version), None, None) => {
            let tag = version.trim_matches('"').parse::<Tag>();
            let tag = tag.map_err(|_| {
                let hint =
                    "write a version as replies do, such as 9f86d081884c7d65-12; ETag has it in quotes";
                (format!("{version:?} is no version"), hint)
            })?;
            Ok(Test::Condition(Condition::IfAnyTag(vec![tag])))
        }
        (None, Some(Some(test)), None) => Ok(test),
        (None, None, Some(true)) => Ok(Test::Condition(Condition::IfPresent)),
        (None, None, Some(false)) => Ok(Test::Condition(Condition::IfAbsent)),
        _ => {
            let hint = "give exactly one of \"version\", \"value\", \"before\", \"after\" (or these with _base64) and \
                        \"exists\"";
            Err(("it compares with nothing, or with several things".into(), hint))
        }
    }
}

fn encode_operation(operation: &Operation, timed: &mut Timed) -> Result<Vec<u8>, Wrong> {
    let mut out = Vec::new();
    match operation {
        Operation::Put(put) => encode_put(put, timed, &mut out)?,
        Operation::Get(get) => command::encode_look(&mut out, &key(&get.key, &get.key_base64)?),
        Operation::Delete(delete) => {
            let key = key(&delete.key, &delete.key_base64)?;
            command::encode_delete(&mut out, std::iter::once(key.as_slice()), &Condition::Always);
        }
    }
    Ok(out)
}

fn encode_put(put: &Put, timed: &mut Timed, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let key = key(&put.key, &put.key_base64)?;
    let value = bytes(&put.value, &put.value_base64)?;
    let value = value
        .ok_or(("the put has no value".into(), "give \"value\" or \"value_base64\", \"\" if it is empty"))?;
    let content_type = put.content_type.as_deref().unwrap_or_default().as_bytes();
    let description = Description { content_type, content_encoding: b"" };
    if !content_type.is_empty() && !is_media_type(content_type) || !description.is_valid() {
        let hint = "send one such as text/plain; charset=utf-8, or leave it out";
        return Err(("the content type is not a media type of at most 256 bytes".into(), hint));
    }
    if let Some(ttl) = &put.ttl {
        let lasts: Option<NonZeroU64> = lasting::parse(ttl);
        let lasts = lasts.ok_or_else(|| (format!("{ttl:?} is no time to live"), LASTS_HINT))?;
        command::encode_lasting(out, lasts);
        *timed = Timed::Yes;
    }
    command::encode_put_head(out, &key, &Condition::Always, false, description);
    out.extend_from_slice(&value);
    Ok(())
}

fn key(text: &Option<String>, base64: &Option<String>) -> Result<Vec<u8>, Wrong> {
    let key = bytes(text, base64)?.ok_or(("it names no key".into(), "give \"key\" or \"key_base64\""))?;
    if key.len() > MAX_KEY_BYTES {
        let what = format!("the key is longer than {MAX_KEY_BYTES} bytes: it has {}", key.len());
        return Err((what, "put the data into the value, which may be longer"));
    }
    Ok(key)
}

/// A value is shorter than the longest one, since the body is.
fn bytes(text: &Option<String>, base64: &Option<String>) -> Result<Option<Vec<u8>>, Wrong> {
    match (text, base64) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(encoded)) => {
            let hint = "encode it with the alphabet of RFC 4648, section 4, with padding; or send text without base64";
            STANDARD.decode(encoded).map(Some).map_err(|error| (format!("invalid base64: {error}"), hint))
        }
        (Some(_), Some(_)) => {
            Err(("the same is given as text and in base64".into(), "leave one of the two out"))
        }
    }
}

impl Fault {
    pub(super) fn transaction_too_large() -> Fault {
        let message = format!("the body is longer than {MAX_BYTES} bytes (1 MiB)");
        Fault::new(
            413,
            "too_large",
            message,
            "split the transaction, or PUT long values to keys of their own first",
        )
    }
}

/// Prints what has become of a transaction at this position.
pub(super) fn print(
    hold: bool,
    replies: &[Reply],
    position: u64,
    life: Option<Life>,
    head: ResponseHead<'_>,
) {
    let mut body = Vec::new();
    let mut object = Object::begin(&mut body);
    object.number("position", position);
    object.flag("succeeded", hold);
    object.objects("results", replies, |reply, result| {
        // The brace that begins it is printed.
        let has_room = result.printed() <= MAX_REPLY_BYTES;
        print_result(reply, life, has_room, result);
    });
    object.end();
    body.push(b'\n');
    head.number("Niagara-Position", position).end_with("application/json", &body);
}

fn print_result(reply: &Reply, life: Option<Life>, has_room: bool, result: &mut Object<'_>) {
    match reply {
        Reply::Stored { version, created, .. } => {
            let mut put = Object::begin(result.member("put"));
            if let Some(life) = life {
                put.text("version", &Tag { life, version: *version }.to_string());
            }
            put.flag("created", *created);
            put.end();
        }
        Reply::Entry(stored) => {
            let mut get = Object::begin(result.member("get"));
            get.flag("exists", stored.is_some());
            if let Some(stored) = stored {
                print_stored(&mut get, stored, life, has_room);
                if !has_room {
                    get.flag("omitted", true);
                }
            }
            get.end();
        }
        Reply::Deleted { removed } => {
            let mut delete = Object::begin(result.member("delete"));
            delete.flag("existed", *removed > 0);
            delete.end();
        }
        other => panic!("no part of a transaction is answered with {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::{Command, decode};

    fn fault(body: &str) -> (u16, String) {
        let fault = encode(body.as_bytes(), None, &mut Vec::new()).expect_err(body);
        (fault.status, fault.message.into_owned())
    }

    #[test]
    fn a_body_is_one_command() {
        let body = r#"{"compare": [{"key": "a", "version": "\"000000000000feed-3.1\""}, {"key_base64": "/w==", "exists": false},
            {"key": "b", "value": ""}, {"key": "b", "before": "7"}, {"key": "b", "after_base64": "/w=="}], "then": [{"put": {"key": "a", "value_base64": "/wA=", "content_type": "text/plain"}},
            {"put": {"key": "t", "value": "x", "ttl": "1500ms"}}, {"delete": {"key": "b"}}], "else": [{"get": {"key": "a"}}]}"#;
        let mut bytes = Vec::new();
        assert_eq!(encode(body.as_bytes(), None, &mut bytes).ok(), Some(Timed::Yes));
        let Ok(Command::Timed { command, .. }) = decode(&bytes) else { panic!("{bytes:?}") };
        let Ok(Command::Choice(choice)) = decode(command) else { panic!("{command:?}") };
        let tests: Vec<_> = choice.tests().collect();
        assert_eq!(tests[1], (&b"\xff"[..], Test::Condition(Condition::IfAbsent)));
        assert_eq!(tests[2], (&b"b"[..], Test::Value(b"")));
        assert_eq!(tests[3..], [(&b"b"[..], Test::Before(b"7")), (&b"b"[..], Test::After(b"\xff"))]);
        let then: Vec<_> = choice.commands(true).collect();
        assert!(matches!(then[0], Command::Set { key: b"a", value: b"\xff\0", lasts: None, .. }), "{then:?}");
        assert!(
            matches!(then[1], Command::Set { lasts: Some(lasts), .. } if lasts.get() == 1500),
            "{then:?}"
        );
        assert_eq!(choice.commands(false).collect::<Vec<_>>(), [Command::Look { key: b"a" }]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (body, said) in [
            ("", "the body is no transaction: EOF"),
            ("[1]", "the body is no transaction: invalid"),
            (r#"{"comapre":[]}"#, "unknown field `comapre`, expected one of `compare`, `then`, `else`"),
            (
                r#"{"then":[{"incr":{"key":"a"}}]}"#,
                "unknown variant `incr`, expected one of `put`, `get`, `delete`",
            ),
            (r#"{"then":[{"get":{"key":"a"}},{"get":{}}]}"#, "then[1]: it names no key"),
            (r#"{"else":[{"put":{"key":"a"}}]}"#, "else[0]: the put has no value"),
            (r#"{"then":[{"put":{"key":"a","value":"","ttl":"0"}}]}"#, "then[0]: \"0\" is no time to live"),
            (
                r#"{"then":[{"put":{"key":"a","value":"","content_type":"text"}}]}"#,
                "then[0]: the content type",
            ),
            (r#"{"compare":[{"key":"a"}]}"#, "compare[0]: it compares with nothing"),
            (r#"{"compare":[{"key":"a","value":"","exists":true}]}"#, "or with several things"),
            (r#"{"compare":[{"key":"a","before":"1","after":"0"}]}"#, "or with several things"),
            (r#"{"compare":[{"key":"a","version":"7"}]}"#, "compare[0]: \"7\" is no version"),
            (r#"{"compare":[{"key":"a","key_base64":"YQ==","exists":true}]}"#, "as text and in base64"),
            (r#"{"compare":[{"key_base64":"*","exists":true}]}"#, "compare[0]: invalid base64"),
        ] {
            let (status, message) = fault(body);
            assert!(status == 400 && message.contains(said), "{body}: {message}");
        }
        let long = format!(r#"{{"then":[{{"get":{{"key":"{}"}}}}]}}"#, "k".repeat(MAX_KEY_BYTES + 1));
        assert!(fault(&long).1.contains("then[0]: the key is longer"));
        let get = r#"{"get":{"key":"a"}}"#;
        let many = |count| format!(r#"{{"then":[{}]}}"#, vec![get; count].join(","));
        assert_eq!(fault(&many(MAX_CHOICE_PARTS + 1)).0, 413);
        assert!(encode(many(MAX_CHOICE_PARTS).as_bytes(), None, &mut Vec::new()).is_ok());
    }

    #[test]
    fn a_long_reply_leaves_values_out() {
        let value = bytes::Bytes::from(vec![b'v'; MAX_REPLY_BYTES]);
        let version = crate::Version { position: 1, further: 0 };
        let stored = crate::StoredValue::new(value, version, crate::attributes::Attributes::default());
        let mut out = Vec::new();
        let mut result = Object::begin(&mut out);
        print_result(&Reply::Entry(Some(stored)), None, false, &mut result);
        result.end();
        assert_eq!(out, br#"{"get":{"exists":true,"bytes":16777216,"omitted":true}}"#);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in "[{}\\[\\]\",:a-z0-9]{0,60}") {
            let _ = encode(body.as_bytes(), None, &mut Vec::new());
        }
    }
}
