//! The lists of entity tags in If-Match and If-None-Match (RFC 9110, section 13.1).

use super::list::trim;
use crate::Tag;
use crate::command::MAX_CONDITION_VERSIONS;

/// What a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// `*`: any representation.
    Any,
    /// These tags. Tags that no server issues are left out, since they match nothing.
    Listed(Vec<Tag>),
}

/// What a resource has when its conditions are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Current {
    /// No representation.
    Absent,
    /// One without a tag.
    Untagged,
    /// One with this tag.
    Tagged(Tag),
}

/// How tags marked as weak, `W/"5"`, compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// They match nothing: for If-Match.
    Strong,
    /// The mark is ignored: for If-None-Match.
    Weak,
}

impl Tags {
    /// Whether they match what the resource has.
    pub(super) fn name(&self, current: Current) -> bool {
        match (self, current) {
            (_, Current::Absent) | (Tags::Listed(_), Current::Untagged) => false,
            (Tags::Any, _) => true,
            (Tags::Listed(tags), Current::Tagged(current)) => tags.contains(&current),
        }
    }

    /// Parses a list; `None` if it is malformed or longer than a condition may be. Elements may be empty.
    pub(super) fn parse(text: &[u8], comparison: Comparison) -> Option<Tags> {
        let mut rest = trim(text);
        if rest == b"*" {
            return Some(Tags::Any);
        }
        let mut tags = Vec::new();
        while !rest.is_empty() {
            if let Some(behind) = rest.strip_prefix(b",") {
                rest = trim(behind);
                continue;
            }
            let weak = rest.strip_prefix(b"W/");
            let opaque = weak.unwrap_or(rest).strip_prefix(b"\"")?;
            let end = opaque.iter().position(|byte| *byte == b'"')?;
            let tag = std::str::from_utf8(&opaque[..end]).ok().and_then(|text| text.parse::<Tag>().ok());
            if weak.is_none() || comparison == Comparison::Weak {
                tags.extend(tag);
            }
            rest = trim(&opaque[end + 1..]);
            if !rest.is_empty() && !rest.starts_with(b",") {
                return None;
            }
        }
        (tags.len() <= MAX_CONDITION_VERSIONS).then_some(Tags::Listed(tags))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(text: &str, comparison: Comparison) -> Option<Vec<String>> {
        match Tags::parse(text.as_bytes(), comparison)? {
            Tags::Any => Some(vec!["*".into()]),
            Tags::Listed(tags) => Some(tags.iter().map(|tag| tag.to_string()[15..].to_owned()).collect()),
        }
    }

    /// Tags of life 1: `#5` stands for `"0000000000000001-5"`.
    fn expand(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('#') {
            let end = behind.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(behind.len());
            out.push_str(&format!("{before}\"0000000000000001-{}\"", &behind[..end]));
            rest = &behind[end..];
        }
        out + rest
    }

    #[test]
    fn lists_are_read_by_their_comparison() {
        let list = expand(r#" #5 , W/#6,#7.2 ,"someone else's, with a comma" "#);
        assert_eq!(tags(&list, Comparison::Strong), Some(vec!["1-5".into(), "1-7.2".into()]));
        assert_eq!(tags(&list, Comparison::Weak), Some(vec!["1-5".into(), "1-6".into(), "1-7.2".into()]));
        assert_eq!(tags(" * ", Comparison::Strong), Some(vec!["*".into()]));
        for malformed in [
            "5",
            "\"5",
            "\"5\"\"6\"",
            "\"5\" \"6\"",
            "w/\"5\"",
            "W/5",
            "*, \"5\"",
            "*,",
            "*, *",
            "\"5\" x",
            "W/ \"5\"",
        ] {
            assert_eq!(tags(malformed, Comparison::Strong), None, "{malformed}");
        }
        let most = vec![expand("#1"); MAX_CONDITION_VERSIONS];
        assert_eq!(tags(&most.join(","), Comparison::Strong).map(|tags| tags.len()), Some(most.len()));
        assert_eq!(tags(&(most.join(",") + "," + &most[0]), Comparison::Strong), None);
    }

    #[test]
    fn empty_elements_are_passed_over() {
        for list in ["#5,", ",#5", ", ,#5,\t,", "#5 ,,", " , #5 , "] {
            assert_eq!(tags(&expand(list), Comparison::Strong), Some(vec!["1-5".into()]), "{list}");
        }
        for nothing in ["", ",", " , ,\t"] {
            assert_eq!(tags(nothing, Comparison::Strong), Some(vec![]), "{nothing:?}");
        }
    }

    /// A version alone does not identify the state that issued it.
    #[test]
    fn a_version_without_its_life_names_nothing() {
        assert_eq!(tags(r#""5", "5.1", "-5""#, Comparison::Weak), Some(vec![]));
    }

    proptest! {
        #[test]
        fn random_text_does_no_harm(text in "[W/\"*, 0-9.]{0,30}") {
            let _ = Tags::parse(text.as_bytes(), Comparison::Weak);
        }
    }
}
