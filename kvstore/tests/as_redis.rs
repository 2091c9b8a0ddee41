//! Random sequences of commands get the same replies from a server of this store and from Redis, where that is installed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use niagara_engine::{Config, Durability, Engine, Member};
use niagara_kvstore::config::PlannedServer;
use niagara_kvstore::{FrontEndConfig, FrontEnds, Kv};

const LONG: Duration = Duration::from_secs(60);

/// A reply of version 2 of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Option<Vec<u8>>),
    Array(Option<Vec<Value>>),
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Connection {
        let since = Instant::now();
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(since.elapsed() < LONG, "cannot connect to {address}: {error}"),
            }
            thread::sleep(Duration::from_millis(20));
        };
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Connection(BufReader::new(stream))
    }

    fn send(&mut self, words: &[Vec<u8>]) {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).into_bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes).unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_suffix("\r\n").expect("a line of a reply").to_owned();
        let (sign, rest) = line.split_at(1);
        match sign {
            "+" => Value::Simple(rest.into()),
            "-" => Value::Error(rest.into()),
            ":" => Value::Integer(rest.parse().unwrap()),
            "$" if rest == "-1" => Value::Bulk(None),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                Value::Bulk(Some(bytes))
            }
            "*" if rest == "-1" => Value::Array(None),
            "*" => Value::Array(Some((0..rest.parse::<usize>().unwrap()).map(|_| self.hear()).collect())),
            _ => panic!("no reply begins with {line}"),
        }
    }

    fn ask(&mut self, words: &[&str]) -> Value {
        self.send(&words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
        self.hear()
    }
}

/// One server of this store, in memory.
struct Store {
    front_ends: Option<FrontEnds>,
    engine: Option<Engine<Kv>>,
    _dir: tempfile::TempDir,
}

impl Store {
    fn start() -> Store {
        for _ in 0..20 {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let PlannedServer { server, addresses, transfer, .. } =
                PlannedServer::on_free_ports(1, 2).unwrap().remove(0);
            let dir = tempfile::tempdir().unwrap();
            let mut config = Config::new(0xc1, 1, vec![Member { server, addresses, transfer }]);
            config.data_dir = dir.path().to_owned();
            config.durability = Durability::Memory;
            let Ok(engine) = Engine::start(config, Kv::new()) else { continue };
            let front = FrontEndConfig { http: any, redis: any, threads: 1, ..FrontEndConfig::default() };
            let front_ends = FrontEnds::start(front, engine.client()).unwrap();
            let store = Store { front_ends: Some(front_ends), engine: Some(engine), _dir: dir };
            let (since, mut client) = (Instant::now(), store.connect());
            while matches!(client.ask(&["PEXPIRE", "ready", "1"]), Value::Error(_)) {
                assert!(since.elapsed() < LONG, "the server does not become ready");
                thread::sleep(Duration::from_millis(20));
            }
            return store;
        }
        panic!("no free ports");
    }

    fn connect(&self) -> Connection {
        Connection::open(self.front_ends.as_ref().unwrap().redis_addr())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.front_ends.take().unwrap().stop();
        self.engine.take().unwrap().stop();
    }
}

struct Redis {
    process: Child,
    address: SocketAddr,
}

impl Redis {
    /// `None`: it is not installed.
    fn start() -> Option<Redis> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = address.port().to_string();
        let process = Command::new("redis-server")
            .args(["--port", &port, "--save", "", "--appendonly", "no", "--databases", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Redis { process, address })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Random numbers that follow from a seed.
struct Chance(u64);

impl Chance {
    fn number(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 20) % most
    }

    fn one_of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.number(all.len() as u64) as usize]
    }
}

