//! Whether some order of operations on a store explains everything that its clients were told.
//!
//! A history is *linearizable* (Herlihy and Wing, 1990) if its operations can be put in one order, each at a
//! moment between its begin and its end, in which a store that executes them one by one gives the same
//! answers. [`check`] searches for the order key by key, since a history is linearizable if, and only if, its
//! part for each key is. It reports no false violations: what a client does not know may be anything.
//!
//! A client may not know whether an operation happened, and which version it got:
//! - An operation with an unknown outcome may take its place in the order at any time after its begin, or
//!   never.
//! - A version belongs to one change of a key only. If the client of a change was not told its version, it is
//!   any that no other change has, until an answer reveals it: a [`Get`](Input::Get) that shows it, or a
//!   condition on it that held or failed.
//!
//! ```
//! use niagara_tests::linearizability::{Condition, Input, Operation, Output, Verdict, check};
//!
//! let set = Input::Set { value: 1, condition: Condition::Always };
//! let done = Output::Written { value: None, version: None };
//! let write = Operation { client: 1, key: "k", began: 0, ended: Some((5, done)), input: set };
//! let mut read = Operation { client: 2, key: "k", began: 6, ended: Some((9, Output::Absent)), input: Input::Get };
//! let verdict = check(&[write.clone(), read.clone()], 1000);
//! assert!(matches!(verdict, Verdict::Violation(_)), "the write had ended, yet the read misses it");
//!
//! read.began = 5;
//! assert_eq!(check(&[write, read], 1000), Verdict::Linearizable, "they overlap");
//! ```

mod explain;
mod operation;
mod search;
mod state;
mod sums;
mod timeline;
mod used_sets;

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display, Formatter};

pub use explain::Violation;
pub use operation::{Condition, Input, Operation, Output};
use search::{Found, search};
use timeline::Timeline;

/// The result of [`check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order for each key.
    Linearizable,
    /// There is none for this key. It is the first such key; others may be wrong, too.
    Violation(Violation),
    /// No violation was found, but the search for an order on this key exceeded its budget.
    OutOfBudget {
        /// The key, as text.
        key: String,
        /// Number of operations on it.
        operations: usize,
        /// Number of steps that the search was allowed.
        budget: u64,
    },
}

/// How many steps the explanation of a violation may take. Small histories, such as a simulator's, need fewer
/// to be explained fully. For others the search stops after some seconds, and names more operations than
/// contradict each other.
const EXPLANATION_STEPS: u64 = 300_000;

/// Searches for an order of the operations on each key, in at most `budget` steps per key. A step visits a
/// situation, or considers an operation with an unknown outcome there; a history without unknown outcomes
/// takes about one step per operation, unless many operations overlap. Explaining a violation takes longer
/// than finding it: seconds, if the history is long.
///
/// The history may be in any order. The same history gives the same verdict. At most 2048 operations on a key
/// may overlap each other; with more, the verdict is [`Verdict::OutOfBudget`].
///
/// # Panics
/// If an operation ends before it begins.
pub fn check<K: Ord + Clone + Debug>(history: &[Operation<K>], budget: u64) -> Verdict {
    let mut by_key: BTreeMap<&K, Vec<&Operation<K>>> = BTreeMap::new();
    for operation in history {
        by_key.entry(&operation.key).or_default().push(operation);
    }
    let mut verdict = Verdict::Linearizable;
    for (key, operations) in by_key {
        let timeline = Timeline::new(operations.iter().copied());
        if let Some(violation) = Violation::of_shared_version(&timeline) {
            return Verdict::Violation(violation);
        }
        let mut left = budget;
        match search(&timeline, &mut left) {
            Found::NoOrder(frontier) => {
                let violation = Violation::explain(&timeline, &frontier, &operations, EXPLANATION_STEPS);
                return Verdict::Violation(violation);
            }
            Found::OutOfBudget if verdict == Verdict::Linearizable => {
                let (key, operations) = (format!("{key:?}"), operations.len());
                verdict = Verdict::OutOfBudget { key, operations, budget };
            }
            Found::Order | Found::OutOfBudget => {}
        }
    }
    verdict
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Linearizable => {
                f.write_str("linearizable: on each key, an order of the operations explains their answers")
            }
            Verdict::Violation(violation) => Display::fmt(violation, f),
            Verdict::OutOfBudget { key, operations, budget } => write!(
                f,
                "undecided: the search for an order of the {operations} operations on key {key} was given up after {budget} steps"
            ),
        }
    }
}
