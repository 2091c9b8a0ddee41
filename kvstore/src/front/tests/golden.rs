//! Scripts of requests and replies in `kvstore/tests/golden`, which also document both protocols.
//!
//! A script has lines of these kinds; blank lines and `#` comments separate steps:
//!
//! ```text
//! > ...        a request. Redis: a command's words, in quotes where needed. HTTP: a line of the request.
//! >> ...       raw bytes, with escapes. Lines of requests in a row are sent in one piece.
//! ! ...        what the engine does from now on: serve, hold, unknown, no-quorum, overloaded, no-leader, stopping;
//!              short, plenty: how much memory there is for requests and replies;
//!              or: elsewhere key value (another client sets a key), user name rules.. (it sets a user), no-user name;
//!              of-three leader.. (the server is 1 of three, and these lead the groups), led-by leader.., lags server,
//!              down server
//! = ...        trace: what the engine was given, one line for each lane and turn
//! < ...        trace: a line of the reply
//! ```
//!
//! The traces are compared, or rewritten if NIAGARA_BLESS is set.

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use niagara_engine::{Refused, Wake};
use parking_lot::Mutex;

use super::fake::{FakeEngine, FakeServer, Leading, Mood};
use crate::access::{Entrance, Guard, Names};
use crate::changes::Lookout;
use crate::clients::{Arrival, Clients};
use crate::front::allowance::Allowance;
use crate::front::budget::Level;
use crate::front::metrics::Tally;
use crate::front::session::{Pumped, Session, Turn};
use crate::front::slot::EngineAnswer;
use crate::front::token::{NOBODY, Origin};
use crate::http::{Clock, HttpConnection, Site};
use crate::protocol::{Engine, Input, Output, Protocol, Unasked};
use crate::pubsub::{Audience, Subscriber};
use crate::resp::{self, Failover, RedisSite, RespConnection};
use crate::tracking::{Tracker, Trackers};
use crate::users::Directory;
use crate::{AccessConfig, KvReader, Life};

/// Bytes of replies that may wait for a client here.
pub(super) const OUTPUT_LIMIT: usize = 64 << 20;

const ORIGIN: Origin = Origin { index: 3, generation: 9 };

/// Nobody sleeps here.
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// A client and a server in one thread.
pub(super) struct Stage<P: Protocol> {
    pub(super) session: Session<P, u8>,
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) engine: FakeEngine,
    pub(super) mood: Arc<Mutex<Mood>>,
    /// How much of the memory for all clients is taken.
    level: Level,
    tally: Tally,
    command: Vec<u8>,
    pub(super) pumped: Pumped,
    /// Those of the client's thread.
    trackers: Option<Rc<RefCell<Trackers>>>,
}

pub(super) fn redis() -> RespConnection {
    redis_through(Entrance::open(&Arc::default()))
}

/// A connection that tracks what changes in a server's state, and the trackers of its thread.
fn redis_at(reader: &KvReader) -> (RespConnection, Rc<RefCell<Trackers>>) {
    let trackers = Trackers::new(Arc::clone(reader.tracking()), Arc::new(Nobody));
    let trackers = Rc::new(RefCell::new(trackers));
    let tracker = Tracker::new(Rc::clone(&trackers), ORIGIN.number());
    (redis_with(Entrance::open(reader.directory()), tracker), trackers)
}

pub(super) fn http() -> HttpConnection {
    http_through(Entrance::open(&Arc::default()))
}

pub(super) fn redis_through(entrance: Entrance) -> RespConnection {
    let trackers = Trackers::new(Arc::default(), Arc::new(Nobody));
    redis_with(entrance, Tracker::new(Rc::new(RefCell::new(trackers)), ORIGIN.number()))
}

