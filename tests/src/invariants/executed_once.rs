use std::collections::BTreeMap;

use super::{Broken, hold};

/// A request with a key of its own is executed at most once, however often it is sent, and all that is told of it is what became
/// of that execution. Each such request here creates a key that nobody else names, so a second execution would fail.
#[derive(Debug, Default)]
pub struct ExecutedOnce {
    /// Where each was executed.
    told: BTreeMap<u64, u64>,
}

const NAME: &str = "executed_once";

impl ExecutedOnce {
    /// A client was told that the request with this number was executed, with this status, at this position.
    pub fn told(&mut self, number: u64, status: u16, position: u64) -> Result<(), Broken> {
        hold(status == 201, NAME, || {
            format!("request {number} creates a key that nobody else names, and is answered by {status}")
        })?;
        let first = *self.told.entry(number).or_insert(position);
        hold(first == position, NAME, || {
            format!("request {number} was executed at position {first}, and at position {position}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_execution_is_noticed() {
        let mut once = ExecutedOnce::default();
        assert_eq!(once.told(1, 201, 7), Ok(()));
        assert_eq!(once.told(1, 201, 7), Ok(()));
        assert_eq!(once.told(2, 201, 7), Ok(()), "commands share positions");
        assert!(once.told(1, 201, 8).is_err());
        assert!(once.told(2, 412, 9).is_err());
    }
}
