//! The rules of epochs in every order of events of small clusters, and the mistakes that the model notices. Run with `--nocapture` to
//! see how many states there are, and what a counterexample looks like.

use niagara_tests::model::epochs::{Mistake, Plan, Shape};

const fn shape(groups: u16, members: &'static [usize]) -> Shape {
    Shape { groups, members }
}

/// Epochs of one shape each.
fn epochs(shapes: &[Shape]) -> Plan {
    Plan::of(shapes.iter().map(|shape| vec![*shape]).collect())
}

fn grow() -> Plan {
    epochs(&[shape(1, &[1, 2]), shape(2, &[1, 2])])
}

fn shrink() -> Plan {
    epochs(&[shape(2, &[1, 2]), shape(1, &[1, 2])])
}

/// The next epoch is like the one before.
fn again() -> Plan {
    epochs(&[shape(1, &[1, 2]), shape(1, &[1, 2])])
}

/// The same, with three servers.
fn same() -> Plan {
    epochs(&[shape(1, &[1, 2, 3]), shape(1, &[1, 2, 3])])
}

fn replace() -> Plan {
    epochs(&[shape(1, &[1, 2, 3]), shape(1, &[2, 3, 4])])
}

fn hand_over() -> Plan {
    epochs(&[shape(1, &[1, 2]), shape(1, &[3])])
}

#[track_caller]
fn holds(name: &str, plan: Plan) {
    let report = plan.check();
    println!("{name}: {report}");
    assert!(report.counterexample.is_none(), "{name}: {report}");
}

#[track_caller]
fn fails(mistake: Mistake, plan: Plan, property: &str) {
    let report = Plan { mistake: Some(mistake), ..plan }.check();
    println!("{mistake:?}: {report}");
    let violated = report.counterexample.as_ref().map(|counterexample| counterexample.property);
    assert_eq!(violated, Some(property), "{mistake:?}: {report}");
}

#[test]
fn groups_become_more() {
    let plan = Plan { commands: 1, lanes: &[(2, 2)], crashes: 1, restarts: 1, ..grow() };
    let reads = Plan { reads: 1, readers: &[2], ..plan.clone() };
    holds("R = 1 to 2, a command, a read, a crash", Plan { snapshots: 0, ..reads });
    holds("R = 1 to 2, a command, a damaged snapshot", Plan { damages: 1, snapshots: 2, ..plan });
}

#[test]
fn groups_become_fewer() {
    let plan = Plan { snapshots: 0, ..shrink() };
    let command = Plan { commands: 1, lanes: &[(2, 2)], ..plan.clone() };
    holds("R = 2 to 1, a command, a skip", Plan { skips: 1, ..command.clone() });
    holds("R = 2 to 1, a command, a crash", Plan { crashes: 1, restarts: 1, ..command });
    holds("R = 2 to 1, two ends, a skip", Plan { ends: &[2], skips: 1, ..plan });
    let three = epochs(&[shape(2, &[1, 2, 3]), shape(1, &[1, 2, 3])]);
    holds("R = 2 to 1, a leader crashes", Plan { crashes: 1, ..three });
}

#[test]
fn members_change() {
    let command = Plan { commands: 1, lanes: &[(2, 1)], ..replace() };
    holds("a member is replaced, a command", command.clone());
    holds("a member is replaced, a command, votes before the end", Plan { early_votes: true, ..command });
    holds("a member is replaced, a crash", Plan { crashes: 1, restarts: 1, ..replace() });
    let slow = Plan { commands: 1, slow_disks: true, ..hand_over() };
    holds("one server takes over from two, slow disks, 2 crashes", Plan { crashes: 2, restarts: 2, ..slow });
    let overlap = epochs(&[shape(1, &[1, 2]), shape(1, &[2, 3])]);
    let slow = Plan { slow_disks: true, crashes: 1, restarts: 1, ..overlap };
    holds(
        "votes before the end, slow disks, a crash",
        Plan { early_votes: true, commands: 1, lanes: &[(2, 1)], ..slow },
    );
}

#[test]
fn logs_are_compacted() {
    let plan = Plan { commands: 2, snapshots: 2, compactions: 1, ..hand_over() };
    holds("a newcomer, 2 commands, a skip, a compaction", Plan { skips: 1, ..plan.clone() });
    holds("a follower that lags, 2 commands, a compaction", Plan { epochs: same().epochs, ..plan });
    let damaged = Plan { crashes: 1, restarts: 1, damages: 1, ..again() };
    let damaged = Plan { commands: 1, skips: 1, snapshots: 2, compactions: 1, ..damaged };
    holds("a command, a skip, a compaction, a damaged snapshot", damaged);
}

#[test]
fn operators_ask_for_different_epochs() {
    let either = vec![shape(1, &[1, 2]), shape(1, &[2, 3])];
    let plan = Plan::of(vec![vec![shape(2, &[1, 2, 3])], either]);
    holds("two ends, different members", Plan { ends: &[2], snapshots: 0, ..plan });
}

