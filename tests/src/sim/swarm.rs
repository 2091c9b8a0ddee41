//! Kinds of faults and requests that a simulation leaves out: swarm testing (Groce, Zhang, Eide, Chen and
//! Regehr, ISSTA 2012).
//!
//! If everything may happen, each thing leaves little room for the others: a server that is killed every
//! second is never far behind, and a value that is often deleted never reaches its limit by increments. So
//! most simulations draw from a random half of all kinds.

use std::fmt::{self, Debug, Write as _};

use super::fault::{Fault, Planned};
use super::request::Request;
use niagara_testing::parts::chance::Chance;

/// How often to draw until one is of an enabled kind. After that, none is used, or the last one is taken
/// after all.
pub(super) const MOST_DRAWS: usize = 20;

/// The enabled kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swarm {
    /// Selects the half; `None` enables all kinds.
    half: Option<u64>,
}

impl Swarm {
    /// Enables all kinds in a third of all simulations: some things take many.
    pub fn draw(chance: &mut Chance) -> Swarm {
        Swarm { half: (!chance.one_in(3)).then(|| chance.bits()) }
    }

    /// Replaces faults of disabled kinds by others.
    pub(super) fn choose(self, faults: Vec<Planned>, mut draw: impl FnMut() -> Planned) -> Vec<Planned> {
        let mut another = || (0..MOST_DRAWS).map(|_| draw()).find(|planned| self.has_fault(&planned.fault));
        let chosen = faults.into_iter();
        chosen.filter_map(|it| if self.has_fault(&it.fault) { Some(it) } else { another() }).collect()
    }

    /// Whether requests of its kind are enabled.
    pub(super) fn has_request(self, request: &Request) -> bool {
        match request {
            Request::Key { input, .. } => self.has(input),
            request => self.has(request),
        }
    }

    fn has_fault(self, fault: &Fault) -> bool {
        self.has(fault)
    }

    /// A kind's name decides, so that a new kind changes nothing for the others.
    fn has(self, one: &impl Debug) -> bool {
        self.half.is_none_or(|half| {
            let mut name = Name::default();
            // Ends with an error at the end of the name: what follows may be long.
            let _ = write!(name, "{one:?}");
            Chance::new(half ^ u64::from(name.0.finalize())).one_in(2)
        })
    }
}

/// The sum of the name of a variant, as its `Debug` form begins.
#[derive(Default)]
struct Name(crc32fast::Hasher);

impl fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.find([' ', '(']);
        self.0.update(&text.as_bytes()[..end.unwrap_or(text.len())]);
        if end.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::linearizability::{Condition, Input};

    #[test]
    fn each_kind_is_there_without_each_other_one() {
        let kinds = [
            Request::SetPair(7),
            Request::GetPair,
            Request::Weak { key: 1 },
            Request::Key { key: 1, input: Input::Get },
            Request::Key { key: 1, input: Input::Delete { condition: Condition::Always } },
        ];
        let mut chance = Chance::new(1);
        let swarms = (0..2000).map(|_| Swarm::draw(&mut chance));
        let combinations: BTreeSet<Vec<bool>> =
            swarms.map(|swarm| kinds.iter().map(|kind| swarm.has_request(kind)).collect()).collect();
        assert_eq!(combinations.len(), 1 << kinds.len());
    }

    #[test]
    fn a_kind_is_the_same_whatever_is_asked() {
        let mut chance = Chance::new(2);
        for _ in 0..100 {
            let swarm = Swarm::draw(&mut chance);
            let asked = |value| swarm.has_request(&Request::SetPair(value));
            assert_eq!(asked(1), asked(2));
        }
    }
}
