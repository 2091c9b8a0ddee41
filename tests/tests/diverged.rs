//! Servers that have diverged from the others, by data that was lost or by an execution that differs: they know it, say so, and
//! serve nobody. Machines without threads, in virtual time; messages arrive at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use niagara_engine::agreement::{Agreement, DigestOf};
use niagara_engine::internals::sim::{Clock, Environment, ManualClock, SimServer};
use niagara_engine::{
    Commands, Config, Consistency, Durability, GlobalPosition, MalformedState, Member, NotACommand,
    NotAQuery, Refused, StateMachine, Status,
};
use niagara_kvstore::command::{self, Condition};
use niagara_kvstore::{Kv, KvFrozen, KvReader, KvRestoring, Reply};
use niagara_log::{Files, MemoryFiles};
use niagara_net::Event;

const SERVERS: u64 = 3;
const GROUPS: usize = 2;
const TICK: Duration = Duration::from_millis(50);
/// Time for elections, and for each group to tell its digests.
const A_WHILE: u32 = 100;

/// A store that takes anything for a command, and may have a mind of its own.
#[derive(Default)]
struct Odd {
    kv: Kv,
    /// It sets a key more than it was told to.
    does_more: bool,
}

impl StateMachine for Odd {
    type Reply = Reply;
    type Reader = KvReader;
    type Frozen = KvFrozen;
    type Restoring = KvRestoring;

    fn reader(&self) -> KvReader {
        self.kv.reader()
    }

    fn apply(&mut self, position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<Reply>) {
        self.kv.apply(position, commands, replies);
        if self.does_more {
            self.kv.execute(position, &set("more", "than told"));
        }
    }

    fn check_query(query: &[u8]) -> Result<(), NotAQuery> {
        Kv::check_query(query)
    }

    fn answer(&self, query: &[u8]) -> Reply {
        self.kv.answer(query)
    }

    fn unexecutable(&self) -> Option<NotACommand> {
        self.kv.unexecutable()
    }

    fn digest(&self) -> Option<u128> {
        self.kv.digest()
    }

    fn freeze(&mut self) -> KvFrozen {
        self.kv.freeze()
    }

    fn restoring(reader: &KvReader) -> KvRestoring {
        Kv::restoring(reader)
    }

    fn restore(&mut self, position: GlobalPosition, state: KvRestoring) -> Result<(), MalformedState> {
        self.kv.restore(position, state)
    }
}

struct Server {
    files: Arc<dyn Files>,
    lives: u64,
    does_more: bool,
    machine: Option<SimServer<Odd>>,
    inbox: Vec<VecDeque<Event>>,
}

struct Cluster {
    servers: Vec<Server>,
    clock: Arc<ManualClock>,
    now: Duration,
}

impl Cluster {
    fn new() -> Cluster {
        let server = || Server {
            files: Arc::new(MemoryFiles::default()),
            lives: 0,
            does_more: false,
            machine: None,
            inbox: vec![VecDeque::new(); GROUPS],
        };
        let servers = (0..SERVERS).map(|_| server()).collect();
        Cluster { servers, clock: Arc::new(ManualClock::new()), now: Duration::ZERO }
    }

    fn start(&mut self, id: u64) {
        let addresses = vec!["nowhere:0".to_owned(); GROUPS];
        let member = |server| Member { server, addresses: addresses.clone(), transfer: "nowhere:0".into() };
        let mut config = Config::new(1, id, (1..=SERVERS).map(member).collect());
        config.durability = Durability::Fsync;
        config.tick = TICK;
        let server = &mut self.servers[id as usize - 1];
        server.lives += 1;
        let environment = Environment {
            boot: id << 8 | server.lives,
            clock: Clock::Manual(Arc::clone(&self.clock)),
            files: Arc::clone(&server.files),
            prepare_beside: false,
            election_seed: Some(id),
        };
        let state = Odd { does_more: server.does_more, ..Odd::default() };
        server.machine = Some(SimServer::open(&config, &environment, state).expect("its log is sound"));
        for peer in (1..=SERVERS).filter(|peer| *peer != id) {
            self.links_come_up(id, peer);
        }
    }

    fn links_come_up(&mut self, a: u64, b: u64) {
        for (at, peer) in [(a, b), (b, a)] {
            self.servers[at as usize - 1]
                .inbox
                .iter_mut()
                .for_each(|inbox| inbox.push_back(Event::Up { peer }));
        }
    }

