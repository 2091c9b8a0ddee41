//! The operations on shared keys, in the form that the linearizability checker takes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use niagara_kvstore::Life;

use crate::invariants::AckedIsApplied;
use crate::linearizability::{Input, Operation, Output};
use crate::sim::request::Request;

/// Calls and answers, and their order.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Counts calls and answers in the order in which they happened, which is all that real-time order needs.
    step: u64,
    operations: Vec<Operation<String>>,
    /// Operations that were refused, and so never happened.
    refused: BTreeSet<usize>,
    /// The commands that belong to one operation only.
    commands: BTreeMap<usize, Bytes>,
}

impl History {
    /// Starts a request. Returns its index among the operations, if it is one.
    pub(super) fn begin(&mut self, client: usize, request: &Request, life: Option<Life>) -> Option<usize> {
        self.step += 1;
        if *request == Request::FlushAll {
            // Nobody learns what each key held then. The same is known of a delete whose outcome is unknown.
            for (key, input) in Request::flushed() {
                self.push(client, key, input);
            }
        }
        let (key, input) = request.operation()?;
        if let Some(command) = request.command(life).filter(|_| request.is_unlike_others()) {
            self.commands.insert(self.operations.len(), command);
        }
        self.push(client, key, input);
        Some(self.operations.len() - 1)
    }

    fn push(&mut self, client: usize, key: String, input: Input) {
        let operation = Operation { client: client as u64, key, began: self.step, ended: None, input };
        self.operations.push(operation);
    }

    /// Ends a request with this answer.
    pub(super) fn end(&mut self, operation: Option<usize>, output: Output) {
        self.step += 1;
        if let Some(operation) = operation {
            self.operations[operation].ended = Some((self.step, output));
        }
    }

    /// Records that an operation has not happened, and never will.
    pub(super) fn refuse(&mut self, operation: Option<usize>) {
        self.refused.extend(operation);
    }

    /// Records that an operation has only shown what a key holds.
    pub(super) fn becomes_a_read(&mut self, operation: Option<usize>) {
        if let Some(operation) = operation {
            self.operations[operation].input = Input::Get;
        }
    }

    /// All operations, once everything that will ever be executed has been. Leaves out what was never
    /// executed: few unknown outcomes remain, and the search for an order is short.
    pub(super) fn settled(&self, executed: &AckedIsApplied) -> Vec<Operation<String>> {
        let may_have_happened = |at: usize| {
            let command = self.commands.get(&at);
            !self.refused.contains(&at)
                && command.is_none_or(|command| executed.acknowledged(command).is_ok())
        };
        let all = self.operations.iter().enumerate();
        let kept = all.filter(|(at, operation)| operation.ended.is_some() || may_have_happened(*at));
        kept.map(|(_, operation)| operation.clone()).collect()
    }
}
