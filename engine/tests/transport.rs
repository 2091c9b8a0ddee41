//! A transport of the program's own: servers in one process, connected without a socket.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_engine::internals::example::Counter;
use niagara_engine::niagara_net::{
    Admission, Counters, DownReason, Event, Frame, Hello, LinkConfig, OpenError, Sent, Transport, Waker,
    check_cluster,
};
use niagara_engine::{Config, Consistency, Durability, Engine, EngineBuilder, Member, Threads};

/// No healthy run comes near it, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that is connected.
#[derive(Default)]
struct Hub(Mutex<BTreeMap<(u32, u64), End>>);

/// One server's end of a channel.
#[derive(Clone)]
struct End {
    hello: Hello,
    admission: Arc<dyn Admission>,
    inbox: Arc<Inbox>,
    /// The servers at the other ends.
    connected: BTreeSet<u64>,
}

/// Where the events of a transport's channels arrive.
#[derive(Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    waker: Mutex<Option<Waker>>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<(u32, Event)>,
    /// Whether the thread is to wake up.
    notified: bool,
}

impl Inbox {
    fn put(&self, channel: u32, event: Event) {
        self.waiting.lock().unwrap().events.push_back((channel, event));
        let waker = self.waker.lock().unwrap().clone();
        waker.unwrap().wake();
    }
}

/// The channels of one thread.
struct InProcess {
    hub: Arc<Hub>,
    inbox: Arc<Inbox>,
    waker: Waker,
    /// Which of this server's channels are here: number and server.
    channels: BTreeMap<u32, u64>,
}

impl InProcess {
    fn new(hub: &Arc<Hub>) -> InProcess {
        let inbox = Arc::new(Inbox::default());
        let notified = Arc::clone(&inbox);
        let waker = Waker::notifying(move || {
            notified.waiting.lock().unwrap().notified = true;
            notified.arrived.notify_all();
            Ok(())
        });
        *inbox.waker.lock().unwrap() = Some(waker.clone());
        InProcess { hub: Arc::clone(hub), inbox, waker, channels: BTreeMap::new() }
    }
}

fn admits(one: &End, other: &End) -> bool {
    check_cluster(&one.hello, &other.hello).is_ok() && one.admission.admit(&other.hello).is_ok()
}

impl Transport for InProcess {
    fn open(
        &mut self,
        config: LinkConfig,
        _: Option<TcpListener>,
        admission: Arc<dyn Admission>,
    ) -> Result<(), OpenError> {
        let (channel, server) = (config.hello.channel, config.hello.server);
        let inbox = Arc::clone(&self.inbox);
        let mut end = End { hello: config.hello, admission, inbox, connected: BTreeSet::new() };
        let mut hub = self.hub.0.lock().unwrap();
        for ((_, peer), other) in hub.range_mut((channel, 0)..=(channel, u64::MAX)) {
            if admits(&end, other) && admits(other, &end) {
                other.connected.insert(server);
                end.connected.insert(*peer);
                other.inbox.put(channel, Event::Up { peer: server });
                end.inbox.put(channel, Event::Up { peer: *peer });
            }
        }
        hub.insert((channel, server), end);
        self.channels.insert(channel, server);
        Ok(())
    }

    fn close(&mut self, channel: u32) {
        let Some(server) = self.channels.remove(&channel) else { return };
        let mut hub = self.hub.0.lock().unwrap();
        hub.remove(&(channel, server));
        for other in hub.range_mut((channel, 0)..=(channel, u64::MAX)).map(|(_, other)| other) {
            if other.connected.remove(&server) {
                other.inbox.put(channel, Event::Down { peer: server, reason: DownReason::Closed });
            }
        }
    }

