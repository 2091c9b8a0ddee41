//! What increments with unknown outcomes can add up to.

use super::operation::{Input, Output};
use super::state::State;

/// What a sequence of optional increments can reach. One that starts from a value leaves a value of unknown
/// version, and so makes a difference only to an answered operation that depends on the value itself.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) least: i128,
    pub(super) most: i128,
    /// The values that answered operations depend on.
    pub(super) wanted: Vec<i128>,
}

impl Sums {
    pub(super) fn may_reach_from(&self, state: State) -> bool {
        let State::Present { value, .. } = state else { return false };
        let reach = self.least + i128::from(value)..=self.most + i128::from(value);
        self.wanted.iter().any(|wanted| reach.contains(wanted))
    }
}

/// The old value, if an answer reveals it.
pub(super) fn value_before(input: &Input, output: Output) -> Option<i64> {
    match (input, output) {
        (Input::Get, Output::Found { value, .. }) => Some(value),
        (Input::Set { .. }, Output::Swapped { before }) => before,
        (Input::Increment { by }, Output::Written { value: Some(sum), .. }) => sum.checked_sub(*by),
        _ => None,
    }
}
