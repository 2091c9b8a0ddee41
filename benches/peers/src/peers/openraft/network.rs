//! Calls to other replicas: one connection to each, one call on it at a time, as the crate makes them.

use std::io;
use std::net::SocketAddr;

use anyhow::Result;
use openraft::RPCTypes;
use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::types::Types;
use crate::frames::{self, HEADER};

/// A call.
#[derive(Serialize, Deserialize)]
pub enum Call {
    /// To append entries.
    Append(AppendEntriesRequest<Types>),
    /// To vote.
    Vote(VoteRequest<u64>),
}

/// Makes connections.
pub struct Network {
    addresses: Vec<(u64, SocketAddr)>,
}

/// A connection, or none while there is no use for one.
pub struct Connection {
    to: u64,
    address: Option<SocketAddr>,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

type CallError = RPCError<u64, (), RaftError<u64>>;

impl Network {
    /// To replicas that listen at these addresses.
    pub fn new(addresses: Vec<(u64, SocketAddr)>) -> Network {
        Network { addresses }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, _node: &()) -> Connection {
        let address = self.addresses.iter().find(|(id, _)| *id == target).map(|(_, address)| *address);
        Connection { to: target, address, stream: None, buffer: Vec::new() }
    }
}

impl Connection {
    /// Makes a call. The crate may drop it half-way when it takes too long; the connection goes with it then, since what
    /// would come next on it is the answer to that call.
    async fn call<A: DeserializeOwned>(&mut self, call: &Call) -> Result<A, CallError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().await.map_err(|error| Unreachable::new(&error))?,
        };
        let answer = self.exchange(&mut stream, call).await;
        let broken = |error: anyhow::Error| NetworkError::new(&io::Error::other(error.to_string()));
        let answer: Result<A, RaftError<u64>> = answer.map_err(broken)?;
        self.stream = Some(stream);
        answer.map_err(|error| RemoteError::new(self.to, error).into())
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let address = self.address.ok_or_else(|| io::Error::other("there is no such replica"))?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn exchange<A: DeserializeOwned>(&mut self, stream: &mut TcpStream, call: &Call) -> Result<A> {
        send(stream, &mut self.buffer, call).await?;
        let frame = receive(stream, &mut self.buffer).await?;
        Ok(postcard::from_bytes(frame)?)
    }
}

impl RaftNetwork<Types> for Connection {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, CallError> {
        self.call(&Call::Append(request)).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, CallError> {
        self.call(&Call::Vote(request)).await
    }

    async fn install_snapshot(
        &mut self,
        _request: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RPCError<u64, (), RaftError<u64, InstallSnapshotError>>> {
        let error = io::Error::other(format!("{} is not offered", RPCTypes::InstallSnapshot));
        Err(NetworkError::new(&error).into())
    }
}

/// Sends a message, by way of a buffer that is reused.
///
/// # Errors
/// When the connection breaks.
pub async fn send(stream: &mut TcpStream, buffer: &mut Vec<u8>, message: &impl Serialize) -> Result<()> {
    buffer.clear();
    frames::append_value(buffer, message)?;
    Ok(stream.write_all(buffer).await?)
}

/// Receives a message's bytes, into a buffer that is reused.
///
/// # Errors
/// When the connection breaks.
pub async fn receive<'a>(stream: &mut TcpStream, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await?;
    let length = frames::length(header)?;
    buffer.resize(length, 0);
    stream.read_exact(buffer).await?;
    Ok(buffer)
}
