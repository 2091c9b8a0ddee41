//! Members, and the number of groups, change in simulated clusters, under all faults.

#[cfg(feature = "planted-bugs")]
use std::panic::catch_unwind;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use niagara_engine::internals::example::Counter;
use niagara_engine::{Consistency, EpochView};
#[cfg(feature = "planted-bugs")]
use niagara_planted::{self as planted, Bug};
use niagara_testing::{Failure, Settings, Simulation, seeds};

/// Servers that may come, beside those that the cluster begins with.
const SPARES: u64 = 3;
/// Changes, and groups of each epoch, at most.
const MOST_CHANGES: usize = 7;
const MOST_GROUPS: u64 = 3;

/// Numbers that follow from a seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 29;
        self.0 = self.0.wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(0x9e37_79b9_7f4a_7c15);
        (self.0 >> 33) % most
    }

    fn pick(&mut self, from: &[u64]) -> u64 {
        from[self.below(from.len() as u64) as usize]
    }
}

/// What the next epoch is to have.
#[derive(Debug)]
enum Wish {
    Groups(u16),
    Members { leave: Vec<u64>, come: Vec<u64> },
}

fn running(simulation: &Simulation<Counter>) -> Vec<u64> {
    simulation.servers().filter(|server| simulation.is_running(*server)).collect()
}

/// The newest epoch that a running server is in.
fn newest(simulation: &Simulation<Counter>) -> Option<EpochView> {
    let epochs = running(simulation).into_iter().filter_map(|server| simulation.epoch(server));
    epochs.max_by_key(|epoch| epoch.number)
}

fn draw(draws: &mut Draws, simulation: &Simulation<Counter>, now: &EpochView) -> Wish {
    let unused: Vec<u64> = simulation
        .servers()
        .filter(|server| *server > simulation.servers().count() as u64 - SPARES)
        .collect();
    let never: Vec<u64> = unused
        .into_iter()
        .filter(|server| simulation.is_out(*server) && !now.members.contains(server))
        .collect();
    let leaves = draws.pick(&now.members);
    match draws.below(4) {
        0 => Wish::Groups(1 + draws.below(MOST_GROUPS) as u16),
        1 if now.members.len() > 2 => Wish::Members { leave: vec![leaves], come: Vec::new() },
        2 if !never.is_empty() => Wish::Members { leave: Vec::new(), come: vec![draws.pick(&never)] },
        _ if !never.is_empty() => Wish::Members { leave: vec![leaves], come: vec![draws.pick(&never)] },
        _ => Wish::Groups(1 + draws.below(MOST_GROUPS) as u16),
    }
}

/// Makes a wish wherever it is taken; `false` if nobody takes it now.
fn ask(simulation: &mut Simulation<Counter>, wish: &Wish) -> bool {
    running(simulation).into_iter().any(|server| match wish {
        Wish::Groups(groups) => simulation.ask_for_groups(server, *groups).is_ok(),
        Wish::Members { leave, come } => simulation.ask_for_members(server, leave, come).is_ok(),
    })
}

/// Lets every member that has yet to come join.
fn join(simulation: &mut Simulation<Counter>) {
    for server in simulation.servers() {
        simulation.join(server);
    }
}