#[test]
fn an_epoch_follows_another() {
    let three = || epochs(&[shape(1, &[1, 2]), shape(2, &[1, 2]), shape(1, &[2, 3])]);
    holds("three epochs", Plan { snapshots: 0, ..three() });
    let moves = || epochs(&[shape(1, &[1, 2]), shape(1, &[1, 3]), shape(1, &[3, 4])]);
    holds("three epochs, a crash", Plan { crashes: 1, restarts: 1, snapshots: 0, ..moves() });
}

#[test]
fn reads_cross_the_end_of_an_epoch() {
    let plan = Plan { commands: 1, reads: 1, readers: &[2], asks: 2, snapshots: 0, ..same() };
    holds("a read that asks twice, an election", Plan { elections: 1, ..plan.clone() });
    let newcomer = epochs(&[shape(1, &[1, 2]), shape(2, &[1, 3])]);
    holds(
        "a read through a newcomer",
        Plan { readers: &[3], asks: 1, snapshots: 1, ..Plan { epochs: newcomer.epochs, ..plan } },
    );
}

/// Everything at once, in three epochs.
fn busy(shapes: &[Shape]) -> Plan {
    Plan {
        lanes: &[(1, 1), (2, 2), (3, 2)],
        commands: 3,
        ends: &[2, 2],
        reads: 2,
        readers: &[1, 2, 3, 4],
        asks: 2,
        crashes: 2,
        restarts: 2,
        elections: 2,
        late_copies: 1,
        skips: 2,
        snapshots: 4,
        compactions: 2,
        damages: 1,
        slow_disks: true,
        longest_log: 9,
        ..epochs(shapes)
    }
}

/// Walks through so many states of each of four clusters.
fn walks(states: usize) {
    let all = [1, 2, 3].as_slice();
    let clusters = [
        [shape(1, all), shape(2, &[2, 3, 4]), shape(1, &[2, 3, 4])],
        [shape(2, all), shape(1, &[1, 2]), shape(2, &[1, 2, 4])],
        [shape(2, &[1, 2]), shape(1, &[2, 3]), shape(1, &[3, 4])],
        [shape(1, all), shape(2, all), shape(1, all)],
    ];
    let mut missing: Option<Vec<&str>> = None;
    for (seed, shapes) in (1..).zip(clusters) {
        let (report, not_here) = Plan { early_votes: seed % 2 == 0, ..busy(&shapes) }.walk(seed, states);
        println!("walk {seed}: {report}");
        assert!(report.counterexample.is_none(), "walk {seed}: {report}");
        match &mut missing {
            None => missing = Some(not_here),
            Some(missing) => missing.retain(|sight| not_here.contains(sight)),
        }
    }
    assert_eq!(missing, Some(vec![]), "this never happens, so nothing is known of it");
}

#[test]
fn walks_hold() {
    walks(100_000);
}

#[test]
#[ignore = "takes minutes"]
fn longer_walks_hold() {
    walks(4_000_000);
}

/// More of the same: millions of states.
#[test]
#[ignore = "takes minutes, and gigabytes"]
fn deeper() {
    let plan = Plan { commands: 1, lanes: &[(2, 2)], skips: 1, snapshots: 0, ..shrink() };
    holds("R = 2 to 1, a command, a read, a skip", Plan { reads: 1, readers: &[1], ..plan.clone() });
    holds("R = 2 to 1, a command, two ends, a skip", Plan { ends: &[2], ..plan.clone() });
    let copies = Plan { skips: 0, late_copies: 1, crashes: 1, restarts: 1, ..plan };
    holds("R = 2 to 1, a command, a late copy, a crash", copies);
    let plan =
        Plan { commands: 2, lanes: &[(1, 1), (2, 2)], reads: 1, readers: &[2], snapshots: 0, ..grow() };
    holds("R = 1 to 2, 2 commands, a read", plan);
    let plan =
        Plan { commands: 2, crashes: 1, restarts: 1, damages: 1, snapshots: 2, compactions: 1, ..same() };
    holds("a follower that lags, 2 commands, a compaction, a damaged snapshot", plan);
}

#[test]
fn planted_lanes_not_resent() {
    fails(Mistake::LanesNotResent, Plan { commands: 1, ..again() }, "progress_after_heal");
}

#[test]
fn planted_void_is_executed() {
    fails(
        Mistake::VoidIsExecuted,
        Plan { commands: 1, lanes: &[(2, 1)], snapshots: 0, ..same() },
        "progress_after_heal",
    );
}

#[test]
fn planted_first_seen_end_counts() {
    fails(Mistake::FirstSeenEndCounts, Plan { ends: &[2], ..shrink() }, "global_prefix");
}

#[test]
fn planted_no_round_is_wanted() {
    fails(Mistake::NoRoundIsWanted, again(), "progress_after_heal");
}

