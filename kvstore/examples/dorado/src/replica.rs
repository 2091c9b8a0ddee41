//! The process of one replica. It says `done` when its operations are executed, is told then how many there are in all, and says
//! what its counter is behind these.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::sync::mpsc::Receiver;

use niagara_client::Cluster;

use crate::Failure;
use crate::counter::{Counter, Operation};
use crate::follow::follow;
use crate::order::{Order, Ordered};

/// What begins the arguments of such a process.
pub const MARK: &str = "--replica";

/// What a replica is to do.
pub struct Assignment {
    cluster: Cluster,
    operations: u64,
}

impl Assignment {
    /// From the arguments of a process; `None` if it is no replica.
    pub fn parse(arguments: &[String]) -> Option<Result<Assignment, Failure>> {
        let [mark, at, operations] = arguments else { return None };
        (mark == MARK).then(|| Ok(Assignment { cluster: at.parse()?, operations: operations.parse()? }))
    }
}

/// A counter, and the operations that it has executed.
#[derive(Debug, Default)]
pub struct Replica {
    counter: Counter,
    /// The number of the next operation.
    next: u64,
    /// Those that have come before their turn.
    early: BTreeMap<u64, Operation>,
}

impl Replica {
    /// Takes note of an operation, and executes those whose turn it is. One that is known does nothing.
    pub fn learn(&mut self, ordered: Ordered) {
        if ordered.number >= self.next {
            self.early.insert(ordered.number, ordered.operation);
        }
        while let Some(operation) = self.early.remove(&self.next) {
            self.counter.execute(operation);
            self.next += 1;
        }
    }

    pub fn counter(&self) -> u64 {
        self.counter.0
    }

    /// Executes what comes until so many operations are executed. Returns the counter then, which no later operation has
    /// changed.
    fn execute_up_to(&mut self, end: u64, coming: &Receiver<Ordered>) -> Result<u64, Failure> {
        while self.next < end {
            self.learn(coming.recv()?);
        }
        Ok(self.counter.0)
    }
}

/// Runs a replica.
pub fn run(assignment: &Assignment) -> Result<(), Failure> {
    let mut order = Order::new(assignment.cluster.clone());
    let mut replica = Replica::default();
    // First the watch, then what was there before: so nothing is missing between the two.
    let coming = follow(&order.cluster);
    order.read()?.into_iter().for_each(|ordered| replica.learn(ordered));
    for _ in 0..assignment.operations {
        let number = order.append(random_operation()?)?;
        replica.execute_up_to(number + 1, &coming)?;
    }
    say("done")?;
    let mut told = String::new();
    io::stdin().lock().read_line(&mut told)?;
    let counter = replica.execute_up_to(told.trim().parse()?, &coming)?;
    say(&counter.to_string())?;
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn random_operation() -> Result<Operation, Failure> {
    let mut random = [0];
    getrandom::fill(&mut random)?;
    Ok(Operation::ALL[usize::from(random[0]) % Operation::ALL.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_executed_in_their_order_once() {
        let operations = [Operation::Inc, Operation::Dou, Operation::Inc, Operation::Dou];
        let ordered = |number: u64| Ordered { number, operation: operations[number as usize] };
        let mut replica = Replica::default();
        for number in [0, 3, 2, 0, 2] {
            replica.learn(ordered(number));
        }
        assert_eq!((replica.counter(), replica.next), (1, 1), "it waits for the next one");
        replica.learn(ordered(1));
        assert_eq!((replica.counter(), replica.next), (6, 4));
    }
}