/// Simulates a cluster whose members and groups change. Returns how often they did. `is_followed`: a follower goes along.
fn simulate(seed: u64, is_followed: bool) -> Result<u32, Failure> {
    let mut draws = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let founders = [1, 2, 3, 3, 5][draws.below(5) as usize];
    let mut settings = Settings::new(seed, founders + SPARES, 1 + draws.below(MOST_GROUPS) as u16);
    settings.spares = SPARES;
    settings.most_groups = (MOST_CHANGES as u64 + 1) as u16 * MOST_GROUPS as u16;
    settings.config.snapshot_entries = [5, 50, 1000][draws.below(3) as usize];
    let mut simulation = Simulation::with(settings, |_| Counter::default());
    simulation.random_faults(Duration::from_secs(5));
    let (mut wishes, mut in_epoch) = (0, 0);
    for step in 0..250u64 {
        for server in running(&simulation) {
            if (step + server + seed).is_multiple_of(3) {
                simulation.propose(server, "count");
            }
            if (step + server).is_multiple_of(7) {
                simulation.read(server, Consistency::Strong, |_| ());
            }
        }
        join(&mut simulation);
        if step % 25 == seed % 25
            && wishes < MOST_CHANGES
            && let Some(now) = newest(&simulation)
            && now.number > in_epoch
        {
            let wish = draw(&mut draws, &simulation, &now);
            if ask(&mut simulation, &wish) {
                (wishes, in_epoch) = (wishes + 1, now.number);
            }
        }
        run(&mut simulation, is_followed)?;
    }
    // Whoever is a member comes, and whoever is none ends.
    let mut before = None;
    for _ in 0..40 {
        simulation.calm_down();
        simulation.run_for(Duration::from_millis(500))?;
        join(&mut simulation);
        let now = newest(&simulation).map(|now| (now.number, now.members));
        let is_there = |server: &u64| simulation.is_running(*server);
        if now == before && now.as_ref().is_some_and(|(_, members)| members.iter().all(is_there)) {
            break;
        }
        before = now;
    }
    simulation.settle()?;
    simulation.check_equal()?;
    let members = newest(&simulation).expect("somebody runs").members;
    let (first, last) = (members[0], members[members.len() - 1]);
    let before = simulation.query(first, |count| count.load(SeqCst))?;
    simulation.execute(last, "count")?;
    simulation.settle()?;
    let after = simulation.query(first, |count| count.load(SeqCst))?;
    assert!(after > before, "seed {seed}");
    for server in simulation.servers() {
        let is_member = members.contains(&server);
        assert_eq!(simulation.is_running(server), is_member, "seed {seed}: server {server}");
        assert!(
            !is_member || simulation.epoch(server) == simulation.epoch(first),
            "seed {seed}: server {server}"
        );
    }
    simulation.check_equal()?;
    if is_followed {
        simulation.settle_follower()?;
    }
    Ok(simulation.epoch(first).map_or(0, |epoch| epoch.number - 1))
}

/// Lets 20 ms pass; a follower takes part in between.
fn run(simulation: &mut Simulation<Counter>, is_followed: bool) -> Result<(), Failure> {
    if !is_followed {
        return simulation.run_for(Duration::from_millis(20));
    }
    for _ in 0..10 {
        simulation.run_for(Duration::from_millis(2))?;
        simulation.feed_follower()?;
    }
    Ok(())
}

#[test]
fn a_follower_goes_through_all_changes_and_faults() {
    let rounds = std::env::var("NIAGARA_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number"));
    let simulate = |seed| simulate(seed, true).unwrap_or_else(|failure| panic!("{failure}"));
    let changes: Vec<u32> = seeds(0..20 * rounds).map(simulate).collect();
    let (simulated, changes) = (changes.len() as u32, changes.iter().sum::<u32>());
    println!("a follower has followed {changes} changes in {simulated} simulations");
    assert!(simulated < 20 || changes > simulated, "{changes} changes in {simulated} simulations");
}

/// `NIAGARA_TEST_ROUNDS=50` simulates fifty times as many seeds.
#[test]
fn members_change_under_all_faults() {
    let rounds = std::env::var("NIAGARA_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number"));
    let (mut simulated, mut changes) = (0, 0);
    for seed in seeds(0..60 * rounds) {
        changes += simulate(seed, false).unwrap_or_else(|failure| panic!("{failure}"));
        simulated += 1;
    }
    println!("{changes} changes in {simulated} simulations");
    assert!(simulated < 60 || changes > 2 * simulated, "{changes} changes in {simulated} simulations");
}

/// Seeds within which each planted bug has to be found.
#[cfg(feature = "planted-bugs")]
const ENOUGH: u64 = 600;

#[cfg(feature = "planted-bugs")]
#[test]
fn planted_bugs_of_members_are_found() {
    let more = std::env::var("NIAGARA_MORE_BUGS").map_or(&[][..], |_| Bug::EPOCHS_NOT_FOUND);
    for bug in Bug::MEMBERS.iter().chain(more) {
        let found = found_by(*bug, false);
        assert!(found.is_some() || more.contains(bug), "{bug:?} is not found within {ENOUGH} seeds");
    }
}

#[cfg(feature = "planted-bugs")]
#[test]
fn planted_bugs_of_followers_are_found() {
    for bug in Bug::FOLLOWERS {
        assert!(found_by(*bug, true).is_some(), "{bug:?} is not found within {ENOUGH} seeds");
    }
}

/// The first seed that shows a bug.
#[cfg(feature = "planted-bugs")]
fn found_by(bug: Bug, is_followed: bool) -> Option<u64> {
    let found = (0..ENOUGH).find(|seed| {
        planted::plant(Some(bug));
        let simulated = catch_unwind(|| simulate(*seed, is_followed));
        planted::plant(None);
        !matches!(simulated, Ok(Ok(_)))
    });
    println!("{bug:?} is found by seed {found:?}");
    found
}
