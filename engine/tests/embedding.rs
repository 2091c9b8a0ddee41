//! The embedding API, on real threads, sockets and files.

mod eventually;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Wake as TaskWake, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use eventually::eventually;
use niagara_engine::internals::example::Counter;
use niagara_engine::{
    Completion, Config, Consistency, Durability, Engine, GlobalPosition, Member, Pinning, Refused, Role,
    StartError, Status, Unknown, Wake,
};

/// Addresses that nobody uses at the moment.
fn members(servers: u16, groups: u16) -> Vec<Member> {
    Config::local(servers, groups).unwrap()[0].members.clone()
}

fn config(members: &[Member], server: u64, dir: Option<&Path>) -> Config {
    let mut config = Config::new(0xe5, server, members.to_vec());
    config.segment_bytes = 1 << 20;
    match dir {
        Some(dir) => config.data_dir = dir.join(server.to_string()),
        None => config.durability = Durability::Memory,
    }
    config
}

fn start(members: &[Member], server: u64, dir: Option<&Path>) -> Engine<Counter> {
    Engine::start(config(members, server, dir), Counter::default()).unwrap()
}

fn agree(statuses: &[Status]) {
    let newest = statuses.iter().map(|status| status.digests.iter().map(|digest| digest.position).max());
    assert!(
        newest.clone().all(|position| position == newest.clone().next().unwrap()),
        "all have applied the same"
    );
    for status in &statuses[1..] {
        assert_eq!(status.digests, statuses[0].digests, "global_prefix");
    }
}

#[test]
fn everything_acknowledged_survives_a_stop_of_all_servers() {
    let dir = tempfile::tempdir().unwrap();
    let members = members(3, 2);
    for life in 1..=3 {
        let engines: Vec<_> = (1..=3).map(|server| start(&members, server, Some(dir.path()))).collect();
        for (i, engine) in engines.iter().cycle().take(30).enumerate() {
            let done = engine.client().propose(Bytes::from(format!("{life}.{i}"))).unwrap().wait().unwrap();
            assert_eq!(done.reply, (life - 1) * 30 + i + 1, "each command is executed once");
        }
        for engine in &engines {
            let count = engine.client().read(Consistency::Strong).wait().unwrap();
            assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), life * 30);
        }
        let statuses = || engines.iter().map(|engine| engine.client().status()).collect::<Vec<_>>();
        eventually("all servers apply everything", || {
            statuses().iter().all(|status| status.commands == life as u64 * 30)
        });
        let applied = |status: &Status| status.applied;
        eventually("all servers reach the same position", || {
            let statuses = statuses();
            statuses.iter().all(|status| applied(status) == applied(&statuses[0]))
        });
        agree(&statuses());
        engines.into_iter().for_each(Engine::stop);
    }
}

#[test]
fn a_command_without_a_quorum_is_unknown_and_later_ones_are_refused() {
    let members = members(3, 1);
    let mut alone = config(&members, 1, None);
    alone.deadline = Duration::from_millis(300);
    alone.tick = Duration::from_millis(10);
    let engine = Engine::start(alone, Counter::default()).unwrap();
    let client = engine.client();
    assert_eq!(client.propose(Bytes::from_static(b"x")).unwrap().wait(), Err(Unknown::Deadline));
    assert!(client.read(Consistency::Strong).wait().is_err());
    assert!(client.read(Consistency::Weak).wait().is_ok());
    assert!(!client.has_quorum());
    eventually("commands are refused", || {
        matches!(client.propose(Bytes::from_static(b"y")), Err(Refused::NoLeader))
    });

    // Once the others are up, the command of unknown outcome is executed after all: its lane has kept
    // retrying.
    let others: Vec<_> = (2..=3).map(|server| start(&members, server, None)).collect();
    eventually("the lane gets through", || others.iter().all(|other| other.client().status().commands >= 1));
    assert!(client.propose(Bytes::from_static(b"z")).unwrap().wait().is_ok());
}