#[test]
fn planted_no_snapshot_is_due() {
    fails(Mistake::NoSnapshotIsDue, Plan { snapshots: 0, ..again() }, "progress_after_heal");
}

#[test]
fn planted_boundary_belongs_to_the_ended() {
    fails(
        Mistake::BoundaryBelongsToTheEnded,
        Plan {
            commands: 1,
            lanes: &[(1, 1)],
            must_end: false,
            ..epochs(&[shape(1, &[1, 2]), shape(1, &[1, 2, 3])])
        },
        "global_prefix",
    );
}

#[test]
fn planted_reads_by_position() {
    fails(
        Mistake::ReadsByPosition,
        Plan { commands: 1, reads: 1, readers: &[2], snapshots: 0, ..same() },
        "read_is_fresh",
    );
}

#[test]
fn planted_reads_not_asked_again() {
    fails(
        Mistake::ReadsNotAskedAgain,
        Plan {
            commands: 1,
            reads: 1,
            readers: &[2],
            snapshots: 0,
            ..epochs(&[shape(1, &[1, 2, 3]), shape(1, &[1, 3])])
        },
        "read_is_fresh",
    );
}

#[test]
fn planted_closes_without_snapshot() {
    fails(Mistake::ClosesWithoutSnapshot, Plan { crashes: 2, restarts: 2, ..again() }, "progress_after_heal");
}

#[test]
fn planted_closes_on_word() {
    fails(Mistake::ClosesOnWord, Plan { crashes: 1, ..same() }, "progress_after_heal");
}

#[test]
fn planted_stops_without_quorum() {
    fails(
        Mistake::StopsWithoutQuorum,
        Plan { snapshots: 2, ..epochs(&[shape(1, &[1, 2]), shape(1, &[3, 4])]) },
        "progress_after_heal",
    );
}

#[test]
fn planted_nobody_tells() {
    fails(Mistake::NobodyTells, Plan { crashes: 1, snapshots: 2, ..replace() }, "progress_after_heal");
}

#[test]
fn planted_voters_do_not_install() {
    fails(Mistake::VotersDoNotInstall, Plan { crashes: 1, snapshots: 2, ..replace() }, "progress_after_heal");
}

#[test]
fn planted_starts_when_merged() {
    fails(
        Mistake::StartsWhenMerged,
        Plan { crashes: 1, restarts: 1, snapshots: 0, slow_disks: true, ..hand_over() },
        "progress_after_heal",
    );
}

#[test]
fn planted_noops_need_no_proof() {
    fails(
        Mistake::NoopsNeedNoProof,
        Plan {
            skips: 1,
            crashes: 1,
            restarts: 1,
            snapshots: 0,
            slow_disks: true,
            ..epochs(&[shape(2, &[1, 2]), shape(1, &[3])])
        },
        "progress_after_heal",
    );
}

#[test]
fn planted_start_forgets_commits() {
    fails(
        Mistake::StartForgetsCommits,
        Plan { crashes: 2, restarts: 2, snapshots: 0, ..epochs(&[shape(1, &[1, 2]), shape(1, &[3, 4])]) },
        "progress_after_heal",
    );
}

#[test]
fn planted_acknowledges_before_start() {
    let wider = epochs(&[shape(1, &[1, 2]), shape(1, &[1, 3, 4])]);
    let plan = Plan { commands: 1, crashes: 2, snapshots: 0, ..wider };
    fails(Mistake::AcknowledgesBeforeStart, plan, "progress_after_heal");
}

#[test]
fn planted_closes_with_one_snapshot() {
    fails(
        Mistake::ClosesWithOneSnapshot,
        Plan { crashes: 1, restarts: 1, damages: 1, snapshots: 1, ..hand_over() },
        "progress_after_heal",
    );
}

#[test]
fn planted_closed_is_forgotten() {
    let alone = epochs(&[shape(1, &[1, 2, 3]), shape(1, &[1])]);
    let plan = Plan { commands: 2, lanes: &[(1, 1), (3, 1)], snapshots: 2, must_end: false, ..alone };
    fails(Mistake::ClosedIsForgotten, plan, "global_prefix");
}

#[test]
fn planted_ids_come_back() {
    fails(
        Mistake::IdsComeBack,
        Plan {
            commands: 1,
            lanes: &[(3, 1)],
            snapshots: 2,
            must_end: false,
            ..epochs(&[shape(1, &[1, 2, 3]), shape(1, &[1, 2]), shape(1, &[1, 2, 3])])
        },
        "applied_once",
    );
}

#[test]
fn planted_compacts_to_the_newest() {
    let plan =
        Plan { commands: 2, crashes: 1, restarts: 1, damages: 1, snapshots: 2, compactions: 1, ..again() };
    fails(Mistake::CompactsToTheNewest, plan, "compaction_floor");
}
