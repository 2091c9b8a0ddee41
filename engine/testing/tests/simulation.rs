//! What a simulation does when it is told to.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use niagara_engine::internals::example::Counter;
use niagara_engine::{Consistency, Durability, Refused};
use niagara_testing::{Failure, Outcome, Settings, Simulation};

fn counters(seed: u64) -> Simulation<Counter> {
    Simulation::new(seed, 3, 2, |_| Counter::default())
}

const SECOND: Duration = Duration::from_secs(1);

/// A run with everything that is drawn from the seed.
fn trace(seed: u64) -> Result<String, Failure> {
    let mut simulation = counters(seed);
    simulation.random_faults(3 * SECOND);
    for i in 0..100 {
        simulation.propose(i % 3 + 1, format!("{i}"));
        simulation.run_for(Duration::from_millis(30))?;
    }
    simulation.settle()?;
    simulation.check_equal()?;
    Ok(simulation.trace().to_owned())
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let (once, again, other) = (trace(7).unwrap(), trace(7).unwrap(), trace(8).unwrap());
    assert!(once.lines().count() > 150, "{once}");
    assert_eq!(once, again);
    assert_ne!(once, other);
}

#[test]
fn random_faults_strike() {
    let all: String = (1..=30).map(|seed| trace(seed).unwrap()).collect();
    for what in [
        "crashes",
        "loses power",
        "are cut apart",
        "is paused",
        "percent",
        "disk is full",
        "disk hangs",
        " ends: ",
        "has a snapshot",
        "continues from a snapshot",
    ] {
        assert!(all.contains(what), "nobody {what}");
    }
}

#[test]
fn a_server_that_is_cut_off_gets_no_quorum_and_catches_up() {
    let mut simulation = counters(1);
    simulation.execute(3, "a").unwrap();
    simulation.cut(1, 3);
    simulation.cut(2, 3);
    let lonely = simulation.propose(3, "b");
    simulation.run_for(2 * SECOND).unwrap();
    let outcome = simulation.outcome(lonely).expect("the deadline is a second");
    assert!(matches!(outcome, Outcome::Unknown(_) | Outcome::Refused(_)), "{outcome:?}");
    simulation.execute(1, "c").unwrap();
    simulation.settle().unwrap();
    simulation.check_equal().unwrap();
    let count = |simulation: &mut Simulation<Counter>, server| {
        simulation.query(server, |count| count.load(SeqCst)).unwrap()
    };
    assert_eq!(count(&mut simulation, 1), count(&mut simulation, 3));
}

#[test]
fn acknowledged_commands_survive_the_loss_of_all_power() {
    let mut simulation = counters(2);
    for i in 0..20 {
        assert_eq!(simulation.execute(i % 3 + 1, "count").unwrap().reply, i as usize + 1);
    }
    (1..=3).for_each(|server| simulation.lose_power(server));
    assert!(!simulation.is_running(2));
    let down = simulation.propose(2, "count");
    assert_eq!(simulation.outcome(down), Some(&Outcome::Down));
    simulation.settle().unwrap();
    assert_eq!(simulation.query(2, |count| count.load(SeqCst)).unwrap(), 20);
    assert_eq!(simulation.replies().len() as u64, 22);
    assert_eq!(simulation.pending(), 0);
}

#[test]
fn a_paused_server_answers_when_it_resumes() {
    let mut settings = Settings::new(3, 3, 1);
    settings.config.deadline = 60 * SECOND;
    let mut simulation = Simulation::with(settings, |_| Counter::default());
    simulation.wait_ready().unwrap();
    simulation.pause(1);
    let call = simulation.propose(1, "count");
    simulation.run_for(5 * SECOND).unwrap();
    assert_eq!(simulation.outcome(call), None);
    simulation.resume(1);
    simulation.settle().unwrap();
    assert!(matches!(simulation.outcome(call), Some(Outcome::Applied(_))), "{}", simulation.trace());
}

/// A deadline of one second passes sooner where the clock is fast.
#[test]
fn a_fast_clock_shortens_deadlines() {
    let mut simulation = counters(4);
    simulation.execute(1, "count").unwrap();
    simulation.set_clock(1, 400);
    simulation.cut(1, 2);
    simulation.cut(1, 3);
    let call = simulation.propose(1, "count");
    simulation.run_for(SECOND / 2).unwrap();
    assert!(matches!(simulation.outcome(call), Some(Outcome::Unknown(_))), "{}", simulation.trace());
}

#[test]
fn weak_reads_do_not_wait() {
    let mut simulation = counters(5);
    simulation.run_for(SECOND / 10).unwrap();
    simulation.cut(1, 2);
    simulation.cut(1, 3);
    let (weak, strong) = (
        simulation.read(1, Consistency::Weak, |_| {}),
        simulation.read(1, Consistency::Strong, |_| panic!("no quorum confirms it")),
    );
    simulation.run_for(3 * SECOND).unwrap();
    assert!(matches!(simulation.outcome(weak), Some(Outcome::Read(_))));
    assert_eq!(simulation.outcome(strong), Some(&Outcome::ReadFailed));
}

