//! What clients did and were told, and whether a correct store could have told them so.
//!
//! Two kinds of keys are made so that the check is exact and yet takes one comparison per answer. A [`Register`] has one
//! writer, which writes 1, 2, 3 and so on, so the order of its values is known beforehand; a [`Counter`] is incremented by
//! many, and every increment returns another sum. For arbitrary operations on shared keys one would record every begin
//! and end here and search for an order (Wing and Gong); for these keys the rules below say the same.

mod counter;
mod register;

use std::sync::{Arc, Mutex};

use crate::{Answer, Client, wait};

pub use counter::Counter;
pub use register::Register;

/// An answer that no correct store gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A read returned less than its client could know: a stale read, or a lost write.
    #[error(
        "read_is_fresh: {key} read as {found}, but {known} was acknowledged, or read, before the read began"
    )]
    Stale {
        /// The key.
        key: String,
        /// What was read; 0 stands for no value.
        found: u64,
        /// The least that it had to be.
        known: u64,
    },
    /// A key holds what nobody wrote, or what the server said it had refused.
    #[error("{key} read as {found}, which nobody wrote, or which was refused")]
    Invented {
        /// The key.
        key: String,
        /// What was read.
        found: String,
    },
    /// Two increments returned the same sum.
    #[error("applied_once: two increments of {key} returned {sum}")]
    Twice {
        /// The key.
        key: String,
        /// The sum.
        sum: u64,
    },
    /// A counter is not the number of its increments.
    #[error(
        "applied_once: {key} is {found}, but {acknowledged} increments were acknowledged and {unknown} have an unknown outcome"
    )]
    Miscounted {
        /// The key.
        key: String,
        /// What was read.
        found: u64,
        /// So many increments must have been executed,
        acknowledged: u64,
        /// and up to so many more.
        unknown: u64,
    },
}

/// All keys that clients work on, and what they know of them. Shared by all threads of a test.
#[derive(Default)]
pub struct History {
    registers: Mutex<Vec<Arc<Register>>>,
    counters: Mutex<Vec<Arc<Counter>>>,
}

impl History {
    /// A new register, for one writer.
    pub fn register(&self) -> Arc<Register> {
        let mut registers = self.registers.lock().expect("no thread panics while it holds this");
        let register = Arc::new(Register::new(format!("register-{}", registers.len() + 1)));
        registers.push(Arc::clone(&register));
        register
    }

    /// A new counter, for any number of clients.
    pub fn counter(&self) -> Arc<Counter> {
        let mut counters = self.counters.lock().expect("no thread panics while it holds this");
        let counter = Arc::new(Counter::new(format!("counter-{}", counters.len() + 1)));
        counters.push(Arc::clone(&counter));
        counter
    }

    /// The registers that there are so far.
    pub fn registers(&self) -> Vec<Arc<Register>> {
        self.registers.lock().expect("no thread panics while it holds this").clone()
    }

    /// The counters that there are so far.
    pub fn counters(&self) -> Vec<Arc<Counter>> {
        self.counters.lock().expect("no thread panics while it holds this").clone()
    }

    /// The writes and increments that were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        let registers = self.registers().iter().map(|register| register.acknowledged()).sum::<u64>();
        registers + self.counters().iter().map(|counter| counter.acknowledged()).sum::<u64>()
    }

    /// Reads every key through a client, strongly, and checks what it gets: no acknowledged write is lost.
    ///
    /// # Panics
    /// When a key is not what it must be, or cannot be read at all.
    pub fn verify(&self, client: &mut Client) {
        for register in self.registers() {
            let outcome = wait::until("a strong read of a register", || register.read(client));
            outcome.unwrap_or_else(|violation| panic!("{violation}"));
        }
        for counter in self.counters() {
            let outcome = wait::until("a strong read of a counter", || counter.read(client));
            outcome.unwrap_or_else(|violation| panic!("{violation}"));
        }
    }
}

/// Answered reads only.
fn answered<T>(answer: Answer<T>) -> Option<T> {
    match answer {
        Answer::Done(value) => Some(value),
        Answer::Refused | Answer::Unknown => None,
    }
}
