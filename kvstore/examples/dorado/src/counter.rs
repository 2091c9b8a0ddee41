//! The counter, and what can be done with it.

use std::fmt;
use std::str::FromStr;

/// An operation on the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Looks at it.
    Get,
    /// Adds one.
    Inc,
    /// Doubles it.
    Dou,
}

impl Operation {
    pub const ALL: [Operation; 3] = [Operation::Get, Operation::Inc, Operation::Dou];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Get => "get",
            Operation::Inc => "inc",
            Operation::Dou => "dou",
        })
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Operation, String> {
        let found = Operation::ALL.into_iter().find(|operation| operation.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is no operation: there are get, inc and dou"))
    }
}

/// The counter. It wraps at a prime, so that no operation is ever forgotten, as it would be in the lowest bits of a sum that
/// overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter(pub u64);

const PRIME: u64 = (1 << 31) - 1;

impl Counter {
    /// Executes an operation. Returns the counter then.
    pub fn execute(&mut self, operation: Operation) -> u64 {
        self.0 = match operation {
            Operation::Get => self.0,
            Operation::Inc => (self.0 + 1) % PRIME,
            Operation::Dou => self.0 * 2 % PRIME,
        };
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_operations_counts() {
        let run = |operations: &[Operation]| {
            let mut counter = Counter::default();
            for operation in operations {
                counter.execute(*operation);
            }
            counter.0
        };
        use Operation::{Dou, Get, Inc};
        assert_eq!((run(&[Inc, Dou, Get]), run(&[Dou, Get, Inc])), (2, 1));
        assert_ne!(run(&[&[Inc][..], &[Dou; 1000]].concat()), 0, "nothing is ever forgotten");
        assert!(Operation::ALL.iter().all(|operation| operation.to_string().parse() == Ok(*operation)));
    }
}