    /// The process ends; what it has synced stays.
    fn kill(&mut self, id: u64) {
        let server = &mut self.servers[id as usize - 1];
        server.machine = None;
        server.inbox.iter_mut().for_each(VecDeque::clear);
    }

    /// Everything that it kept is gone, and nobody has noticed.
    fn lose_data(&mut self, id: u64) {
        self.servers[id as usize - 1].files = Arc::new(MemoryFiles::default());
        self.servers[id as usize - 1].lives = 0;
    }

    fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now += TICK;
            self.clock.set(self.now);
            for server in &mut self.servers {
                if let Some(machine) = &mut server.machine {
                    (0..GROUPS).for_each(|group| machine.tick_group(group));
                    machine.tick();
                }
            }
            self.settle();
        }
    }

    /// Lets all threads of all servers go round until nothing is on its way.
    fn settle(&mut self) {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for at in 0..self.servers.len() {
                let server = &mut self.servers[at];
                let Some(machine) = &mut server.machine else { continue };
                let mut sent = Vec::new();
                for (group, inbox) in server.inbox.iter_mut().enumerate() {
                    moved |= !inbox.is_empty();
                    inbox.drain(..).for_each(|event| machine.handle(group, event));
                    sent.extend(machine.turn(group).into_iter().map(|(to, frame)| (group, to, frame)));
                    machine.write_log(group).expect("memory can be written");
                }
                while machine.merge() || machine.execute() {
                    moved = true;
                }
                machine.keep_snapshots();
                for (group, to, frame) in sent {
                    let to = &mut self.servers[to as usize - 1];
                    if to.machine.is_some() {
                        moved = true;
                        let body = Bytes::from(frame.parts().concat());
                        to.inbox[group].push_back(Event::Frame { from: at as u64 + 1, body });
                    }
                }
            }
        }
    }

    fn machine(&self, id: u64) -> &SimServer<Odd> {
        self.servers[id as usize - 1].machine.as_ref().expect("it runs")
    }

    fn status(&self, id: u64) -> Status {
        self.machine(id).client().status()
    }

    fn agreement(&self) -> Agreement {
        let statuses: Vec<Status> = (1..=SERVERS).map(|id| self.status(id)).collect();
        Agreement::of(&statuses, 0)
    }

    fn set(&mut self, at: u64, key: &str, value: &str) {
        let ticket = self.machine(at).client().propose(set(key, value)).expect("it takes commands");
        self.settle();
        self.run(2);
        let done = pin!(ticket).poll_now().expect("a quorum is there");
        assert!(done.is_ok());
    }

    /// What a strong read finds, unless it fails.
    fn strong_read(&mut self, at: u64, key: &str) -> Option<Bytes> {
        let ticket = self.machine(at).client().read(Consistency::Strong);
        self.settle();
        let reader = pin!(ticket).poll_now().expect("reads are answered or refused at once").ok()?;
        Some(reader.get(key.as_bytes()).map_or(Bytes::new(), |(value, _)| value))
    }
}

trait PollNow: Future {
    fn poll_now(self) -> Option<Self::Output>;
}