/// A word of a template: what it stands for.
fn word(chance: &mut Chance, word: &str) -> String {
    match word {
        "KEY" => chance.one_of(&["a", "b", "c", "d", "e"]).into(),
        "VALUE" => {
            let texts = ["", "x", "hello world", "ohmytext", "mynewtext", "foobar", "\u{ff}\u{0}\u{aa}"];
            match chance.number(4) {
                0 => (chance.number(2000) as i64 - 1000).to_string(),
                1 => format!("{}.{}", chance.number(50), chance.number(100)),
                2 => "y".repeat(chance.number(60) as usize),
                _ => chance.one_of(&texts).into(),
            }
        }
        "INT" => {
            let odd = ["9223372036854775807", "-9223372036854775808", "x", "1.5", "", "10000000000000000000"];
            if chance.number(12) == 0 {
                chance.one_of(&odd).into()
            } else {
                (chance.number(60) as i64 - 30).to_string()
            }
        }
        "FLOAT" => chance.one_of(&["0.1", "0.2", "-3.75", "5.0e2", "1e3", "abc", "2", "-0.5"]).into(),
        "BITS" => {
            if chance.number(20) == 0 {
                chance.one_of(&["-1", "x", "4294967296"]).into()
            } else {
                chance.number(100).to_string()
            }
        }
        "BIT" => chance.one_of(&["0", "1", "1", "0", "2"]).into(),
        "TYPE" => chance.one_of(&["u8", "i8", "u1", "i5", "u63", "i64", "i16", "u64", "x"]).into(),
        "AT" => chance.one_of(&["0", "3", "7", "#0", "#1", "#2", "100", "-1"]).into(),
        "SECONDS" => {
            if chance.number(10) == 0 {
                chance.one_of(&["0", "-5", "x", "9223372036854775807", "9223372036854775"]).into()
            } else {
                (1000 + 1000 * chance.number(20)).to_string()
            }
        }
        "MS" => (1_000_000 + 1_000_000 * chance.number(20)).to_string(),
        "UNIX" => (4_000_000_000 + 1000 * chance.number(20)).to_string(),
        "UNIXMS" => (4_000_000_000_000 + 1_000_000 * chance.number(20)).to_string(),
        "WHEN" => chance.one_of(&["NX", "XX", "GT", "LT", "ZZ"]).into(),
        "PATTERN" => chance.one_of(&["*", "a", "[a-c]", "?", "z*"]).into(),
        "OP" => chance.one_of(&["AND", "OR", "XOR", "NOT", "and", "NAND"]).into(),
        "UNIT" => chance.one_of(&["BYTE", "BIT", "bit", "WORD"]).into(),
        "OVERFLOW" => chance.one_of(&["WRAP", "SAT", "FAIL", "NONE"]).into(),
        other => other.into(),
    }
}

