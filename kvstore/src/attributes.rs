//! What few values have beside key and value: HTTP headers, and a deadline.

use std::sync::Arc;

use crate::Description;

/// Attributes of a value. Those of equal HTTP headers may share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    headers: Option<Arc<Headers>>,
    /// In milliseconds since 1970; 0 for none.
    deadline: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Headers {
    content_type: Box<[u8]>,
    content_encoding: Box<[u8]>,
}

impl Attributes {
    fn described(description: Description<'_>) -> Attributes {
        let headers = Headers {
            content_type: description.content_type.into(),
            content_encoding: description.content_encoding.into(),
        };
        Attributes { headers: Some(Arc::new(headers)), deadline: 0 }
    }

    /// Those of a value without HTTP headers that expires then, in milliseconds since 1970.
    pub(crate) fn expiring(deadline: Option<u64>) -> Attributes {
        Attributes { headers: None, deadline: deadline.unwrap_or(0) }
    }

    /// The value's HTTP headers.
    pub(crate) fn description(&self) -> Description<'_> {
        self.headers.as_ref().map_or(Description::NONE, |headers| Description {
            content_type: &headers.content_type,
            content_encoding: &headers.content_encoding,
        })
    }

    /// When the value expires, in milliseconds since 1970.
    pub(crate) fn deadline(&self) -> Option<u64> {
        Some(self.deadline).filter(|deadline| *deadline != 0)
    }

    /// The same, with another deadline.
    pub(crate) fn with_deadline(&self, deadline: Option<u64>) -> Attributes {
        Attributes { deadline: deadline.unwrap_or(0), ..self.clone() }
    }
}

/// Makes attributes of HTTP headers, and shares the latest ones with following values that have the same.
#[derive(Debug, Default)]
pub(crate) struct Describer {
    latest: Attributes,
}

impl Describer {
    pub(crate) fn describe(&mut self, description: Description<'_>) -> Attributes {
        if description.is_empty() {
            return Attributes::default();
        }
        if self.latest.description() != description {
            self.latest = Attributes::described(description);
        }
        self.latest.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_described_alike_share_it() {
        let json = Description { content_type: b"application/json", content_encoding: b"" };
        let zipped = Description { content_encoding: b"gzip", ..json };
        let mut describer = Describer::default();
        let [one, two] = [json, json].map(|description| describer.describe(description));
        assert!(Arc::ptr_eq(one.headers.as_ref().unwrap(), two.headers.as_ref().unwrap()));
        assert_eq!(describer.describe(zipped).description(), zipped);
        assert_eq!(describer.describe(Description::NONE).description(), Description::NONE);
        assert_eq!((one.description(), describer.describe(json).description()), (json, json));
    }

    #[test]
    fn a_deadline_comes_and_goes_and_leaves_the_headers() {
        let json = Description { content_type: b"application/json", content_encoding: b"" };
        let plain = Describer::default().describe(json);
        let expiring = plain.with_deadline(Some(7));
        assert_eq!((expiring.deadline(), expiring.description()), (Some(7), json));
        let lasting = expiring.with_deadline(None);
        assert_eq!((lasting.deadline(), lasting.description()), (None, json));
        let [shared, too] = [plain, expiring].map(|attributes| attributes.headers.unwrap());
        assert!(Arc::ptr_eq(&shared, &too), "the headers are still shared");
    }
}
