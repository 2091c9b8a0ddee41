//! The fewest faults with which a seed still fails.

use super::plan::Plan;
use super::run::{Failure, run};

/// The most simulations to spend on it.
const MOST_RUNS: usize = 200;

/// Removes faults from a failing plan as long as it still breaks the same invariant; calls `step` before each
/// attempt. Returns the plan and its failure.
pub fn shrink(plan: Plan, failure: Failure, mut step: impl FnMut(usize)) -> (Plan, Failure) {
    let (mut plan, mut failure) = (plan, failure);
    let mut runs = 0;
    let mut chunk = plan.faults.len();
    while chunk > 0 && runs < MOST_RUNS {
        let mut at = 0;
        let mut shorter = false;
        while at < plan.faults.len() && runs < MOST_RUNS {
            let mut less = plan.clone();
            less.faults.drain(at..(at + chunk).min(plan.faults.len()));
            runs += 1;
            step(less.faults.len());
            match run(less.clone(), false).failure.filter(|other| other.invariant == failure.invariant) {
                Some(same) => {
                    (plan, failure) = (less, same);
                    shorter = true;
                }
                None => at += chunk,
            }
        }
        if !shorter {
            chunk /= 2;
        }
    }
    (plan, failure)
}
