//! Whether servers have executed the same, as far as their digests tell: the invariants `global_prefix` and `equal_states`.
//!
//! This is the only comparison there is: servers compare each other by it, and so do the command line, tools and tests.

use std::fmt;

use niagara_group::digest_mark::DigestMark;

use crate::status::{Digest, Status};

/// What a digest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestOf {
    /// The global log: what stands in it, and what was decided about it.
    Log,
    /// The state that executing it has led to.
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

/// Where two servers differ first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstDifference {
    pub position: u64,
    pub of: DigestOf,
}

/// How far two servers have been compared, and found equal: the last position that both have digests of; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// In the digests of the log.
    pub log: u64,
    /// In those of the state, too.
    pub state: u64,
}

/// The digests at one position.
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

/// Compares what two servers keep, each in the order of positions, at every position that both have.
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

/// Two servers have executed different things, or the same with different results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: the {of} of servers {} and {} differ at or before position {position}", self.invariant(), servers[0], servers[1])]
pub struct Difference {
    /// The servers.
    pub servers: [u64; 2],
    /// The first position that both have a digest of, and not the same.
    pub position: u64,
    /// Which digest it is.
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

/// Compares any two servers, each given by its id and its digests, at every position that they share. Returns the position up
/// to which every two of them have been compared: the least of the last ones that two of them share, and 0 if two share none.
///
/// # Errors
/// When two of them differ.
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

/// What a comparison of several servers says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// All servers of the cluster have been compared, each with each, and are equal as far as the slower one has come.
    Agree {
        /// The least of the last positions that two of them share. 0 if nobody has executed anything, or there is one server.
        position: u64,
    },
    /// No difference was seen, but not every two servers could be compared.
    Unknown(Unknown),
    /// Two servers executed different things: this must never happen.
    Differ {
        /// The first position at which digests differ.
        position: u64,
        /// Which digests.
        of: DigestOf,
        /// Each server's digest there.
        digests: Vec<(u64, String)>,
    },
    /// Servers that know themselves to have parted from the others, and why.
    Diverged(Vec<(u64, String)>),
    /// The servers are not of one cluster, so they are not comparable.
    DifferentClusters,
}

/// Why servers could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Addresses that gave no status.
    #[error("{0} of the addresses gave no status")]
    Unreachable(usize),
    /// Members of the cluster from which there is no status.
    #[error("there is no status of {}", named(.0))]
    Missing(Vec<u64>),
    /// One server answered, and does not say whether there are others: it runs an older version.
    #[error("only one server was asked, and it does not say which others there are")]
    Alone,
    /// A server has executed nothing, and others have.
    #[error("server {0} has executed nothing, so there is nothing to compare it by")]
    NothingExecuted(u64),
    /// Two servers have kept digests at different positions.
    #[error("servers {} and {} share no position that both have digests of", .0[0], .0[1])]
    NothingShared([u64; 2]),
    /// Two servers' logs are equal, but one of them does not say what its state is.
    #[error("servers {} and {} share no position that both have a digest of their state at", .0[0], .0[1])]
    StatesNotCompared([u64; 2]),
}

fn named(servers: &[u64]) -> String {
    let names: Vec<String> = servers.iter().map(|server| format!("server {server}")).collect();
    names.join(", ")
}

impl Agreement {
    /// Compares every two of the servers that have said something, at every position that both have a digest of. `silent` is
    /// how many others were asked in vain.
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

    /// Whether something is wrong.
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

/// What keeps a comparison from being one of all servers with each other; nothing if it is.
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
