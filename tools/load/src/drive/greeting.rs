//! Whether an address is what it is taken for, before a run begins. Servers may be away, then and later; a port that is meant for
//! others stays so.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use niagara_client::{Access, Endpoint};

use crate::failure::Failure;

/// A server says at once that it lives, however busy it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server that is just going closes a connection without a word, too, but not again after this.
const ONCE_MORE_AFTER: Duration = Duration::from_millis(300);

/// Makes sure that no stranger answers HTTP there.
pub(super) fn over_http(name: &str, access: &Access) -> Result<(), Failure> {
    let endpoint: Endpoint = name.parse().map_err(|hint| Failure::new(format!("{name}: {hint}")))?;
    match endpoint.with(access).recognise(PATIENCE) {
        Err(trouble) if trouble.is_foreign() => Err(Failure::new(format!("{name}: {trouble}"))),
        _ => Ok(()),
    }
}

/// Makes sure that no stranger answers there where the Redis protocol is to be spoken.
pub(super) fn over_redis(name: &str, address: SocketAddr) -> Result<(), Failure> {
    let first = match first_byte(address) {
        Err(error) if is_closed(&error) => {
            thread::sleep(ONCE_MORE_AFTER);
            first_byte(address)
        }
        first => first,
    };
    let what = match first {
        Ok(b'+' | b'-') => return Ok(()),
        Ok(b'H') => "this is a port for HTTP, which --http drives",
        Ok(_) => "something answers that does not speak the Redis protocol",
        Err(error) if is_closed(&error) => {
            "it closes the connection without a reply, as the ports between servers do"
        }
        // It may come yet.
        Err(_) => return Ok(()),
    };
    Err(Failure::new(format!("{name}: {what}; give a server's Redis port")))
}

/// What is answered to a line that whatever takes lines understands, or refuses.
fn first_byte(address: SocketAddr) -> io::Result<u8> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut first = [0];
    stream.write_all(b"PING\r\n\r\n").and_then(|()| stream.read_exact(&mut first))?;
    Ok(first[0])
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Something that gives everybody the same answer.
    fn stranger(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                // Whoever asks may have gone already.
                let _ = stream.read(&mut [0; 512]).and_then(|_| stream.write_all(answer.as_bytes()));
            }
        });
        address
    }

    fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[test]
    fn strangers_are_named_and_servers_may_be_away() {
        for (answer, said) in [
            ("HTTP/1.1 400 Bad Request\r\n\r\n", "a port for HTTP"),
            ("SSH-2.0-x\r\n", "does not speak the Redis protocol"),
            ("", "without a reply"),
        ] {
            let failure = over_redis("h:1", stranger(answer)).unwrap_err().to_string();
            assert!(failure.contains(said), "{answer}: {failure}");
        }
        over_redis("h:1", stranger("-NOAUTH no\r\n")).unwrap();
        over_redis("h:1", nobody()).unwrap();

        let http = |address: SocketAddr| over_http(&address.to_string(), &Access::new());
        assert!(http(stranger("-ERR what\r\n")).unwrap_err().to_string().contains("Redis protocol"));
        assert!(http(stranger("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")).is_err());
        http(stranger("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")).unwrap();
        http(nobody()).unwrap();
    }
}
