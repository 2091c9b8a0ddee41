//! Front-end threads whose clients speak TLS, and an engine in memory.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use niagara_tls::{Acceptor, ClientFiles, Connector, ServerFiles, Stream};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::fake::{FakeServer, Mood};
use super::golden::http;
use super::sockets::{LONG, engine_of};
use crate::front::client_session::ClientSession;
use crate::front::connection::Connection;
use crate::front::connection::patience::{HANDSHAKE_PATIENCE, Overdue, PATIENCE};
use crate::front::session::Session;
use crate::front::token::Origin;
use crate::front::{FrontEndConfig, FrontEnds};
use crate::{AccessConfig, TlsPorts};

/// An authority, a server's certificate and a client's.
struct Files {
    issuer: Issuer<'static, KeyPair>,
    dir: TempDir,
}

impl Files {
    fn new() -> Files {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let files = Files { issuer: Issuer::new(params, key), dir };
        files.issue("localhost", "server");
        files.issue("client", "client");
        files
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn issue(&self, name: &str, file: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.at(&format!("{file}.key")), key.serialize_pem()).unwrap();
        fs::write(self.at(&format!("{file}.pem")), certificate.pem()).unwrap();
    }

    fn server(&self, client_ca: bool) -> ServerFiles {
        let client_ca = client_ca.then(|| self.at("ca.pem"));
        ServerFiles { certificate: self.at("server.pem"), key: self.at("server.key"), client_ca }
    }

    fn connector(&self, own: bool) -> Connector {
        let own = |name| own.then(|| self.at(name));
        let files =
            ClientFiles { ca: self.at("ca.pem"), certificate: own("client.pem"), key: own("client.key") };
        Connector::open(&files).unwrap()
    }
}

fn start(files: &Files, client_ca: bool, only: bool) -> FrontEnds {
    start_for(files, client_ca, only, AccessConfig::default())
}

fn start_for(files: &Files, client_ca: bool, only: bool, access: AccessConfig) -> FrontEnds {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let ports = TlsPorts {
        files: files.server(client_ca),
        http: any,
        redis: any,
        http_too: Vec::new(),
        redis_too: Vec::new(),
        only,
    };
    let tls = Some(ports);
    let config = FrontEndConfig { http: any, redis: any, threads: 2, tls, access, ..Default::default() };
    let (fake, mood) = (FakeServer::new(), Arc::new(Mutex::new(Mood::Serve)));
    FrontEnds::start_with(config, Arc::default(), |_| engine_of(&fake, &mood)).unwrap()
}

type Client = BufReader<Stream<TcpStream>>;

fn connect(address: SocketAddr, connector: &Connector, host: &str) -> io::Result<Client> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(LONG))?;
    socket.set_write_timeout(Some(LONG))?;
    let mut stream = Stream::connect(socket, connector, host)?;
    stream.shake_hands()?;
    Ok(BufReader::new(stream))
}

fn line(client: &mut Client) -> String {
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    line.trim_end().into()
}

/// Whether a client gets an answer. In TLS 1.3 it learns only then that its certificate was refused.
fn is_served(address: SocketAddr, connector: &Connector, host: &str) -> bool {
    let asked = connect(address, connector, host).and_then(|mut client| {
        client.get_mut().write_all(b"PING\r\n")?;
        let mut line = String::new();
        client.read_line(&mut line).map(|_| line)
    });
    asked.is_ok_and(|line| line == "+PONG\r\n")
}

#[test]
fn both_protocols_are_spoken_in_tls_and_half_closed_connections_answered() {
    let files = Files::new();
    let fronts = start(&files, false, false);
    let mut client = connect(fronts.rediss_addr().unwrap(), &files.connector(false), "localhost").unwrap();
    for i in 1..=3 {
        client.get_mut().write_all(b"INCR n\r\n").unwrap();
        assert_eq!(line(&mut client), format!(":{i}"));
    }
    let mut web = connect(fronts.https_addr().unwrap(), &files.connector(false), "localhost").unwrap();
    web.get_mut().write_all(b"GET /kv/n HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    web.get_mut().end_writing().unwrap();
    let mut said = String::new();
    web.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("\r\n\r\n3"), "{said}");
    fronts.stop();
}

