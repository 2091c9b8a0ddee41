//! The number of groups changes in simulated clusters, under all faults.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use niagara_engine::internals::example::Counter;
use niagara_testing::{Failure, Settings, Simulation, seeds};

/// Asks for another number of groups wherever it is taken; `false` if nobody takes it now.
fn ask(simulation: &mut Simulation<Counter>, groups: u16) -> bool {
    let servers: Vec<u64> = simulation.servers().filter(|server| simulation.is_running(*server)).collect();
    servers.into_iter().any(|server| simulation.ask_for_groups(server, groups).is_ok())
}

/// Numbers of groups, one epoch after the other.
fn epochs(seed: u64) -> Vec<u16> {
    let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = |most: u64| {
        bits ^= bits >> 29;
        bits = bits.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (bits >> 33) % most
    };
    let count = 2 + next(4) as usize;
    (0..count).map(|_| 1 + next(5) as u16).collect()
}

/// Simulates a cluster whose number of groups changes. Returns how often it did.
fn simulate(seed: u64) -> Result<u32, Failure> {
    let epochs = epochs(seed);
    let mut settings = Settings::new(seed, 3 + seed % 2 * 2, epochs[0]);
    settings.most_groups = epochs.iter().sum();
    settings.config.snapshot_entries = [5, 50, 1000][seed as usize % 3];
    let servers = settings.config.members.len() as u64;
    let mut simulation = Simulation::with(settings, |_| Counter::default());
    simulation.random_faults(Duration::from_secs(4));
    let mut rest = &epochs[1..];
    for step in 0..200u64 {
        for server in 1..=servers {
            if (step + server + seed).is_multiple_of(3) {
                simulation.propose(server, "count");
            }
            if (step + server).is_multiple_of(7) {
                simulation.read(server, niagara_engine::Consistency::Strong, |_| ());
            }
        }
        if step % 30 == seed % 30
            && let [groups, later @ ..] = rest
            && ask(&mut simulation, *groups)
        {
            rest = later;
        }
        simulation.run_for(Duration::from_millis(20))?;
    }
    simulation.settle()?;
    simulation.check_equal()?;
    // Everybody is in one epoch, and the cluster goes on. What nobody waits for any more may still be executed.
    let before = simulation.query(1, |count| count.load(SeqCst))?;
    simulation.execute(2, "count")?;
    simulation.settle()?;
    let after = simulation.query(1, |count| count.load(SeqCst))?;
    assert!(after > before, "seed {seed}");
    for server in 2..=servers {
        assert_eq!(simulation.epoch(server), simulation.epoch(1), "seed {seed}");
    }
    simulation.check_equal()?;
    Ok(simulation.epoch(1).map_or(0, |epoch| epoch.number - 1))
}

/// `NIAGARA_TEST_ROUNDS=50` simulates fifty times as many seeds.
#[test]
fn groups_change_under_all_faults() {
    let rounds = std::env::var("NIAGARA_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number"));
    let (mut simulated, mut changes) = (0, 0);
    for seed in seeds(0..60 * rounds) {
        changes += simulate(seed).unwrap_or_else(|failure| panic!("{failure}"));
        simulated += 1;
    }
    assert!(simulated < 60 || changes > simulated, "{changes} changes in {simulated} simulations");
}

/// Seeds within which each planted bug has to be found.
#[cfg(feature = "planted-bugs")]
const ENOUGH: u64 = 2_000;
/// Those that show in clusters of any state machine. The simulator of the store finds more of them.
#[cfg(feature = "planted-bugs")]
const FOUND_HERE: &[niagara_planted::Bug] =
    &[niagara_planted::Bug::EpochEndForgottenByReads, niagara_planted::Bug::SessionsBeginAnew];

/// Each checker is proved by the bug that it is for.
#[cfg(feature = "planted-bugs")]
#[test]
fn planted_bugs_of_epochs_are_found() {
    use std::panic::catch_unwind;

    use niagara_planted as planted;

    let mut missed = Vec::new();
    for bug in FOUND_HERE {
        let found = (0..ENOUGH).find(|seed| {
            planted::plant(Some(*bug));
            let simulated = catch_unwind(|| simulate(*seed));
            planted::plant(None);
            !matches!(simulated, Ok(Ok(_)))
        });
        match found {
            Some(seed) => println!("{bug:?} is found by seed {seed}"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found within {ENOUGH} seeds: {missed:?}");
}
