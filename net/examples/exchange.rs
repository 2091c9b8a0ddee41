//! Two transports greet each other over the loopback device and exchange a message each.
//!
//! `cargo run -p niagara-net --example exchange`
//!
//! A server polls each of its transports on a thread of its own. This program has one thread, and polls both.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_net::{AdmitAll, Event, Frame, Hello, LinkConfig, Peer, TcpTransport, Transport};

/// A transport of `server`, on a free port, for channel 0 of a cluster of two.
fn open(server: u64, peer: Peer) -> Result<TcpTransport, Box<dyn Error>> {
    let hello = Hello { cluster: 1, server, channel: 0, channels: 1, ..Hello::default() };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut transport = TcpTransport::new()?;
    transport.open(LinkConfig::new(hello, any, vec![peer]), None, Arc::new(AdmitAll))?;
    Ok(transport)
}

fn main() -> Result<(), Box<dyn Error>> {
    // Server 2 dials server 1, since its id is higher. So server 1 needs no address of server 2.
    let first = open(1, Peer { server: 2, address: String::new() })?;
    let address = first.local_addr(0).ok_or("channel 0 is open")?;
    let second = open(2, Peer { server: 1, address: address.to_string() })?;
    println!("server 1 listens at {address}");

    let deadline = Instant::now() + Duration::from_secs(10);
    let mut servers = [(1, first), (2, second)];
    let mut received = 0;
    while received < 2 {
        if Instant::now() > deadline {
            return Err("the loopback device has lost a message".into());
        }
        for (server, transport) in &mut servers {
            let mut events = Vec::new();
            transport.turn(Instant::now(), Some(Duration::from_millis(1)), &mut || true, &mut events)?;
            for (channel, event) in events {
                match event {
                    Event::Up { peer } => {
                        println!("server {server} is connected with server {peer}");
                        let body = format!("greetings from server {server}");
                        transport.send(channel, peer, Frame::from(Bytes::from(body)));
                    }
                    Event::Frame { from, body } => {
                        println!("server {server} receives {body:?} from server {from}");
                        received += 1;
                    }
                    Event::Down { peer, reason } => println!("server {server} has lost {peer}: {reason}"),
                    Event::Refused { refusal, .. } => return Err(format!("refused: {refusal:?}").into()),
                }
            }
            // What the turn has queued leaves in one write.
            transport.flush();
        }
    }
    Ok(())
}