#[test]
fn a_server_that_leads_nothing_takes_commands_and_reads() {
    let members = members(3, 1);
    let engines: Vec<_> = (1..=3).map(|server| start(&members, server, None)).collect();
    eventually("there is a leader", || engines.iter().all(|engine| engine.client().has_quorum()));
    let follower = |engine: &&Engine<Counter>| engine.client().status().local[0].role != Role::Leader;
    let client = engines.iter().find(follower).unwrap().client();
    let tickets: Vec<_> = (0..1000).map(|_| client.propose(Bytes::from_static(b"count")).unwrap()).collect();
    for (i, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.wait().unwrap().reply, i + 1, "one lane, one order");
    }
    let position = client.applied();
    assert!(client.read(Consistency::AtLeast(position)).wait().is_ok());
    let far = GlobalPosition::new(position.get() + 1_000_000_000);
    let mut waits = client.read(Consistency::AtLeast(far));
    assert!(poll_once(&mut waits).is_pending());
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl TaskWake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn tickets_are_futures_too() {
    let engine = start(&members(1, 2), 1, None);
    let client = engine.client();
    block_on(async {
        let ticket = loop {
            match client.propose(Bytes::from_static(b"a")) {
                Ok(ticket) => break ticket,
                Err(refused) => assert_eq!(refused, Refused::NoLeader),
            }
        };
        assert_eq!(ticket.await.unwrap().reply, 1);
        client.read(Consistency::Strong).await.unwrap();
    });
}

#[test]
fn what_does_not_fit_is_refused_before_it_has_an_effect() {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(&self) {}
    }
    let mut small = config(&members(1, 1), 1, None);
    (small.command_bytes, small.lane_bytes, small.lane_commands) = (2048, 4096, 10);
    let engine = Engine::start(small, Counter::default()).unwrap();
    let mut port = engine.client().port(Arc::new(Nobody));
    let lane = port.choose_lane();
    assert_eq!(port.propose(lane, 0, &[0; 3000]), Err(Refused::TooLarge { bytes: 3000, limit: 2048 }));
    (1..=11).for_each(|token| port.propose(lane, token, b"x").unwrap());
    port.flush();
    let mut refused = Vec::new();
    port.collect(&mut refused);
    let expected = (1..=11).map(|token| Completion::Refused { token, refused: Refused::Overloaded });
    assert_eq!(
        refused,
        expected.collect::<Vec<_>>(),
        "a turn's commands for a lane enter together or not at all"
    );
    assert_eq!(engine.client().status().commands, 0);
}

#[test]
fn a_large_command_is_executed_everywhere() {
    let members = members(3, 2);
    let engines: Vec<_> = (1..=3).map(|server| start(&members, server, None)).collect();
    let large = Bytes::from(vec![7; 16 << 20]);
    eventually("there are leaders", || engines.iter().all(|engine| engine.client().has_quorum()));
    engines[2].client().propose(large).unwrap().wait().unwrap();
    eventually("all have it", || engines.iter().all(|engine| engine.client().status().commands == 1));
}

#[test]
fn a_stop_ends_all_waiting() {
    let members = members(3, 1);
    let engine = start(&members, 1, None);
    let client = engine.client();
    let ticket = client.propose(Bytes::from_static(b"x")).unwrap();
    let read = client.read(Consistency::Strong);
    engine.stop();
    assert_eq!(ticket.wait(), Err(Unknown::Stopping));
    assert!(read.wait().is_err());
    assert_eq!(client.propose(Bytes::from_static(b"y")).err(), Some(Refused::Stopping));
    assert_eq!(client.ready().wait(), Err(Refused::Stopping));
    assert!(!client.has_quorum());
    assert!(client.read(Consistency::Strong).wait().is_err());
}

#[test]
fn what_cannot_work_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let members = members(1, 2);
    let begin = |change: &dyn Fn(&mut Config)| {
        let mut config = config(&members, 1, Some(dir.path()));
        change(&mut config);
        Engine::start(config, Counter::default()).map(|_| ()).unwrap_err()
    };
    let error = begin(&|config| config.pinning = Pinning::Cores(vec![0, 9999]));
    assert!(error.to_string().contains("no core 9999; this process may use 0"), "{error}");
    assert!(matches!(begin(&|config| config.server = 5), StartError::Config(_)));
    assert!(matches!(
        begin(&|config| config.members[0].addresses[0] = "no-such-host.invalid:1".into()),
        StartError::Address { group: 1, .. }
    ));
    let running = start(&members, 1, Some(dir.path()));
    assert!(begin(&|_| ()).to_string().contains("in use"), "one server per directory");
    drop(running);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let occupied = TcpListener::bind(taken).unwrap();
    let error = begin(&|config| config.members[0].addresses[1] = occupied.local_addr().unwrap().to_string());
    assert!(matches!(error, StartError::Link { group: 2, .. }), "{error}");
}
