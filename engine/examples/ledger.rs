//! Accounts on three servers: replies are results, one server is stopped, and a session makes a transfer
//! exactly once.
//!
//! `cargo run --release -p niagara-engine --example ledger`

use std::collections::BTreeMap;
use std::error::Error;

use niagara_engine::{App, CallError, Config, Consistency, GlobalPosition, Node};
use serde::{Deserialize, Serialize};

/// Balances, by account.
#[derive(Default, Serialize, Deserialize)]
struct Ledger(BTreeMap<String, u64>);

#[derive(Serialize, Deserialize)]
enum Command {
    Deposit { to: String, amount: u64 },
    Transfer { from: String, to: String, amount: u64 },
}

/// Why a command has changed nothing. To the engine it has been applied, like any other.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Declined {
    Lacks { balance: u64 },
    TooMuch,
}

impl App for Ledger {
    type Command = Command;
    /// The balance of the account that was credited.
    type Reply = Result<u64, Declined>;

    fn apply(&mut self, _: GlobalPosition, command: Command) -> Self::Reply {
        match command {
            Command::Deposit { to, amount } => self.credit(to, amount),
            Command::Transfer { from, to, amount } => {
                let balance = self.0.get(&from).copied().unwrap_or_default();
                let rest = balance.checked_sub(amount).ok_or(Declined::Lacks { balance })?;
                let credited = self.credit(to, amount)?;
                self.0.insert(from, rest);
                Ok(credited)
            }
        }
    }
}

impl Ledger {
    fn credit(&mut self, to: String, amount: u64) -> Result<u64, Declined> {
        let balance = self.0.entry(to).or_default();
        *balance = balance.checked_add(amount).ok_or(Declined::TooMuch)?;
        Ok(*balance)
    }

    fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let start = |config| Node::start(config, Ledger::default());
    let mut nodes = Config::local(3, 2)?.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let [alice, bob] = ["alice", "bob"].map(str::to_owned);

    // Sent at once, through different servers.
    let deposits = (0..10).map(|i| nodes[i % 3].call(&Command::Deposit { to: alice.clone(), amount: 10 }));
    for deposit in deposits.collect::<Vec<_>>() {
        deposit.wait()?.reply.expect("so little fits");
    }

    let too_much = Command::Transfer { from: alice.clone(), to: bob.clone(), amount: 1000 };
    let declined = nodes[0].call(&too_much).wait()?.reply;
    println!("alice has 100: {declined:?}");
    assert_eq!(declined, Err(Declined::Lacks { balance: 100 }));

    // A server stops. A transfer whose outcome may become unknown meanwhile is made in a session.
    let mut session = nodes[1].session().wait()?;
    nodes.remove(0).stop();
    let transfer = Command::Transfer { from: alice, to: bob, amount: 30 };
    let mut outcome = session.call(&transfer).wait();
    while matches!(outcome, Err(CallError::Unknown(_) | CallError::Refused(_))) {
        std::thread::sleep(std::time::Duration::from_millis(50));
        outcome = session.retry().wait();
    }
    println!("bob has {:?} after it", outcome?.reply);

    for node in &nodes {
        let (total, bob) =
            node.query(Consistency::Strong, |ledger| (ledger.total(), ledger.0["bob"])).wait()?;
        println!("a server that is left: bob has {bob} of {total}");
        assert_eq!((total, bob), (100, 30));
    }
    Ok(())
}
