//! What goes to a server, and what comes back of calls.

use bytes::Bytes;
use niagara_engine::{Consistency, GlobalPosition};
use niagara_kvstore::{Life, Reply};

use super::{Kind, http, redis};
use crate::chance::Chance;
use crate::linearizability::Input;
use crate::sim::request::{Request, name};

/// What a client sends, or a part of it.
#[derive(Clone, Debug)]
pub struct Sending {
    /// The client.
    pub client: usize,
    /// Counts the client's batches.
    pub batch: u64,
    /// To which server.
    pub server: u64,
    /// How.
    pub by: By,
}

/// The ways to a server.
#[derive(Clone, Debug)]
pub enum By {
    /// Bytes on a connection.
    Connection {
        /// The connection's number.
        connection: u32,
        /// Which protocol is spoken there.
        protocol: Protocol,
        /// What is sent.
        bytes: Vec<u8>,
    },
    /// A call of the engine.
    Call {
        /// Names the call.
        token: u64,
        /// What is asked.
        ask: Ask,
    },
}

/// What is spoken on a connection.
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
    /// To execute a command.
    Execute(Bytes),
    /// To read a key.
    Read(String, Consistency),
}

/// What a call of the engine led to.
#[derive(Clone, Debug)]
pub enum Told {
    /// The command was executed at this position.
    Applied(u64, Reply),
    /// It was not taken.
    Refused,
    /// Nobody knows.
    Unknown,
    /// The key was read.
    Read {
        /// This position was executed by then.
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
    /// How a client of this kind says these requests. `life` goes with the versions that it names.
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
            Kind::Embedded => By::Call { token, ask: ask_of(&requests[0]) },
        }
    }
}

impl Sending {
    /// What is sent at once may come to the server in parts, cut anywhere.
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

fn ask_of(request: &Request) -> Ask {
    match request {
        Request::Key { key, input: Input::Get } => Ask::Read(name(*key), Consistency::Strong),
        Request::AtLeast { key, position } => {
            Ask::Read(name(*key), Consistency::AtLeast(GlobalPosition::new(*position)))
        }
        Request::Weak { key } => Ask::Read(name(*key), Consistency::Weak),
        write => Ask::Execute(write.command(None).expect("what is no read is a command")),
    }
}
