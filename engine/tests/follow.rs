//! Following a server: subscriptions to the global log, watches, and snapshots that are waited for.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use niagara_engine::internals::example::{self, Counter};
use niagara_engine::{
    Compacted, Config, Durability, Engine, EngineState, GlobalPosition, Member, SnapshotFailed, Subscription,
    SubscriptionEnd, Watch,
};

const LONG: Duration = Duration::from_secs(60);

fn config() -> Config {
    let addresses = vec!["127.0.0.1:0".to_string(); 2];
    let mut config = Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "127.0.0.1:0".into() }]);
    config.durability = Durability::Memory;
    config
}

fn propose(engine: &Engine<Counter>, command: &str) -> GlobalPosition {
    engine.client().propose(Bytes::copy_from_slice(command.as_bytes())).unwrap().wait().unwrap().position
}

fn next(subscription: &mut Subscription) -> String {
    let executed = subscription.wait_timeout(LONG).unwrap().expect("a command is executed within a minute");
    String::from_utf8(executed.command.to_vec()).unwrap()
}

#[test]
fn each_command_arrives_once_and_in_order_at_every_subscriber() {
    let engine = example::engine();
    let client = engine.client();
    let mut early = client.subscribe(GlobalPosition::new(1)).unwrap();
    assert_eq!(early.try_next().unwrap(), None);
    let tickets: Vec<_> = (0..500).map(|i| client.propose(format!("{i}").into()).unwrap()).collect();
    let mut late = client.subscribe(GlobalPosition::new(1)).unwrap();
    let mut expected = Vec::new();
    for (i, ticket) in tickets.into_iter().enumerate() {
        expected.push((ticket.wait().unwrap(), i.to_string()));
    }
    // The reply is the number of the command in the order of execution.
    expected.sort_by_key(|(applied, _)| applied.reply);
    for subscription in [&mut early, &mut late] {
        let mut before = None;
        for (applied, command) in &expected {
            let executed = subscription.wait_timeout(LONG).unwrap().expect("it was executed");
            assert_eq!((executed.position, &executed.command[..]), (applied.position, command.as_bytes()));
            let place = (executed.position, executed.index);
            let index = before.map_or(
                0,
                |(position, index)| {
                    if position == executed.position { index + 1 } else { 0 }
                },
            );
            assert_eq!(executed.index, index, "commands at a position are numbered from 0");
            before = Some(place);
        }
        assert_eq!(subscription.try_next().unwrap(), None, "and no other");
    }
    let middle = expected[250].0.position;
    let mut from_the_middle = client.subscribe(middle).unwrap();
    let first = from_the_middle.wait().unwrap();
    assert_eq!((first.position, first.index), (middle, 0), "a position is delivered as a whole");
    engine.stop();
}

#[test]
fn a_subscriber_that_is_too_slow_is_told_and_may_resume() {
    let mut config = config();
    config.subscription_bytes = 4 << 10;
    let engine = Engine::start(config, Counter::default()).unwrap();
    let mut slow = engine.client().subscribe(GlobalPosition::new(1)).unwrap();
    let big = "x".repeat(1 << 10);
    propose(&engine, "first");
    assert_eq!(next(&mut slow), "first");
    for _ in 0..20 {
        propose(&engine, &big);
    }
    // It may still hold the part that it was reading.
    let end = loop {
        match slow.wait() {
            Ok(executed) => assert_eq!(executed.command.len(), big.len()),
            Err(end) => break end,
        }
    };
    let SubscriptionEnd::Lagged { least } = end else { panic!("it lags, not {end}") };
    assert!(slow.next_position() < least, "commands between the two are missing, and it says so");
    assert_eq!(slow.wait().unwrap_err(), end, "an end is final");
    let at = slow.next_position();
    assert_eq!(engine.client().subscribe(at).unwrap_err(), Compacted { least });
    let mut resumed = engine.client().subscribe(least).unwrap();
    assert_eq!(next(&mut resumed).len(), big.len());
    engine.stop();
}

#[test]
fn a_subscription_begins_in_the_past_only_if_history_is_kept() {
    let engine = Engine::start(config(), Counter::default()).unwrap();
    let position = propose(&engine, "unheard");
    let Compacted { least } = engine.client().subscribe(GlobalPosition::new(1)).unwrap_err();
    assert!(least > position);
    let mut from_now = engine.client().subscribe_from_now();
    propose(&engine, "heard");
    assert_eq!(next(&mut from_now), "heard");
    drop(from_now);
    assert!(engine.client().subscribe(least).is_err(), "nothing is kept when the last subscriber has gone");
    engine.stop();

    let mut config = config();
    config.keep_history = true;
    let engine = Engine::start(config, Counter::default()).unwrap();
    propose(&engine, "kept");
    let mut from_the_start = engine.client().subscribe(GlobalPosition::ZERO).unwrap();
    assert_eq!(next(&mut from_the_start), "kept");
    engine.stop();
}

#[test]
fn a_waiting_subscriber_is_woken_by_a_command_and_by_the_end() {
    let engine = example::engine();
    let mut subscription = engine.client().subscribe_from_now();
    let waiter = std::thread::spawn(move || {
        let first = subscription.wait().unwrap();
        (first, subscription.wait())
    });
    propose(&engine, "wake up");
    engine.stop();
    let (first, end) = waiter.join().unwrap();
    assert_eq!(&first.command[..], b"wake up");
    assert_eq!(end, Err(SubscriptionEnd::Stopped));
}

