//! Compares what servers have executed, by their digests: the invariants `global_prefix` and `equal_states`.
//!
//! There is no other comparison: servers use it on each other, and so do the command line, tools and tests.

use std::fmt;

use niagara_group::digest_mark::DigestMark;

use crate::status::{Digest, Status};

/// What a digest covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestOf {
    /// The global log: its entries, and what was decided about them.
    Log,
    /// The state that results from executing the log.
    State,
}

impl fmt::Display for DigestOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            DigestOf::Log => "global logs",
            DigestOf::State => "states",
        })
    }
}

/// The first difference between two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstDifference {
    pub position: u64,
    pub of: DigestOf,
}

/// How far two servers have been compared and found equal: the last position that both have digests of; 0 for
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// By digests of the log.
    pub log: u64,
    /// By digests of the state as well.
    pub state: u64,
}

/// Digests at one position.
pub(crate) trait Kept {
    type Value: Eq + ?Sized;
    fn position(&self) -> u64;
    fn log(&self) -> &Self::Value;
    fn state(&self) -> Option<&Self::Value>;
}

impl Kept for DigestMark {
    type Value = u64;

    fn position(&self) -> u64 {
        self.position
    }

    fn log(&self) -> &u64 {
        &self.log
    }

    fn state(&self) -> Option<&u64> {
        self.state.as_ref()
    }
}

impl Kept for Digest {
    type Value = str;

    fn position(&self) -> u64 {
        self.position
    }

    fn log(&self) -> &str {
        &self.value
    }

    fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Compares the digests of two servers, each by rising position, at every position that both have.
pub(crate) fn compare<K: Kept>(one: &[K], other: &[K]) -> Result<Compared, FirstDifference> {
    let mut compared = Compared::default();
    let mut others = other.iter().peekable();
    for mine in one {
        while others.next_if(|theirs| theirs.position() < mine.position()).is_some() {}
        let Some(theirs) = others.next_if(|theirs| theirs.position() == mine.position()) else { continue };
        let position = mine.position();
        if mine.log() != theirs.log() {
            return Err(FirstDifference { position, of: DigestOf::Log });
        }
        compared.log = position;
        if let (Some(mine), Some(theirs)) = (mine.state(), theirs.state()) {
            if mine != theirs {
                return Err(FirstDifference { position, of: DigestOf::State });
            }
            compared.state = position;
        }
    }
    Ok(compared)
}

/// The first position at which two servers differ.
#[cfg(test)]
pub(crate) fn first_difference<K: Kept>(one: &[K], other: &[K]) -> Option<FirstDifference> {
    compare(one, other).err()
}

/// Two servers have executed different commands, or the same with different results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: the {of} of servers {} and {} differ at or before position {position}", self.invariant(), servers[0], servers[1])]
pub struct Difference {
    /// Ids of the servers.
    pub servers: [u64; 2],
    /// First position at which their digests differ.
    pub position: u64,
    /// The digest that differs.
    pub of: DigestOf,
}

impl Difference {
    fn invariant(&self) -> &'static str {
        match self.of {
            DigestOf::Log => "global_prefix",
            DigestOf::State => "equal_states",
        }
    }
}

/// Compares every two of the servers, each given by its id and its digests, at every position that both have.
/// Returns the position up to which all pairs have been compared: for each pair the last position that both
/// have, and the least of these. 0 if some pair has none in common.
///
/// # Errors
/// If two servers differ.
///
/// ```
/// use niagara_engine::Digest;
/// use niagara_engine::agreement::{DigestOf, Difference, compare_all};
///
/// let digests = |values: [&str; 2]| -> Vec<Digest> {
///     let digest = |(position, value): (u64, &str)| Digest { position, value: value.into(), state: None };
///     [8, 16].into_iter().zip(values).map(digest).collect()
/// };
/// let (one, same, other) = (digests(["a", "b"]), digests(["a", "b"]), digests(["a", "c"]));
/// assert_eq!(compare_all([(1, &one[..]), (2, &same[..])]), Ok(16));
/// assert_eq!(compare_all([(1, &one[..]), (2, &same[..1])]), Ok(8));
/// let difference = Difference { servers: [1, 2], position: 16, of: DigestOf::Log };
/// assert_eq!(compare_all([(1, &one[..]), (2, &other[..])]), Err(difference));
/// ```
pub fn compare_all<'d>(servers: impl IntoIterator<Item = (u64, &'d [Digest])>) -> Result<u64, Difference> {
    let servers: Vec<(u64, &[Digest])> = servers.into_iter().collect();
    let newest = |digests: &[Digest]| digests.last().map_or(0, |digest| digest.position);
    let mut common = servers.iter().map(|(_, digests)| newest(digests)).min().unwrap_or(0);
    for (at, (one, digests)) in servers.iter().enumerate() {
        for (other, theirs) in &servers[at + 1..] {
            match compare(digests, theirs) {
                Ok(compared) => common = common.min(compared.log),
                Err(FirstDifference { position, of }) => {
                    return Err(Difference { servers: [*one, *other], position, of });
                }
            }
        }
    }
    Ok(common)
}

