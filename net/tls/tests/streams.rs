//! Both ends of encrypted connections, over sockets that block and sockets that do not.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, SystemTime};

use niagara_tls::{Acceptor, ClientFiles, Connector, NotTls, ServerFiles, Stream, TlsFileError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use tempfile::TempDir;

/// An authority, and a directory for what it issues.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new() -> Authority {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Issues a certificate for a name, in `file.pem` and `file.key`.
    fn issue(&self, name: &str, file: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.at(&format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(self.at(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn server(&self, client_ca: bool) -> ServerFiles {
        ServerFiles {
            certificate: self.at("server.pem"),
            key: self.at("server.key"),
            client_ca: client_ca.then(|| self.at("ca.pem")),
        }
    }

    fn client(&self, named: bool) -> Connector {
        let own = |file| named.then(|| self.at(file));
        let files =
            ClientFiles { ca: self.at("ca.pem"), certificate: own("client.pem"), key: own("client.key") };
        Connector::open(&files).unwrap()
    }
}

fn with_server() -> Authority {
    let authority = Authority::new();
    authority.issue("localhost", "server");
    authority.issue("somebody", "client");
    authority
}

/// Connects over sockets that block, and returns what the server read and what the client read.
fn converse(
    acceptor: Acceptor,
    connector: &Connector,
    host: &str,
    request: &[u8],
) -> (io::Result<Vec<u8>>, io::Result<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut stream = Stream::accept(listener.accept().unwrap().0, &acceptor);
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard)?;
        // The client has ended its half only.
        stream.write_all(&heard)?;
        stream.end_writing()?;
        Ok(heard)
    });
    let mut stream = Stream::connect(TcpStream::connect(address).unwrap(), connector, host).unwrap();
    let answer = stream.shake_hands().and_then(|()| {
        stream.write_all(request)?;
        stream.end_writing()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map(|_| answer)
    });
    drop(stream);
    (server.join().unwrap(), answer)
}

#[test]
fn what_is_said_arrives_and_a_half_closed_connection_answers() {
    let authority = with_server();
    let request: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    for named in [false, true] {
        let acceptor = Acceptor::open(authority.server(named)).unwrap();
        let (heard, answer) = converse(acceptor, &authority.client(named), "localhost", &request);
        assert!(answer.unwrap() == request && heard.unwrap() == request);
    }
}

#[test]
fn strangers_are_refused() {
    let (authority, other) = (with_server(), with_server());
    let open = |client_ca| Acceptor::open(authority.server(client_ca)).unwrap();
    // Another name, another authority, no certificate, one of another authority.
    assert!(converse(open(false), &authority.client(false), "db", b"x").1.is_err());
    assert!(converse(open(false), &other.client(false), "localhost", b"x").1.is_err());
    assert!(converse(open(true), &authority.client(false), "localhost", b"x").0.is_err());
    let files = ClientFiles {
        ca: authority.at("ca.pem"),
        certificate: Some(other.at("client.pem")),
        key: Some(other.at("client.key")),
    };
    assert!(converse(open(true), &Connector::open(&files).unwrap(), "localhost", b"x").0.is_err());
}

/// How a client shakes hands that has been connected before, and remembers it.
fn second_handshake(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    client_ca: bool,
) -> HandshakeKind {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.at("ca.pem")).unwrap()).unwrap();
    let certificate = CertificateDer::from_pem_file(authority.at("client.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.at("client.key")).unwrap();
    let config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .unwrap();
    let (config, acceptor) = (config.into(), Acceptor::open(authority.server(client_ca)).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = |config: &std::sync::Arc<ClientConfig>| {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = Stream::accept(listener.accept().unwrap().0, &acceptor);
                stream.read_exact(&mut [0]).unwrap();
                stream.write_all(b"y").unwrap();
                stream.end_writing().unwrap();
            });
            let connection = ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
            let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
            stream.write_all(b"x").unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
            stream.conn.handshake_kind().unwrap()
        })
    };
    connect(&config);
    connect(&config)
}

#[test]
fn who_has_to_show_a_certificate_shows_it_each_time() {
    let authority = with_server();
    for version in [&TLS12, &TLS13] {
        assert_eq!(second_handshake(&authority, version, false), HandshakeKind::Resumed);
        assert_eq!(second_handshake(&authority, version, true), HandshakeKind::Full);
    }
}

