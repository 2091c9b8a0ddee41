//! The lists of entity tags in If-Match and If-None-Match (RFC 9110, section 13.1).

use crate::Version;
use crate::command::MAX_CONDITION_VERSIONS;

/// What a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// `*`: whatever version there is.
    Any,
    /// These versions. Tags that this server never gave out are left out, since they name nothing.
    Versions(Vec<Version>),
}

/// How tags that are marked as weak, `W/"5"`, compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// They equal nothing: for If-Match.
    Strong,
    /// The mark is passed over: for If-None-Match.
    Weak,
}

impl Tags {
    /// Whether one of the tags names the version, if there is one.
    pub(super) fn name(&self, current: Option<Version>) -> bool {
        match self {
            Tags::Any => current.is_some(),
            Tags::Versions(versions) => current.is_some_and(|current| versions.contains(&current)),
        }
    }

    /// Reads a list; `None` if it is malformed or longer than a condition may be.
    pub(super) fn parse(text: &[u8], comparison: Comparison) -> Option<Tags> {
        let mut rest = text.trim_ascii();
        if rest == b"*" {
            return Some(Tags::Any);
        }
        let mut versions = Vec::new();
        loop {
            let weak = rest.strip_prefix(b"W/");
            let opaque = weak.unwrap_or(rest).strip_prefix(b"\"")?;
            let end = opaque.iter().position(|byte| *byte == b'"')?;
            let version =
                std::str::from_utf8(&opaque[..end]).ok().and_then(|text| text.parse::<Version>().ok());
            if weak.is_none() || comparison == Comparison::Weak {
                versions.extend(version);
            }
            rest = opaque[end + 1..].trim_ascii_start();
            if rest.is_empty() {
                return (versions.len() <= MAX_CONDITION_VERSIONS).then_some(Tags::Versions(versions));
            }
            rest = rest.strip_prefix(b",")?.trim_ascii_start();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn versions(text: &str, comparison: Comparison) -> Option<Vec<String>> {
        match Tags::parse(text.as_bytes(), comparison)? {
            Tags::Any => Some(vec!["*".into()]),
            Tags::Versions(versions) => Some(versions.iter().map(Version::to_string).collect()),
        }
    }

    #[test]
    fn lists_are_read_by_their_comparison() {
        let list = r#" "5" , W/"6","7.2" ,"someone else's, with a comma" "#;
        assert_eq!(versions(list, Comparison::Strong), Some(vec!["5".into(), "7.2".into()]));
        assert_eq!(versions(list, Comparison::Weak), Some(vec!["5".into(), "6".into(), "7.2".into()]));
        assert_eq!(versions(" * ", Comparison::Strong), Some(vec!["*".into()]));
        for malformed in ["", "5", "\"5", "\"5\"\"6\"", "\"5\",", "w/\"5\"", "*, \"5\""] {
            assert_eq!(versions(malformed, Comparison::Strong), None, "{malformed}");
        }
        assert_eq!(versions(&vec!["\"1\""; MAX_CONDITION_VERSIONS + 1].join(","), Comparison::Strong), None);
    }

    #[test]
    fn nothing_names_an_absent_key() {
        let five = Version { position: 5, further: 0 };
        assert!(Tags::Any.name(Some(five)) && !Tags::Any.name(None));
        let tags = Tags::Versions(vec![five]);
        assert!(tags.name(Some(five)) && !tags.name(None));
        assert!(!tags.name(Some(Version { position: 5, further: 1 })));
    }

    proptest! {
        #[test]
        fn random_text_does_no_harm(text in "[W/\"*, 0-9.]{0,30}") {
            let _ = Tags::parse(text.as_bytes(), Comparison::Weak);
        }
    }
}
