//! Ports for clusters that run side by side.
//!
//! `niagara new-cluster` plans ports in one row, and every server has to know all of them before the first one starts,
//! so the system cannot choose them. They are taken in blocks, and whoever listens at a block's first port owns the
//! block: clusters of this and of other test processes keep apart without a file or a lock.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Ports in a block, the guard included.
const BLOCK: u16 = 64;
/// Blocks begin here, above what well-known services use,
const FIRST: u16 = 10_000;
/// and end here, below those of engines within tests (`Config::local`) and of outgoing connections.
const BLOCKS: u16 = (26_000 - FIRST) / BLOCK;

/// Ports of 127.0.0.1 that nobody else uses, until this is dropped.
pub struct PortBlock {
    guard: TcpListener,
}

impl PortBlock {
    /// Takes a block whose ports are all free.
    ///
    /// # Panics
    /// When there is none.
    ///
    /// ```
    /// use niagara_tests::ports::PortBlock;
    ///
    /// let (a, b) = (PortBlock::take(), PortBlock::take());
    /// assert!(a.first().abs_diff(b.first()) > PortBlock::PORTS);
    /// ```
    pub fn take() -> PortBlock {
        // Somewhere else each time, so that processes which start together do not queue for the same ones.
        let start = RandomState::new().hash_one(0) % u64::from(BLOCKS);
        let blocks = (0..BLOCKS).map(|i| FIRST + (start as u16 + i) % BLOCKS * BLOCK);
        let free = blocks.filter_map(|first| {
            let guard = listen(first).ok()?;
            (first + 1..first + BLOCK).all(|port| listen(port).is_ok()).then_some(PortBlock { guard })
        });
        { free }.next().expect("some block of ports is free")
    }

    /// How many ports there are to use, in a row.
    pub const PORTS: u16 = BLOCK - 1;

    /// The first of them.
    pub fn first(&self) -> u16 {
        self.guard.local_addr().expect("a listener has an address").port() + 1
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}
