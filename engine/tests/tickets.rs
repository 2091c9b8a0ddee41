//! Tickets in ways and numbers that callers use them in.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use niagara_engine::internals::example;
use niagara_engine::internals::sim::{Clock, Environment, SimServer};
use niagara_engine::{
    Client, Commands, Config, Consistency, Durability, Encoded, Engine, GlobalPosition, MalformedState,
    Member, Refused, StateMachine, Unknown,
};
use niagara_log::SystemFiles;

fn config() -> Config {
    let addresses = vec!["127.0.0.1:0".to_owned(); 2];
    let mut config = Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "127.0.0.1:0".into() }]);
    config.durability = Durability::Memory;
    config
}

/// Executes nothing before its gate is opened.
struct Gated {
    open: mpsc::Receiver<()>,
    is_open: bool,
}

impl Gated {
    fn new() -> (mpsc::Sender<()>, Gated) {
        let (opens, open) = mpsc::channel();
        (opens, Gated { open, is_open: false })
    }
}

impl StateMachine for Gated {
    type Reply = ();
    type Reader = ();
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) {}

    fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<()>) {
        if !self.is_open {
            self.is_open = self.open.recv().is_ok();
        }
        replies.extend(commands.map(drop));
    }

    fn freeze(&mut self) -> Encoded {
        Encoded::default()
    }

    fn restoring((): &()) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, _: Encoded) -> Result<(), MalformedState> {
        Ok(())
    }
}

/// Runs a future in this thread.
fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Runs what must end, with far more patience than it needs.
fn must_end<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    ended.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{what} does not end"))
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_caller_may_poll_first_and_block_later() {
    let (opens, state) = Gated::new();
    let engine = Engine::start(config(), state).unwrap();
    let client = engine.client();
    let mut ticket = client.propose("x".into()).unwrap();
    let mut read = client.read(Consistency::AtLeast(GlobalPosition::new(1)));
    assert!(poll_once(&mut ticket).is_pending() && poll_once(&mut read).is_pending());
    let waits = thread::spawn(move || must_end("a wait after a poll", move || (ticket.wait(), read.wait())));
    opens.send(()).unwrap();
    let (applied, read) = waits.join().unwrap();
    assert!(applied.is_ok() && read.is_ok());
}

#[test]
fn tens_of_thousands_of_tickets_end_when_execution_resumes() {
    let (opens, state) = Gated::new();
    let mut config = config();
    config.deadline = Duration::from_secs(600);
    let engine = Engine::start(config, state).unwrap();
    let client = engine.client();
    let mut tickets = Vec::new();
    while tickets.len() < 60_000 {
        match client.propose("x".into()) {
            Ok(ticket) => tickets.push(ticket),
            Err(refused) => panic!("{refused} after {}", tickets.len()),
        }
    }
    opens.send(()).unwrap();
    must_end("execution", move || tickets.into_iter().for_each(|ticket| assert!(ticket.wait().is_ok())));
}

#[test]
fn tens_of_thousands_of_tickets_end_with_the_engine() {
    let (opens, state) = Gated::new();
    let engine = Engine::start(config(), state).unwrap();
    let client = engine.client();
    let tickets: Vec<_> = (0..60_000).map(|_| client.propose("x".into()).unwrap()).collect();
    let waits = thread::spawn(move || {
        must_end("waiting", move || {
            tickets.into_iter().map(|ticket| ticket.wait().is_ok()).collect::<Vec<_>>()
        })
    });
    drop(opens);
    engine.stop();
    assert_eq!(waits.join().unwrap().len(), 60_000);
    assert!(!client.has_quorum());
    for _ in 0..100 {
        assert_eq!(client.propose("x".into()).err(), Some(Refused::Stopping));
    }
}

