//! The few messages of etcd's API that are used. With so few, no code needs to be generated: the numbers are those of the fields in
//! etcd's `rpc.proto`, and fields that are left out are skipped when they come.

use bytes::Bytes;
use prost::Message;

/// What every answer begins with.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Header {
    #[prost(uint64, tag = "2")]
    pub member: u64,
    /// Of the whole store: each put makes one.
    #[prost(int64, tag = "3")]
    pub revision: i64,
}

/// To write a value.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// A value was written.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PutResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
}

/// To read the value of a key.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// From the server's own state, rather than linearizable.
    #[prost(bool, tag = "7")]
    pub serializable: bool,
}

/// What was found.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RangeResponse {
    #[prost(int64, tag = "4")]
    pub count: i64,
}

/// To ask one server how it is.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatusRequest {}

/// How it is.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// The member that it believes to lead; 0 if none.
    #[prost(uint64, tag = "4")]
    pub leader: u64,
}
