//! A server whose link of one group is slow leaves that group to another one.

mod eventually;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eventually::eventually;
use niagara_engine::internals::example::Counter;
use niagara_engine::niagara_net::{
    Admission, Counters, Event, Frame, LinkConfig, OpenError, Sent, Switchboard, TcpTransport, Transport,
    Waker,
};
use niagara_engine::{Config, Durability, Engine, EngineBuilder, Threads, Ticket};

/// Eight ticks, and well below an election timeout.
const DELAY: Duration = Duration::from_millis(160);
const TICK: Duration = Duration::from_millis(20);

/// What this server sends on one channel leaves late.
struct Late {
    inner: TcpTransport,
    channel: u32,
    is_slow: Arc<AtomicBool>,
    held: VecDeque<(Instant, u64, Frame)>,
}

impl Late {
    fn release(&mut self, now: Instant) {
        while let Some((_, to, frame)) = self.held.pop_front_if(|(due, ..)| *due <= now) {
            // What is lost on a broken link is sent again.
            let _ = self.inner.send(self.channel, to, frame);
        }
    }
}

impl Transport for Late {
    fn open(
        &mut self,
        config: LinkConfig,
        listener: Option<TcpListener>,
        admission: Arc<dyn Admission>,
    ) -> Result<(), OpenError> {
        self.inner.open(config, listener, admission)
    }

    fn close(&mut self, channel: u32) {
        self.inner.close(channel);
    }

    fn local_addr(&self, channel: u32) -> Option<SocketAddr> {
        self.inner.local_addr(channel)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn turn(
        &mut self,
        now: Instant,
        timeout: Option<Duration>,
        may_sleep: &mut dyn FnMut() -> bool,
        events: &mut Vec<(u32, Event)>,
    ) -> io::Result<()> {
        self.release(now);
        let due = self.held.front().map(|(due, ..)| due.saturating_duration_since(now));
        self.inner.turn(now, due.into_iter().chain(timeout).min(), may_sleep, events)
    }

    fn send(&mut self, channel: u32, to: u64, frame: Frame) -> Sent {
        if channel != self.channel || !self.is_slow.load(SeqCst) && self.held.is_empty() {
            return self.inner.send(channel, to, frame);
        }
        self.held.push_back((Instant::now() + DELAY, to, frame));
        Sent::Queued
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn disconnect(&mut self, channel: u32, peer: u64) {
        self.inner.disconnect(channel, peer);
    }

    fn queued_bytes(&self, channel: u32, peer: u64) -> Option<usize> {
        self.inner.queued_bytes(channel, peer)
    }

    fn counters(&self, channel: u32) -> Counters {
        self.inner.counters(channel)
    }
}

fn start(config: &Config, channel: u32, is_slow: &Arc<AtomicBool>) -> Engine<Counter> {
    let (board, is_slow) = (Arc::<Switchboard>::default(), Arc::clone(is_slow));
    let late = move || {
        let inner = TcpTransport::sharing(&board)?;
        let (is_slow, held) = (Arc::clone(&is_slow), VecDeque::new());
        Ok(Box::new(Late { inner, channel, is_slow, held }) as Box<dyn Transport>)
    };
    EngineBuilder::new(config.clone()).transport(late).start(Counter::default()).unwrap()
}

fn leader(engine: &Engine<Counter>, group: u16) -> u64 {
    engine.client().status().local[usize::from(group) - 1].leader
}

#[test]
fn a_leader_with_a_slow_link_in_one_group_leaves_that_group() {
    let mut configs = Config::local(3, 3).unwrap();
    for config in &mut configs {
        config.durability = Durability::Memory;
        config.threads = Threads::Count(3);
        config.tick = TICK;
        config.election_ticks = 20;
    }
    let is_slow = Arc::new(AtomicBool::new(false));
    let never = Arc::new(AtomicBool::new(false));
    let slow_if_first = |config: &Config| if config.server == 1 { &is_slow } else { &never };
    let engines: Vec<_> = configs.iter().map(|config| start(config, 1, slow_if_first(config))).collect();
    eventually("each server leads a group", || {
        (1..=3).all(|group| leader(&engines[0], group) == u64::from(group))
    });
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for engine in &engines {
            let (client, stop) = (engine.client(), &stop);
            scope.spawn(move || {
                while !stop.load(SeqCst) {
                    // While a leadership moves, commands may be refused.
                    let _ = client.propose(Bytes::from_static(b"count")).map(Ticket::wait);
                }
            });
        }
        is_slow.store(true, SeqCst);
        eventually("another server leads the slow group", || ![0, 1].contains(&leader(&engines[1], 1)));
        assert_eq!([leader(&engines[1], 2), leader(&engines[1], 3)], [2, 3], "the others stay");
        stop.store(true, SeqCst);
    });
    engines.into_iter().for_each(Engine::stop);
}
