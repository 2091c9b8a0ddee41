//! The upper interface, with real servers.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use eventually::eventually;
use niagara_engine::{
    App, CallError, Config, Consistency, Durability, GlobalPosition, Node, NodeHandle, Refused, Retry,
    StartError, Then, Unknown,
};
use serde::{Deserialize, Serialize};

#[path = "../examples/counter.rs"]
mod counter;
mod eventually;
#[path = "../examples/ledger.rs"]
mod ledger;
#[path = "../examples/state_machine.rs"]
mod state_machine;

#[test]
fn the_counter_runs() {
    counter::main().unwrap();
}

#[test]
fn the_ledger_runs() {
    ledger::main().unwrap();
}

#[test]
fn the_state_machine_runs() {
    state_machine::main().unwrap();
}

/// Words in the order of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Words(Vec<String>);

impl App for Words {
    type Command = String;
    type Reply = usize;

    fn apply(&mut self, _: GlobalPosition, word: String) -> usize {
        self.0.push(word);
        self.0.len()
    }
}

fn start(configs: &[Config]) -> Vec<Node<Words>> {
    configs.iter().map(|config| Node::start(config.clone(), Words::default()).unwrap()).collect()
}

/// Three servers that keep their data below this directory.
fn durable(dir: &Path) -> Vec<Config> {
    let mut configs = Config::local(3, 2).unwrap();
    for config in &mut configs {
        config.durability = Durability::Fsync;
        config.data_dir = dir.join(config.server.to_string());
        config.segment_bytes = 1 << 20;
    }
    configs
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An executor of one future.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn calls_and_queries_are_futures_too() {
    let nodes = start(&Config::local(3, 2).unwrap());
    let (one, two): (NodeHandle<Words>, NodeHandle<Words>) = (nodes[0].handle(), nodes[1].handle());
    let seen = block_on(async move {
        let calls: Vec<_> = (0..100).map(|i| one.call(&format!("word {i}"))).collect();
        let mut last = GlobalPosition::ZERO;
        for call in calls {
            last = last.max(call.await?.position);
        }
        let behind = two.query(Consistency::AtLeast(last), |words| words.0.len()).await?;
        let strong = two.query(Consistency::Strong, |words| words.0.len()).await?;
        Ok::<_, CallError>((behind, strong))
    });
    assert_eq!(seen, Ok((100, 100)));
}

#[test]
fn durable_nodes_continue_after_a_restart_and_listen_where_they_did() {
    let dir = tempfile::tempdir().unwrap();
    let configs = durable(dir.path());
    for life in 1..=3 {
        let nodes = start(&configs);
        let reply = nodes[life % 3].call(&format!("life {life}")).wait().unwrap().reply;
        assert_eq!(reply, life);
        if life == 2 {
            nodes[0].client().snapshot();
            eventually("a snapshot is taken", || nodes[0].client().status().snapshot.taken == 1);
        }
        nodes.into_iter().for_each(Node::stop);
    }
}

#[test]
fn a_session_applies_a_command_once_however_often_and_wherever_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let configs = durable(dir.path());
    let mut nodes = start(&configs);
    let mut session = nodes[0].session().wait().unwrap();
    let first = session.call(&"once".to_owned()).wait().unwrap();
    for server in [0, 1, 2, 1] {
        session.through(&nodes[server]);
        assert_eq!(session.retry().wait(), Ok(first), "the first reply, at the first position");
    }
    let second = session.call(&"twice".to_owned()).wait().unwrap();
    assert_eq!(second.reply, 2);

    // The table is part of snapshots and of the log.
    for node in &nodes {
        node.client().snapshot();
    }
    eventually("snapshots are taken", || nodes.iter().all(|node| node.client().status().snapshot.taken == 1));
    nodes.drain(..).for_each(Node::stop);
    let nodes = start(&configs);
    session.through(&nodes[2]);
    eventually("the session is served again", || match session.retry().wait() {
        Ok(again) => {
            assert_eq!(again, second);
            true
        }
        Err(error) => {
            assert!(error.retry() != Retry::Never, "{error}");
            false
        }
    });
    let words = nodes[1].query(Consistency::Strong, |words| words.0.clone()).wait().unwrap();
    assert_eq!(words, ["once", "twice"]);
}

#[test]
fn a_command_that_is_sent_late_is_not_applied_after_its_successor() {
    let node = Node::start(Config::local(1, 1).unwrap().remove(0), Words::default()).unwrap();
    let mut session = node.session().wait().unwrap();
    session.call(&"first".to_owned()).wait().unwrap();
    let late = session.retry();
    late.wait().unwrap();
    session.call(&"second".to_owned()).wait().unwrap();
    let words = node.query(Consistency::Strong, |words| words.0.clone()).wait().unwrap();
    assert_eq!(words, ["first", "second"]);
}

