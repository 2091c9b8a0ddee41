//! If-Match and If-None-Match (RFC 9110, section 13).
//!
//! If-Modified-Since and If-Unmodified-Since are ignored, as sections 13.1.3 and 13.1.4 require for resources
//! without modification dates.

use super::fault::Fault;
use super::parse::Head;
use super::tags::{Comparison, Current, Tags};
use crate::command::Condition;

/// The conditions of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// What conditions do to a request that would have succeeded without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    /// If-Match does not hold.
    Failed,
    /// If-None-Match does not hold. For a read this means that the client's copy is current.
    Unchanged,
}

impl Preconditions {
    pub(super) fn of(head: &Head<'_>) -> Result<Preconditions, Fault> {
        let tags = |lines: Option<&[u8]>, comparison| {
            lines.map(|lines| Tags::parse(lines, comparison).ok_or_else(malformed_tags)).transpose()
        };
        Ok(Preconditions {
            if_match: tags(head.if_match.as_deref(), Comparison::Strong)?,
            if_none_match: tags(head.if_none_match.as_deref(), Comparison::Weak)?,
        })
    }

    /// Number of tags that they name.
    pub(super) fn tags(&self) -> usize {
        let count = |tags: &Option<Tags>| match tags {
            Some(Tags::Listed(tags)) => tags.len(),
            Some(Tags::Any) | None => 0,
        };
        count(&self.if_match) + count(&self.if_none_match)
    }

    /// Evaluates the conditions in the order of section 13.2.2.
    pub(super) fn evaluate(&self, current: Current) -> Verdict {
        if self.if_match.as_ref().is_some_and(|tags| !tags.name(current)) {
            Verdict::Failed
        } else if self.if_none_match.as_ref().is_some_and(|tags| tags.name(current)) {
            Verdict::Unchanged
        } else {
            Verdict::Proceed
        }
    }

    /// The same for a write, which is decided at its execution.
    pub(super) fn condition(self) -> Condition {
        let if_match = self.if_match.map(|tags| match tags {
            Tags::Any => Condition::IfPresent,
            Tags::Listed(tags) => Condition::IfAnyTag(tags),
        });
        let if_none_match = self.if_none_match.map(|tags| match tags {
            Tags::Any => Condition::IfAbsent,
            Tags::Listed(tags) => Condition::UnlessAnyTag(tags),
        });
        match (if_match, if_none_match) {
            (None, None) => Condition::Always,
            (Some(condition), None) | (None, Some(condition)) => condition,
            (Some(first), Some(second)) => Condition::Both(Box::new([first, second])),
        }
    }
}

fn malformed_tags() -> Fault {
    Fault::bad_request(
        "If-Match or If-None-Match is not a list of at most 64 entity tags",
        "send *, or tags in quotes as you got them in ETag",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tag;
    use crate::{Life, Version};

    fn tag(position: u64) -> Tag {
        Tag { life: Life::new(7).unwrap(), version: Version { position, further: 0 } }
    }

    /// Every pair of conditions on every state: reads, and writes at their execution, follow the same rules.
    #[test]
    fn reads_and_writes_judge_alike() {
        let choices = [
            None,
            Some(Tags::Any),
            Some(Tags::Listed(vec![])),
            Some(Tags::Listed(vec![tag(1)])),
            Some(Tags::Listed(vec![tag(2), tag(1)])),
            Some(Tags::Listed(vec![tag(2)])),
        ];
        let is = |tags: &Option<Tags>, hit: bool| match tags {
            None => None,
            Some(Tags::Any) => Some(hit),
            Some(Tags::Listed(tags)) => Some(hit && tags.contains(&tag(1))),
        };
        for if_match in &choices {
            for if_none_match in &choices {
                for present in [false, true] {
                    let current = if present { Current::Tagged(tag(1)) } else { Current::Absent };
                    let expected = match (is(if_match, present), is(if_none_match, present)) {
                        (Some(false), _) => Verdict::Failed,
                        (_, Some(true)) => Verdict::Unchanged,
                        _ => Verdict::Proceed,
                    };
                    let conditions =
                        Preconditions { if_match: if_match.clone(), if_none_match: if_none_match.clone() };
                    assert_eq!(conditions.evaluate(current), expected, "{conditions:?} {present}");
                    let version = present.then_some(tag(1).version);
                    let holds = conditions.condition().holds(version, Some(tag(1).life));
                    assert_eq!(
                        holds,
                        expected == Verdict::Proceed,
                        "{if_match:?} {if_none_match:?} {present}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_has_no_tag_is_named_by_a_star_alone() {
        let listed = Some(Tags::Listed(vec![tag(1)]));
        for (if_match, if_none_match, expected) in [
            (Some(Tags::Any), None, Verdict::Proceed),
            (listed.clone(), None, Verdict::Failed),
            (None, Some(Tags::Any), Verdict::Unchanged),
            (None, listed, Verdict::Proceed),
        ] {
            assert_eq!(Preconditions { if_match, if_none_match }.evaluate(Current::Untagged), expected);
        }
    }
}
