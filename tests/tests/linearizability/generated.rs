//! Random small histories: what clients of a correct store are told, and what they might be told by another.

use niagara_tests::linearizability::{Condition, Input, Operation, Output};
use proptest::prelude::*;
use proptest::sample::Index;

pub type History = Vec<Operation<()>>;

/// What a client does. It goes on when it has an answer, or at once if it will have none.
#[derive(Clone, Debug)]
pub struct Act {
    client: usize,
    what: What,
    /// Time before it asks, until it is done, and until it is answered.
    times: (u64, u64, u64),
    fate: Fate,
    /// Whether the client is told versions.
    versions: bool,
}

#[derive(Clone, Debug)]
enum What {
    Get,
    Set { value: u64, condition: Wanted },
    Delete { condition: Wanted },
    Increment { by: i64 },
}

#[derive(Clone, Debug)]
enum Wanted {
    Is(Condition),
    /// The key's version when the operation is done.
    Current,
    /// Some version up to that.
    Earlier(Index),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    HappensUnheard,
    Lost,
}

/// What a store that is not correct may do to a history.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Two answers are exchanged.
    Exchange(Index, Index),
    /// An operation seems to have been done earlier, or later.
    Earlier(Index, u64),
    Later(Index, u64),
    /// What the clients were told of is forgotten.
    Forget(Index),
    /// An answer is another one.
    Answer(Index, Output),
}

pub fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 1..9)
}

fn act() -> impl Strategy<Value = Act> {
    let fate = prop_oneof![8 => Just(Fate::Answered), 1 => Just(Fate::HappensUnheard), 1 => Just(Fate::Lost)];
    (0..4usize, what(), (0..4u64, 0..8u64, 0..6u64), fate, prop::bool::weighted(0.6))
        .prop_map(|(client, what, times, fate, versions)| Act { client, what, times, fate, versions })
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        5 => Just(What::Get),
        4 => (1..4u64, wanted()).prop_map(|(value, condition)| What::Set { value, condition }),
        2 => wanted().prop_map(|condition| What::Delete { condition }),
        3 => (1..3i64).prop_map(|by| What::Increment { by }),
    ]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        4 => Just(Wanted::Is(Condition::Always)),
        1 => Just(Wanted::Is(Condition::IfAbsent)),
        1 => Just(Wanted::Is(Condition::IfPresent)),
        1 => Just(Wanted::Current),
        1 => any::<Index>().prop_map(Wanted::Earlier),
    ]
}

pub fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        2 => any::<(Index, Index)>().prop_map(|(a, b)| Fault::Exchange(a, b)),
        2 => (any::<Index>(), 1..12u64).prop_map(|(at, by)| Fault::Earlier(at, by)),
        2 => (any::<Index>(), 1..12u64).prop_map(|(at, by)| Fault::Later(at, by)),
        2 => any::<Index>().prop_map(Fault::Forget),
        2 => (any::<Index>(), output()).prop_map(|(at, output)| Fault::Answer(at, output)),
    ]
}

fn output() -> impl Strategy<Value = Output> {
    let version = || prop::option::of(1..8u64);
    prop_oneof![
        4 => (1..6i64, version()).prop_map(|(value, version)| Output::Found { value, version }),
        1 => Just(Output::Absent),
        2 => (prop::option::of(1..6i64), version()).prop_map(|(value, version)| Output::Written { value, version }),
        1 => prop::option::of(1..6i64).prop_map(|before| Output::Swapped { before }),
        1 => any::<bool>().prop_map(|existed| Output::Deleted { existed }),
        1 => Just(Output::ConditionFailed),
    ]
}

/// What clients are told by a store that does one thing after another, in the order of their times.
pub fn correct(acts: &[Act]) -> History {
    let mut now = [0; 4];
    let mut timed: Vec<(u64, u64, u64, &Act)> = Vec::new();
    for act in acts {
        let (pause, until_done, until_answered) = act.times;
        let began = now[act.client] + pause;
        let (done, ended) = match act.fate {
            Fate::Answered => (began + until_done, began + until_done + until_answered),
            Fate::HappensUnheard | Fate::Lost => (began + 3 * until_done, began),
        };
        now[act.client] = ended + 1;
        timed.push((done, began, ended, act));
    }
    timed.sort_by_key(|&(done, ..)| done);
    let mut store = Store::default();
    let operations = timed.into_iter().map(|(_, began, ended, act)| {
        let input = store.resolve(&act.what);
        let answer = match act.fate {
            Fate::Lost => None,
            Fate::HappensUnheard => {
                store.execute(&input, false);
                None
            }
            Fate::Answered => Some((ended, store.execute(&input, act.versions))),
        };
        Operation { client: act.client as u64, key: (), began, ended: answer, input }
    });
    operations.collect()
}