/// Values far longer than what waits for a socket, in a pipeline that is written before it is read.
#[test]
fn long_values_pass_in_both_directions() {
    let files = Files::new();
    let fronts = start(&files, false, false);
    let value: Vec<u8> = (0..5_000_000u32).map(|i| b'a' + (i % 23) as u8).collect();
    let mut client = connect(fronts.rediss_addr().unwrap(), &files.connector(false), "localhost").unwrap();
    let set =
        [format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
    client.get_mut().write_all(&set).unwrap();
    const GETS: usize = 8;
    client.get_mut().write_all("GET k\r\n".repeat(GETS).as_bytes()).unwrap();
    assert_eq!(line(&mut client), "+OK");
    for _ in 0..GETS {
        assert_eq!(line(&mut client), format!("${}", value.len()));
        let mut read = vec![0; value.len() + 2];
        client.read_exact(&mut read).unwrap();
        assert!(read.strip_suffix(b"\r\n") == Some(&value[..]));
    }
    let mut web = connect(fronts.https_addr().unwrap(), &files.connector(false), "localhost").unwrap();
    let head = format!("PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", value.len());
    web.get_mut().write_all(&[head.as_bytes(), &value].concat()).unwrap();
    assert_eq!(line(&mut web), "HTTP/1.1 200 OK");
    fronts.stop();
}

#[test]
fn who_does_not_speak_tls_is_told() {
    let files = Files::new();
    let fronts = start(&files, false, false);
    for (address, asked, said) in [
        (fronts.rediss_addr(), "*1\r\n$4\r\nPING\r\n", "-ERR this port speaks TLS"),
        (fronts.https_addr(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 400 Bad Request"),
    ] {
        let mut socket = TcpStream::connect(address.unwrap()).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.write_all(asked.as_bytes()).unwrap();
        let mut told = String::new();
        socket.read_to_string(&mut told).unwrap();
        assert!(told.starts_with(said) && told.contains("speaks TLS"), "{told}");
    }
    fronts.stop();
}

#[test]
fn plain_ports_can_be_left_out() {
    let files = Files::new();
    let fronts = start(&files, false, true);
    assert_eq!((fronts.http_addr().port(), fronts.redis_addr().port()), (0, 0), "not opened");
    assert!(is_served(fronts.rediss_addr().unwrap(), &files.connector(false), "localhost"));
    fronts.stop();
}

#[test]
fn clients_show_certificates_where_they_must() {
    let (files, other) = (Files::new(), Files::new());
    let fronts = start(&files, true, false);
    let address = fronts.rediss_addr().unwrap();
    assert!(is_served(address, &files.connector(true), "localhost"));
    assert!(!is_served(address, &files.connector(false), "localhost"));
    let stranger = ClientFiles {
        ca: files.at("ca.pem"),
        certificate: Some(other.at("client.pem")),
        key: Some(other.at("client.key")),
    };
    assert!(!is_served(address, &Connector::open(&stranger).unwrap(), "localhost"));
    fronts.stop();
}

#[test]
fn certificates_name_users() {
    let files = Files::new();
    let access = AccessConfig { users_by_certificate: true, ..AccessConfig::default() };
    let fronts = start_for(&files, true, false, access);
    let operator = TcpStream::connect(fronts.redis_addr()).unwrap();
    operator.set_read_timeout(Some(LONG)).unwrap();
    let mut operator = BufReader::new(Stream::Plain(operator));
    let ask = |client: &mut Client, command: &str| {
        client.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        line(client)
    };
    assert_eq!(ask(&mut operator, "SET k v"), "+OK");
    // Nobody's certificate is one of this machine's default user.
    let connector = files.connector(true);
    let mut client = connect(fronts.rediss_addr().unwrap(), &connector, "localhost").unwrap();
    assert_eq!((ask(&mut client, "ACL WHOAMI"), line(&mut client)), ("$7".into(), "default".into()));
    assert_eq!(ask(&mut operator, "ACL SETUSER client on >secret ~k +get +acl|whoami"), "+OK");
    let mut client = connect(fronts.rediss_addr().unwrap(), &connector, "localhost").unwrap();
    assert_eq!((ask(&mut client, "ACL WHOAMI"), line(&mut client)), ("$6".into(), "client".into()));
    assert_eq!((ask(&mut client, "GET k"), line(&mut client)), ("$1".into(), "v".into()));
    assert!(ask(&mut client, "SET k w").starts_with("-NOPERM"));
    for (method, status) in [("GET", "HTTP/1.1 200 OK"), ("DELETE", "HTTP/1.1 403 Forbidden")] {
        let mut web = connect(fronts.https_addr().unwrap(), &connector, "localhost").unwrap();
        let request = format!("{method} /kv/k HTTP/1.1\r\nHost: localhost\r\n\r\n");
        web.get_mut().write_all(request.as_bytes()).unwrap();
        assert_eq!(line(&mut web), status);
    }
    assert_eq!(ask(&mut operator, "ACL DELUSER client"), ":1");
    assert!(ask(&mut client, "GET k").starts_with("-ERR"), "its user is gone");
    assert_eq!(line(&mut client), "", "and so is the connection");
    fronts.stop();
}

#[test]
fn certificates_are_replaced_while_clients_are_served() {
    let files = Files::new();
    let fronts = start(&files, false, false);
    let address = fronts.rediss_addr().unwrap();
    let mut old = connect(address, &files.connector(false), "localhost").unwrap();
    fs::write(files.at("server.pem"), "nonsense").unwrap();
    fronts.reload_certificates();
    assert!(is_served(address, &files.connector(false), "localhost"), "the old one stays in use");
    files.issue("db", "server");
    fronts.reload_certificates();
    assert!(is_served(address, &files.connector(false), "db"));
    assert!(!is_served(address, &files.connector(false), "localhost"));
    old.get_mut().write_all(b"PING\r\n").unwrap();
    assert_eq!(line(&mut old), "+PONG", "open connections go on");
    // Without being told, too.
    files.issue("cache", "server");
    let since = Instant::now();
    while !is_served(address, &files.connector(false), "cache") {
        assert!(since.elapsed() < LONG, "the files are looked at");
        thread::sleep(Duration::from_millis(100));
    }
    fronts.stop();
}

#[test]
fn a_client_that_does_not_shake_hands_has_its_time() {
    let files = Files::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let acceptor = Acceptor::open(files.server(false)).unwrap();
    let stream = Stream::accept(mio::net::TcpStream::from_std(socket), &acceptor);
    let session = ClientSession::Http(Session::new(http(), Origin::default()));
    let before = Instant::now();
    let connection: Connection<u8> = Connection::new(stream, session);
    let after = Instant::now();
    assert!(connection.overdue(before + HANDSHAKE_PATIENCE - Duration::from_millis(1), PATIENCE).is_none());
    assert_eq!(connection.overdue(after + HANDSHAKE_PATIENCE, PATIENCE), Some(Overdue::Handshake));
}
