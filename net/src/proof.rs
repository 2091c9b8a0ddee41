//! How servers prove to each other which they are: TLS below the greeting, with certificates that name a server and its
//! cluster.

use std::error::Error;
use std::io;
use std::sync::Arc;

use mio::net::TcpStream;
use niagara_tls::{Mutual, NotTls, Stream};

use crate::hello::Hello;
use crate::refusal::Refusal;

/// The name that a server's certificate must have, so that other servers of its cluster know it by it. It is no name of a
/// host: addresses may change, and a certificate of one cluster is of no use in another.
///
/// ```
/// assert_eq!(niagara_net::peer_name(0x5d7a, 2), "server-2.00000000000000000000000000005d7a.niagara");
/// ```
pub fn peer_name(cluster: u128, server: u64) -> String {
    format!("server-{server}.{cluster:032x}.niagara")
}

/// What becomes of connections without TLS on a channel that has it, while a running cluster goes over to it: first all
/// servers dial without it, one after the other, then they accept such connections, then they refuse them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plain {
    /// There are none.
    #[default]
    Refused,
    /// Others may dial without TLS; this server dials with it.
    Accepted,
    /// This server dials without TLS, too.
    Dialled,
}

/// The end of a connection that has been accepted.
pub(crate) fn accept(socket: TcpStream, tls: Option<&Arc<Mutual>>) -> Stream<TcpStream> {
    match tls {
        None => Stream::Plain(socket),
        Some(tls) => tls.accept(socket),
    }
}

/// Whether a connection begins as TLS does. `None`: too little has arrived. No greeting is long enough to begin like that.
pub(crate) fn begins_encrypted(socket: &TcpStream) -> Option<bool> {
    /// A handshake, and the version that its record names.
    const BEGIN: [u8; 3] = [0x16, 3, 1];
    let mut begin = [0; BEGIN.len()];
    match socket.peek(&mut begin) {
        Ok(count) if count == 0 || begin[..count] != BEGIN[..count] => Some(false),
        Ok(count) => (count == BEGIN.len()).then_some(true),
        // Reading will report it again.
        Err(error) => (error.kind() != io::ErrorKind::WouldBlock).then_some(false),
    }
}

/// The end of a connection that has dialled a server, which must prove that it is this one of this cluster.
pub(crate) fn dial(
    socket: TcpStream,
    tls: Option<&Arc<Mutual>>,
    (cluster, server): (u128, u64),
) -> io::Result<Stream<TcpStream>> {
    match tls {
        None => Ok(Stream::Plain(socket)),
        Some(tls) => tls.connect(socket, &peer_name(cluster, server)),
    }
}

/// Whether who has dialled is the server that it says. Without TLS there is no proof.
pub(crate) fn check(stream: &Stream<TcpStream>, hello: &Hello) -> Result<(), Refusal> {
    if !stream.is_encrypted() {
        return Ok(());
    }
    let name = peer_name(hello.cluster, hello.server);
    let names = match stream.shown() {
        Some(shown) if shown.has_name(&name) => return Ok(()),
        Some(shown) => shown.names().join(", "),
        None => String::new(),
    };
    Err(Refusal::Certificate(format!(
        "the certificate of server {} has to be for {name}, but is for {}",
        hello.server,
        if names.is_empty() { "no server" } else { &names }
    )))
}

/// What a server that does not speak TLS is told by one that does.
pub(crate) fn plain() -> Refusal {
    Refusal::Certificate(
        "the refusing server speaks TLS with its peers, and the refused one does not: give it a certificate, too".into(),
    )
}

/// Whether a connection failed because the other end does not speak TLS.
pub(crate) fn is_plain(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<NotTls>)
}

/// Logs why the ends of an encrypted connection do not understand each other, and says whether they do not.
pub(crate) fn report(stream: &Stream<TcpStream>, error: &io::Error) -> bool {
    let address = stream.socket().peer_addr().ok().map(tracing::field::display);
    let is_untrusted = stream.is_encrypted() && error.kind() == io::ErrorKind::InvalidData;
    if is_plain(error) {
        tracing::warn!(address, "closed a connection: the other end does not speak TLS, as this server does");
    } else if is_untrusted {
        tracing::warn!(address, %error, "closed a connection: the servers do not trust each other's certificates");
    } else if stream.is_handshaking() {
        tracing::warn!(
            address,
            %error,
            "a connection ended before the ends agreed on keys: the other one may not speak TLS, or not trust this one"
        );
    }
    is_untrusted
}