/// The plainest store there can be.
#[derive(Default)]
struct Store {
    held: Option<(i64, u64)>,
    versions: u64,
}

impl Store {
    fn resolve(&self, what: &What) -> Input {
        let condition = |wanted: &Wanted| match wanted {
            Wanted::Is(condition) => *condition,
            Wanted::Current => Condition::IfVersion(self.held.map_or(self.versions, |held| held.1)),
            Wanted::Earlier(index) => Condition::IfVersion(index.index(self.versions as usize + 1) as u64),
        };
        match what {
            What::Get => Input::Get,
            What::Set { value, condition: wanted } => {
                Input::Set { value: *value, condition: condition(wanted) }
            }
            What::Delete { condition: wanted } => Input::Delete { condition: condition(wanted) },
            What::Increment { by } => Input::Increment { by: *by },
        }
    }

    fn execute(&mut self, input: &Input, versions: bool) -> Output {
        let holds = |condition: &Condition| match condition {
            Condition::Always => true,
            Condition::IfAbsent => self.held.is_none(),
            Condition::IfPresent => self.held.is_some(),
            Condition::IfVersion(version) => self.held.is_some_and(|held| held.1 == *version),
        };
        match input {
            Input::Get => match self.held {
                None => Output::Absent,
                Some((value, version)) => Output::Found { value, version: versions.then_some(version) },
            },
            Input::Set { condition, .. } | Input::Delete { condition } if !holds(condition) => {
                Output::ConditionFailed
            }
            // As in GETSET, which tells no version.
            Input::Set { value, .. } if !versions && value.is_multiple_of(2) => {
                let before = self.held.map(|held| held.0);
                self.write(*value as i64);
                Output::Swapped { before }
            }
            Input::Set { value, .. } => {
                let version = self.write(*value as i64);
                Output::Written { value: None, version: versions.then_some(version) }
            }
            Input::Delete { .. } => Output::Deleted { existed: self.held.take().is_some() },
            Input::Increment { by } => {
                let sum = self.held.map_or(0, |held| held.0) + by;
                let version = self.write(sum);
                Output::Written { value: Some(sum), version: versions.then_some(version) }
            }
        }
    }

    fn write(&mut self, value: i64) -> u64 {
        self.versions += 1;
        self.held = Some((value, self.versions));
        self.versions
    }
}

/// Does something to a history, if there is anything to do it to.
pub fn spoil(history: &mut History, fault: &Fault) {
    let answered: Vec<usize> = (0..history.len()).filter(|&at| history[at].ended.is_some()).collect();
    if answered.is_empty() {
        return;
    }
    let at = |index: &Index| answered[index.index(answered.len())];
    match fault {
        Fault::Exchange(a, b) => {
            let (a, b) = (at(a), at(b));
            let (of_a, of_b) = (history[a].ended.expect("answered"), history[b].ended.expect("answered"));
            history[a].ended = Some((of_a.0, of_b.1));
            history[b].ended = Some((of_b.0, of_a.1));
        }
        Fault::Earlier(index, by) => {
            let operation = &mut history[at(index)];
            let (ended, output) = operation.ended.expect("answered");
            operation.began = operation.began.saturating_sub(*by);
            operation.ended = Some((ended.saturating_sub(*by).max(operation.began), output));
        }
        Fault::Later(index, by) => {
            let operation = &mut history[at(index)];
            let (ended, output) = operation.ended.expect("answered");
            operation.began += by;
            operation.ended = Some((ended + by, output));
        }
        Fault::Forget(index) => {
            history.remove(at(index));
        }
        Fault::Answer(index, output) => {
            let operation = &mut history[at(index)];
            operation.ended = operation.ended.map(|(ended, _)| (ended, *output));
        }
    }
}
