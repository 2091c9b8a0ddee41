//! Whether servers have executed the same: the invariant `global_prefix`, as far as their digests tell.

use niagara_engine::Digest;

/// Two servers have executed different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("global_prefix: servers {} and {} differ at or before position {position}", servers[0], servers[1])]
pub struct Difference {
    /// The servers.
    pub servers: [u64; 2],
    /// The first position that both have a digest of, and not the same.
    pub position: u64,
}

/// Compares any two servers, each given by its id and its digests, at every position that they share.
///
/// # Errors
/// When two of them differ.
///
/// ```
/// use niagara_engine::Digest;
/// use niagara_tools::agreement::{Difference, compare};
///
/// let digests = |values: [&str; 2]| -> Vec<Digest> {
///     let digest = |(position, value): (u64, &str)| Digest { position, value: value.into() };
///     [8, 16].into_iter().zip(values).map(digest).collect()
/// };
/// let (one, same, other) = (digests(["a", "b"]), digests(["a", "b"]), digests(["a", "c"]));
/// assert_eq!(compare([(1, &one[..]), (2, &same[..])]), Ok(()));
/// assert_eq!(compare([(1, &one[..]), (2, &other[..])]), Err(Difference { servers: [2, 1], position: 16 }));
/// ```
pub fn compare<'d>(servers: impl IntoIterator<Item = (u64, &'d [Digest])>) -> Result<(), Difference> {
    let servers: Vec<(u64, &[Digest])> = servers.into_iter().collect();
    for (at, (one, digests)) in servers.iter().enumerate() {
        for (other, theirs) in &servers[at + 1..] {
            for digest in *digests {
                let twin = theirs.iter().find(|theirs| theirs.position == digest.position);
                if twin.is_some_and(|twin| twin.value != digest.value) {
                    return Err(Difference { servers: [*other, *one], position: digest.position });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_that_differ_are_noticed() {
        let digests = |values: [&str; 2]| -> Vec<Digest> {
            let digest = |(position, value): (u64, &str)| Digest { position, value: value.into() };
            [8, 16].into_iter().zip(values).map(digest).collect()
        };
        let (one, other) = (digests(["a", "b"]), digests(["a", "c"]));
        assert!(compare([(1, &one[..]), (2, &one[..])]).is_ok());
        let differ = compare([(1, &one[..]), (2, &one[..]), (3, &other[..])]).unwrap_err().to_string();
        assert!(differ.contains("global_prefix") && differ.contains("16"), "{differ}");
    }
}