/// Requests; words in capitals that [`word`] knows are replaced.
const TEMPLATES: &str = "
GET KEY
SET KEY VALUE
SET KEY VALUE NX
SET KEY VALUE XX GET
SET KEY VALUE GET
SET KEY VALUE EX SECONDS
SET KEY VALUE PX MS
SET KEY VALUE EXAT UNIX NX
SET KEY VALUE PXAT UNIXMS XX
SET KEY VALUE KEEPTTL
SET KEY VALUE KEEPTTL GET
SET KEY VALUE EX SECONDS KEEPTTL
SET KEY VALUE EX SECONDS NX EX SECONDS
SET KEY VALUE PX MS EX SECONDS
SET KEY VALUE NX XX
SET KEY VALUE EX
SETEX KEY SECONDS VALUE
PSETEX KEY MS VALUE
SETNX KEY VALUE
GETSET KEY VALUE
GETEX KEY
GETEX KEY EX SECONDS
GETEX KEY EX SECONDS EX SECONDS
GETEX KEY PERSIST
GETEX KEY PXAT UNIXMS
GETEX KEY NX
GETDEL KEY
GETRANGE KEY INT INT
SUBSTR KEY INT INT
SETRANGE KEY BITS VALUE
APPEND KEY VALUE
STRLEN KEY
INCR KEY
DECR KEY
INCRBY KEY INT
DECRBY KEY INT
INCRBYFLOAT KEY FLOAT
MGET KEY KEY KEY
MSET KEY VALUE KEY VALUE
MSET KEY VALUE KEY
MSETNX KEY VALUE KEY VALUE
LCS KEY KEY
LCS KEY KEY LEN
LCS KEY KEY IDX
LCS KEY KEY IDX MINMATCHLEN 2 WITHMATCHLEN
LCS KEY KEY LEN IDX
SETBIT KEY BITS BIT
GETBIT KEY BITS
GETBIT KEY 4294967295
BITCOUNT KEY
BITCOUNT KEY INT INT
BITCOUNT KEY INT INT UNIT
BITCOUNT KEY INT
BITPOS KEY BIT
BITPOS KEY BIT INT
BITPOS KEY BIT INT INT
BITPOS KEY BIT INT INT UNIT
BITOP OP KEY KEY
BITOP OP KEY KEY KEY
BITFIELD KEY GET TYPE AT
BITFIELD KEY SET TYPE AT INT GET TYPE AT
BITFIELD KEY OVERFLOW OVERFLOW INCRBY TYPE AT INT
BITFIELD KEY INCRBY TYPE AT INT INCRBY TYPE AT INT
BITFIELD KEY
BITFIELD_RO KEY GET TYPE AT
BITFIELD_RO KEY SET TYPE AT INT
DEL KEY KEY
UNLINK KEY
EXISTS KEY KEY KEY
TOUCH KEY KEY
TYPE KEY
EXPIRE KEY SECONDS
EXPIRE KEY SECONDS WHEN
EXPIRE KEY SECONDS WHEN WHEN
PEXPIRE KEY MS
EXPIREAT KEY UNIX
PEXPIREAT KEY UNIXMS WHEN
EXPIREAT KEY 1000
TTL KEY
PTTL KEY
EXPIRETIME KEY
PEXPIRETIME KEY
PERSIST KEY
KEYS PATTERN
SCAN 0 COUNT 1000
SCAN 0 COUNT 1000 MATCH PATTERN TYPE string
RENAME KEY KEY
RENAMENX KEY KEY
COPY KEY KEY
COPY KEY KEY REPLACE
COPY KEY KEY DB 0 REPLACE
OBJECT IDLETIME none
OBJECT FREQ none
OBJECT NONSENSE KEY
RESTORE KEY 0 VALUE IDLETIME 1 FREQ 1
DBSIZE
FLUSHALL
FLUSHDB ASYNC
ECHO VALUE
PING
GET
NONSENSE KEY VALUE
MULTI
MULTI
EXEC
EXEC
EXEC
DISCARD
WATCH KEY
UNWATCH
COMMAND GETKEYS MSET KEY VALUE KEY VALUE
COMMAND GETKEYS BITOP AND KEY KEY
COMMAND GETKEYSANDFLAGS BITOP AND KEY KEY
COMMAND GETKEYSANDFLAGS SET KEY VALUE GET
COMMAND GETKEYSANDFLAGS SET KEY VALUE EX 10
COMMAND GETKEYSANDFLAGS BITFIELD KEY GET u8 0
COMMAND GETKEYSANDFLAGS BITFIELD KEY INCRBY u8 0 1
COMMAND GETKEYSANDFLAGS RENAMENX KEY KEY
COMMAND GETKEYSANDFLAGS DEL KEY KEY
";

fn request(chance: &mut Chance) -> Vec<String> {
    let all: Vec<&str> = TEMPLATES.lines().filter(|line| !line.is_empty()).collect();
    let template = all[chance.number(all.len() as u64) as usize];
    let is_rare = template.starts_with("FLUSH") && chance.number(8) > 0;
    let template = if is_rare { "GET KEY" } else { template };
    template.split(' ').map(|part| word(chance, part)).collect()
}

/// Whether two replies say the same, apart from time that passes and orders that nobody promises.
fn alike(name: &str, ours: &Value, theirs: &Value) -> bool {
    let close = |ours: i64, theirs: i64, by| ours == theirs || ours > 0 && (ours - theirs).abs() <= by;
    match (ours, theirs) {
        (Value::Integer(ours), Value::Integer(theirs)) => match name {
            "TTL" | "EXPIRETIME" => close(*ours, *theirs, 2),
            "PTTL" | "PEXPIRETIME" => close(*ours, *theirs, 2000),
            _ => ours == theirs,
        },
        (Value::Array(Some(ours)), Value::Array(Some(theirs))) if name == "KEYS" => {
            sorted(ours) == sorted(theirs)
        }
        (Value::Array(Some(ours)), Value::Array(Some(theirs))) if name == "SCAN" => {
            ours[0] == theirs[0] && alike("KEYS", &ours[1], &theirs[1])
        }
        // Decimal fractions are added exactly here.
        (Value::Bulk(Some(ours)), Value::Bulk(Some(theirs))) if name == "INCRBYFLOAT" => {
            let number = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<f64>().unwrap();
            (number(ours) - number(theirs)).abs() < 1e-9
        }
        // From version 7.2 on, wrong words are an error whether or not the key exists.
        (Value::Error(_), Value::Integer(0 | -1)) => name == "BITPOS" || name == "BITCOUNT",
        (ours, theirs) => ours == theirs,
    }
}

