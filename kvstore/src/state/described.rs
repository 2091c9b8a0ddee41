//! Descriptions as the map stores them: shared, since most values have the same one.

use std::sync::Arc;

use crate::Description;

/// A value's description in the map. An empty one takes no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Described(Option<Arc<Texts>>);

#[derive(Debug, PartialEq, Eq)]
struct Texts {
    content_type: Box<[u8]>,
    content_encoding: Box<[u8]>,
}

impl Described {
    pub(super) fn get(&self) -> Description<'_> {
        self.0.as_ref().map_or(Description::NONE, |texts| Description {
            content_type: &texts.content_type,
            content_encoding: &texts.content_encoding,
        })
    }
}

/// Makes descriptions, and shares the latest one with following values that have the same.
#[derive(Debug, Default)]
pub(super) struct Describer {
    latest: Described,
}

impl Describer {
    pub(super) fn describe(&mut self, description: Description<'_>) -> Described {
        if description.is_empty() {
            return Described::default();
        }
        if self.latest.get() != description {
            self.latest = Described(Some(Arc::new(Texts {
                content_type: description.content_type.into(),
                content_encoding: description.content_encoding.into(),
            })));
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
        assert_eq!(describer.describe(zipped).get(), zipped);
        assert_eq!(describer.describe(Description::NONE).get(), Description::NONE);
        assert_eq!((one.get(), describer.describe(json).get()), (json, json));
    }
}