fn redis_with(entrance: Entrance, tracker: Tracker) -> RespConnection {
    let site = RedisSite::new(0, address(7002), Failover::default(), Arc::default());
    let audience = Audience::new(Arc::default(), Arc::new(Nobody));
    let subscriber = Subscriber::new(Rc::new(RefCell::new(audience)), ORIGIN.number());
    let (peer, local) = (Some(address(40_000)), Some(address(7002)));
    let arrival = Arrival { id: 7, peer, local, file: 9, ..Arrival::default() };
    let clients = Arc::new(Clients::new([Arc::new(Nobody) as Arc<dyn Wake>], 100, Instant::now()));
    let member = clients.admit(arrival, Instant::now());
    RespConnection::new(member, Rc::new(site), (subscriber, tracker), entrance)
}

pub(super) fn http_through(entrance: Entrance) -> HttpConnection {
    let clock = Clock::new(UNIX_EPOCH + Duration::from_secs(784_111_777));
    let life = Life::new(0xfeed).expect("a name");
    let site = Site {
        clock,
        http: address(7001),
        redis: address(7002),
        tls: None,
        life,
        members: Vec::new(),
        members_https: Vec::new(),
        names: Names::new(["golden", "h"], &["https://app.example.org".to_owned()]),
        lookout: Lookout::new(Arc::new(Nobody)),
        handover: Arc::default(),
    };
    HttpConnection::new(Rc::new(site), entrance)
}

/// The entrance of a server that has a password, for a client of its own machine.
fn with_password() -> Entrance {
    let password = Some("correct horse".parse().expect("it is a password"));
    let config = AccessConfig { password, ..AccessConfig::default() };
    Entrance::new(Arc::new(Guard::new(&config)), Arc::default(), Some(address(40_000).ip()), false)
}

