//! A store of one server in this process: a write and a strong read past the protocols, and the same key over
//! the Redis protocol.
//!
//! `cargo run -p niagara-kvstore --example one_server`

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use niagara_engine::{Config, Consistency, Durability, Member};
use niagara_kvstore::FrontEndConfig;
use niagara_kvstore::command::{self, Condition};
use niagara_kvstore::server::{Server, ServerConfig};

fn main() -> Result<(), Box<dyn Error>> {
    // One server with two groups, in memory, at free ports.
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let member = Member { server: 1, addresses: vec![any.to_string(); 2], transfer: any.to_string() };
    let mut engine = Config::new(0x57, 1, vec![member]);
    engine.durability = Durability::Memory;
    let front = FrontEndConfig { http: any, redis: any, threads: 1, ..FrontEndConfig::default() };
    let server = Server::start(ServerConfig { engine, front, peer_tls: None })?;
    println!("HTTP at {}, Redis at {}", server.http_addr(), server.redis_addr());

    // A command is bytes: a head, and the value behind it.
    let mut set = Vec::new();
    command::encode_set_head(&mut set, b"color", &Condition::Always, false);
    set.extend_from_slice(b"blue");
    let done = server.client().propose(set.into())?.wait()?;
    println!("executed at position {}: {:?}", done.position, done.reply);

    let state = server.client().read(Consistency::Strong).wait()?;
    let (value, version) = state.get(b"color").ok_or("the key is missing")?;
    println!("a strong read sees {value:?}, version {version}");

    // Clients see the same state.
    let mut redis = TcpStream::connect(server.redis_addr())?;
    redis.write_all(b"GET color\r\n")?;
    let mut reply = [0; 10];
    redis.read_exact(&mut reply)?;
    println!("a Redis client reads {:?}", String::from_utf8_lossy(&reply));

    server.stop();
    Ok(())
}
