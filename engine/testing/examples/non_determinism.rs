//! Finds a mistake that no ordinary test finds: a state machine whose replies depend on the order in which a
//! `HashMap` happens to keep its entries.
//!
//! `cargo run -p niagara-testing --example non_determinism` prints what is found, and how to see it again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use niagara_engine::{Commands, Encoded, GlobalPosition, MalformedState, StateMachine};
use niagara_testing::{Failure, Simulation, seeds};

/// How many votes each name has, in a map that is to be chosen.
trait Votes: Default + Send + 'static {
    fn vote(&mut self, name: &str);
    fn iter(&self) -> impl Iterator<Item = (&String, &u64)>;
    fn put(&mut self, name: &str, votes: u64);
}

/// The mistake: each process has another order, since Rust seeds each `HashMap` at random.
type Unordered = HashMap<String, u64>;

/// The same, mended.
type Ordered = BTreeMap<String, u64>;

macro_rules! votes_in {
    ($map:ty) => {
        impl Votes for $map {
            fn vote(&mut self, name: &str) {
                *self.entry(name.to_owned()).or_default() += 1;
            }

            fn iter(&self) -> impl Iterator<Item = (&String, &u64)> {
                self.iter()
            }

            fn put(&mut self, name: &str, votes: u64) {
                self.insert(name.to_owned(), votes);
            }
        }
    };
}

votes_in!(Unordered);
votes_in!(Ordered);

/// An election: a command is a vote for a name, and the reply is who leads now.
#[derive(Default)]
struct Election<V>(Arc<Mutex<V>>);

impl<V: Votes> StateMachine for Election<V> {
    type Reply = String;
    type Reader = Arc<Mutex<V>>;
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) -> Self::Reader {
        Arc::clone(&self.0)
    }

    fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<String>) {
        let mut votes = self.0.lock().unwrap();
        for command in commands {
            votes.vote(&String::from_utf8_lossy(command.as_slice()));
            // Of names with equally many votes, this takes the last one in the map's order.
            let (leader, _) = votes.iter().max_by_key(|(_, votes)| **votes).expect("there is a vote");
            replies.push(leader.clone());
        }
    }

    fn freeze(&mut self) -> Encoded {
        let votes = self.0.lock().unwrap();
        // Sorted, so that equal states are encoded equally.
        let mut lines: Vec<String> = votes.iter().map(|(name, votes)| format!("{votes} {name}\n")).collect();
        lines.sort();
        Encoded::new(lines.concat().into_bytes())
    }

    fn restoring(_: &Self::Reader) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
        let malformed = MalformedState("a line is a count and a name");
        let mut restored = V::default();
        for line in str::from_utf8(state.bytes()).map_err(|_| malformed)?.lines() {
            let (votes, name) = line.split_once(' ').ok_or(malformed)?;
            restored.put(name, votes.parse().map_err(|_| malformed)?);
        }
        *self.0.lock().unwrap() = restored;
        Ok(())
    }
}

/// Votes at three servers while faults strike.
fn election_under_faults<V: Votes>() -> Result<(), Failure> {
    for seed in seeds(1..=5) {
        let mut simulation = Simulation::new(seed, 3, 2, |_server| Election::<V>::default());
        simulation.random_faults(Duration::from_secs(3));
        for i in 0..60 {
            simulation.propose(i % 3 + 1, ["Ada", "Grace", "Barbara", "Frances"][i as usize % 4]);
            simulation.run_for(Duration::from_millis(50))?;
        }
        simulation.settle()?;
        simulation.check_equal()?;
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let failure = election_under_faults::<Unordered>().expect_err("the order of a HashMap is found");
    println!("with a HashMap:\n\n{failure}\n");
    election_under_faults::<Ordered>()?;
    println!("with a BTreeMap: five seeds, and nothing is found");
    Ok(())
}

#[cfg(test)]
mod tests {
    use niagara_testing::Found;

    use super::*;

    #[test]
    fn the_order_of_a_hash_map_is_found() {
        let failure = election_under_faults::<Unordered>().unwrap_err();
        assert!(matches!(*failure.found, Found::Replies { .. }), "{failure}");
        assert!(failure.to_string().contains("NIAGARA_SEED="), "{failure}");
    }

    #[test]
    fn the_order_of_a_btree_map_is_the_same_everywhere() {
        election_under_faults::<Ordered>().unwrap();
    }
}