#[test]
fn a_short_deadline_passes_before_a_long_one() {
    let (_opens, state) = Gated::new();
    let mut config = config();
    config.deadline = Duration::from_secs(3600);
    let engine = Engine::start(config, state).unwrap();
    let client = engine.client();
    let mut patient = client.propose("x".into()).unwrap();
    let hasty = client.with_deadline(Duration::from_millis(20)).propose("x".into()).unwrap();
    let read =
        client.with_deadline(Duration::from_millis(20)).read(Consistency::AtLeast(GlobalPosition::new(9)));
    assert_eq!(must_end("a short wait", move || hasty.wait()), Err(Unknown::Deadline));
    assert!(must_end("a short read", move || read.wait()).is_err());
    assert!(poll_once(&mut patient).is_pending());
}

#[test]
fn callers_wait_for_room() {
    let (opens, state) = Gated::new();
    let mut config = config();
    config.lane_commands = 16;
    let engine = Engine::start(config, state).unwrap();
    let client = engine.client();
    let mut tickets = Vec::new();
    let refused = loop {
        match client.propose("x".into()) {
            Ok(ticket) => tickets.push(ticket),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, Refused::Overloaded);
    assert!((16..=32).contains(&tickets.len()), "one lane is full, or both");
    let hasty = client.with_deadline(Duration::from_millis(1)).ready();
    assert_eq!(must_end("a short wait for room", move || hasty.wait()), Err(Refused::Overloaded));
    let (blocked, future) = (client.ready(), client.ready());
    let waits =
        thread::spawn(move || must_end("a wait for room", move || (blocked.wait(), block_on(future))));
    opens.send(()).unwrap();
    assert_eq!(waits.join().unwrap(), (Ok(()), Ok(())));
    tickets.into_iter().for_each(|ticket| assert!(ticket.wait().is_ok()));
    client.propose("x".into()).unwrap().wait().unwrap();
}

/// Waits for its own engine while it executes.
struct WaitsInside(Arc<OnceLock<Client<WaitsInside>>>);

impl StateMachine for WaitsInside {
    type Reply = bool;
    type Reader = ();
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) {}

    fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<bool>) {
        for _ in commands {
            let client = self.0.get().unwrap();
            let ticket = client.propose("another".into()).unwrap();
            assert!(client.read(Consistency::Strong).wait().is_err());
            replies.push(ticket.wait() == Err(Unknown::SelfWait));
        }
    }

    fn freeze(&mut self) -> Encoded {
        Encoded::default()
    }

    fn restoring((): &()) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, _: Encoded) -> Result<(), MalformedState> {
        Ok(())
    }
}

#[test]
#[cfg_attr(
    debug_assertions,
    should_panic(expected = "a wait inside `apply`, `freeze` or `restore` would wait for ever")
)]
fn a_state_machine_that_waits_for_its_engine_is_told() {
    let environment = Environment {
        boot: 1,
        clock: Clock::System,
        files: Arc::new(SystemFiles),
        prepare_beside: false,
        election_seed: Some(1),
    };
    let client = Arc::new(OnceLock::new());
    let mut server = SimServer::open(&config(), &environment, WaitsInside(Arc::clone(&client))).unwrap();
    assert!(client.set(server.client()).is_ok());
    let mut ticket = server.client().propose("one".into()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let applied = loop {
        assert!(Instant::now() < deadline);
        for group in 0..2 {
            server.tick_group(group);
            server.turn(group);
            server.write_log(group).unwrap();
        }
        server.merge();
        server.execute();
        if let Poll::Ready(applied) = poll_once(&mut ticket) {
            break applied.unwrap();
        }
    };
    assert!(applied.reply, "a release build returns an error");
}

#[test]
fn a_dropped_ticket_leaves_its_command_in_flight() {
    let engine = example::engine();
    let client = engine.client();
    for _ in 0..100 {
        drop(client.propose("count".into()).unwrap());
    }
    let last = loop {
        let counted = client.propose("count".into()).unwrap().wait().unwrap().reply;
        if counted > 100 {
            break counted;
        }
    };
    assert!(last > 100);
    engine.stop();
}
