//! What few values have beside key and value: HTTP headers, and a deadline.

use std::sync::Arc;

use crate::Description;

/// Attributes of a value in the map. Without any, they take no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Option<Arc<Extra>>);

#[derive(Debug, PartialEq, Eq)]
struct Extra {
    content_type: Box<[u8]>,
    content_encoding: Box<[u8]>,
    /// In milliseconds since 1970; 0 for none.
    deadline: u64,
}

impl Attributes {
    fn new(description: Description<'_>, deadline: Option<u64>) -> Attributes {
        if description.is_empty() && deadline.is_none() {
            return Attributes::default();
        }
        Attributes(Some(Arc::new(Extra {
            content_type: description.content_type.into(),
            content_encoding: description.content_encoding.into(),
            deadline: deadline.unwrap_or(0),
        })))
    }

    /// Those of a value without HTTP headers that expires then, in milliseconds since 1970.
    pub(crate) fn expiring(deadline: Option<u64>) -> Attributes {
        Attributes::new(Description::NONE, deadline)
    }

    /// The value's HTTP headers.
    pub(crate) fn description(&self) -> Description<'_> {
        self.0.as_ref().map_or(Description::NONE, |extra| Description {
            content_type: &extra.content_type,
            content_encoding: &extra.content_encoding,
        })
    }

    /// When the value expires, in milliseconds since 1970.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.0.as_ref().map(|extra| extra.deadline).filter(|deadline| *deadline != 0)
    }

    /// The same, with another deadline.
    pub(crate) fn with_deadline(&self, deadline: Option<u64>) -> Attributes {
        if self.deadline() == deadline {
            return self.clone();
        }
        Attributes::new(self.description(), deadline)
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
            self.latest = Attributes::new(description, None);
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
        assert!(Arc::ptr_eq(one.0.as_ref().unwrap(), two.0.as_ref().unwrap()));
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
        assert!(Attributes::expiring(Some(7)).with_deadline(None).0.is_none(), "nothing costs nothing");
    }
}