#[test]
fn a_cluster_without_a_quorum_is_stuck_and_says_how_to_see_that_again() {
    let mut simulation = counters(6);
    simulation.run_for(SECOND / 10).unwrap();
    simulation.crash(2);
    simulation.crash(3);
    let failure = simulation.execute(1, "count").unwrap_err();
    let name = "a_cluster_without_a_quorum_is_stuck_and_says_how_to_see_that_again";
    let told = failure.to_string();
    assert!(told.starts_with("seed 6: nothing moves: "), "{told}");
    assert!(told.contains("server 3 crashes"), "{told}");
    assert!(told.ends_with(&format!("run it again: NIAGARA_SEED=6 cargo test {name}")), "{told}");
    assert_eq!(simulation.run_for(SECOND), Err(failure), "it stays where it is");
}

/// The others' logs no longer hold what server 3 has missed.
#[test]
fn a_server_that_was_away_too_long_gets_a_snapshot() {
    let mut settings = Settings::new(7, 3, 2);
    settings.config.snapshot_entries = 8;
    settings.config.snapshot_pin_bytes = 0;
    let mut simulation = Simulation::with(settings, |_| Counter::default());
    simulation.execute(3, "count").unwrap();
    simulation.crash(3);
    for _ in 0..60 {
        simulation.execute(1, "count").unwrap();
    }
    simulation.restart(3);
    simulation.settle().unwrap();
    simulation.check_equal().unwrap();
    let received = |line: &str| line.contains("server 3 continues from a snapshot");
    assert!(simulation.trace().lines().any(received), "{}", simulation.trace());
    assert_eq!(simulation.query(3, |count| count.load(SeqCst)).unwrap(), 61);
}

#[test]
fn a_server_with_a_full_disk_refuses_commands_until_there_is_room() {
    let mut simulation = counters(11);
    simulation.execute(2, "count").unwrap();
    simulation.fill_disk(2);
    simulation.run_for(SECOND).unwrap();
    let refused = simulation.propose(2, "count");
    simulation.run_for(SECOND).unwrap();
    let outcome = simulation.outcome(refused);
    assert!(matches!(outcome, Some(Outcome::Refused(Refused::ReadOnly))), "{outcome:?}");
    assert_eq!(simulation.execute(1, "count").unwrap().reply, 2, "a majority has room");
    simulation.crash(2);
    simulation.restart(2);
    assert!(!simulation.is_running(2), "it cannot record its start");
    simulation.mend_disk(2);
    assert_eq!(simulation.execute(2, "count").unwrap().reply, 3);
    simulation.settle().unwrap();
    simulation.check_equal().unwrap();
}

#[test]
fn a_server_whose_disk_hangs_acknowledges_nothing_and_catches_up() {
    let mut simulation = counters(12);
    simulation.execute(1, "count").unwrap();
    (2..=3).for_each(|server| simulation.hang_disk(server));
    let lonely = simulation.propose(1, "count");
    simulation.run_for(2 * SECOND).unwrap();
    let outcome = simulation.outcome(lonely);
    assert!(
        matches!(outcome, Some(Outcome::Unknown(_) | Outcome::Refused(_))),
        "one disk is no majority: {outcome:?}"
    );
    simulation.mend_disk(2);
    simulation.execute(1, "count").unwrap();
    simulation.crash(3);
    simulation.restart(3);
    assert!(!simulation.is_running(3), "it cannot start");
    simulation.mend_disk(3);
    assert!(simulation.is_running(3));
    simulation.settle().unwrap();
    simulation.check_equal().unwrap();
}

#[test]
fn a_server_whose_sync_fails_ends_and_returns_with_what_it_has_acknowledged() {
    let mut simulation = counters(13);
    for i in 0..10 {
        assert_eq!(simulation.execute(1, "count").unwrap().reply, i + 1);
    }
    simulation.fail_next_sync(1);
    simulation.propose(2, "count");
    simulation.run_for(SECOND).unwrap();
    assert!(!simulation.is_running(1), "{}", simulation.trace());
    simulation.lose_power(1);
    simulation.restart(1);
    simulation.settle().unwrap();
    simulation.check_equal().unwrap();
    assert!(simulation.query(1, |count| count.load(SeqCst)).unwrap() >= 10);
}

/// A fault that was drawn for later does not disturb what follows.
#[test]
fn faults_end_when_a_cluster_is_to_settle() {
    let mut simulation = counters(8);
    simulation.random_faults(30 * SECOND);
    simulation.settle().unwrap();
    let calm = simulation.trace().len();
    simulation.run_for(30 * SECOND).unwrap();
    assert_eq!(simulation.trace().len(), calm, "{}", simulation.trace());
}

#[test]
#[should_panic(expected = "there is no server 4: servers are numbered from 1 to 3")]
fn servers_have_numbers() {
    counters(1).propose(4, "count");
}

#[test]
#[should_panic(expected = "use Durability::Fsync or Durability::Os")]
fn logs_in_memory_survive_no_crash() {
    let mut settings = Settings::new(1, 3, 2);
    settings.config.durability = Durability::Memory;
    Simulation::with(settings, |_| Counter::default());
}

#[test]
fn without_fsync_servers_crash_but_keep_their_power() {
    let mut settings = Settings::new(9, 3, 2);
    settings.config.durability = Durability::Os;
    let mut simulation = Simulation::with(settings, |_| Counter::default());
    simulation.random_faults(5 * SECOND);
    for i in 0..50 {
        simulation.propose(i % 3 + 1, "count");
        simulation.run_for(SECOND / 10).unwrap();
    }
    simulation.settle().unwrap();
    simulation.check_equal().unwrap();
    assert!(!simulation.trace().contains("loses power"));
}
