//! The sequencer's rules in every order of events of small clusters, and the mistakes that the model notices. Run with `--nocapture` to see
//! how many states there are, and what a counterexample looks like.

use niagara_sequencer::GroupId;
use niagara_tests::model::{Asked, Padded, Plan, Report};

const WITHOUT_SKIPPING_AHEAD: Padded = Padded::ToTheLevel { skip_ahead: false };

fn check(name: &str, plan: Plan) -> Report {
    let report = plan.check();
    println!("{name}: {report}");
    report
}

#[track_caller]
fn holds(name: &str, plan: Plan) {
    let report = check(name, plan);
    assert!(report.counterexample.is_none(), "{name}: {report}");
}

#[track_caller]
fn fails(name: &str, plan: Plan, property: &str) -> Report {
    let report = check(name, plan);
    let violated = report.counterexample.as_ref().map(|counterexample| counterexample.property);
    assert_eq!(violated, Some(property), "{name}: {report}");
    report
}

#[test]
fn one_group() {
    let plan = Plan { groups: 1, ..Plan::SMALL };
    let long = Plan { commands: 3, reads: 2, ticks: 1, elections: 1, ..plan.clone() };
    holds("R = 1, 3 commands, 2 reads, a tick, an election", long);
    let wide = Plan { servers: 3, commands: 2, reads: 1, elections: 2, ..plan };
    holds("R = 1, 3 servers, 2 commands, a read, 2 elections", wide);
}

#[test]
fn two_groups() {
    let plan = Plan { commands: 2, ..Plan::SMALL };
    holds("R = 2, 2 commands, a read, a tick", Plan { reads: 1, ticks: 1, ..plan.clone() });
    holds("R = 2, 2 commands, a read, an election", Plan { reads: 1, elections: 1, ..plan.clone() });
    holds("R = 2, 3 commands, 2 elections", Plan { commands: 3, elections: 2, ..plan.clone() });
    let short = Plan { commands: 1, reads: 1, ticks: 2, elections: 1, ..plan.clone() };
    holds("R = 2, a command, a read, 2 ticks, an election", short);
    let level = Plan { padded: WITHOUT_SKIPPING_AHEAD, ..plan };
    holds("R = 2, never ahead, 2 commands, a read, a tick", Plan { reads: 1, ticks: 1, ..level.clone() });
    holds("R = 2, never ahead, 2 commands, a read, an election", Plan { reads: 1, elections: 1, ..level });
}

#[test]
fn three_groups() {
    let plan = Plan { groups: 3, commands: 1, ..Plan::SMALL };
    holds("R = 3, a command, a read, a tick", Plan { reads: 1, ticks: 1, ..plan.clone() });
    holds("R = 3, a command, a read, an election", Plan { reads: 1, elections: 1, ..plan.clone() });
    holds("R = 3, 2 commands, an election", Plan { commands: 2, elections: 1, ..plan.clone() });
    let level = Plan { padded: WITHOUT_SKIPPING_AHEAD, ..plan };
    holds("R = 3, never ahead, a command, a read, a tick", Plan { reads: 1, ticks: 1, ..level.clone() });
    holds("R = 3, never ahead, 2 commands, an election", Plan { commands: 2, elections: 1, ..level });
}

/// More of the same: millions of states.
#[test]
#[ignore = "takes a minute or more, and gigabytes"]
fn deeper() {
    let two = Plan { commands: 2, ..Plan::SMALL };
    holds("R = 2, 3 commands, a read", Plan { commands: 3, reads: 1, ..two.clone() });
    holds(
        "R = 2, 2 commands, a read, a tick, an election",
        Plan { reads: 1, ticks: 1, elections: 1, ..two.clone() },
    );
    let three = Plan { groups: 3, ..two };
    holds("R = 3, 2 commands, a read", Plan { reads: 1, ..three.clone() });
    holds(
        "R = 3, never ahead, 2 commands, a read",
        Plan { reads: 1, padded: WITHOUT_SKIPPING_AHEAD, ..three },
    );
}

/// A cluster in which all logs have length 1, and nobody writes: c_max - c_l = 0, so no group pads.
fn idle(groups: u16) -> Plan {
    Plan { groups, rounds_before: 1, reads: 1, padded: WITHOUT_SKIPPING_AHEAD, ..Plan::SMALL }
}

#[test]
fn the_papers_reads_do_not_end_in_an_idle_cluster() {
    for groups in 1..=3 {
        holds(&format!("R = {groups}, idle, reads ask the awaited group"), Plan { ticks: 2, ..idle(groups) });
        for asked in 2..=groups {
            let plan = Plan { asked: Asked::Always(GroupId::new(asked)), ..idle(groups) };
            let name = format!("R = {groups}, idle, reads ask group {asked}");
            let report = fails(&name, plan, "idle_read_is_answered");
            let steps = report.counterexample.expect("it fails").steps;
            assert_eq!(steps.len(), 4, "the read, the answer, its arrival, and rest: {steps:?}");
        }
    }
}

#[test]
fn the_papers_padding_by_count_feeds_itself() {
    let plan = Plan { commands: 1, padded: Padded::ByCount, ..Plan::SMALL };
    fails("R = 2, a command, padding by count", plan.clone(), "pads_are_bounded");
    holds("R = 2, a command, padding by level", Plan { padded: WITHOUT_SKIPPING_AHEAD, ..plan.clone() });
    holds("R = 2, a command, padding ahead", Plan { padded: Plan::SMALL.padded, ..plan });
}

#[test]
fn planted_an_answer_that_is_a_place_too_low() {
    let plan = Plan { commands: 1, reads: 1, answers_too_low: 1, groups: 1, ..Plan::SMALL };
    fails("answers a place too low", plan, "read_is_fresh");
}

#[test]
fn planted_places_that_do_not_count_what_is_not_committed() {
    let plan = Plan { commands: 2, places_forget_uncommitted: true, groups: 1, ..Plan::SMALL };
    fails("places of what is committed only", plan, "slots_rise");
}

#[test]
fn planted_servers_that_merge_what_is_not_committed() {
    let plan = Plan { commands: 2, elections: 1, merge_uncommitted: true, groups: 1, ..Plan::SMALL };
    fails("entries merged before they are committed", plan, "global_prefix");
}
