//! Random walks through clusters in which more goes on than can be explored.

use stateright::Chooser;

use super::Search;
use super::state::State;
use super::steps::Step;

/// How often a choice among all steps is made again if it falls on an input or a fault: these are rarer than what follows from them.
const SECOND_THOUGHTS: u32 = 2;

/// Chooses steps from a seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputsAreRare;

impl Chooser<Search> for InputsAreRare {
    /// Never 0.
    type State = u64;

    fn new_state(&self, seed: u64) -> u64 {
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
    }

    fn choose_initial_state(&self, _: &mut u64, _: &[State]) -> usize {
        0
    }

    fn choose_action(&self, random: &mut u64, _: &State, steps: &[Step]) -> usize {
        let mut choose = || {
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            (*random >> 11) as usize % steps.len()
        };
        let mut chosen = choose();
        for _ in 0..SECOND_THOUGHTS {
            if steps[chosen].is_from_outside() {
                chosen = choose();
            }
        }
        chosen
    }
}