/// Result of comparing several servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// All servers of the cluster have been compared with each other, and each pair is equal up to the slower
    /// one's position.
    Agree {
        /// The least, over all pairs, of the last position that both have. 0 if nobody has executed anything,
        /// or there is one server.
        position: u64,
    },
    /// No difference was found, but some servers could not be compared.
    Unknown(Unknown),
    /// Digests of two servers differ: they have diverged. This must never happen.
    Differ {
        /// First position at which digests differ.
        position: u64,
        /// The digest that differs.
        of: DigestOf,
        /// Each server's digest at that position.
        digests: Vec<(u64, String)>,
    },
    /// Servers that know that they have diverged from the others, and why.
    Diverged(Vec<(u64, String)>),
    /// The servers belong to different clusters, so they are not comparable.
    DifferentClusters,
}

/// Why servers could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Number of addresses without a status.
    #[error("{0} of the addresses gave no status")]
    Unreachable(usize),
    /// Members of the cluster without a status.
    #[error("there is no status of {}", named(.0))]
    Missing(Vec<u64>),
    /// Only one server answered, and it does not name the others: it runs an older version.
    #[error("only one server answered, and it does not say which others there are")]
    Alone,
    /// This server has executed nothing, but others have.
    #[error("server {0} has executed nothing, so there is nothing to compare it by")]
    NothingExecuted(u64),
    /// These servers have kept digests at different positions.
    #[error("servers {} and {} share no position that both have digests of", .0[0], .0[1])]
    NothingShared([u64; 2]),
    /// These servers' logs are equal, but one of them reports no digest of its state.
    #[error("servers {} and {} share no position that both have a digest of their state at", .0[0], .0[1])]
    StatesNotCompared([u64; 2]),
}

fn named(servers: &[u64]) -> String {
    let names: Vec<String> = servers.iter().map(|server| format!("server {server}")).collect();
    names.join(", ")
}

impl Agreement {
    /// Compares every two of the servers that answered, at every position that both have a digest of.
    /// `silent` is the number of servers that did not answer.
    pub fn of<'a>(statuses: impl IntoIterator<Item = &'a Status>, silent: usize) -> Agreement {
        let statuses: Vec<&Status> = statuses.into_iter().collect();
        if statuses.iter().any(|status| status.cluster != statuses[0].cluster) {
            return Agreement::DifferentClusters;
        }
        let servers = statuses.iter().map(|status| (status.server, status.digests.as_slice()));
        let position = match compare_all(servers) {
            Ok(position) => position,
            Err(difference) => return differ(&statuses, &difference),
        };
        let diverged: Vec<(u64, String)> =
            statuses.iter().filter_map(|status| Some((status.server, status.diverged.clone()?))).collect();
        if !diverged.is_empty() {
            return Agreement::Diverged(diverged);
        }
        match unknown(&statuses, silent) {
            Some(unknown) => Agreement::Unknown(unknown),
            None => Agreement::Agree { position },
        }
    }

    /// Whether something is wrong, rather than just unknown.
    pub fn is_bad(&self) -> bool {
        !matches!(self, Agreement::Agree { .. } | Agreement::Unknown(_))
    }
}

fn differ(statuses: &[&Status], difference: &Difference) -> Agreement {
    let Difference { position, of, .. } = *difference;
    let at = |status: &&Status| {
        let digest = status.digests.iter().find(|digest| digest.position == position)?;
        let value = match of {
            DigestOf::Log => digest.value.clone(),
            DigestOf::State => digest.state.clone()?,
        };
        Some((status.server, value))
    };
    Agreement::Differ { position, of, digests: statuses.iter().filter_map(at).collect() }
}

/// What prevented a full comparison of all servers with each other; `None` if nothing did.
fn unknown(statuses: &[&Status], silent: usize) -> Option<Unknown> {
    if silent > 0 {
        return Some(Unknown::Unreachable(silent));
    }
    let answered = |server: &u64| statuses.iter().any(|status| status.server == *server);
    let mut missing: Vec<u64> = statuses.iter().flat_map(|status| status.voters.iter().copied()).collect();
    missing.retain(|server| !answered(server));
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        return Some(Unknown::Missing(missing));
    }
    if let [alone] = statuses {
        return alone.voters.is_empty().then_some(Unknown::Alone);
    }
    if statuses.iter().all(|status| status.applied == 0) {
        return None;
    }
    if let Some(status) = statuses.iter().find(|status| status.applied == 0) {
        return Some(Unknown::NothingExecuted(status.server));
    }
    let mut pairs = statuses
        .iter()
        .enumerate()
        .flat_map(|(at, one)| statuses[at + 1..].iter().map(move |other| (one, other)));
    pairs.find_map(|(one, other)| incomparable(one, other))
}

fn incomparable(one: &Status, other: &Status) -> Option<Unknown> {
    let servers = [one.server, other.server];
    let compared = compare(&one.digests, &other.digests).ok()?;
    let tells_its_state = |status: &Status| status.digests.iter().any(|digest| digest.state.is_some());
    if compared.log == 0 {
        Some(Unknown::NothingShared(servers))
    } else if compared.state == 0 && (tells_its_state(one) || tells_its_state(other)) {
        Some(Unknown::StatesNotCompared(servers))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
