use super::*;

const MEMBERS: [u64; 3] = [1, 2, 3];

/// One of three servers, with digests at some positions; those of its state equal those of its log.
fn server(server: u64, digests: &[(u64, &str)]) -> Status {
    let digest = |&(position, value): &(u64, &str)| Digest {
        position,
        value: value.into(),
        state: Some(format!("state {value}")),
    };
    let applied = digests.last().map_or(0, |(position, _)| *position);
    Status {
        server,
        applied,
        voters: MEMBERS.into(),
        digests: digests.iter().map(digest).collect(),
        ..Status::default()
    }
}

fn of(statuses: &[Status]) -> Agreement {
    Agreement::of(statuses, 0)
}

#[test]
fn servers_agree_as_far_as_every_two_have_been_compared() {
    let one = server(1, &[(8, "a"), (16, "b"), (24, "c")]);
    let two = server(2, &[(16, "b"), (24, "c"), (32, "d")]);
    let three = server(3, &[(8, "a"), (16, "b"), (32, "d")]);
    assert_eq!(of(&[one, two, three]), Agreement::Agree { position: 16 });
}

#[test]
fn the_first_difference_is_named_with_who_says_what() {
    let statuses = [
        server(1, &[(8, "a"), (16, "b"), (24, "c")]),
        server(2, &[(8, "a"), (16, "x"), (24, "y")]),
        server(3, &[(16, "b")]),
    ];
    let digests = vec![(1, "b".to_owned()), (2, "x".to_owned()), (3, "b".to_owned())];
    assert_eq!(of(&statuses), Agreement::Differ { position: 16, of: DigestOf::Log, digests });
    assert!(of(&statuses).is_bad());
}

#[test]
fn states_that_differ_behind_equal_logs_are_a_difference() {
    let mut other = server(2, &[(8, "a"), (16, "b")]);
    other.digests[1].state = Some("another".into());
    let found = of(&[server(1, &[(8, "a"), (16, "b")]), other]);
    let digests = vec![(1, "state b".to_owned()), (2, "another".to_owned())];
    assert_eq!(found, Agreement::Differ { position: 16, of: DigestOf::State, digests });
}

/// A difference counts, whichever other servers are missing.
#[test]
fn a_difference_goes_before_what_is_unknown() {
    let statuses = [server(1, &[(8, "a")]), server(2, &[(8, "b")])];
    assert!(matches!(Agreement::of(&statuses, 1), Agreement::Differ { .. }));
}

#[test]
fn whom_nobody_has_compared_is_unknown() {
    let (one, two) = (server(1, &[(8, "a")]), server(2, &[(8, "a")]));
    let three = |digests: &[(u64, &str)]| server(3, digests);
    let unknown = |statuses: &[Status], silent| match Agreement::of(statuses, silent) {
        Agreement::Unknown(why) => why,
        other => panic!("{other:?}"),
    };
    let all = |last: Status| [one.clone(), two.clone(), last];
    assert_eq!(unknown(std::slice::from_ref(&one), 0), Unknown::Missing(vec![2, 3]));
    assert_eq!(unknown(&[one.clone(), two.clone()], 0), Unknown::Missing(vec![3]));
    assert_eq!(unknown(&all(three(&[(8, "a")])), 1), Unknown::Unreachable(1));
    assert_eq!(unknown(&all(three(&[])), 0), Unknown::NothingExecuted(3));
    assert_eq!(unknown(&all(three(&[(7, "a")])), 0), Unknown::NothingShared([1, 3]));
    // One server under two addresses counts once.
    assert_eq!(unknown(&[one.clone(), one.clone()], 0), Unknown::Missing(vec![2, 3]));
    let mut older = three(&[(8, "a")]);
    older.digests[0].state = None;
    assert_eq!(unknown(&all(older), 0), Unknown::StatesNotCompared([1, 3]));
    let mut alone = one.clone();
    alone.voters.clear();
    assert_eq!(unknown(&[alone], 0), Unknown::Alone);
}

#[test]
fn a_cluster_that_has_executed_nothing_agrees_about_that() {
    let empty = MEMBERS.map(|id| server(id, &[]));
    assert_eq!(of(&empty), Agreement::Agree { position: 0 });
    assert_eq!(Agreement::of(&empty[..2], 1), Agreement::Unknown(Unknown::Unreachable(1)));
}

#[test]
fn a_server_by_itself_has_nobody_to_differ_from() {
    let mut alone = server(1, &[(8, "a")]);
    alone.voters = vec![1];
    assert_eq!(of(&[alone]), Agreement::Agree { position: 8 });
}

/// State machines need not have a digest.
#[test]
fn logs_alone_are_compared_where_nobody_tells_its_state() {
    let mut statuses = MEMBERS.map(|id| server(id, &[(8, "a")]));
    for digest in statuses.iter_mut().flat_map(|status| &mut status.digests) {
        digest.state = None;
    }
    assert_eq!(of(&statuses), Agreement::Agree { position: 8 });
}

#[test]
fn a_server_that_says_that_it_has_diverged_is_believed() {
    let mut statuses = MEMBERS.map(|id| server(id, &[(8, "a")]));
    statuses[1].diverged = Some("its leader lacks entry 9".into());
    assert_eq!(of(&statuses), Agreement::Diverged(vec![(2, "its leader lacks entry 9".into())]));
    assert!(of(&statuses).is_bad());
}

#[test]
fn servers_of_two_clusters_are_not_compared() {
    let mut other = server(2, &[(8, "x")]);
    other.cluster = "another".into();
    assert_eq!(of(&[server(1, &[(8, "a")]), other]), Agreement::DifferentClusters);
}
