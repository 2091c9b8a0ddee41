//! Explains why there is no order: the operations whose answers contradict each other, and how long an order
//! can get.

use std::fmt::{self, Debug, Display, Formatter};

use super::operation::{Condition, Input, Operation, Output};
use super::search::{Found, Frontier, Step, search};
use super::timeline::Timeline;

/// How often a history is searched again, with fewer answers in it, to find those that matter.
const ATTEMPTS: usize = 400;

/// Operations on a key whose answers no order explains. All texts are for people; an operation is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key, as text.
    pub key: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// Operations whose answers contradict each other, by begin. Usually each of them is needed for the
    /// contradiction.
    pub operations: Vec<String>,
    /// How many other operations on the key ended before these, or overlap them. Their answers do not matter.
    pub others: usize,
    /// The end of the longest order of operations, from first to last.
    pub order: Vec<String>,
    /// What the key can hold after orders of that length, and the operations that then cannot follow.
    pub stuck: Vec<(String, Vec<String>)>,
}

impl Violation {
    /// Two changes with the same version, if there are any.
    pub(super) fn of_shared_version<K: Debug>(timeline: &Timeline<'_, K>) -> Option<Violation> {
        let (version, first, second) = timeline.shared_version()?;
        Some(Violation {
            key: format!("{:?}", first.key),
            what: format!("two changes were given version {version}"),
            operations: vec![first.to_string(), second.to_string()],
            others: timeline.answered.len() - 2,
            order: Vec::new(),
            stuck: Vec::new(),
        })
    }

    /// Explains a history without an order, at a cost of at most `budget` steps.
    pub(super) fn explain<K: Clone + Debug>(
        timeline: &Timeline<'_, K>,
        frontier: &Frontier,
        history: &[&Operation<K>],
        budget: u64,
    ) -> Violation {
        let line = |rank: u32| timeline.answered[rank as usize].to_string();
        let order = frontier.order.iter().map(|step| match *step {
            Step::Answered(rank) => line(rank),
            Step::Optional(kind) => {
                format!(
                    "{:>30} {}: unknown outcome, but it happened",
                    "", timeline.optional[kind as usize].input
                )
            }
        });
        let stuck = frontier.ends.iter().map(|(state, cannot_follow)| {
            (state.to_string(), cannot_follow.iter().map(|&rank| line(rank)).collect())
        });
        // The search has not visited what began after the end of the operation that it waits for.
        let last = timeline.answered[frontier.next as usize].ended.expect("it is answered").0;
        let until =
            |last| history.iter().filter(move |operation| operation.began <= last).map(|&seen| seen.clone());
        let mut seen: Vec<Operation<K>> = until(last).collect();
        if !matches!(search(&Timeline::new(seen.iter()), &mut budget.clone()), Found::NoOrder(_)) {
            // Then it depends on the version of a later operation.
            seen = until(u64::MAX).collect();
        }
        let answered = seen.iter().filter(|operation| operation.ended.is_some()).count();
        let core = without_needless_answers(seen, budget);
        Violation {
            key: format!("{:?}", core[0].key),
            what: "no order of the operations explains their answers".to_owned(),
            others: answered - core.len(),
            operations: core.iter().map(ToString::to_string).collect(),
            order: order.collect(),
            stuck: stuck.collect(),
        }
    }
}

/// Removes answers, many at once first, as long as there is still no order; returns the operations that keep
/// theirs.
fn without_needless_answers<K: Clone>(mut history: Vec<Operation<K>>, mut budget: u64) -> Vec<Operation<K>> {
    history.sort_by_key(|operation| operation.began);
    let mut attempts = ATTEMPTS;
    let mut chunk = history.len().div_ceil(2);
    while chunk > 0 {
        let mut end = history.len();
        while end > 0 && attempts > 0 && budget > 0 {
            let start = end.saturating_sub(chunk);
            attempts -= 1;
            let fewer: Vec<Operation<K>> = (0..)
                .zip(&history)
                .filter_map(|(at, operation)| {
                    if (start..end).contains(&at) {
                        without_answer(operation)
                    } else {
                        Some(operation.clone())
                    }
                })
                .collect();
            if let Found::NoOrder(_) = search(&Timeline::new(fewer.iter()), &mut budget) {
                history = fewer;
            }
            end = start.min(history.len());
        }
        chunk /= 2;
    }
    history.retain(|operation| operation.ended.is_some());
    history
}

/// The same operation with an unknown outcome; `None` if its answer says that it changed nothing, or it is a
/// read.
fn without_answer<K: Clone>(operation: &Operation<K>) -> Option<Operation<K>> {
    let changes = match operation.ended {
        Some((_, Output::ConditionFailed | Output::Deleted { existed: false })) => false,
        _ => !matches!(operation.input, Input::Get | Input::Delete { condition: Condition::IfAbsent }),
    };
    changes.then(|| Operation { ended: None, ..operation.clone() })
}

impl Display for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Violation { key, what, operations, others, order, stuck } = self;
        writeln!(f, "key {key} is not linearizable: {what}.")?;
        writeln!(f, "These contradict each other (begin to end, who, what: answer):")?;
        operations.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        if *others > 0 {
            writeln!(f, "Whatever the answers to {others} other operations on the key were, that is so.")?;
        }
        if !order.is_empty() {
            writeln!(f, "An order that comes as far as any ends with:")?;
            order.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        for (holds, cannot_follow) in stuck {
            writeln!(f, "Then the key holds {holds}, and what is left to follow does not fit:")?;
            cannot_follow.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        Ok(())
    }
}
