//! Ports that are no server's: strangers who attack these cost the machine what they cost, and the servers nothing.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::processors::STRANGER;
use super::strangers::{Attacked, LOOK, is_open};
use crate::Endpoint;

/// A thread that accepts whoever comes, and says nothing. What it uses counts as the strangers'.
pub(super) struct Elsewhere {
    pub(super) attacked: Attacked,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// How long those who come wait at most.
const TURN: Duration = Duration::from_millis(1);

impl Elsewhere {
    /// Listens at as many ports as the servers have.
    ///
    /// # Panics
    /// When the machine has no ports left.
    pub(super) fn of(endpoints: &[Endpoint]) -> Elsewhere {
        let attacked = Attacked::of(endpoints);
        let most = attacked.all.len();
        let mut elsewhere = Elsewhere::start(most).expect("there are free ports");
        let Attacked { clients, redis, all } = &mut elsewhere.attacked;
        clients.truncate(attacked.clients.len());
        redis.truncate(attacked.redis.len());
        all.truncate(most);
        elsewhere
    }

    fn start(ports: usize) -> io::Result<Elsewhere> {
        let listener = |_| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listeners = (0..ports).map(listener).collect::<io::Result<Vec<_>>>()?;
        let ports = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let stop = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&stop);
        let thread = thread::Builder::new().name(STRANGER.into()).spawn(move || accept(&listeners, &seen))?;
        let attacked = Attacked { clients: ports.clone(), redis: ports.clone(), all: ports };
        Ok(Elsewhere { attacked, stop, thread })
    }

    pub(super) fn stop(self) {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("it does not panic");
    }
}

fn accept(listeners: &[TcpListener], stop: &AtomicBool) {
    let (mut held, mut looked): (Vec<TcpStream>, Instant) = (Vec::new(), Instant::now());
    while !stop.load(Relaxed) {
        for listener in listeners {
            loop {
                match listener.accept() {
                    Ok((stream, _)) if stream.set_nonblocking(true).is_ok() => held.push(stream),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // Whoever it was has gone already.
                    _ => {}
                }
            }
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            held.retain(is_open);
        }
        thread::sleep(TURN);
    }
}
