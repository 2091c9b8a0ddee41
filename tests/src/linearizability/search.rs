//! The search for an order (Wing and Gong, 1993), which never visits the same situation twice (Lowe, 2017).
//!
//! A *situation* is the set of operations in the order so far, and what the key holds then; the path to it
//! does not matter. From each, the search tries all operations that may be next: those that began before any
//! other operation outside of the order ended.
//!
//! Three rules keep it small; none loses an answer:
//! - An operation that fits, and neither changes nor reveals anything, is taken at once, and no alternative
//!   is tried: in any order, it could be moved here.
//! - An operation with an unknown outcome enters the order only directly before one to which it makes a
//!   difference: in an order with the fewest of them, none could be left out.
//! - Equal operations with unknown outcomes are counted, not distinguished.

use hashbrown::HashSet;

use super::operation::{Input, Operation, Output};
use super::state::{State, Versions};
use super::sums::{Sums, value_before};
use super::timeline::Timeline;
use super::used_sets::UsedSets;

/// The result of the search.
pub(super) enum Found {
    /// An order of all operations.
    Order,
    /// There is none. Describes the longest orders.
    NoOrder(Frontier),
    /// Neither, so far.
    OutOfBudget,
}

/// The end of the longest orders.
pub(super) struct Frontier {
    /// The operation that the orders wait for: they hold all that ended before it.
    pub(super) next: u32,
    /// What a key can hold then, and which operations could not follow, by rank.
    pub(super) ends: Vec<(State, Vec<u32>)>,
    /// The last operations of one of these orders, from first to last.
    pub(super) order: Vec<Step>,
}

/// How many of the last operations of an order are kept for the reader of a violation.
const STEPS_SHOWN: usize = 6;

/// How many different states at the frontier are kept for the reader of a violation.
const ENDS_SHOWN: usize = 4;

/// An operation that enters the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The answered operation with this rank.
    Answered(u32),
    /// One of this kind of [`Timeline::optional`].
    Optional(u32),
}

/// In the order are all operations that ended before `next`, later ones with their slot in `ahead`, and those
/// optional ones that are in the set named `used`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Situation<const WORDS: usize> {
    next: u32,
    used: u32,
    ahead: [u64; WORDS],
    state: State,
}

impl<const WORDS: usize> Situation<WORDS> {
    fn has_slot(&self, slot: usize) -> bool {
        self.ahead[slot / 64] >> (slot % 64) & 1 == 1
    }

    fn flip_slot(&mut self, slot: usize) {
        self.ahead[slot / 64] ^= 1 << (slot % 64);
    }

    fn count(&self) -> (u32, u32) {
        (self.next, self.ahead.iter().map(|word| word.count_ones()).sum())
    }
}

/// A situation, and how the search first reached it.
struct Node<const WORDS: usize> {
    situation: Situation<WORDS>,
    parent: u32,
    step: Option<Step>,
    /// After an optional operation, the state before it.
    before: Option<State>,
}

/// Which successors of a node to try.
#[derive(Clone, Copy)]
enum Phase {
    Answered,
    Optional,
}

struct Search<'a, 'b, K, const WORDS: usize> {
    mode: Mode,
    timeline: &'b Timeline<'a, K>,
    nodes: Vec<Node<WORDS>>,
    stack: Vec<(u32, Phase)>,
    visited: HashSet<Situation<WORDS>>,
    used: UsedSets,
    /// The answered operations that fit, and what they lead to; kept for its memory only.
    fitting: Vec<(u32, State)>,
}

/// How often an operation with an unknown outcome may happen.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// At most once, as it is.
    Exact,
    /// Any number of times. Then the search need not remember which have happened, so it is short; and if it
    /// finds no order even so, there is none.
    Relaxed,
}

/// How many steps per operation, and at least, the exact search may take before the relaxed one is tried. A
/// search that does not go astray needs fewer.
const FIRST_TRY_STEPS: (u64, u64) = (20, 1000);

/// Searches for an order, in at most `budget` steps, which are subtracted from it.
pub(super) fn search<K>(timeline: &Timeline<'_, K>, budget: &mut u64) -> Found {
    if timeline.optional.is_empty() {
        return search_in(Mode::Exact, timeline, budget);
    }
    let (per_operation, at_least) = FIRST_TRY_STEPS;
    let allowed = budget.div_ceil(2).min(at_least + per_operation * timeline.answered.len() as u64);
    let mut left = allowed;
    let found = search_in(Mode::Exact, timeline, &mut left);
    *budget -= allowed - left;
    if !matches!(found, Found::OutOfBudget) {
        return found;
    }
    match search_in(Mode::Relaxed, timeline, budget) {
        Found::Order => search_in(Mode::Exact, timeline, budget),
        found => found,
    }
}