/// That of a server without one, for a client of another machine.
fn from_elsewhere() -> Entrance {
    let other = SocketAddr::from(([192, 0, 2, 7], 40_000));
    Entrance::new(Arc::default(), Arc::default(), Some(other.ip()), false)
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl Stage<RespConnection> {
    /// With a client that can track.
    pub(super) fn tracking() -> Self {
        Stage::tracking_at(&FakeServer::new())
    }

    /// The same, at a server that others use, too.
    pub(super) fn tracking_at(server: &FakeServer) -> Self {
        let mut stage = Stage::at(server, |_| redis());
        let (connection, trackers) = redis_at(stage.engine.reader());
        (stage.session, stage.trackers) = (Session::new(connection, ORIGIN), Some(trackers));
        stage
    }
}

impl<P: Protocol> Stage<P> {
    pub(super) fn new(protocol: P) -> Self {
        Stage::of(|_| protocol)
    }

    /// With a client that the users of the server are known to.
    pub(super) fn of(protocol: impl FnOnce(&Arc<Directory>) -> P) -> Self {
        Stage::at(&FakeServer::new(), protocol)
    }

    fn at(server: &FakeServer, protocol: impl FnOnce(&Arc<Directory>) -> P) -> Self {
        let (engine, mood) = server.engine();
        Stage {
            session: Session::new(protocol(server.reader().directory()), ORIGIN),
            input: Input::default(),
            output: Output::default(),
            engine,
            mood,
            level: Level::Plenty,
            tally: Tally::default(),
            command: Vec::new(),
            pumped: Pumped::NeedsInput,
            trackers: None,
        }
    }

    /// The client sends.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) {
        if let Some((command, missing)) = self.session.sink().filter(|_| self.input.is_empty()) {
            let (straight, rest) = bytes.split_at(missing.min(bytes.len()));
            command.extend_from_slice(straight);
            bytes = rest;
        }
        while !bytes.is_empty() {
            let space = self.input.space(bytes.len());
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.input.filled(count);
            bytes = &bytes[count..];
        }
    }

    /// One turn of the server: completions, new requests, the flush.
    pub(super) fn turn(&mut self) {
        let mut completions = Vec::new();
        self.engine.collect(&mut completions);
        while let Some(told) = self.trackers.as_ref().and_then(|trackers| trackers.borrow_mut().hear()) {
            told.into_iter()
                .for_each(|(_, stale)| self.session.tell(Unasked::Stale(stale), &mut self.output));
        }
        let mut turn = Turn {
            allowance: Allowance::at(self.level, OUTPUT_LIMIT),
            engine: &mut self.engine,
            now: Instant::now(),
            time: Some(784_111_777_000),
            tally: &mut self.tally,
            command: &mut self.command,
        };
        for completion in completions {
            let (token, answer) = EngineAnswer::from(completion);
            if token == NOBODY {
                continue;
            }
            let (origin, sequence) = Origin::of(token);
            assert_eq!(origin, Origin { index: 3, generation: 9 });
            self.session.complete(sequence, answer, &mut self.output, &mut turn);
        }
        self.pumped = self.session.pump(&mut self.input, &mut self.output, &mut turn);
        self.engine.flush();
        let told = self.trackers.as_ref().map(|trackers| trackers.borrow_mut().trim());
        told.into_iter()
            .flatten()
            .for_each(|(_, stale)| self.session.tell(Unasked::Stale(stale), &mut self.output));
    }

    /// Runs turns until nothing more happens, as far as the engine's mood allows.
    pub(super) fn settle(&mut self) {
        loop {
            self.turn();
            if !self.engine.step() {
                break;
            }
        }
    }

    fn set(&mut self, directive: &str) {
        let words: Vec<&str> = directive.split_whitespace().collect();
        if let ["short" | "plenty"] = words[..] {
            self.level = if words[0] == "short" { Level::Short } else { Level::Plenty };
            return;
        }
        let numbers = || words[1..].iter().map(|number| number.parse().expect("an id")).collect::<Vec<u64>>();
        let mut leading = self.engine.server.leading.lock();
        match words[0] {
            "of-three" => return *leading = Leading::of_three(&numbers()),
            "led-by" => return leading.led_by(&numbers()),
            "lags" => return leading.lags(numbers()[0]),
            "down" => return leading.connected.retain(|server| *server != numbers()[0]),
            _ => drop(leading),
        }
        *self.mood.lock() = match words[..] {
            ["serve"] => Mood::Serve,
            ["hold"] => Mood::Hold,
            ["unknown"] => Mood::Unknown,
            ["no-quorum"] => Mood::NoQuorum,
            ["overloaded"] => Mood::Refuse(Refused::Overloaded),
            ["level-1"] => Mood::Refuse(Refused::Level { needed: 2, now: 1 }),
            ["no-leader"] => Mood::Refuse(Refused::NoLeader),
            ["follower"] => Mood::Refuse(Refused::Follower),
            ["stopping"] => Mood::Refuse(Refused::Stopping),
            ["user", name, ref rules @ ..] => {
                self.engine.set_user_elsewhere(name, rules);
                return;
            }
            ["no-user", name] => {
                self.engine.remove_user_elsewhere(name);
                return;
            }
            ["elsewhere", key, value] => {
                self.engine.set_elsewhere(key, value);
                return;
            }
            _ => panic!("unknown directive: {directive}"),
        };
    }

    /// Runs a script and returns it with its traces.
    fn run(&mut self, script: &str, encode: impl Fn(&str) -> Vec<u8>) -> String {
        self.engine.trace = Some(Vec::new());
        let mut told = String::new();
        let mut lines = script.lines().filter(|line| !line.starts_with(['<', '='])).peekable();
        while let Some(line) = lines.next() {
            told.push_str(line);
            told.push('\n');
            let raw = line.strip_prefix(">>");
            if let Some(raw) = raw {
                self.receive(&unescape(raw.strip_prefix(' ').unwrap_or(raw)));
            } else if let Some(request) = line.strip_prefix('>') {
                self.receive(&encode(request.strip_prefix(' ').unwrap_or(request)));
            } else if let Some(directive) = line.strip_prefix('!') {
                self.set(directive);
            } else {
                continue;
            }
            if lines.peek().is_some_and(|next| next.starts_with('>')) {
                continue;
            }
            self.settle();
            let asked = std::mem::take(&mut self.engine.server.leading.lock().asked);
            for line in self.engine.trace.iter().flatten().chain(&asked) {
                told.push_str(&format!("= {line}\n"));
            }
            self.engine.trace = Some(Vec::new());
            told.push_str(&shown(&self.output.take()));
            if self.pumped == Pumped::Over {
                told.push_str("< (closed)\n");
            }
        }
        told
    }
}

