//! The network of the crates that are driven by a thread: one TCP connection from each replica to each other one.
//!
//! The driver writes to its sockets itself, all that a turn has brought at once, and a thread for each incoming connection
//! reads and decodes. No two drivers can wait for each other to read: the readers never wait for anything but bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result};

use crate::control;
use crate::frames::{self, HEADER};
use crate::node::Cluster;

/// What is read at once, if there is as much.
const READ_BYTES: usize = 1 << 18;

/// Connections to the other replicas.
pub struct Links {
    links: Vec<Link>,
}

struct Link {
    to: u64,
    stream: TcpStream,
    unsent: Vec<u8>,
}

impl Links {
    /// Connects to all other replicas, which listen already.
    ///
    /// # Errors
    /// When one does not.
    pub fn connect(cluster: &Cluster) -> Result<Links> {
        let connect = |(to, address)| {
            let stream =
                TcpStream::connect(address).with_context(|| format!("cannot connect to replica {to}"))?;
            stream.set_nodelay(true)?;
            Ok(Link { to, stream, unsent: Vec::new() })
        };
        Ok(Links { links: cluster.others().map(connect).collect::<Result<_>>()? })
    }

    /// Puts what `encode` appends into the next write to a replica.
    ///
    /// # Errors
    /// When that fails, or there is no such replica.
    pub fn push(&mut self, to: u64, encode: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let link = self.links.iter_mut().find(|link| link.to == to);
        frames::append(&mut link.with_context(|| format!("there is no replica {to}"))?.unsent, encode)
    }

    /// Writes all that was pushed.
    ///
    /// # Errors
    /// When a replica is gone.
    pub fn flush(&mut self) -> Result<()> {
        for link in &mut self.links {
            if !link.unsent.is_empty() {
                link.stream
                    .write_all(&link.unsent)
                    .with_context(|| format!("cannot write to replica {}", link.to))?;
                link.unsent.clear();
            }
        }
        Ok(())
    }
}

/// Takes so many connections, and hands on what comes in: all messages that one read has brought at once.
///
/// # Errors
/// When a connection cannot be accepted.
pub fn receive<M: 'static>(
    listener: &TcpListener,
    connections: usize,
    decode: fn(&[u8]) -> Result<M>,
    deliver: impl Fn(Vec<M>) -> Result<()> + Clone + Send + 'static,
) -> Result<()> {
    for _ in 0..connections {
        let (stream, _) = listener.accept().context("cannot accept a connection")?;
        let deliver = deliver.clone();
        control::in_background("reader", move || read(stream, decode, deliver));
    }
    Ok(())
}

fn read<M>(
    mut stream: TcpStream,
    decode: fn(&[u8]) -> Result<M>,
    deliver: impl Fn(Vec<M>) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        match stream.read(&mut buffer[filled..]) {
            // Its replica has ended. If that was too early, the tool knows already, and why.
            Ok(0) => return Ok(()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read from a replica"),
        }
        let mut messages = Vec::new();
        let mut begin = 0;
        while let Some(frame) = frames::first(&buffer[begin..filled])? {
            messages.push(decode(frame)?);
            begin += HEADER + frame.len();
        }
        buffer.copy_within(begin..filled, 0);
        filled -= begin;
        if !messages.is_empty() {
            deliver(messages)?;
        }
    }
}
