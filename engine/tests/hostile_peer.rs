//! A server of the cluster, with the right id and the right greeting, that sends rubbish beside what it has to say. It harms
//! nobody but itself: the others end its connections, count what they have dropped, and serve.

mod eventually;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use eventually::eventually;
use niagara_engine::internals::example::Counter;
use niagara_engine::niagara_net::{
    Admission, Counters, Event, Frame, LinkConfig, OpenError, Sent, TcpTransport, Transport, Waker,
};
use niagara_engine::{Config, Consistency, Durability, Engine, EngineBuilder};

/// Lies that are told together: after the first one, the connection is ended.
const AT_ONCE: usize = 8;

/// What a liar does, and what becomes of it.
#[derive(Default)]
struct Lies {
    begun: AtomicBool,
    sent: AtomicUsize,
    cut_off: AtomicUsize,
}

/// A transport that adds rubbish to what its server sends.
struct Liar {
    inner: TcpTransport,
    lies: Arc<Lies>,
    /// Which channels are open, and to whom.
    open: Vec<(u32, Vec<u64>)>,
    state: u64,
}

impl Liar {
    fn new(lies: &Arc<Lies>, seed: u64) -> Result<Liar, OpenError> {
        Ok(Liar { inner: TcpTransport::new()?, lies: Arc::clone(lies), open: Vec::new(), state: seed })
    }

    /// The next number (xorshift).
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    fn noise(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next() as u8).collect()
    }

    /// A number at an end of its range, or anywhere.
    fn number(&mut self) -> u64 {
        let telling = [0, 1, 2, 1 << 40, 1 << 53, (1 << 53) + 1, (1 << 62) + 1, u64::MAX - 1, u64::MAX];
        match self.below(12) {
            at @ 0..=8 => telling[at as usize],
            _ => self.next(),
        }
    }

    /// A message of a group's channel. Those of Raft have a term that no server can have: who claims a term that it may have
    /// can hold up a group, as everybody can in Raft.
    fn of_group(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        let tag = self.below(12) as u8;
        out.put_u8(tag);
        match tag {
            1 | 7 => {
                out.put_u8(self.below(13) as u8);
                out.put_u8(self.below(4) as u8);
                let term = [0, 1 << 40, (1 << 62) + 1, u64::MAX][self.below(4) as usize];
                for number in [self.below(5), self.below(5), term] {
                    out.put_u64_le(number);
                }
                let is_whole = self.below(2) == 0;
                for _ in 0..if is_whole { 7 } else { self.below(8) } {
                    out.put_u64_le(self.number());
                }
                match is_whole {
                    // No context, and no entries.
                    true => out.put_slice(&[0; 6]),
                    false => out.put_slice(&self.noise(80)),
                }
            }
            // Commands of others, in lanes that there are not, with lengths that exceed them.
            2 => {
                for _ in 0..3 {
                    out.put_u64_le(self.number());
                }
                for _ in 0..3 {
                    out.put_u32_le(self.number() as u32);
                }
                out.put_u16_le(self.number() as u16);
                out.put_u16_le(self.number() as u16);
                out.put_slice(&self.noise(60));
            }
            // No quorum is asked to promise anything, nor to follow, for a time that there is not.
            5 | 8 => out.put_slice(&self.noise(200)),
            _ => {
                out.put_u64_le(self.number());
                out.put_u64_le(self.number());
                if self.below(2) == 0 {
                    out.put_slice(&self.noise(20));
                }
            }
        }
        out.freeze()
    }

    /// A message of the channel on which snapshots travel.
    fn of_transfer(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        let tag = self.below(9) as u8;
        out.put_u8(tag);
        let numbers = match tag {
            1 | 4 => 28,
            2 => 36,
            6 => 16,
            7 => 12,
            _ => self.below(60),
        };
        let mut numbers = numbers as usize;
        while numbers > 0 {
            let bytes = self.number().to_le_bytes();
            let taken = numbers.min(bytes.len());
            out.put_slice(&bytes[..taken]);
            numbers -= taken;
        }
        if self.below(4) == 0 {
            out.put_slice(&self.noise(300));
        }
        out.freeze()
    }
}