#[test]
fn a_subscriber_may_be_a_task() {
    let engine = example::engine();
    let mut subscription = engine.client().subscribe_from_now();
    {
        let mut context = Context::from_waker(Waker::noop());
        let mut next = pin!(subscription.next());
        assert!(next.as_mut().poll(&mut context).is_pending());
        propose(&engine, "there");
        // A command is delivered before its outcome is.
        let Poll::Ready(Ok(executed)) = next.poll(&mut context) else { panic!("it is there") };
        assert_eq!(&executed.command[..], b"there");
    }
    engine.stop();
}

#[test]
fn a_restart_replays_its_log_to_subscribers_from_the_snapshot_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    (config.durability, config.data_dir, config.keep_history) = (Durability::Os, dir.path().join("1"), true);
    let engine = Engine::start(config.clone(), Counter::default()).unwrap();
    propose(&engine, "in the snapshot");
    let taken = engine.client().snapshot().wait().unwrap();
    propose(&engine, "in the log");
    engine.stop();

    let engine = Engine::start(config, Counter::default()).unwrap();
    let after = GlobalPosition::new(taken.position.get() + 1);
    assert_eq!(
        engine.client().subscribe(GlobalPosition::new(1)).unwrap_err(),
        Compacted { least: after },
        "what the snapshot replaces is gone"
    );
    assert_eq!(next(&mut engine.client().subscribe(after).unwrap()), "in the log");
    engine.stop();
}

#[test]
fn a_snapshot_ticket_says_what_was_made_durable() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    (config.durability, config.data_dir) = (Durability::Os, dir.path().join("1"));
    let engine = Engine::start(config, Counter::default()).unwrap();
    let client = engine.client();
    let applied = propose(&engine, "one");
    let taken = client.snapshot().wait().unwrap();
    assert!(taken.position >= applied);
    assert_eq!(taken.digest.position, taken.position.get());
    let path = taken.path.clone().expect("it is a file");
    assert_eq!(std::fs::metadata(path).unwrap().len(), taken.bytes);
    assert_eq!(client.snapshot().wait().unwrap(), taken, "nothing has changed, so that one is it");
    assert_eq!(client.status().snapshot.met, 2);
    engine.stop();
    assert_eq!(client.snapshot().wait(), Err(SnapshotFailed::Stopped));
}

#[test]
fn a_watch_sees_leaders_and_the_end() {
    let engine = example::engine();
    let mut watch = engine.client().watch();
    let mut view = watch.current();
    while view.state != EngineState::Serving {
        view = watch.changed_timeout(LONG).expect("it serves within a minute");
    }
    let leaders: Vec<_> = view.leaders.iter().map(|group| (group.group, group.leader)).collect();
    assert_eq!(leaders, [(1, Some(1)), (2, Some(1))]);
    assert_eq!(watch.changed_timeout(Duration::from_millis(1)), None, "nothing changes");
    let watcher = std::thread::spawn(move || {
        let mut states = Vec::new();
        while states.last() != Some(&EngineState::Stopped) {
            states.push(watch.changed_timeout(LONG).expect("it stops within a minute").state);
        }
        states
    });
    engine.stop();
    let states = watcher.join().unwrap();
    assert!(states.iter().all(|state| matches!(state, EngineState::Stopping | EngineState::Stopped)));
}

/// Waits for a state, without asking for it in between.
fn await_state(watch: &mut Watch, wanted: &EngineState) {
    let mut view = watch.current();
    while view.state != *wanted {
        view = watch
            .changed_timeout(LONG)
            .unwrap_or_else(|| panic!("{wanted:?} comes within a minute; the last was {view:?}"));
    }
}

#[test]
fn a_watch_sees_that_a_majority_is_found_and_lost() {
    let mut configs = Config::local(3, 2).unwrap();
    configs.iter_mut().for_each(|config| config.tick = Duration::from_millis(20));
    let mut engines: Vec<_> =
        configs.into_iter().map(|config| Engine::start(config, Counter::default()).unwrap()).collect();
    let mut watch = engines[0].client().watch();
    await_state(&mut watch, &EngineState::Serving);
    engines.truncate(1);
    await_state(&mut watch, &EngineState::LostQuorum);
    assert!(watch.current().leaders.iter().all(|group| group.leader.is_none()));
}

#[test]
fn a_snapshot_ticket_says_why_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    (config.durability, config.data_dir) = (Durability::Os, dir.path().join("1"));
    let engine = Engine::start(config, Counter::default()).unwrap();
    propose(&engine, "one");
    // No file can be created in its place.
    let in_the_way = dir.path().join("1/snapshots/writing.tmp");
    std::fs::create_dir(&in_the_way).unwrap();
    let failed = engine.client().snapshot().wait();
    assert!(matches!(failed, Err(SnapshotFailed::NotWritten(_))), "{failed:?}");
    std::fs::remove_dir(in_the_way).unwrap();
    let taken = engine.client().snapshot().wait().expect("the next attempt succeeds");
    assert!(taken.bytes > 0);
    engine.stop();
}