    fn local_addr(&self, _: u32) -> Option<SocketAddr> {
        None
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn turn(
        &mut self,
        _: Instant,
        timeout: Option<Duration>,
        may_sleep: &mut dyn FnMut() -> bool,
        events: &mut Vec<(u32, Event)>,
    ) -> io::Result<()> {
        let inbox = &self.inbox;
        let is_idle = inbox.waiting.lock().unwrap().events.is_empty();
        let mut may_sleep = || is_idle && may_sleep();
        let mut waiting = self.waker.sleep(&mut may_sleep, |may_sleep| {
            let waiting = inbox.waiting.lock().unwrap();
            let sleeps = |waiting: &mut Waiting| may_sleep && waiting.events.is_empty() && !waiting.notified;
            let timeout = timeout.unwrap_or(Duration::MAX);
            inbox.arrived.wait_timeout_while(waiting, timeout, sleeps).unwrap().0
        });
        waiting.notified = false;
        events.extend(waiting.events.drain(..));
        Ok(())
    }

    fn send(&mut self, channel: u32, to: u64, frame: Frame) -> Sent {
        let from = self.channels[&channel];
        let hub = self.hub.0.lock().unwrap();
        match hub.get(&(channel, to)).filter(|other| other.connected.contains(&from)) {
            Some(other) => {
                let body = Bytes::from(frame.parts().concat());
                other.inbox.put(channel, Event::Frame { from, body });
                Sent::Queued
            }
            None => Sent::Dropped,
        }
    }

    fn flush(&mut self) {}

    fn queued_bytes(&self, channel: u32, peer: u64) -> Option<usize> {
        let server = self.channels.get(&channel)?;
        let hub = self.hub.0.lock().unwrap();
        hub.get(&(channel, *server))?.connected.contains(&peer).then_some(0)
    }

    fn counters(&self, _: u32) -> Counters {
        Counters::default()
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        for channel in self.channels.keys().copied().collect::<Vec<_>>() {
            self.close(channel);
        }
    }
}

/// Three servers with this many groups, driven by so many threads each. Nobody listens anywhere.
fn cluster(groups: usize, threads: Threads) -> Vec<Engine<Counter>> {
    let member = |server| Member {
        server,
        addresses: vec!["127.0.0.1:1".to_owned(); groups],
        transfer: "127.0.0.1:1".to_owned(),
    };
    let hub = Arc::new(Hub::default());
    let start = |server| {
        let mut config = Config::new(1, server, (1..=3).map(member).collect());
        config.durability = Durability::Memory;
        config.threads = threads;
        let hub = Arc::clone(&hub);
        let builder =
            EngineBuilder::new(config).transport(move || Ok(Box::new(InProcess::new(&hub)) as Box<_>));
        builder.start(Counter::default()).unwrap()
    };
    (1..=3).map(start).collect()
}

fn runs(threads: Threads) {
    const EACH: usize = 200;
    let mut servers = cluster(3, threads);
    assert!(servers.iter().all(|server| server.addresses().is_empty()));
    for server in &servers {
        let begun = Instant::now();
        while !server.client().has_quorum() {
            assert!(begun.elapsed() < PATIENCE, "{:?}", server.client().status());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let tickets = servers.iter().flat_map(|server| {
        let client = server.client();
        (0..EACH).map(move |_| client.propose(Bytes::from_static(b"one")).unwrap()).collect::<Vec<_>>()
    });
    for ticket in tickets.collect::<Vec<_>>() {
        ticket.wait().unwrap();
    }
    // A majority goes on without the third, which has closed its channels.
    servers.pop().unwrap().stop();
    let client = servers[0].client().with_deadline(PATIENCE);
    client.propose(Bytes::from_static(b"one more")).unwrap().wait().unwrap();
    for server in &servers {
        let counter = server.client().with_deadline(PATIENCE).read(Consistency::Strong).wait().unwrap();
        assert_eq!(counter.load(std::sync::atomic::Ordering::SeqCst), 3 * EACH + 1);
    }
}

#[test]
fn servers_need_no_sockets() {
    runs(Threads::Count(1));
}

#[test]
fn each_thread_has_a_transport_of_its_own() {
    runs(Threads::Count(3));
}
