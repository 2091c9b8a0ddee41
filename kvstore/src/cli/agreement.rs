//! Whether servers' global logs are the same, as far as their digests can tell: the invariant `global_prefix`.

use niagara_engine::Status;

/// What a comparison of several servers' digests says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// All digests at common positions are equal; this is the last one that at least two servers share.
    Equal {
        /// The position.
        position: u64,
    },
    /// No two servers have a digest at the same position, so nothing can be said.
    NothingInCommon,
    /// Two servers executed different things: this must never happen.
    Differ {
        /// The first position at which digests differ.
        position: u64,
        /// Each server's digest there.
        digests: Vec<(u64, String)>,
    },
    /// The servers are not of one cluster, so their logs are not comparable.
    DifferentClusters,
}

impl Agreement {
    /// Compares all servers at every position that at least two of them have a digest of.
    pub fn of<'a>(statuses: impl Iterator<Item = &'a Status> + Clone) -> Agreement {
        let mut clusters = statuses.clone().map(|status| &status.cluster);
        if let Some(first) = clusters.next()
            && clusters.any(|other| other != first)
        {
            return Agreement::DifferentClusters;
        }
        let mut all: Vec<(u64, u64, &str)> = statuses
            .flat_map(|status| {
                status.digests.iter().map(|digest| (digest.position, status.server, digest.value.as_str()))
            })
            .collect();
        all.sort_unstable();
        let mut common = None;
        for same in all.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
            let position = same[0].0;
            if same.iter().any(|digest| digest.2 != same[0].2) {
                let digests = same.iter().map(|(_, server, value)| (*server, (*value).to_owned())).collect();
                return Agreement::Differ { position, digests };
            }
            common = Some(position);
        }
        common.map_or(Agreement::NothingInCommon, |position| Agreement::Equal { position })
    }

    /// Whether something is wrong.
    pub fn is_bad(&self) -> bool {
        matches!(self, Agreement::Differ { .. } | Agreement::DifferentClusters)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use niagara_engine::Digest;

    use super::*;

    /// A server with digests at some positions.
    pub fn server(server: u64, digests: &[(u64, &str)]) -> Status {
        let digest = |&(position, value): &(u64, &str)| Digest { position, value: value.into() };
        Status { server, digests: digests.iter().map(digest).collect(), ..Default::default() }
    }

    fn of(statuses: &[Status]) -> Agreement {
        Agreement::of(statuses.iter())
    }

    #[test]
    fn the_last_common_position_is_named() {
        let statuses =
            [server(1, &[(8, "a"), (16, "b"), (24, "c")]), server(2, &[(16, "b"), (24, "c"), (32, "d")])];
        assert_eq!(of(&statuses), Agreement::Equal { position: 24 });
    }

    #[test]
    fn the_first_difference_is_named_with_who_says_what() {
        let statuses = [
            server(1, &[(8, "a"), (16, "b"), (24, "c")]),
            server(2, &[(8, "a"), (16, "x"), (24, "y")]),
            server(3, &[(16, "b")]),
        ];
        let digests = vec![(1, "b".to_owned()), (2, "x".to_owned()), (3, "b".to_owned())];
        assert_eq!(of(&statuses), Agreement::Differ { position: 16, digests });
        assert!(of(&statuses).is_bad());
    }

    #[test]
    fn without_a_common_position_nothing_is_claimed() {
        assert_eq!(of(&[]), Agreement::NothingInCommon);
        assert_eq!(of(&[server(1, &[(8, "a")])]), Agreement::NothingInCommon);
        assert_eq!(of(&[server(1, &[(8, "a")]), server(2, &[(16, "b")])]), Agreement::NothingInCommon);
    }

    #[test]
    fn servers_of_two_clusters_are_not_compared() {
        let mut other = server(2, &[(8, "x")]);
        other.cluster = "another".into();
        assert_eq!(of(&[server(1, &[(8, "a")]), other]), Agreement::DifferentClusters);
    }
}