impl<F: Future + Unpin> PollNow for F {
    fn poll_now(mut self) -> Option<F::Output> {
        match std::pin::Pin::new(&mut self).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

fn set(key: &str, value: &str) -> Bytes {
    let mut out = Vec::new();
    command::encode_set_head(&mut out, key.as_bytes(), &Condition::Always, false);
    out.extend_from_slice(value.as_bytes());
    out.into()
}

/// What was acknowledged by servers 1 and 2 is gone on 2, and 3 never had it: those two lead and serve another cluster's life,
/// as far as 1 can tell. It must not answer from its own, nor join theirs.
#[test]
fn a_server_whose_committed_entries_its_leader_lacks_serves_nobody() {
    // Logs that begin anew may come to the same terms: then their entries look alike to Raft, and only digests tell them apart.
    for (lost_after, terms_differ) in [(1, false), (40, false), (40, true)] {
        let mut cluster = Cluster::new();
        cluster.start(1);
        cluster.start(2);
        cluster.run(A_WHILE);
        (0..lost_after).for_each(|key| cluster.set(1, &format!("k{key}"), "acknowledged"));
        assert_eq!(cluster.strong_read(1, "k0").unwrap(), "acknowledged");
        cluster.kill(1);
        cluster.kill(2);
        cluster.lose_data(2);
        cluster.start(2);
        cluster.start(3);
        cluster.run(A_WHILE);
        for _ in 0..if terms_differ { 3 } else { 0 } {
            [2, 3].into_iter().for_each(|id| cluster.kill(id));
            [2, 3].into_iter().for_each(|id| cluster.start(id));
            cluster.run(A_WHILE);
        }
        (0..20).for_each(|_| cluster.set(2, "k0", "of another life"));

        cluster.start(1);
        cluster.run(A_WHILE);
        let one = cluster.machine(1).client();
        assert!(one.is_diverged(), "{:?}", cluster.status(1));
        let why = cluster.status(1).diverged.unwrap();
        let known_by =
            if terms_differ { "acknowledged data was lost on other servers" } else { "differ at position" };
        assert!(why.contains(known_by), "{why}");
        assert_eq!(cluster.strong_read(1, "k0"), None);
        assert!(pin!(one.read(Consistency::AtLeast(GlobalPosition::new(1)))).poll_now().unwrap().is_err());
        assert_eq!(one.reader().get(b"k0").unwrap().0, "acknowledged", "a weak read shows what is left");
        assert_eq!(one.propose(set("k0", "through a parted server")).err(), Some(Refused::Diverged));
        assert!(cluster.agreement().is_bad(), "{:?}", cluster.agreement());
        // The others know of the difference, and that they are the majority.
        for id in [2, 3] {
            assert_eq!(cluster.status(id).diverged, None);
            assert_eq!(cluster.strong_read(id, "k0").unwrap(), "of another life");
        }
    }
}

/// Equal logs, and a state that is not what they lead to.
#[test]
fn a_server_that_executes_otherwise_is_noticed_by_all_and_serves_nobody() {
    let mut cluster = Cluster::new();
    cluster.servers[2].does_more = true;
    (1..=SERVERS).for_each(|id| cluster.start(id));
    cluster.run(A_WHILE);
    cluster.set(1, "key", "value");
    cluster.run(A_WHILE);
    let why = cluster.status(3).diverged.expect("both others differ from it");
    assert!(why.contains("the states of this server and server 1 differ"), "{why}");
    assert_eq!(cluster.strong_read(3, "key"), None);
    for id in [1, 2] {
        assert_eq!(cluster.status(id).diverged, None);
        assert_eq!(cluster.strong_read(id, "key").unwrap(), "value");
    }
    assert!(
        matches!(cluster.agreement(), Agreement::Differ { of: DigestOf::State, .. }),
        "{:?}",
        cluster.agreement()
    );
}

/// Two servers that differ, and a third one that is not there to decide: neither knows that it is the good one.
#[test]
fn where_two_differ_and_nobody_decides_neither_serves() {
    let mut cluster = Cluster::new();
    cluster.servers[1].does_more = true;
    cluster.start(1);
    cluster.start(2);
    cluster.run(A_WHILE);
    cluster.set(1, "key", "value");
    cluster.run(A_WHILE);
    for id in [1, 2] {
        assert!(cluster.status(id).diverged.is_some());
        assert_eq!(cluster.strong_read(id, "key"), None);
    }
    // The third one is as the first: these two go on.
    cluster.start(3);
    cluster.run(A_WHILE);
    assert_eq!((cluster.status(1).diverged, cluster.status(3).diverged), (None, None));
    assert!(cluster.status(2).diverged.is_some());
    assert_eq!(cluster.strong_read(1, "key").unwrap(), "value");
}

/// The state machine of this test takes anything; the store itself refuses what it does not know. In a log, it ends the process.
#[test]
fn a_command_of_another_release_ends_the_process_at_execution() {
    for unknown in [&b"\xc8from the future"[..], b"\x01\x09", b""] {
        assert!(Kv::check(unknown).is_err());
        let mut cluster = Cluster::new();
        (1..=SERVERS).for_each(|id| cluster.start(id));
        cluster.run(A_WHILE);
        let _ticket = cluster.machine(1).client().propose(Bytes::copy_from_slice(unknown)).unwrap();
        let ended = catch_unwind(AssertUnwindSafe(|| cluster.run(5))).expect_err("it is not passed over");
        let said = ended.downcast_ref::<String>().expect("a panic in words");
        assert!(said.contains("cannot execute a command that server 1 took at position"), "{said}");
    }
}
