//! `GET /kv`: the keys with a prefix, page by page.

use super::fault::Fault;
use super::json::Object;
use super::parameters::{self, Freshness, number, parameters};
use super::respond::ResponseHead;
use crate::{Cursor, Life, ListPage, Listed, StoredValue, Tag};

/// What a request for a page asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListRequest {
    pub(super) prefix: Vec<u8>,
    limit: usize,
    pub(super) after: Cursor,
    with_values: bool,
    pub(super) freshness: Freshness,
}

/// The most keys on a page, and how many there are unless the client asks for another number.
const MOST_KEYS: usize = 1000;
const KEYS: usize = 100;

impl ListRequest {
    pub(super) fn parse(query: Option<&str>) -> Result<ListRequest, Fault> {
        let mut request = ListRequest {
            prefix: Vec::new(),
            limit: KEYS,
            after: Cursor::START,
            with_values: false,
            freshness: Freshness::STRONG,
        };
        for (name, value) in parameters(query) {
            let bad = || bad_parameter(name, value);
            match name {
                "prefix" => request.prefix = parameters::key(value)?,
                "limit" => {
                    let limit = number(value).filter(|limit| (1..=MOST_KEYS).contains(limit));
                    request.limit = limit.ok_or_else(bad)?;
                }
                "after" => {
                    let cursor = number(value).map(Cursor).filter(|cursor| *cursor <= Cursor::MAX);
                    request.after = cursor.ok_or_else(bad)?;
                }
                "values" => request.with_values = value.parse().map_err(|_| bad())?,
                "read" => request.freshness = Freshness::parse(value).ok_or_else(bad)?,
                _ => return Err(bad()),
            }
        }
        Ok(request)
    }

    pub(super) fn listed(&self) -> Listed<'_> {
        Listed { prefix: &self.prefix, limit: self.limit, with_values: self.with_values }
    }

    /// Prints a page, of which everything up to position `applied` is part.
    pub(super) fn print(&self, page: &ListPage, applied: u64, life: Option<Life>, head: ResponseHead<'_>) {
        let mut body = Vec::new();
        let mut object = Object::begin(&mut body);
        object.number("position", applied);
        object.objects("keys", &page.entries, |(key, stored), entry| {
            entry.bytes("key", key);
            print_stored(entry, stored, life, self.with_values);
        });
        if page.next != Cursor::START {
            object.text("next", &page.next.0.to_string());
        }
        object.end();
        body.push(b'\n');
        head.number("Niagara-Position", applied).no_cache().end_with("application/json", &body);
    }
}

/// Prints what is stored with a key.
pub(super) fn print_stored(
    entry: &mut Object<'_>,
    stored: &StoredValue,
    life: Option<Life>,
    with_value: bool,
) {
    if let Some(life) = life {
        entry.text("version", &Tag { life, version: stored.version() }.to_string());
    }
    entry.number("bytes", stored.value().len() as u64);
    if let Some(deadline) = stored.deadline() {
        entry.number("expires_at", deadline);
    }
    let description = stored.description();
    if !description.content_type.is_empty() {
        entry.bytes("content_type", description.content_type);
    }
    if !description.content_encoding.is_empty() {
        entry.bytes("content_encoding", description.content_encoding);
    }
    if with_value {
        entry.bytes("value", stored.value());
    }
}

fn bad_parameter(name: &str, value: &str) -> Fault {
    let message = format!("the parameter {name}={value:?} means nothing for a listing");
    let hint = "use ?prefix=, limit= up to 1000, after= with what `next` was, values=true, and read=, separated by &";
    Fault::bad_request(message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked() {
        let all = ListRequest::parse(Some("prefix=a%2Fb&limit=7&after=12&values=true&read=weak")).unwrap();
        let expected = ListRequest {
            prefix: b"a/b".to_vec(),
            limit: 7,
            after: Cursor(12),
            with_values: true,
            freshness: Freshness::parse("weak").unwrap(),
        };
        assert_eq!(all, expected);
        assert!(ListRequest::parse(None).unwrap().prefix.is_empty());
        for wrong in [
            "limit=0",
            "limit=1001",
            "limit=+1",
            "limit=",
            "after=-1",
            "after=9007199254740992",
            "values=1",
            "read=",
            "read=at-least:x",
            "prefix=%4",
            "perfix=a",
            "values",
        ] {
            let fault = ListRequest::parse(Some(wrong)).expect_err(wrong);
            assert_eq!((fault.status, fault.error), (400, "bad_request"), "{wrong}");
        }
    }
}