fn search_in<K>(mode: Mode, timeline: &Timeline<'_, K>, budget: &mut u64) -> Found {
    match timeline.width {
        0..=64 => Search::<K, 1>::run(mode, timeline, budget),
        65..=256 => Search::<K, 4>::run(mode, timeline, budget),
        257..=2048 => Search::<K, 32>::run(mode, timeline, budget),
        _ => Found::OutOfBudget,
    }
}

impl<'a, 'b, K, const WORDS: usize> Search<'a, 'b, K, WORDS> {
    fn run(mode: Mode, timeline: &'b Timeline<'a, K>, budget: &mut u64) -> Found {
        if timeline.answered.is_empty() {
            return Found::Order;
        }
        let start = Situation { next: 0, used: UsedSets::EMPTY, ahead: [0; WORDS], state: State::Absent };
        let mut search = Search {
            mode,
            timeline,
            nodes: vec![Node { situation: start, parent: 0, step: None, before: None }],
            stack: vec![(0, Phase::Answered)],
            visited: HashSet::from_iter([start]),
            used: UsedSets::default(),
            fitting: Vec::new(),
        };
        while let Some((node, phase)) = search.stack.pop() {
            let Some(left) = budget.checked_sub(1) else { return Found::OutOfBudget };
            *budget = left;
            match phase {
                Phase::Answered if search.try_answered(node) => return Found::Order,
                Phase::Answered => {}
                Phase::Optional => *budget = budget.saturating_sub(search.try_optional(node)),
            }
        }
        Found::NoOrder(search.frontier())
    }

    /// Tries all answered operations that may be next; returns true if that completes the order.
    fn try_answered(&mut self, at: u32) -> bool {
        let Node { situation, before, .. } = self.nodes[at as usize];
        let timeline = self.timeline;
        let mut fitting = std::mem::take(&mut self.fitting);
        fitting.clear();
        let mut alone = false;
        for &rank in timeline.pending(situation.next) {
            let Some(state) = self.after_answered(&situation, situation.state, rank) else { continue };
            if before.is_some_and(|before| self.after_answered(&situation, before, rank) == Some(state)) {
                continue;
            }
            // A change can lead to an equal state, but to another version, if that is unknown.
            let answer = timeline.answered[rank as usize].ended.map(|(_, output)| output);
            let changes = matches!(answer, Some(Output::Written { .. } | Output::Swapped { .. }));
            alone = state == situation.state && !changes;
            if alone {
                fitting.clear();
            }
            fitting.push((rank, state));
            if alone {
                break;
            }
        }
        if !alone {
            self.stack.push((at, Phase::Optional));
        }
        // A stack pops the last element pushed, and the operation that ends first is to be tried first.
        let mut complete = false;
        for &(rank, state) in fitting.iter().rev() {
            let reached = self.with_answered(situation, state, rank);
            complete |= reached.next as usize == timeline.answered.len();
            self.visit(reached, at, Step::Answered(rank), None);
        }
        self.fitting = fitting;
        complete
    }

    /// Tries all optional operations that may be next and can make a difference. Returns how many it
    /// considered. An order never ends with one.
    fn try_optional(&mut self, at: u32) -> u64 {
        let Node { situation, before, .. } = self.nodes[at as usize];
        let timeline = self.timeline;
        let sums = self.sums(&situation);
        let mut looked_at = 0;
        let mut at_once = Vec::new();
        for (kind, optional, begun) in timeline.optional_at(situation.next) {
            looked_at += 1;
            if self.used.count(situation.used, kind) >= begun {
                continue;
            }
            let view = View { search: self, situation: &situation };
            let Some(state) = situation.state.after(optional.input, None, &view) else { continue };
            if state == situation.state
                || before.is_some_and(|before| before.after(optional.input, None, &view) == Some(state))
            {
                continue;
            }
            if self.matters_to_answered(&situation, state) {
                at_once.push((kind, state));
            } else if sums.may_reach_from(state) || self.matters_to_optional(&situation, state) {
                self.visit_optional(&situation, state, kind, at);
            }
        }
        // A stack pops the last element pushed.
        for (kind, state) in at_once {
            self.visit_optional(&situation, state, kind, at);
        }
        looked_at
    }

    fn visit_optional(&mut self, situation: &Situation<WORDS>, state: State, kind: u32, parent: u32) {
        let used = match self.mode {
            Mode::Exact => self.used.with(situation.used, kind),
            Mode::Relaxed => situation.used,
        };
        let reached = Situation { used, state, ..*situation };
        self.visit(reached, parent, Step::Optional(kind), Some(situation.state));
    }

    /// Whether an answered operation can follow a change to `state` that could not, or not with that effect,
    /// without it.
    fn matters_to_answered(&self, situation: &Situation<WORDS>, state: State) -> bool {
        self.timeline.pending(situation.next).iter().any(|&rank| {
            let after = self.after_answered(situation, state, rank);
            after.is_some() && after != self.after_answered(situation, situation.state, rank)
        })
    }