impl Transport for Liar {
    fn open(
        &mut self,
        config: LinkConfig,
        listener: Option<TcpListener>,
        admission: Arc<dyn Admission>,
    ) -> Result<(), OpenError> {
        let peers = config.peers.iter().map(|peer| peer.server).collect();
        self.open.push((config.hello.channel, peers));
        self.inner.open(config, listener, admission)
    }

    fn close(&mut self, channel: u32) {
        self.open.retain(|(open, _)| *open != channel);
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
        self.inner.turn(now, timeout, may_sleep, events)?;
        let downs = events.iter().filter(|(_, event)| matches!(event, Event::Down { .. })).count();
        if self.lies.begun.load(SeqCst) {
            self.lies.cut_off.fetch_add(downs, SeqCst);
        }
        Ok(())
    }

    fn send(&mut self, channel: u32, to: u64, frame: Frame) -> Sent {
        self.inner.send(channel, to, frame)
    }

    fn flush(&mut self) {
        if self.lies.begun.load(SeqCst) {
            for (channel, peers) in self.open.clone() {
                for peer in peers.iter().copied().flat_map(|peer| [peer; AT_ONCE]) {
                    let body = match self.below(4) {
                        0 => Bytes::from(self.noise(200)),
                        _ if channel == 0 => self.of_transfer(),
                        _ => self.of_group(),
                    };
                    if self.inner.send(channel, peer, Frame::from(body)) == Sent::Queued {
                        self.lies.sent.fetch_add(1, SeqCst);
                    }
                }
            }
        }
        self.inner.flush();
    }

    fn queued_bytes(&self, channel: u32, peer: u64) -> Option<usize> {
        self.inner.queued_bytes(channel, peer)
    }

    fn counters(&self, channel: u32) -> Counters {
        self.inner.counters(channel)
    }
}

/// The sum of a counter over its groups.
fn counted(engine: &Engine<Counter>, name: &str) -> u64 {
    let mut text = String::new();
    engine.client().encode_metrics(&mut text);
    let values = text.lines().filter(|line| line.starts_with(name));
    values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[test]
fn a_member_that_sends_rubbish_is_cut_off_and_harms_nobody_else() {
    const LIES: usize = 1_000;
    let dir = tempfile::tempdir().unwrap();
    let mut configs = Config::local(3, 2).unwrap();
    for config in &mut configs {
        config.durability = Durability::Os;
        config.data_dir = dir.path().join(config.server.to_string());
        config.segment_bytes = 1 << 20;
    }
    let lies = Arc::new(Lies::default());
    let mut engines: Vec<Engine<Counter>> = configs[..2]
        .iter()
        .map(|config| Engine::start(config.clone(), Counter::default()).unwrap())
        .collect();
    let made = Arc::clone(&lies);
    let seed = AtomicUsize::new(0x9e37);
    let liar = EngineBuilder::new(configs[2].clone()).transport(move || {
        Ok(Box::new(Liar::new(&made, seed.fetch_add(77, SeqCst) as u64)?) as Box<dyn Transport>)
    });
    engines.push(liar.start(Counter::default()).unwrap());
    eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));

    lies.begun.store(true, SeqCst);
    let mut acknowledged = 0;
    eventually("lies are told", || {
        for engine in &engines[..2] {
            if let Ok(ticket) = engine.client().propose(Bytes::from_static(b"count")) {
                acknowledged += usize::from(ticket.wait().is_ok());
            }
        }
        lies.sent.load(SeqCst) >= LIES
    });
    assert!(lies.cut_off.load(SeqCst) > 0, "it was never cut off");
    for engine in &engines[..2] {
        assert!(counted(engine, "niagara_network_refused_messages_total") > 0);
        assert_eq!(engine.client().status().diverged, None);
    }

    // Without it, the others go on.
    engines.pop().unwrap().stop();
    for engine in &engines {
        eventually("the others serve", || {
            let client = engine.client().with_deadline(Duration::from_secs(5));
            let done = client.propose(Bytes::from_static(b"count")).is_ok_and(|ticket| ticket.wait().is_ok());
            acknowledged += usize::from(done);
            done
        });
        let read = engine.client().with_deadline(Duration::from_secs(60)).read(Consistency::Strong).wait();
        assert!(read.unwrap().load(SeqCst) >= acknowledged, "acked_is_applied");
    }
}
