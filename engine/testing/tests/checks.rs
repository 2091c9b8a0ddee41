//! Each checker finds a bug that was planted for it, and finds nothing once that is mended.

mod machine;

use std::time::Duration;

use machine::{Bug, Log};
use niagara_testing::{Failure, Found, Settings, Simulation, seeds};

/// Seconds of commands under faults, then calm, then a comparison.
fn run(bug: Option<Bug>, seed: u64, servers: u64, groups: u16) -> Result<(), Failure> {
    let mut settings = Settings::new(seed, servers, groups);
    settings.config.snapshot_entries = 8;
    let mut simulation = Simulation::with(settings, move |server| Log::new(server, bug));
    simulation.random_faults(Duration::from_secs(3));
    for i in 0..60_u64 {
        // Several at once, which share entries.
        for part in 0..3 {
            simulation.propose(i % servers + 1, format!("{i}.{part}"));
        }
        simulation.run_for(Duration::from_millis(50))?;
    }
    simulation.settle()?;
    simulation.check_equal()
}

/// What a bug leads to within a few seeds.
fn find(bug: Bug) -> Found {
    let failure = (1..=5).find_map(|seed| run(Some(bug), seed, 3, 2).err());
    *failure.unwrap_or_else(|| panic!("{bug:?} was not found")).found
}

/// `NIAGARA_TEST_ROUNDS=10` tries ten times as many seeds.
#[test]
fn a_sound_state_machine_passes() {
    let rounds = std::env::var("NIAGARA_TEST_ROUNDS").map_or(1, |text| text.parse().expect("a number"));
    for seed in seeds(1..=20 * rounds) {
        let servers = [3, 5, 1][seed as usize % 3];
        run(None, seed, servers, seed as u16 % 4 + 1).unwrap();
    }
}

#[test]
fn replies_that_differ_are_found() {
    let found = find(Bug::ReplyNamesServer);
    assert!(matches!(found, Found::Replies { .. }), "{found}");
}

#[test]
fn states_that_differ_are_found_at_the_command_that_made_them_differ() {
    let found = find(Bug::SevenForgottenOnServer2);
    let Found::States { command, encoded: true, .. } = &found else { panic!("{found}") };
    assert!(command.starts_with(b"7."), "{found}");
}

#[test]
fn states_that_differ_are_found_at_the_end_alone() {
    let mut settings = Settings::new(1, 3, 2);
    settings.states_every = 0;
    let make = |server| Log::new(server, Some(Bug::SevenForgottenOnServer2));
    let mut simulation = Simulation::with(settings, make);
    simulation.execute(1, "7.0").unwrap();
    simulation.settle().unwrap();
    let found = *simulation.check_equal().unwrap_err().found;
    assert!(matches!(found, Found::States { encoded: true, .. }), "{found}");
}

#[test]
fn digests_that_differ_are_found() {
    let found = find(Bug::DigestOfServer);
    assert!(matches!(found, Found::States { encoded: false, .. }), "{found}");
}

#[test]
fn a_restore_that_forgets_is_found() {
    let found = find(Bug::RestoreForgetsLast);
    assert!(matches!(found, Found::Restored { .. }), "{found}");
}

#[test]
fn a_restore_that_forgets_is_found_without_a_crash() {
    let make = |server| Log::new(server, Some(Bug::RestoreForgetsLast));
    let mut simulation = Simulation::new(1, 3, 2, make);
    simulation.execute(1, "a").unwrap();
    simulation.settle().unwrap();
    let found = *simulation.check_equal().unwrap_err().found;
    assert!(matches!(found, Found::Restored { .. }), "{found}");
}

/// The snapshot lacks what later replies depend on: freezing and restoring agree on it.
#[test]
fn a_snapshot_that_lacks_something_is_found() {
    let found = find(Bug::CountNotInSnapshot);
    assert!(matches!(found, Found::Replies { .. }), "{found}");
}

#[test]
fn a_restore_that_refuses_its_own_snapshot_is_found() {
    let found = find(Bug::RestoreRefuses);
    assert!(matches!(found, Found::NotRestored { .. }), "{found}");
}

#[test]
fn a_view_that_changes_is_found() {
    let found = find(Bug::ViewIsLive);
    assert!(matches!(found, Found::ViewChanged { .. }), "{found}");
}

#[test]
fn what_depends_on_batches_is_found() {
    let found = find(Bug::CountsBatches);
    assert!(matches!(found, Found::Replies { .. }), "{found}");
}