    /// The same for an optional one. [`Sums`] handles increments that start from a value.
    fn matters_to_optional(&self, situation: &Situation<WORDS>, state: State) -> bool {
        let view = View { search: self, situation };
        self.timeline.optional_at(situation.next).any(|(_, optional, _)| {
            let left_to_sums = matches!(optional.input, Input::Increment { .. }) && state != State::Absent;
            if optional.ignores_state || left_to_sums {
                return false;
            }
            let after = state.after(optional.input, None, &view);
            after.is_some() && after != situation.state.after(optional.input, None, &view)
        })
    }

    /// What optional increments could still add up to, and which sums are wanted.
    fn sums(&self, situation: &Situation<WORDS>) -> Sums {
        let mut sums = Sums::default();
        for (kind, optional, begun) in self.timeline.optional_at(situation.next) {
            if let Input::Increment { by } = *optional.input {
                let left = begun - self.used.count(situation.used, kind);
                let all = i128::from(by) * i128::from(left);
                sums.least += all.min(0);
                sums.most += all.max(0);
            }
        }
        if (sums.least, sums.most) != (0, 0) {
            for &rank in self.timeline.pending(situation.next) {
                if !situation.has_slot(self.timeline.slot(rank)) {
                    let Operation { input, ended, .. } = self.timeline.answered[rank as usize];
                    sums.wanted
                        .extend(ended.and_then(|(_, output)| value_before(input, output)).map(i128::from));
                }
            }
        }
        sums
    }

    /// The state after an answered operation, if it is not in the order yet and fits.
    fn after_answered(&self, situation: &Situation<WORDS>, state: State, rank: u32) -> Option<State> {
        if situation.has_slot(self.timeline.slot(rank)) {
            return None;
        }
        let Operation { input, ended, .. } = self.timeline.answered[rank as usize];
        state.after(input, ended.map(|(_, output)| output), &View { search: self, situation })
    }

    fn with_answered(&self, mut situation: Situation<WORDS>, state: State, rank: u32) -> Situation<WORDS> {
        situation.state = state;
        situation.flip_slot(self.timeline.slot(rank));
        while (situation.next as usize) < self.timeline.answered.len()
            && situation.has_slot(self.timeline.slot(situation.next))
        {
            situation.flip_slot(self.timeline.slot(situation.next));
            situation.next += 1;
        }
        situation
    }

    fn visit(&mut self, situation: Situation<WORDS>, parent: u32, step: Step, before: Option<State>) {
        if self.visited.insert(situation) {
            self.stack.push((self.nodes.len() as u32, Phase::Answered));
            self.nodes.push(Node { situation, parent, step: Some(step), before });
        }
    }

    fn frontier(&self) -> Frontier {
        let farthest = self.nodes.iter().map(|node| node.situation.count()).max().expect("there is a start");
        let mut ends: Vec<(State, Vec<u32>)> = Vec::new();
        let mut order = Vec::new();
        for node in self.nodes.iter().filter(|node| node.situation.count() == farthest) {
            let Situation { next, state, .. } = node.situation;
            if ends.len() == ENDS_SHOWN {
                break;
            }
            if ends.iter().any(|(other, _)| *other == state) {
                continue;
            }
            let open = |rank: &u32| !node.situation.has_slot(self.timeline.slot(*rank));
            ends.push((state, self.timeline.pending(next).iter().copied().filter(open).collect()));
            if order.is_empty() {
                order = self.order_to(node);
            }
        }
        Frontier { next: farthest.0, ends, order }
    }

    fn order_to<'n>(&'n self, mut node: &'n Node<WORDS>) -> Vec<Step> {
        let mut order = Vec::new();
        while let (Some(step), true) = (node.step, order.len() < STEPS_SHOWN) {
            order.push(step);
            node = &self.nodes[node.parent as usize];
        }
        order.reverse();
        order
    }
}

/// What is known of versions in a situation.
struct View<'a, 'b, 's, K, const WORDS: usize> {
    search: &'s Search<'a, 'b, K, WORDS>,
    situation: &'s Situation<WORDS>,
}

impl<K, const WORDS: usize> Versions for View<'_, '_, '_, K, WORDS> {
    /// A version that an operation in the order has found belongs to the change that it found.
    fn may_be(&self, version: u64) -> bool {
        let Self { search, situation } = self;
        let timeline = search.timeline;
        let Some(facts) = timeline.version(version) else { return true };
        let in_order = |&rank: &u32| {
            rank < situation.next
                || timeline.overlaps_end(rank, situation.next) && situation.has_slot(timeline.slot(rank))
        };
        let used = |&kind: &u32| search.used.count(situation.used, kind) > 0;
        !(facts.has_owner || facts.seen_by.iter().any(in_order) || facts.asked_by.iter().any(used))
    }

    fn exclusion(&self, version: u64) -> u64 {
        self.search.timeline.version(version).map_or(0, |facts| facts.exclusion)
    }
}