fn sorted(values: &[Value]) -> Vec<Value> {
    let mut values = values.to_vec();
    values.sort();
    values
}

/// Texts that differ on purpose, or that no client looks at.
fn comparable(value: Value) -> Value {
    match value {
        Value::Error(text) if text.starts_with("ERR string exceeds") => {
            Value::Error("ERR string exceeds".into())
        }
        Value::Error(text) if text.starts_with("ERR unknown command") => {
            Value::Error("ERR unknown command".into())
        }
        value => value,
    }
}

#[test]
fn random_commands_get_the_replies_of_redis() {
    let Some(redis) = Redis::start() else {
        eprintln!("redis-server is not installed: nothing is compared");
        return;
    };
    let store = Store::start();
    let (mut ours, mut theirs) = (store.connect(), Connection::open(redis.address));
    let mut found = Vec::new();
    for seed in 1..=100u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for connection in [&mut ours, &mut theirs] {
            connection.ask(&["DISCARD"]);
            assert_eq!(connection.ask(&["FLUSHALL"]), Value::Simple("OK".into()));
        }
        let mut done = Vec::new();
        let (mut queued, mut is_multi, mut watches_absent): (Vec<String>, _, _) = (Vec::new(), false, false);
        for _ in 0..500 {
            let words = request(&mut chance);
            // Commands about the connection have no place in a transaction here.
            if is_multi && ["COMMAND", "INCRBYFLOAT"].contains(&words[0].as_str()) {
                continue;
            }
            if words[0] == "WATCH" && !is_multi {
                watches_absent |= ours.ask(&["EXISTS", &words[1]]) == Value::Integer(0);
            }
            let bytes: Vec<Vec<u8>> =
                words.iter().map(|word| word.chars().map(|c| c as u32 as u8).collect()).collect();
            let replies = [&mut ours, &mut theirs].map(|connection| {
                connection.send(&bytes);
                comparable(connection.hear())
            });
            let name = words[0].as_str();
            done.push(words.clone());
            let [one, other] = &replies;
            let equal = match (name, one, other) {
                // A watched key that was absent, and is absent again, has not changed here.
                ("EXEC", Value::Array(Some(_)), Value::Array(None)) if watches_absent => break,
                ("EXEC", Value::Array(Some(one)), Value::Array(Some(other))) => {
                    one.len() == other.len()
                        && queued.iter().zip(one.iter().zip(other)).all(|(name, (one, other))| {
                            alike(name, &comparable(one.clone()), &comparable(other.clone()))
                        })
                }
                _ => alike(name, one, other),
            };
            if !equal {
                let last = done
                    .iter()
                    .rposition(|words| words[0] == "WATCH")
                    .unwrap_or(0)
                    .min(done.len().saturating_sub(6));
                let holds = ["a", "b", "c", "d", "e"]
                    .map(|key| [&mut ours, &mut theirs].map(|c| c.ask(&["GET", key])));
                let differ = holds.iter().filter(|[ours, theirs]| ours != theirs);
                let shown = differ.map(|pair| format!("{pair:?}")).collect::<Vec<_>>();
                found.push(format!(
                    "seed {seed}: ours {one:?}, theirs {other:?}, after {:?}; {shown:?}",
                    &done[last..]
                ));
                break;
            }
            match (name, one) {
                // Both go on from the same value.
                ("INCRBYFLOAT", Value::Bulk(Some(sum))) => {
                    let sum = String::from_utf8_lossy(sum).into_owned();
                    for connection in [&mut ours, &mut theirs] {
                        connection.ask(&["SET", &words[1], &sum, "KEEPTTL"]);
                    }
                }
                (_, Value::Simple(text)) if text == "QUEUED" => queued.push(name.into()),
                ("MULTI", Value::Simple(_)) => is_multi = true,
                ("EXEC" | "DISCARD", _) if is_multi => {
                    (is_multi, watches_absent) = (false, false);
                    queued.clear();
                }
                _ => {}
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What of an error does not depend on the implementation's own line numbers.
fn told(value: Value) -> Value {
    match value {
        Value::Error(text) => Value::Error(text.split(" script:").next().unwrap_or_default().into()),
        value => value,
    }
}

/// Without eviction, and with more memory taken than may be, each says the same to everything.
#[test]
fn a_full_store_answers_as_redis_does() {
    let Some(redis) = Redis::start() else {
        eprintln!("redis-server is not installed: nothing is compared");
        return;
    };
    let store = Store::start();
    let mut pairs = [
        [store.connect(), store.connect()],
        [Connection::open(redis.address), Connection::open(redis.address)],
    ];
    const FIRST: usize = 0;
    const SECOND: usize = 1;
    let steps: &[(usize, &[&str])] = &[
        (FIRST, &["SET", "k", "v"]),
        (FIRST, &["SET", "n", "1"]),
        (FIRST, &["MULTI"]),
        (FIRST, &["GET", "k"]),
        (FIRST, &["APPEND", "k", "x"]),
        (SECOND, &["CONFIG", "SET", "maxmemory", "1b"]),
        (FIRST, &["EXEC"]),
        (FIRST, &["MULTI"]),
        (FIRST, &["APPEND", "k", "x"]),
        (FIRST, &["EXEC"]),
        (FIRST, &["CONFIG", "GET", "maxmemory"]),
        (FIRST, &["SET", "k", "w"]),
        (FIRST, &["INCR", "n"]),
        (FIRST, &["SETRANGE", "k", "5", "x"]),
        (FIRST, &["BITOP", "NOT", "l", "k"]),
        (FIRST, &["COPY", "k", "l"]),
        (FIRST, &["GETSET", "k", "w"]),
        (FIRST, &["MSETNX", "k", "w"]),
        (FIRST, &["GETEX", "k", "EX", "100"]),
        (FIRST, &["EXPIRE", "k", "1000"]),
        (FIRST, &["PERSIST", "k"]),
        (FIRST, &["RENAME", "k", "l"]),
        (FIRST, &["GETDEL", "l"]),
        (FIRST, &["EVAL", "return redis.call('set', 'k', 'v')", "0"]),
        (FIRST, &["EVAL", "redis.call('del', 'none') redis.call('set', 'k', 'v') return 7", "0"]),
        (FIRST, &["EVAL", "return redis.call('get', 'k')", "0"]),
        (FIRST, &["EVAL", "#!lua\nreturn redis.call('get', 'k')", "0"]),
        (FIRST, &["EVAL", "#!lua flags=allow-oom\nreturn redis.call('append', 'k', 'x')", "0"]),
        (FIRST, &["EVAL", "#!lua flags=no-writes\nreturn redis.call('get', 'k')", "0"]),
        (FIRST, &["DEL", "k", "n"]),
        (FIRST, &["DBSIZE"]),
        (FIRST, &["CONFIG", "SET", "maxmemory", "much"]),
        (FIRST, &["CONFIG", "SET", "maxmemory-samples", "0x"]),
        (FIRST, &["CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "ALLKEYS-LRU"]),
        (FIRST, &["CONFIG", "GET", "maxmemory-policy"]),
        (FIRST, &["SET", "k", "w"]),
        (FIRST, &["CONFIG", "SET", "maxmemory", "3mb"]),
        (FIRST, &["CONFIG", "GET", "maxmemory"]),
    ];
    for (which, words) in steps {
        let [ours, theirs] = pairs.each_mut().map(|pair| told(pair[*which].ask(words)));
        let both_refuse = matches!((&ours, &theirs), (Value::Error(_), Value::Error(_)));
        // Numbers are asked for in other words.
        assert!(
            ours == theirs || words.contains(&"0x") && both_refuse,
            "{words:?}: ours {ours:?}, theirs {theirs:?}"
        );
    }
}

#[test]
fn a_key_expires_in_an_idle_store() {
    let store = Store::start();
    let mut client = store.connect();
    for lasts in [1, 100, 300] {
        assert_eq!(client.ask(&["SET", "k", "v", "PX", &lasts.to_string()]), Value::Simple("OK".into()));
        let since = Instant::now();
        while client.ask(&["READONLY"]) == Value::Simple("OK".into())
            && client.ask(&["GET", "k"]) != Value::Bulk(None)
        {
            assert!(since.elapsed() < Duration::from_millis(lasts) + Duration::from_secs(2), "{lasts} ms");
            thread::sleep(Duration::from_millis(1));
        }
        assert!(since.elapsed() >= Duration::from_millis(lasts.saturating_sub(5)), "{lasts} ms: too early");
        let since = Instant::now();
        while client.ask(&["DBSIZE"]) != Value::Integer(0) {
            assert!(since.elapsed() < LONG, "a key that has expired is not removed");
        }
    }
}
