//! One key's history, arranged for the search: which operations overlap, and which are optional.

use hashbrown::{HashMap, HashSet};

use super::operation::{Condition, Input, Operation, Output};

/// How many different versions the `excluded` bits of a state can distinguish.
const EXCLUSION_BITS: usize = 64;

/// One key's history. Operations with an answer are identified by their rank in the order of their ends, from
/// 0.
pub(super) struct Timeline<'a, K> {
    /// The operations with an answer, by rising end.
    pub(super) answered: Vec<&'a Operation<K>>,
    ends: Vec<u64>,
    /// For each of them, a number that no overlapping one has.
    slots: Vec<u32>,
    /// How many such numbers there are: the most operations that overlap.
    pub(super) width: usize,
    /// For each of them, an index into `pending`: there start, by rising rank, the ranks of the operations
    /// that had begun when it ended, and had not ended before, including itself.
    pending_from: Vec<usize>,
    pending: Vec<u32>,
    /// Operations with an unknown outcome.
    pub(super) optional: Vec<Optional<'a>>,
    versions: HashMap<u64, VersionFacts>,
}

/// Equal questions with unknown outcomes. None of them ever has to happen, so once they have begun they are
/// interchangeable: only how many of them happened matters.
pub(super) struct Optional<'a> {
    pub(super) input: &'a Input,
    /// Whether it has the same effect on every state.
    pub(super) ignores_state: bool,
    /// When each of them began, rising.
    began: Vec<u64>,
}

/// Which operations refer to a version.
#[derive(Default)]
pub(super) struct VersionFacts {
    /// Answered operations that found their key in it.
    pub(super) seen_by: Vec<u32>,
    /// [`Timeline::optional`] operations that only happen in it.
    pub(super) asked_by: Vec<u32>,
    /// Whether answers have told which change has it.
    pub(super) has_owner: bool,
    /// The bit in `excluded`, for versions that some operations found and others did not.
    pub(super) exclusion: u64,
}

impl<'a, K> Timeline<'a, K> {
    pub(super) fn new(history: impl Iterator<Item = &'a Operation<K>>) -> Self {
        let (mut answered, mut unknown): (Vec<_>, Vec<_>) =
            history.partition(|operation| operation.ended.is_some());
        answered.sort_by_key(|operation| end_of(operation));
        unknown.retain(|operation| can_have_effect(&operation.input));
        unknown.sort_by_key(|operation| operation.began);
        let optional = optionals(&unknown);
        let mut timeline = Timeline {
            ends: answered.iter().map(|operation| end_of(operation)).collect(),
            slots: vec![0; answered.len()],
            width: 0,
            pending_from: Vec::with_capacity(answered.len() + 1),
            pending: Vec::new(),
            versions: versions(&answered, &optional),
            answered,
            optional,
        };
        timeline.find_overlaps();
        timeline
    }

    /// Sweeps through time, from end to end.
    fn find_overlaps(&mut self) {
        let mut by_begin: Vec<u32> = (0..self.answered.len() as u32).collect();
        by_begin.sort_by_key(|&rank| self.answered[rank as usize].began);
        let mut by_begin = by_begin.into_iter().peekable();
        let mut active: Vec<u32> = Vec::new();
        let mut free_slots: Vec<u32> = Vec::new();
        for rank in 0..self.answered.len() as u32 {
            let end = self.ends[rank as usize];
            while let Some(begun) = by_begin.next_if(|&next| self.answered[next as usize].began <= end) {
                active.insert(active.partition_point(|&other| other < begun), begun);
                self.slots[begun as usize] = free_slots.pop().unwrap_or_else(|| {
                    self.width += 1;
                    self.width as u32 - 1
                });
            }
            self.pending_from.push(self.pending.len());
            self.pending.extend(&active);
            assert_eq!(active.first(), Some(&rank), "an operation ends before it begins");
            free_slots.push(self.slots[active.remove(0) as usize]);
        }
        self.pending_from.push(self.pending.len());
    }

    /// The operations that may come next if all up to `next`, but not that one, are in the order, with any
    /// others.
    pub(super) fn pending(&self, next: u32) -> &[u32] {
        &self.pending[self.pending_from[next as usize]..self.pending_from[next as usize + 1]]
    }

    /// The operation's number in `slots`.
    pub(super) fn slot(&self, rank: u32) -> usize {
        self.slots[rank as usize] as usize
    }

