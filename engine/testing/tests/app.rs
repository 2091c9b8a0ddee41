//! An [`App`] in a simulation and on a local cluster.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::time::Duration;

use niagara_engine::{App, AppMachine, Consistency, GlobalPosition};
use niagara_testing::{Failure, Found, Settings, Simulation, local_cluster};
use serde::{Deserialize, Serialize};

/// Amounts by name.
#[derive(Default, Serialize, Deserialize)]
struct Ledger(BTreeMap<String, u64>);

impl App for Ledger {
    type Command = (String, u64);
    type Reply = u64;

    fn apply(&mut self, _: GlobalPosition, (name, add): (String, u64)) -> u64 {
        let amount = self.0.entry(name).or_default();
        *amount += add;
        *amount
    }
}

#[test]
fn an_app_runs_under_faults() -> Result<(), Failure> {
    for seed in 1..=10 {
        let mut simulation = Simulation::of_app(seed, 3, 2, |_server| Ledger::default());
        assert_eq!(simulation.call(1, &("Ada".into(), 2))?.reply, 2);
        simulation.random_faults(Duration::from_secs(2));
        for i in 0..40 {
            simulation.send(i % 3 + 1, &("Grace".into(), i));
            simulation.run_for(Duration::from_millis(50))?;
        }
        simulation.settle()?;
        simulation.check_equal()?;
        assert_eq!(simulation.query_app(3, |ledger| ledger.0["Ada"])?, 2);
    }
    Ok(())
}

/// Serde writes a set in the set's own order, which differs from process to process.
#[derive(Default, Serialize, Deserialize)]
struct Names(HashSet<String>);

impl App for Names {
    type Command = String;
    type Reply = bool;

    fn apply(&mut self, _: GlobalPosition, name: String) -> bool {
        self.0.insert(name)
    }
}

fn name_ten(mut simulation: Simulation<AppMachine<Names>>) -> Result<(), Failure> {
    for i in 0..10 {
        simulation.call(1, &format!("name {i}"))?;
    }
    simulation.settle()?;
    simulation.check_equal()
}

#[test]
fn a_set_that_is_encoded_in_its_own_order_is_found_unless_that_is_meant() {
    let failure = name_ten(Simulation::of_app(1, 3, 2, |_server| Names::default())).unwrap_err();
    assert!(matches!(*failure.found, Found::States { encoded: true, .. }), "{failure}");

    let mut settings = Settings::new(1, 3, 2);
    settings.encoded_states = false;
    name_ten(Simulation::with(settings, |_server| AppMachine::new(Names::default()))).unwrap();
}

#[test]
fn a_local_cluster_serves_an_app() -> Result<(), Box<dyn Error>> {
    let mut cluster = local_cluster(3, |_server| AppMachine::new(Ledger::default()))?;
    cluster.wait_ready()?;
    assert_eq!(cluster.handle(1).call(&("Ada".into(), 2)).wait()?.reply, 2);
    cluster.kill(1);
    cluster.restart(1)?;
    cluster.wait_ready()?;
    let seen = cluster.handle(1).query(Consistency::Strong, |ledger| ledger.0["Ada"]).wait()?;
    assert_eq!(seen, 2);
    Ok(())
}