#[test]
fn errors_say_whether_a_retry_helps() {
    let mut config = Config::local(3, 1).unwrap().remove(0);
    config.deadline = Duration::from_millis(200);
    config.tick = Duration::from_millis(10);
    // Without the others there is no quorum.
    let node = Node::start(config, Words::default()).unwrap();
    let unknown = node.call(&"x".to_owned()).wait().unwrap_err();
    assert_eq!((unknown, unknown.retry()), (CallError::Unknown(Unknown::Deadline), Retry::IfRepeatable));
    assert!(unknown.is_unknown());
    let read = node.query(Consistency::Strong, |_| ()).wait().unwrap_err();
    assert_eq!((read.retry(), read.is_unknown()), (Retry::Later, false));
    eventually("calls are refused", || {
        let refused = node.call(&"x".to_owned()).wait().unwrap_err();
        refused == CallError::Refused(Refused::NoLeader) && refused.retry() == Retry::Later
    });
    let handle = node.handle();
    node.stop();
    let refused = handle.call(&"x".to_owned()).wait().unwrap_err();
    assert_eq!((refused, refused.retry()), (CallError::Refused(Refused::Stopping), Retry::Elsewhere));
    assert!(handle.query(Consistency::Weak, |words| words.0.is_empty()).wait().unwrap());
}

/// Cannot be read back: the format writes no types.
#[derive(Default, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    #[default]
    Nothing,
    Number(u64),
}

impl App for Untagged {
    type Command = ();
    type Reply = ();
    fn apply(&mut self, _: GlobalPosition, (): ()) {
        *self = Untagged::Number(1);
    }
}

#[derive(Default, Serialize, Deserialize)]
struct TakesUntagged;

impl App for TakesUntagged {
    type Command = Untagged;
    type Reply = ();
    fn apply(&mut self, _: GlobalPosition, _: Untagged) {}
}

#[test]
fn what_cannot_be_read_back_is_refused_at_once() {
    let config = || Config::local(1, 1).unwrap().remove(0);
    let error = Node::start(config(), Untagged::default()).unwrap_err();
    assert!(matches!(error, StartError::StateNotEncodable(_)), "{error}");
    let node = Node::start(config(), TakesUntagged).unwrap();
    let refused = node.call(&Untagged::Number(1)).wait().unwrap_err();
    assert_eq!(refused.retry(), Retry::Never);
    assert!(refused.to_string().contains("implement Encode by hand"), "{refused}");
    // Bytes that are not from a node at all.
    let alien = node.client().propose("?".into()).err();
    assert!(matches!(alien, Some(Refused::NotACommand(_))), "{alien:?}");
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "a wait inside a query would wait for ever"))]
fn a_wait_inside_a_query_is_caught() {
    let node = Node::start(Config::local(1, 1).unwrap().remove(0), Words::default()).unwrap();
    node.call(&"x".to_owned()).wait().unwrap();
    let inner = node.query(Consistency::Weak, |_| node.call(&"y".to_owned()).wait()).wait().unwrap();
    assert_eq!(inner, Err(CallError::Unknown(Unknown::SelfWait)));
    let nested = node
        .query(Consistency::Weak, |_| node.query(Consistency::Weak, |words| words.0.len()).wait())
        .wait()
        .unwrap();
    assert!(nested.is_err());
}

