//! Answers the calls of other replicas.

use std::net::TcpListener;

use anyhow::{Context, Result};
use openraft::Raft;
use tokio::net::TcpStream;

use super::network::{self, Call};
use super::types::Types;

/// Takes connections for as long as the process lives.
///
/// # Errors
/// When the socket fails.
pub async fn serve(listener: TcpListener, raft: Raft<Types>) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept a connection")?;
        stream.set_nodelay(true)?;
        // A connection ends when the other side gives up a call on it, and then makes a new one.
        tokio::spawn(answer(stream, raft.clone()));
    }
}

async fn answer(mut stream: TcpStream, raft: Raft<Types>) -> Result<()> {
    let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
    loop {
        let frame = network::receive(&mut stream, &mut incoming).await?;
        match postcard::from_bytes(frame)? {
            Call::Append(request) => {
                let answer = raft.append_entries(request).await;
                network::send(&mut stream, &mut outgoing, &answer).await?;
            }
            Call::Vote(request) => {
                let answer = raft.vote(request).await;
                network::send(&mut stream, &mut outgoing, &answer).await?;
            }
        }
    }
}
