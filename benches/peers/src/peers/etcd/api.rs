//! The few messages of etcd's API that are used, declared by hand: with so few, no code needs to be generated.
//!
//! The numbers are those of the fields in etcd's rpc.proto; what is left out is skipped when it comes.

use anyhow::{Context, Result};
use prost::Message;
use prost::bytes::Bytes;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{IntoRequest, Status};
use tonic_prost::ProstCodec;

/// To write a value.
#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// What every answer begins with.
#[derive(Clone, PartialEq, Message)]
pub struct Header {
    #[prost(uint64, tag = "2")]
    pub member: u64,
    /// Of the whole store: each put makes one.
    #[prost(int64, tag = "3")]
    pub revision: i64,
}

/// A value was written.
#[derive(Clone, PartialEq, Message)]
pub struct PutResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
}

/// To ask one server how it is.
#[derive(Clone, PartialEq, Message)]
pub struct StatusRequest {}

/// How it is.
#[derive(Clone, PartialEq, Message)]
pub struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// The member that it believes to lead; 0 if none.
    #[prost(uint64, tag = "4")]
    pub leader: u64,
}

/// A connection to one server.
#[derive(Clone)]
pub struct Client(Grpc<Channel>);

impl Client {
    /// One that connects when it is first used, and again when the connection breaks.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(url: &str) -> Result<Client> {
        let endpoint = Endpoint::from_shared(url.to_owned()).context("the address of a server")?;
        Ok(Client(Grpc::new(endpoint.tcp_nodelay(true).connect_lazy())))
    }

    /// Writes a value, and gives the revision that this made.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn put(&mut self, key: Bytes, value: Bytes) -> Result<i64> {
        const PATH: PathAndQuery = PathAndQuery::from_static("/etcdserverpb.KV/Put");
        let answer: PutResponse = self.call(PATH, PutRequest { key, value }).await.context("a put failed")?;
        Ok(answer.header.context("an answer without a header")?.revision)
    }

    /// Asks how the server is: its revision, its own number, and the leader's.
    ///
    /// # Errors
    /// What the server answers, or that there is none.
    pub async fn status(&mut self) -> Result<(Header, u64)> {
        const PATH: PathAndQuery = PathAndQuery::from_static("/etcdserverpb.Maintenance/Status");
        let answer: StatusResponse =
            self.call(PATH, StatusRequest {}).await.context("a server is not well")?;
        Ok((answer.header.context("an answer without a header")?, answer.leader))
    }

    async fn call<Q, A>(&mut self, path: PathAndQuery, request: Q) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.0.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let answer = self.0.unary(request.into_request(), path, ProstCodec::<Q, A>::default()).await?;
        Ok(answer.into_inner())
    }
}