/// A reply, line by line.
fn shown(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply).replace("\r\n", "\n");
    text.lines()
        .map(|line| format!("< {}\n", line.replace('\r', "\\r")))
        .collect::<String>()
        .replace("< \n", "<\n")
}

fn unescape(text: &str) -> Vec<u8> {
    let quoted = format!("x \"{}\"\r\n", text.replace('"', "\\\""));
    let request = resp::parse(quoted.as_bytes()).expect("escapes are well-formed").expect("the line ends");
    request.arguments[1].clone()
}

/// A command as clients send it: an array of its words.
pub(super) fn command_of(words: &str) -> Vec<u8> {
    let line = format!("{words}\r\n");
    let words =
        resp::parse(line.as_bytes()).expect("words are well-formed").expect("the line ends").arguments;
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(&word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A line of a request. A backslash at its end marks a line without a line end: the last one of a body.
fn http_line(line: &str) -> Vec<u8> {
    match line.strip_suffix('\\') {
        Some(part) => part.as_bytes().to_vec(),
        None => format!("{line}\r\n").into_bytes(),
    }
}

/// Compares every script of a folder, each on its own connection, with what happens now.
fn check<P: Protocol>(folder: &str, stage: impl Fn() -> Stage<P>, encode: impl Fn(&str) -> Vec<u8>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut count = 0;
    for file in fs::read_dir(&folder).expect("the scripts are there") {
        let path = file.expect("the folder can be read").path();
        let script = fs::read_to_string(&path).expect("a script can be read");
        let told = stage().run(&script, &encode);
        count += 1;
        if std::env::var_os("NIAGARA_BLESS").is_some() {
            fs::write(&path, told).expect("a script can be written");
            continue;
        }
        let differs = script.lines().zip(told.lines()).position(|(old, new)| old != new);
        let line = differs.unwrap_or(script.lines().count().min(told.lines().count())) + 1;
        assert!(
            script == told,
            "{} differs from line {line} on; if that is right, run again with NIAGARA_BLESS=1\n{told}",
            path.display()
        );
    }
    assert!(count > 0, "no script in {}", folder.display());
}

/// The exchanges on the page about HTTP follow one another on one connection. The page does not show what
/// happens inside the server.
#[test]
fn the_page_about_http_is_true() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/http.md");
    let page = fs::read_to_string(&path).expect("the page can be read");
    let mut stage = Stage::new(http());
    let mut told = String::new();
    let mut blocks = 0;
    for (number, part) in page.split("```").enumerate() {
        told.push_str(if number == 0 { "" } else { "```" });
        match part.strip_prefix("http\n") {
            None => told.push_str(part),
            Some(script) => {
                blocks += 1;
                let run = stage.run(script, http_line);
                let shown = run.split_inclusive('\n').filter(|line| !line.starts_with('='));
                told.extend(["http\n"].into_iter().chain(shown));
            }
        }
    }
    assert!(blocks > 2, "the page has {blocks} exchanges");
    if std::env::var_os("NIAGARA_BLESS").is_some() {
        fs::write(&path, told).expect("the page can be written");
        return;
    }
    assert!(page == told, "docs/http.md differs; if that is right, run again with NIAGARA_BLESS=1\n{told}");
}

#[test]
fn redis_scripts() {
    check("resp", || Stage::of(|users| redis_through(Entrance::open(users))), command_of);
    check("resp-tracking", Stage::tracking, command_of);
    check("resp-users", || Stage::of(|users| redis_through(Entrance::open(users))), command_of);
    check("resp-password", || Stage::of(|_| redis_through(with_password())), command_of);
    check("resp-protected", || Stage::of(|_| redis_through(from_elsewhere())), command_of);
}

#[test]
fn http_scripts() {
    check("http", || Stage::of(|_| http()), http_line);
    check("http-users", || Stage::of(|users| http_through(Entrance::open(users))), http_line);
    check("http-password", || Stage::of(|_| http_through(with_password())), http_line);
    check("http-protected", || Stage::of(|_| http_through(from_elsewhere())), http_line);
}
