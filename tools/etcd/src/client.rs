//! Calls over gRPC. The clients of a measurement are to take as little as possible from the servers, so there is nothing between
//! them and HTTP/2.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request, StatusCode};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task;

use crate::messages::{PutRequest, PutResponse, RangeRequest, RangeResponse, StatusRequest, StatusResponse};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallFailed(String);

/// What a server says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberState {
    /// Its number.
    pub member: u64,
    /// Of the whole store: each put makes one.
    pub revision: i64,
    /// The member that it believes to lead; 0 if none.
    pub leader: u64,
}

/// A method of the API.
#[derive(Clone, Copy, Debug)]
enum Method {
    Put,
    Range,
    Status,
}

impl Method {
    fn path(self) -> &'static str {
        match self {
            Method::Put => "/etcdserverpb.KV/Put",
            Method::Range => "/etcdserverpb.KV/Range",
            Method::Status => "/etcdserverpb.Maintenance/Status",
        }
    }
}

/// A connection to one server. Its copies share it.
#[derive(Clone, Debug)]
pub struct Connection {
    streams: SendRequest<Bytes>,
    address: String,
}

impl Connection {
    /// Opens one to a host and port. Must be called within a `LocalSet`, where its own work is done.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn open(address: &str) -> Result<Connection, CallFailed> {
        let unreachable = |error| CallFailed(format!("cannot connect to {address}: {error}"));
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let mut settings = client::Builder::new();
        // Thousands of calls may be under way, and their small answers come all at once: from this server that is no attack.
        settings.data_frame_budget(usize::MAX);
        let (streams, connection) = settings.handshake(stream).await.map_err(|error| failed(&error))?;
        // When it breaks, the calls on it fail, and say so.
        task::spawn_local(async move { drop(connection.await) });
        Ok(Connection { streams, address: address.to_owned() })
    }

    /// Writes a value, and gives the revision that this made.
    ///
    /// # Errors
    /// What the server answers, or that it does not.
    pub async fn put(&self, key: Bytes, value: Bytes) -> Result<i64, CallFailed> {
        let answer: PutResponse = self.call(Method::Put, &PutRequest { key, value }).await?;
        Ok(answer.header.ok_or_else(unclear)?.revision)
    }

    /// Whether there is such a key: in the server's own state, or, linearizable, in that of all of them.
    ///
    /// # Errors
    /// What the server answers, or that it does not.
    pub async fn has(&self, key: Bytes, serializable: bool) -> Result<bool, CallFailed> {
        let found: RangeResponse = self.call(Method::Range, &RangeRequest { key, serializable }).await?;
        Ok(found.count == 1)
    }

    /// How the server is.
    ///
    /// # Errors
    /// What it answers, or that it does not.
    pub async fn status(&self) -> Result<MemberState, CallFailed> {
        let StatusResponse { header, leader } = self.call(Method::Status, &StatusRequest {}).await?;
        let header = header.ok_or_else(unclear)?;
        Ok(MemberState { member: header.member, revision: header.revision, leader })
    }

    /// Calls a method, and waits for its answer.
    async fn call<A: Message + Default>(
        &self,
        method: Method,
        request: &impl Message,
    ) -> Result<A, CallFailed> {
        let head = Request::post(format!("http://{}{}", self.address, method.path()))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("method, address and headers are sound");
        let mut streams = self.streams.clone().ready().await.map_err(|error| failed(&error))?;
        let (response, mut body) = streams.send_request(head, false).map_err(|error| failed(&error))?;
        body.send_data(frame(request), true).map_err(|error| failed(&error))?;
        let response = response.await.map_err(|error| failed(&error))?;
        if response.status() != StatusCode::OK {
            return Err(CallFailed(format!("etcd answered with HTTP status {}", response.status())));
        }
        check(response.headers())?;
        let mut body = response.into_body();
        let bytes = read(&mut body).await.map_err(|error| failed(&error))?;
        let trailers = body.trailers().await.map_err(|error| failed(&error))?;
        check(&trailers.unwrap_or_default())?;
        unframe(bytes)
    }
}

fn failed(error: &h2::Error) -> CallFailed {
    CallFailed(format!("a call to etcd failed: {error}"))
}

/// A message as gRPC sends it: not compressed, and with its length.
fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("messages are small"));
    message.encode(&mut frame).expect("there is room for it");
    frame.freeze()
}

fn unclear() -> CallFailed {
    CallFailed("etcd's answer is no message of its API".into())
}

fn unframe<A: Message + Default>(mut bytes: Bytes) -> Result<A, CallFailed> {
    let (compressed, length) =
        bytes.try_get_u8().and_then(|flag| Ok((flag, bytes.try_get_u32()?))).map_err(|_| unclear())?;
    if compressed != 0 || bytes.len() != length as usize {
        return Err(unclear());
    }
    A::decode(bytes).map_err(|_| unclear())
}

async fn read(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut all = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        all.extend_from_slice(&part);
    }
    Ok(all.freeze())
}

/// The outcome of a call stands behind its answer, or before it where there is none.
fn check(headers: &HeaderMap) -> Result<(), CallFailed> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    match text("grpc-status").as_deref() {
        None | Some("0") => Ok(()),
        Some(status) => {
            let why = text("grpc-message").unwrap_or_default();
            Err(CallFailed(format!("etcd refused a call: status {status}, {why}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_with_their_length() {
        let put = PutRequest { key: "key".into(), value: "value".into() };
        let bytes = frame(&put);
        assert_eq!(&bytes[..], b"\0\0\0\0\x0c\x0a\x03key\x12\x05value");
        assert_eq!(unframe::<PutRequest>(bytes.clone()).unwrap(), put);
        assert!(unframe::<PutRequest>(bytes.slice(..bytes.len() - 1)).is_err());
        assert!(unframe::<PutRequest>(bytes.slice(..3)).is_err());
    }

    #[test]
    fn refusals_are_told() {
        let mut headers = HeaderMap::new();
        assert!(check(&headers).is_ok());
        headers.insert("grpc-status", "14".parse().unwrap());
        headers.insert("grpc-message", "etcdserver: no leader".parse().unwrap());
        assert!(check(&headers).unwrap_err().to_string().contains("no leader"));
        headers.insert("grpc-status", "0".parse().unwrap());
        assert!(check(&headers).is_ok());
    }
}
