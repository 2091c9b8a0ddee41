//! The level rises in simulated clusters, whose servers are upgraded one after the other, under all faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use niagara_engine::{
    Commands, Encoded, GlobalPosition, KNOWN_LEVEL, MalformedState, NotACommand, Refused, StateMachine,
};
use niagara_testing::{Answer, Failure, Outcome, Settings, Simulation, seeds};

/// A command that every release knows, and one that level 2 adds.
const OLD: &str = "old";
const NEW: &str = "new";

/// Counts commands, as the program of some release does.
struct Counter {
    count: u64,
    /// The highest level whose commands it knows.
    known: u32,
    unexecutable: Option<NotACommand>,
}

impl StateMachine for Counter {
    type Reply = u64;
    type Reader = ();
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) {}

    fn needed_level(command: &[u8]) -> u32 {
        if command == NEW.as_bytes() { 2 } else { 1 }
    }

    fn apply(&mut self, _position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<u64>) {
        for command in commands {
            if Self::needed_level(command.as_slice()) > self.known {
                self.unexecutable = Some(NotACommand("a newer release has written it"));
            }
            self.count += 1;
            replies.push(self.count);
        }
    }

    fn unexecutable(&self) -> Option<NotACommand> {
        self.unexecutable
    }

    fn freeze(&mut self) -> Encoded {
        Encoded::new(self.count.to_le_bytes().to_vec())
    }

    fn restoring((): &()) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _position: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
        let count = state.bytes().try_into().map_err(|_| MalformedState("a count has eight bytes"))?;
        self.count = u64::from_le_bytes(count);
        Ok(())
    }
}

/// Within so many requests, the level has risen in a cluster without faults.
const MOST_REQUESTS: usize = 200;

/// What the program on each server's machine knows: from its next start on, the server runs that.
type Installed = Arc<Mutex<BTreeMap<u64, u32>>>;

/// What has become of commands that need level 2.
#[derive(Debug, Default)]
struct Seen {
    refused: usize,
    applied: usize,
    raised: usize,
}

fn running(simulation: &Simulation<Counter>) -> Vec<u64> {
    simulation.servers().filter(|server| simulation.is_running(*server)).collect()
}

fn level(simulation: &Simulation<Counter>, server: u64) -> u32 {
    simulation.epoch(server).map_or(0, |epoch| epoch.level)
}

/// A cluster of servers that know the first level only, or the next one too.
fn cluster(seed: u64, installed: &Installed) -> Simulation<Counter> {
    let servers = [3, 3, 5][seed as usize % 3];
    let mut settings = Settings::new(seed, servers, 1 + (seed / 3 % 3) as u16);
    settings.most_groups = 3 * settings.config.groups();
    settings.config.first_level = 1;
    settings.config.snapshot_entries = [5, 50, 1000][seed as usize / 9 % 3];
    let programs = Arc::clone(installed);
    let mut simulation = Simulation::with(settings, move |server| Counter {
        count: 0,
        known: programs.lock().unwrap().get(&server).copied().unwrap_or(KNOWN_LEVEL),
        unexecutable: None,
    });
    // In some clusters, servers have been upgraded before they are looked at.
    for server in simulation.servers() {
        let known = if (seed >> server).is_multiple_of(4) { KNOWN_LEVEL } else { 1 };
        install(&mut simulation, installed, server, known);
        simulation.crash(server);
        simulation.restart(server);
    }
    simulation
}

fn install(simulation: &mut Simulation<Counter>, installed: &Installed, server: u64, known: u32) {
    installed.lock().unwrap().insert(server, known);
    simulation.set_known_level(server, known);
}

/// Simulates an upgrade: servers stop and start with the next release one after the other, while somebody keeps asking for the
/// next level, and for what it adds.
fn simulate(seed: u64) -> Result<Seen, Failure> {
    let installed = Installed::default();
    let mut simulation = cluster(seed, &installed);
    let servers: Vec<u64> = simulation.servers().collect();
    simulation.random_faults(Duration::from_secs(3));
    let mut seen = Seen::default();
    for step in 0..150u64 {
        for server in running(&simulation) {
            if (step + server + seed).is_multiple_of(3) {
                simulation.propose(server, if (step + server).is_multiple_of(2) { OLD } else { NEW });
            }
        }
        if step.is_multiple_of(10)
            && let Some(server) = servers.get((step / 10) as usize)
        {
            install(&mut simulation, &installed, *server, KNOWN_LEVEL);
            simulation.crash(*server);
            simulation.restart(*server);
        }
        if step % 5 == seed % 5 {
            let asked =
                running(&simulation).into_iter().any(|server| simulation.ask_for_level(server, 2).is_ok());
            seen.raised += usize::from(asked);
        }
        simulation.run_for(Duration::from_millis(20))?;
        let highest = running(&simulation).into_iter().map(|server| level(&simulation, server)).max();
        let known = installed.lock().unwrap().values().copied().min();
        assert!(highest <= known, "seed {seed}: at level {highest:?}, and a server knows {known:?}");
    }
    simulation.settle()?;
    for _ in 0..MOST_REQUESTS {
        if servers.iter().all(|server| level(&simulation, *server) == 2) {
            break;
        }
        seen.raised += servers.iter().filter(|server| simulation.ask_for_level(**server, 2).is_ok()).count();
        simulation.run_for(Duration::from_millis(100))?;
    }
    simulation.execute(servers[0], NEW)?;
    simulation.settle()?;
    simulation.check_equal()?;
    assert!(servers.iter().all(|server| level(&simulation, *server) == 2), "seed {seed}");
    count(simulation.replies(), &mut seen);
    Ok(seen)
}

fn count(answers: &[Answer<u64>], seen: &mut Seen) {
    for answer in answers.iter().filter(|answer| answer.command.as_deref() == Some(NEW.as_bytes())) {
        match &answer.outcome {
            Outcome::Applied(_) => seen.applied += 1,
            Outcome::Refused(Refused::Level { needed: 2, now: 1 }) => seen.refused += 1,
            _ => {}
        }
    }
}

/// `NIAGARA_TEST_ROUNDS=50` simulates fifty times as many seeds.
#[test]
fn clusters_are_upgraded_under_all_faults() {
    let rounds = std::env::var("NIAGARA_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number"));
    let mut all = Seen::default();
    for seed in seeds(0..60 * rounds) {
        let Seen { refused, applied, raised } = simulate(seed).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(raised > 0 && applied > 0, "seed {seed}: {raised} requests, {applied} commands");
        all.refused += refused;
        all.applied += applied;
        all.raised += raised;
    }
    println!("{all:?}");
    assert!(all.refused > 0, "{all:?}");
}

/// Seeds within which each planted bug has to be found.
#[cfg(feature = "planted-bugs")]
const ENOUGH: u64 = 100;

#[cfg(feature = "planted-bugs")]
#[test]
fn planted_bugs_of_levels_are_found() {
    use std::panic::catch_unwind;

    use niagara_planted::{self as planted, Bug};

    for bug in Bug::LEVELS {
        let found = (0..ENOUGH).find(|seed| {
            planted::plant(Some(*bug));
            let simulated = catch_unwind(|| simulate(*seed));
            planted::plant(None);
            !matches!(simulated, Ok(Ok(_)))
        });
        println!("{bug:?} is found by seed {found:?}");
        assert!(found.is_some(), "{bug:?} is not found within {ENOUGH} seeds");
    }
}