#[test]
fn slow_queries_and_calls_do_not_wait_for_each_other_for_ever() {
    let nodes = Arc::new(start(&Config::local(3, 2).unwrap()));
    let threads: Vec<_> = (0..4)
        .map(|caller| {
            let nodes = Arc::clone(&nodes);
            thread::spawn(move || {
                for i in 0..100 {
                    let node = &nodes[(caller + i) % 3];
                    let reply = node.call(&format!("{caller}.{i}")).wait().unwrap();
                    let seen = node.query(Consistency::AtLeast(reply.position), |words| {
                        thread::yield_now();
                        words.0.len()
                    });
                    assert!(seen.wait().unwrap() >= reply.reply);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let count = |node: &Node<Words>| node.query(Consistency::Strong, |words| words.0.len()).wait().unwrap();
    assert!(nodes.iter().all(|node| count(node) == 400));
}

/// Polls a call by hand and drops it: its command is applied all the same.
#[test]
fn a_dropped_call_is_applied() {
    let node = Node::start(Config::local(1, 1).unwrap().remove(0), Words::default()).unwrap();
    let mut call = node.call(&"x".to_owned());
    let _ = Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop()));
    drop(call);
    eventually("it is applied", || node.query(Consistency::Weak, |words| words.0.len()).wait().unwrap() == 1);
}

/// Whoever calls and queries sees its own word last, and nothing that came behind it.
#[test]
fn a_query_behind_a_call_shows_what_the_call_did() {
    let nodes = Arc::new(start(&Config::local(3, 2).unwrap()));
    let callers = (0..4).map(|caller| {
        let nodes = Arc::clone(&nodes);
        thread::spawn(move || {
            let calls = (0..100).map(|i| {
                let word = format!("{caller}.{i}");
                let (node, expected) = (&nodes[(caller + i) % 3], word.clone());
                let query = move |words: &Words| (words.0.len(), words.0.last() == Some(&expected));
                node.call_then_query(&word, query)
            });
            for call in calls.collect::<Vec<_>>() {
                let then = block_on(call).unwrap();
                assert_eq!(then.found, (then.applied.reply, true));
            }
        })
    });
    callers.collect::<Vec<_>>().into_iter().for_each(|caller| caller.join().unwrap());
    let count = nodes[0].query(Consistency::Strong, |words| words.0.len()).wait();
    assert_eq!(count, Ok(400));
}

#[test]
fn a_query_behind_a_call_ends_with_the_call() {
    let mut config = Config::local(3, 1).unwrap().remove(0);
    (config.deadline, config.tick) = (Duration::from_millis(200), Duration::from_millis(10));
    // Without the others there is no quorum.
    let node = Node::start(config, Words::default()).unwrap();
    let handle = node.handle();
    let unknown = node.call_then_query(&"x".to_owned(), |_| unreachable!("it is not applied")).wait();
    assert_eq!(unknown.map(|then: Then<usize, ()>| then.found), Err(CallError::Unknown(Unknown::Deadline)));
    node.stop();
    let refused = handle.call_then_query(&"x".to_owned(), |_| ()).wait();
    assert_eq!(refused, Err(CallError::Refused(Refused::Stopping)));
}

#[test]
fn a_query_behind_a_call_may_panic_without_harm_to_others() {
    let node = Node::start(Config::local(1, 1).unwrap().remove(0), Words::default()).unwrap();
    let bad = node.call_then_query(&"x".to_owned(), |_| panic!("a bad query"));
    let panic =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bad.wait().map(|then: Then<_, ()>| then)));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"a bad query"));
    assert_eq!(node.call(&"y".to_owned()).wait().unwrap().reply, 2);
}

/// A follower that applies what it is shown has the same state: nothing twice, and nothing of the sessions.
#[test]
fn a_subscription_delivers_each_command_that_is_applied() {
    let nodes = start(&Config::local(3, 2).unwrap());
    let mut subscription = nodes[1].subscribe_from_now();
    let mut session = nodes[0].session().wait().unwrap();
    let mut last = nodes[0].call(&"first".to_owned()).wait().unwrap();
    for i in 0..20 {
        session.through(&nodes[i % 3]);
        session.call(&format!("numbered {i}")).wait().unwrap();
        let copies: Vec<_> = (0..3).map(|_| session.retry()).collect();
        assert!(copies.into_iter().all(|copy| copy.wait().is_ok()));
        last = nodes[2].call(&format!("plain {i}")).wait().unwrap();
    }
    let words = nodes[1].query(Consistency::AtLeast(last.position), |words| words.0.clone()).wait().unwrap();
    let mut followed = Words::default();
    let mut before = None;
    while followed.0.len() < words.len() {
        let applied = subscription.wait_timeout(Duration::from_secs(60)).unwrap().expect("it was applied");
        let place = (applied.position, applied.index);
        assert!(before < Some(place), "in the order of the log");
        before = Some(place);
        followed.apply(applied.position, applied.command);
    }
    assert_eq!(followed.0, words);
    assert_eq!(subscription.try_next(), Ok(None), "and no other");
    let mut from_now = nodes[1].subscribe_from_now();
    nodes[0].call(&"last".to_owned()).wait().unwrap();
    assert_eq!(block_on(from_now.next()).unwrap().command, "last");
}

/// Panics at a word.
#[derive(Default, Serialize, Deserialize)]
struct Panics;

impl App for Panics {
    type Command = String;
    type Reply = ();
    fn apply(&mut self, _: GlobalPosition, word: String) {
        assert_ne!(word, "bad", "this word cannot be applied");
    }
}

const CHILD: &str = "NIAGARA_TEST_CHILD_PANICS";

/// Run by the next test in a process of its own, which it ends.
#[test]
fn child_that_panics() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let node = Node::start(Config::local(1, 1).unwrap().remove(0), Panics).unwrap();
    node.call(&"good".to_owned()).wait().unwrap();
    let _ = node.call(&"bad".to_owned()).wait();
    unreachable!("the process has ended");
}

#[test]
fn a_panic_in_apply_ends_the_process_and_names_the_position() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_panics", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success());
    assert!(said.contains("this word cannot be applied"), "{said}");
    assert!(said.contains("the state machine panicked at position 2 of the global log"), "{said}");
    assert!(!said.contains("the process has ended"), "{said}");
}
