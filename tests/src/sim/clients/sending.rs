//! What clients send to a server, and the results of calls.

use bytes::Bytes;
use niagara_engine::{Consistency, GlobalPosition};
use niagara_kvstore::{Life, Reply};

use super::{Kind, http, redis};
use crate::linearizability::Input;
use crate::sim::request::{Request, name};
use niagara_testing::parts::chance::Chance;

/// What a client sends, or a part of it.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Index of the client.
    pub client: usize,
    /// Number of the client's batch.
    pub batch: u64,
    /// Receiving server.
    pub server: u64,
    /// Way to the server, with the content.
    pub by: By,
}

/// The ways to a server.
#[derive(Clone, Debug)]
pub enum By {
    /// Bytes on a connection.
    Connection {
        /// Number of the connection.
        connection: u32,
        /// Protocol of the connection.
        protocol: Protocol,
        /// Bytes to send.
        bytes: Vec<u8>,
    },
    /// A call of the engine.
    Call {
        /// Identifies the call.
        token: u64,
        /// What the call requests.
        ask: Ask,
    },
}

/// Protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Redis, version 2.
    Redis,
    /// HTTP/1.1.
    Http,
}

/// A call of the engine.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Executes a command.
    Execute(Bytes),
    /// Executes a command, and reads a key right after it.
    ExecuteThenRead(Bytes, String),
    /// Reads a key.
    Read(String, Consistency),
}

/// The result of a call of the engine.
#[derive(Clone, Debug)]
pub enum CallResult {
    /// The command was executed at this position.
    Applied(u64, Reply),
    /// The same, and right after it the key had this value and version.
    AppliedThenRead(u64, Reply, Option<(Bytes, u64)>),
    /// The command was refused.
    Refused,
    /// The outcome is unknown.
    Unknown,
    /// The key was read.
    Read {
        /// The position that had been executed by then.
        applied: u64,
        /// The value and its version.
        found: Option<(Bytes, u64)>,
        /// How many commands the server had executed.
        executed: usize,
    },
    /// The read failed.
    ReadFailed,
}

impl By {
    /// How a client of this kind expresses these requests. `life` accompanies the versions that it names.
    pub(super) fn of(kind: Kind, requests: &[Request], life: Option<Life>, token: u64) -> By {
        match kind {
            Kind::Redis { connection } => {
                let bytes = requests.iter().flat_map(redis::bytes_of).collect();
                By::Connection { connection, protocol: Protocol::Redis, bytes }
            }
            Kind::Http { connection } => {
                let bytes = requests.iter().flat_map(|request| http::bytes_of(request, life)).collect();
                By::Connection { connection, protocol: Protocol::Http, bytes }
            }
            Kind::Embedded => By::Call { token, ask: ask_of(&requests[0], token) },
        }
    }
}

impl Sending {
    /// Splits what is sent at once into parts, cut anywhere, as it may arrive.
    pub(super) fn in_parts(self, chance: &mut Chance) -> Vec<Sending> {
        let By::Connection { connection, protocol, bytes } = &self.by else { return vec![self] };
        let count = *chance.pick(&[1, 1, 2, 3]);
        let mut cuts: Vec<usize> = (1..count).map(|_| chance.below(bytes.len() as u64) as usize).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let part = |cut: &[usize]| {
            let bytes = bytes[cut[0]..cut[1]].to_vec();
            let by = By::Connection { connection: *connection, protocol: *protocol, bytes };
            Sending { by, ..self }
        };
        cuts.windows(2).map(part).collect()
    }
}

fn ask_of(request: &Request, token: u64) -> Ask {
    match request {
        Request::Key { key, input: Input::Get } => Ask::Read(name(*key), Consistency::Strong),
        Request::AtLeast { key, position } => {
            Ask::Read(name(*key), Consistency::AtLeast(GlobalPosition::new(*position)))
        }
        Request::Weak { key } => Ask::Read(name(*key), Consistency::Weak),
        write => {
            let command = write.command(None).expect("what is no read is a command");
            match write {
                Request::Key { key, .. } if token.is_multiple_of(2) => {
                    Ask::ExecuteThenRead(command, name(*key))
                }
                _ => Ask::Execute(command),
            }
        }
    }
}