    /// Whether an operation had begun when another ended.
    pub(super) fn overlaps_end(&self, rank: u32, ended: u32) -> bool {
        self.answered[rank as usize].began <= self.ends[ended as usize]
    }

    /// The kinds of optional operations that have begun when an operation ends, and how many of each.
    pub(super) fn optional_at(&self, ended: u32) -> impl Iterator<Item = (u32, &Optional<'a>, u32)> {
        let now = self.ends[ended as usize];
        let begun = self.optional.iter().zip(0..).take_while(move |(optional, _)| optional.began[0] <= now);
        begun.map(move |(optional, kind)| {
            let count = optional.began.partition_point(|&began| began <= now);
            (kind, optional, count as u32)
        })
    }

    pub(super) fn version(&self, version: u64) -> Option<&VersionFacts> {
        self.versions.get(&version)
    }

    /// Two changes with the same version, if there are any.
    pub(super) fn shared_version(&self) -> Option<(u64, &'a Operation<K>, &'a Operation<K>)> {
        let mut owners: HashMap<u64, &'a Operation<K>> = HashMap::new();
        self.answered.iter().find_map(|operation| {
            let version = version_given(operation)?;
            owners.insert(version, operation).map(|first| (version, first, *operation))
        })
    }
}

fn end_of<K>(operation: &Operation<K>) -> u64 {
    operation.ended.expect("only operations with an answer are ranked").0
}

/// Whether it would matter if an operation with an unknown outcome had happened.
fn can_have_effect(input: &Input) -> bool {
    !matches!(input, Input::Get | Input::Delete { condition: Condition::IfAbsent })
}

/// Groups equal questions, ordered by the first begin in each group.
fn optionals<'a, K>(unknown: &[&'a Operation<K>]) -> Vec<Optional<'a>> {
    let mut kinds: HashMap<&Input, usize> = HashMap::new();
    let mut optional: Vec<Optional<'a>> = Vec::new();
    for operation in unknown {
        let kind = *kinds.entry(&operation.input).or_insert(optional.len());
        if kind == optional.len() {
            let ignores_state = matches!(operation.input, Input::Set { condition: Condition::Always, .. });
            optional.push(Optional { input: &operation.input, ignores_state, began: Vec::new() });
        }
        optional[kind].began.push(operation.began);
    }
    optional
}

fn version_given<K>(operation: &Operation<K>) -> Option<u64> {
    match operation.ended?.1 {
        Output::Written { version, .. } => version,
        _ => None,
    }
}

fn condition_of(input: &Input) -> Condition {
    match *input {
        Input::Set { condition, .. } | Input::Delete { condition } => condition,
        Input::Get | Input::Increment { .. } => Condition::Always,
    }
}

/// The version that an answered operation found its key in.
fn version_seen<K>(operation: &Operation<K>) -> Option<u64> {
    match (operation.ended?.1, condition_of(&operation.input)) {
        (Output::Found { version, .. }, _) => version,
        (
            Output::Written { .. } | Output::Swapped { .. } | Output::Deleted { .. },
            Condition::IfVersion(version),
        ) => Some(version),
        _ => None,
    }
}

/// Collects which operations refer to which version.
fn versions<K>(answered: &[&Operation<K>], optional: &[Optional<'_>]) -> HashMap<u64, VersionFacts> {
    let mut facts: HashMap<u64, VersionFacts> = HashMap::new();
    for (rank, operation) in (0..).zip(answered) {
        if let Some(version) = version_given(operation) {
            facts.entry(version).or_default().has_owner = true;
        }
        if let Some(version) = version_seen(operation) {
            facts.entry(version).or_default().seen_by.push(rank);
        }
    }
    for (kind, optional) in (0..).zip(optional) {
        if let Condition::IfVersion(version) = condition_of(optional.input) {
            facts.entry(version).or_default().asked_by.push(kind);
        }
    }
    let mut missed: HashSet<u64> = HashSet::new();
    for operation in answered {
        let Condition::IfVersion(version) = condition_of(&operation.input) else { continue };
        if matches!(operation.ended, Some((_, Output::ConditionFailed)))
            && missed.len() < EXCLUSION_BITS
            && let Some(facts) = facts.get_mut(&version)
            && !facts.has_owner
            && missed.insert(version)
        {
            facts.exclusion = 1 << (missed.len() - 1);
        }
    }
    facts
}
