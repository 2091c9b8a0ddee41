//! A server with few open files, as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use niagara_kvstore::config::PlannedServer;

/// Far longer than anything takes; it only limits how long a failing test hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes the configuration of a single server. Returns its HTTP and Redis addresses.
fn configure(dir: &Path, front: &str) -> (SocketAddr, SocketAddr) {
    let [planned] = PlannedServer::on_free_ports(1, 2).unwrap().try_into().unwrap();
    let PlannedServer { http, redis, addresses, transfer, .. } = planned;
    let text = format!(
        "cluster = \"c1\"\nserver = 1\ndata_dir = \"data\"\ndurability = \"os\"\nhttp = \"{http}\"\nredis = \"{redis}\"\n\
         [[members]]\nserver = 1\naddresses = {addresses:?}\ntransfer = \"{transfer}\"\n\
         [engine]\nsegment_mib = 1\n[front]\nthreads = 1\n{front}\n"
    );
    std::fs::write(dir.join("server.toml"), text).unwrap();
    (http.parse().unwrap(), redis.parse().unwrap())
}

/// Starts the server with this limit of open files.
fn serve(dir: &Path, files: u32) -> Child {
    let script = format!("ulimit -n {files}; exec \"$0\" serve --config \"$1\"");
    Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_niagara")])
        .arg(dir.join("server.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a shell")
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a server that does not start prints.
fn refusal(dir: &Path, files: u32) -> String {
    let output = serve(dir, files).wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// The number after a text.
fn number_behind(text: &str, before: &str) -> u32 {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("{text} does not say {before}")).1;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn page(http: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn too_few_open_files_are_refused_with_the_number_that_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), "");
    let why = refusal(dir.path(), 64);
    assert!(why.contains("64 open files"), "{why}");
    let needed = number_behind(&why, "needs at least ");
    let why = refusal(dir.path(), needed - 1);
    assert_eq!(number_behind(&why, "needs at least "), needed, "{why}");

    configure(dir.path(), "max_connections = 500");
    let why = refusal(dir.path(), 400);
    assert!(why.contains("max_connections is 500"), "{why}");
    let left = number_behind(&why, "are left for clients. Lower it to ");
    assert!((1..500).contains(&left), "{why}");
}

/// Clients take all connections there are, and the log goes through many files meanwhile.
#[test]
fn clients_never_take_the_files_that_the_logs_need() {
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), "");
    let needed = number_behind(&refusal(dir.path(), 64), "needs at least ");
    let (http, redis) = configure(dir.path(), "");
    let mut server = Killed(serve(dir.path(), needed));
    let mut log = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let serves = log.any(|line| line.unwrap().contains("server 1 serves"));
    assert!(serves, "it starts with as many as it says");
    // Nobody reads its output from here on, which must do no harm.
    let connect = |address| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(stream)
    };
    let mut writer = connect(redis);
    let line = |client: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        line
    };
    let value = "v".repeat(400 << 10);
    let mut write = |from: u32| {
        for number in from..from + 20 {
            write!(
                writer.get_mut(),
                "*3\r\n$3\r\nSET\r\n$4\r\n{number:04}\r\n${}\r\n{value}\r\n",
                value.len()
            )
            .unwrap();
            assert_eq!(line(&mut writer), "+OK\r\n");
        }
    };
    write(1000);
    // As many as come. Those beyond the limit get an error and are closed.
    let idle: Vec<_> = (0..100).flat_map(|_| [connect(redis), connect(http)]).collect();
    write(2000);
    for path in ["/healthz", "/status", "/metrics", "/readyz"] {
        let response = page(http, path);
        assert!(response.starts_with("HTTP/1.1 200 "), "{path}: {response}");
    }
    write(3000);
    assert!(server.0.try_wait().unwrap().is_none(), "it lives");
    drop(idle);
    assert!(page(http, "/healthz").starts_with("HTTP/1.1 200 "));
}
