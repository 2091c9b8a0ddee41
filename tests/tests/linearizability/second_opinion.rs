//! A comparison with stateright's linearizability tester, which tries all orders, and knows nothing of this one's rules.

use std::cell::Cell;
use std::collections::BTreeSet;

use niagara_tests::linearizability::{Condition, Input, Output, Verdict, check};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use crate::generated::{Fault, History, acts, correct, fault, spoil};

/// How many histories are compared: as many of a correct store, with one fault, and with two.
const CASES: u32 = 4000;

/// Every one of these histories is short, so that a search always ends.
const BUDGET: u64 = 1_000_000;

/// The store, one operation after another. It remembers every version, and whose it is not.
#[derive(Clone, Debug, Default)]
struct Spec {
    held: Option<Held>,
    /// Versions that were given to changes whose clients know, now or later.
    owned: BTreeSet<u64>,
    /// Versions of other changes, revealed before.
    revealed: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
struct Held {
    value: i64,
    version: Result<u64, NotThese>,
}

/// An unknown version, which is none of these.
type NotThese = BTreeSet<u64>;

impl Spec {
    /// Whether the value held can have this version; if it can, it has from now on.
    fn has_version(&mut self, asked: u64) -> bool {
        let Some(held) = &mut self.held else { return false };
        match &held.version {
            Ok(version) => *version == asked,
            Err(not) if not.contains(&asked) => false,
            Err(_) if self.owned.contains(&asked) => false,
            Err(_) => {
                held.version = Ok(asked);
                self.revealed.insert(asked)
            }
        }
    }

    /// Whether the value held can have another version; if it can, it does not have this one from now on.
    fn has_not_version(&mut self, asked: u64) -> bool {
        match self.held.as_mut().map(|held| &mut held.version) {
            None => true,
            Some(Ok(version)) => *version != asked,
            Some(Err(not)) => {
                not.insert(asked);
                true
            }
        }
    }

    fn condition(&mut self, condition: Condition, wanted: bool) -> bool {
        match condition {
            Condition::Always => wanted,
            Condition::IfAbsent => self.held.is_none() == wanted,
            Condition::IfPresent => self.held.is_some() == wanted,
            Condition::IfVersion(version) if wanted => self.has_version(version),
            Condition::IfVersion(version) => self.has_not_version(version),
        }
    }

    fn write(&mut self, value: i64, told: Option<u64>) {
        self.held = Some(Held { value, version: told.ok_or_else(BTreeSet::new) });
    }

    fn value(&self) -> i64 {
        self.held.as_ref().map_or(0, |held| held.value)
    }
}

impl SequentialSpec for Spec {
    type Op = Input;
    type Ret = Output;

    /// An operation in flight, with its effect if it can have one. What it returns nobody knows.
    fn invoke(&mut self, input: &Input) -> Output {
        match *input {
            Input::Set { value, condition } => {
                if self.condition(condition, true) {
                    self.write(value as i64, None);
                }
            }
            Input::Delete { condition } => {
                if self.condition(condition, true) {
                    self.held = None;
                }
            }
            Input::Increment { by } => self.write(self.value() + by, None),
            Input::Get => {}
        }
        Output::ConditionFailed
    }

    fn is_valid_step(&mut self, input: &Input, output: &Output) -> bool {
        match (input.clone(), *output) {
            (Input::Get, Output::Absent) => self.held.is_none(),
            (Input::Get, Output::Found { value, version }) => {
                self.held.as_ref().is_some_and(|held| held.value == value)
                    && version.is_none_or(|version| self.has_version(version))
            }
            (Input::Set { value, condition }, Output::Written { value: told, version }) => {
                let holds = self.condition(condition, true) && told.is_none_or(|told| told == value as i64);
                self.write(value as i64, version);
                holds
            }
            (Input::Set { value, condition }, Output::Swapped { before }) => {
                let holds =
                    self.condition(condition, true) && self.held.as_ref().map(|held| held.value) == before;
                self.write(value as i64, None);
                holds
            }
            (Input::Increment { by }, Output::Written { value, version }) => {
                let sum = self.value() + by;
                self.write(sum, version);
                value.is_none_or(|told| told == sum)
            }
            (Input::Delete { condition }, Output::Deleted { existed }) => {
                self.condition(condition, true) && self.held.take().is_some() == existed
            }
            (Input::Set { condition, .. } | Input::Delete { condition }, Output::ConditionFailed) => {
                self.condition(condition, false)
            }
            _ => false,
        }
    }
}

/// Whether stateright finds an order. Each operation is a thread, so that it may overlap any other.
fn has_order(history: &History) -> bool {
    let given = history.iter().filter_map(|operation| match operation.ended {
        Some((_, Output::Written { version, .. })) => version,
        _ => None,
    });
    let mut spec = Spec::default();
    for version in given {
        if !spec.owned.insert(version) {
            return false;
        }
    }
    let mut tester = LinearizabilityTester::new(spec);
    // At the same time, what begins comes before what ends.
    let begins = (0..).zip(history).map(|(thread, operation)| (operation.began, None, thread));
    let ends = (0..).zip(history).filter_map(|(thread, operation)| {
        operation.ended.map(|(ended, output)| (ended, Some(output), thread))
    });
    let mut events: Vec<(u64, Option<Output>, usize)> = begins.chain(ends).collect();
    events.sort_by_key(|&(time, output, _)| (time, output.is_some()));
    for (_, output, thread) in events {
        match output {
            None => tester.on_invoke(thread, history[thread].input.clone()).map(drop),
            Some(output) => tester.on_return(thread, output).map(drop),
        }
        .expect("an operation begins once and ends once");
    }
    tester.is_consistent()
}

fn histories(faults: usize) -> impl Strategy<Value = History> {
    (acts(), prop::collection::vec(fault(), faults)).prop_map(|(acts, faults): (_, Vec<Fault>)| {
        let mut history = correct(&acts);
        faults.iter().for_each(|fault| spoil(&mut history, fault));
        history
    })
}

#[test]
fn both_checkers_agree() {
    for faults in 0..=2 {
        let (orders, violations) = (Cell::new(0), Cell::new(0));
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&histories(faults), |history| {
            let verdict = check(&history, BUDGET);
            let expected = has_order(&history);
            let count = if expected { &orders } else { &violations };
            count.set(count.get() + 1);
            match &verdict {
                Verdict::Linearizable => prop_assert!(expected, "stateright finds no order"),
                Verdict::Violation(violation) => {
                    prop_assert!(!expected, "stateright finds an order: {violation}");
                }
                Verdict::OutOfBudget { .. } => prop_assert!(false, "{verdict}"),
            }
            Ok(())
        });
        outcome.unwrap_or_else(|disagreement| panic!("{disagreement}"));
        let (orders, violations) = (orders.get(), violations.get());
        println!("faults: {faults}; both say linearizable: {orders}, violation: {violations}");
        if faults == 0 {
            assert_eq!((orders, violations), (CASES, 0), "a correct store's histories have an order");
        } else {
            assert!(orders > CASES / 8 && violations > CASES / 8, "too few of one verdict to compare");
        }
    }
}
