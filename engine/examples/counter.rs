//! The smallest program: a counter on three servers.
//!
//! `cargo run --release -p niagara-engine --example counter`

use std::error::Error;

use niagara_engine::{App, Config, Consistency, GlobalPosition, Node};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Counter(u64);

impl App for Counter {
    type Command = u64;
    type Reply = u64;
    fn apply(&mut self, _: GlobalPosition, add: u64) -> u64 {
        self.0 += add;
        self.0
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let start = |config| Node::start(config, Counter::default());
    let nodes = Config::local(3, 2)?.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let total = nodes[0].call(&5).wait()?;
    println!("the total is {}, after position {} of the global log", total.reply, total.position);
    let seen = nodes[1].query(Consistency::Strong, |counter| counter.0).wait()?;
    println!("another server sees {seen}");
    assert_eq!((total.reply, seen), (5, 5));
    Ok(())
}
