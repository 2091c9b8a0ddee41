use std::path::Path;
use std::time::Duration;

use niagara_log::MemoryFiles;

use super::*;
use crate::client::Wake;
use crate::config::{Config, Member};
use crate::internals::example::Counter;
use crate::internals::sim::{Clock, Environment, ManualClock, SimServer};
use crate::outcome::Completion;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

fn server(clock: &Arc<ManualClock>) -> SimServer<Counter> {
    let addresses = vec!["nowhere:0".to_owned()];
    let mut config =
        Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "nowhere:0".to_owned() }]);
    config.data_dir = Path::new("d").into();
    let environment = Environment {
        boot: 1,
        clock: Clock::Manual(Arc::clone(clock)),
        files: Arc::new(MemoryFiles::default()),
        prepare_beside: false,
        election_seed: Some(1),
    };
    SimServer::open(&config, &environment, Counter::default()).unwrap()
}

fn run(machine: &mut SimServer<Counter>) {
    while machine.pending_commands() > 0 {
        machine.tick_group(0);
        assert!(machine.turn(0).is_empty(), "there is nobody to send to");
        machine.write_log(0).unwrap();
        machine.merge();
        machine.execute();
    }
}

/// Queries of single callers and reads of ports share entries, and each comes right after its command.
#[test]
fn queries_and_attached_reads_are_executed_in_the_order_of_their_commands() {
    let mut machine = server(&Arc::new(ManualClock::new()));
    let client = machine.client();
    let mut port = client.port(Arc::new(Nobody));
    let mut tickets = Vec::new();
    let mut tokens = 0;
    for turn in 0..5 {
        let lane = port.choose_lane();
        for _ in 0..turn {
            port.propose(lane, tokens, b"count").unwrap();
            port.attach(lane, 100 + tokens, b"how many").unwrap();
            tokens += 1;
        }
        port.flush();
        for _ in 0..3 {
            tickets.push(client.propose_then_query("count".into(), Counter::count).unwrap());
        }
    }
    run(&mut machine);
    let mut replies = Vec::new();
    for ticket in tickets {
        let then = ticket.wait().unwrap();
        assert_eq!(then.found, then.applied.reply, "nothing came in between");
        replies.push(then.applied.reply);
    }
    let mut done = Vec::new();
    port.collect(&mut done);
    let mut counted = std::collections::BTreeMap::new();
    for completion in done {
        let (Completion::Applied { token, reply, .. } | Completion::Answered { token, reply, .. }) =
            completion
        else {
            panic!("{completion:?}")
        };
        let before = counted.insert(token % 100, reply);
        assert!(before.is_none_or(|before| before == reply), "nothing came in between");
        replies.extend(before.is_none().then_some(reply));
    }
    replies.sort_unstable();
    assert_eq!(replies, (1..=25).collect::<Vec<_>>(), "each command is executed once");
}

#[test]
fn a_query_ends_with_its_command() {
    let clock = Arc::new(ManualClock::new());
    let mut machine = server(&clock);
    let client = machine.client();
    let hasty = client.with_deadline(Duration::from_secs(1));
    let late = hasty.propose_then_query("count".into(), Counter::count).unwrap();
    clock.set(Duration::from_secs(3600));
    machine.tick();
    assert_eq!(late.wait(), Err(Unknown::Deadline));
    let dropped = client.propose_then_query("count".into(), Counter::count).unwrap();
    drop(dropped);
    let panics = client.propose_then_query("count".into(), |_| panic!("in a query")).unwrap();
    run(&mut machine);
    let panic = catch_unwind(AssertUnwindSafe(|| panics.wait().map(|then: Then<_, ()>| then.applied)));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"in a query"));
    let last = client.propose_then_query("count".into(), Counter::count).unwrap();
    run(&mut machine);
    assert_eq!(last.wait().unwrap().found, 4, "all have been executed");
}