#[test]
fn who_does_not_speak_tls_is_recognised() {
    let authority = with_server();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    let mut server =
        Stream::accept(listener.accept().unwrap().0, &Acceptor::open(authority.server(false)).unwrap());
    let error = server.read(&mut [0; 100]).unwrap_err();
    assert!(error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<NotTls>), "{error}");
    server.socket_mut().write_all(b"-ERR").unwrap();
    drop(server);
    let mut said = [0; 4];
    client.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"-ERR", "nothing else was sent");
}

#[test]
fn a_certificate_is_replaced_and_a_bad_one_is_not_taken() {
    let authority = with_server();
    let acceptor = Acceptor::open(authority.server(false)).unwrap();
    assert!(acceptor.expires() > SystemTime::now() + Duration::from_secs(86_400));
    assert!(!acceptor.reload_if_changed().unwrap());
    fs::write(authority.at("server.pem"), "nonsense").unwrap();
    assert!(acceptor.reload_if_changed().is_err());
    assert!(!acceptor.reload_if_changed().unwrap(), "it is read once");
    assert!(acceptor.reload().is_err(), "unless it is asked for");
    // A certificate whose key is still the old one.
    authority.issue("db", "other");
    fs::copy(authority.at("other.pem"), authority.at("server.pem")).unwrap();
    let error = acceptor.reload_if_changed().unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
    let served = |acceptor, host: &str| converse(acceptor, &authority.client(false), host, b"x").1.is_ok();
    authority.issue("db", "server");
    assert!(acceptor.reload_if_changed().unwrap());
    assert!(served(acceptor, "db"));
    assert!(!served(Acceptor::open(authority.server(false)).unwrap(), "localhost"));
}

#[test]
fn files_are_named_and_nothing_of_a_key_is_shown() {
    let authority = with_server();
    let error = |files: ServerFiles| Acceptor::open(files).unwrap_err().to_string();
    let swapped = ServerFiles {
        certificate: authority.at("server.key"),
        key: authority.at("server.pem"),
        client_ca: None,
    };
    assert!(error(swapped).contains("server.key"));
    fs::write(authority.at("server.key"), "-----BEGIN PRIVATE KEY-----\nhunter2\n").unwrap();
    let broken = error(authority.server(false));
    assert!(broken.contains("server.key") && !broken.contains("hunter2"), "{broken}");
    fs::remove_file(authority.at("server.key")).unwrap();
    assert!(error(authority.server(false)).contains("cannot read"));
    let half =
        ClientFiles { ca: authority.at("ca.pem"), certificate: Some(authority.at("client.pem")), key: None };
    assert!(matches!(Connector::open(&half), Err(TlsFileError::Half)));
}

/// One direction of a socket that takes little and never blocks.
#[derive(Clone, Default)]
struct Pipe(Rc<RefCell<VecDeque<u8>>>);

const PIPE_BYTES: usize = 700;

struct Socket {
    from: Pipe,
    to: Pipe,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.from.0.borrow_mut().read(buffer) {
            Ok(0) => Err(ErrorKind::WouldBlock.into()),
            read => read,
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = self.to.0.borrow_mut();
        let count = bytes.len().min(PIPE_BYTES - pipe.len());
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        pipe.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what is left, and reads what is there, until neither goes on.
fn step(stream: &mut Stream<Socket>, left: &mut &[u8], heard: &mut Vec<u8>) {
    loop {
        let written = stream.write(left);
        match &written {
            Ok(count) => *left = &left[*count..],
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        let mut buffer = [0; 333];
        match stream.read(&mut buffer) {
            Ok(count) => heard.extend_from_slice(&buffer[..count]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                if left.is_empty() || written.is_err() {
                    return;
                }
            }
        }
    }
}

#[test]
fn sockets_that_take_little_lose_nothing() {
    let authority = with_server();
    let (one, other) = (Pipe::default(), Pipe::default());
    let acceptor = Acceptor::open(authority.server(true)).unwrap();
    let mut server = Stream::accept(Socket { from: one.clone(), to: other.clone() }, &acceptor);
    let socket = Socket { from: other, to: one };
    let mut client = Stream::connect(socket, &authority.client(true), "localhost").unwrap();
    assert!(server.is_handshaking() && client.is_encrypted());
    let text: Vec<u8> = (0..200_000u32).map(|i| (i % 253) as u8).collect();
    let (mut asked, mut answered) = (text.as_slice(), text.as_slice());
    let (mut heard, mut told) = (Vec::new(), Vec::new());
    let mut turns = 0;
    while heard.len() < text.len() || told.len() < text.len() {
        step(&mut client, &mut asked, &mut told);
        step(&mut server, &mut answered, &mut heard);
        turns += 1;
        assert!(turns < 100_000, "it goes on");
    }
    assert!(heard == text && told == text && !server.is_handshaking());
}
