//! Clients that keep what they have read are told when it changes.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::clients::text;
use super::fake::FakeServer;
use super::golden::{Stage, command_of};
use super::sockets::{Client, Server};
use crate::front::FrontEndConfig;
use crate::resp::RespConnection;
use crate::{Database, KvReader};

/// What a client gets.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Word(String),
    Value(Option<String>),
    List(Vec<Told>),
    Push(Vec<Told>),
}

/// Takes the next thing that a client gets from its bytes.
fn take(bytes: &mut &[u8]) -> Option<Told> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let (line, rest) = (std::str::from_utf8(&bytes[1..end]).unwrap(), &bytes[end + 2..]);
    let sign = bytes[0];
    *bytes = rest;
    let list = |bytes: &mut &[u8], pairs: usize| -> Vec<Told> {
        let count = line.parse::<usize>().unwrap() * pairs;
        (0..count).map(|_| take(bytes).expect("a reply is whole")).collect()
    };
    Some(match sign {
        b'+' | b'-' | b':' => Told::Word(line.to_owned()),
        b'_' => Told::Value(None),
        b'$' => {
            let length: usize = line.parse().unwrap();
            let value = String::from_utf8(rest[..length].to_vec()).unwrap();
            *bytes = &rest[length + 2..];
            Told::Value(Some(value))
        }
        b'*' | b'~' => Told::List(list(bytes, 1)),
        b'%' => Told::List(list(bytes, 2)),
        b'>' => Told::Push(list(bytes, 1)),
        other => panic!("an unknown sign: {}", char::from(other)),
    })
}

/// What a client asks for.
#[derive(Clone, Debug)]
enum Ask {
    Get(u8),
    GetMany(u8, u8),
    Set(u8, u16),
    Delete(u8),
    /// Reads the first key and sets the second, in a transaction or in a script.
    ReadAndSet(bool, u8, u8, u16),
    /// The same the other way round.
    SetAndRead(bool, u8, u8, u16),
    Flush,
    Swap,
    /// The table of what was read has room for so many keys.
    Room(u8),
}

fn key(number: u8) -> String {
    format!("k{number}")
}

impl Ask {
    fn commands(&self) -> Vec<String> {
        let together = |in_a_script: bool, commands: [String; 2]| {
            if in_a_script {
                let calls = commands.map(|command| format!("redis.call('{}')", command.replace(' ', "', '")));
                let order = if calls[0].contains("get") { "local v = " } else { "" };
                let end = if order.is_empty() { "local v = " } else { "" };
                vec![format!("EVAL \"{order}{} {end}{} return v\" 0", calls[0], calls[1])]
            } else {
                let [first, second] = commands;
                vec!["MULTI".into(), first, second, "EXEC".into()]
            }
        };
        match self {
            Ask::Get(one) => vec![format!("GET {}", key(*one))],
            Ask::GetMany(one, other) => vec![format!("MGET {} {}", key(*one), key(*other))],
            Ask::Set(one, value) => vec![format!("SET {} {value}", key(*one))],
            Ask::Delete(one) => vec![format!("DEL {}", key(*one))],
            Ask::ReadAndSet(in_a_script, one, other, value) => {
                let commands = [format!("get {}", key(*one)), format!("set {} {value}", key(*other))];
                together(*in_a_script, commands)
            }
            Ask::SetAndRead(in_a_script, one, other, value) => {
                let commands = [format!("set {} {value}", key(*other)), format!("get {}", key(*one))];
                together(*in_a_script, commands)
            }
            Ask::Flush => vec!["FLUSHDB".into()],
            Ask::Swap => vec!["SWAPDB 0 1".into()],
            Ask::Room(keys) => vec![format!("CONFIG SET tracking-table-max-keys {keys}")],
        }
    }
}

/// A client that keeps all that it reads, until it is told not to.
struct Keeper {
    stage: Stage<RespConnection>,
    is_loopless: bool,
    asked: VecDeque<Ask>,
    kept: BTreeMap<String, Option<String>>,
}

impl Keeper {
    fn new(server: &FakeServer, mode: &str) -> Keeper {
        let mut stage = Stage::tracking_at(server);
        for command in ["HELLO 3".to_owned(), format!("CLIENT TRACKING ON {mode}")] {
            stage.receive(&command_of(&command));
            stage.settle();
        }
        let told = stage.output.take();
        assert!(told.ends_with(b"+OK\r\n"), "{}", String::from_utf8_lossy(&told));
        let is_loopless = mode.contains("NOLOOP");
        Keeper { stage, is_loopless, asked: VecDeque::new(), kept: BTreeMap::new() }
    }

    fn ask(&mut self, ask: &Ask) {
        ask.commands().iter().for_each(|command| self.stage.receive(&command_of(command)));
        self.asked.push_back(ask.clone());
    }

    /// What comes is read, and kept.
    fn turn(&mut self) {
        self.stage.turn();
        let bytes = self.stage.output.take();
        let mut rest = &bytes[..];
        while let Some(told) = take(&mut rest) {
            match told {
                Told::Push(parts) => self.drop_stale(&parts),
                Told::Word(word) if word == "QUEUED" => {}
                // The reply to MULTI.
                Told::Word(word)
                    if word == "OK"
                        && matches!(
                            self.asked.front(),
                            Some(Ask::ReadAndSet(false, ..) | Ask::SetAndRead(false, ..))
                        ) => {}
                told => {
                    let asked = self.asked.pop_front().expect("a reply follows a request");
                    self.keep(&asked, told);
                }
            }
        }
    }

    fn drop_stale(&mut self, parts: &[Told]) {
        assert_eq!(parts[0], Told::Value(Some("invalidate".into())));
        match &parts[1] {
            Told::Value(None) => self.kept.clear(),
            Told::List(keys) => {
                for key in keys {
                    let Told::Value(Some(key)) = key else { panic!("{key:?} is no key") };
                    self.kept.remove(key);
                }
            }
            other => panic!("{other:?} names no keys"),
        }
    }

    /// Whoever does not hear of his own changes keeps what he has set, if he kept anything before.
    fn set(&mut self, number: u8, value: Option<String>) {
        if self.is_loopless
            && let Some(kept) = self.kept.get_mut(&key(number))
        {
            *kept = value;
        }
    }

    fn read(&mut self, number: u8, told: Told) {
        let Told::Value(value) = told else { panic!("{told:?} is no value") };
        self.kept.insert(key(number), value);
    }

    fn keep(&mut self, asked: &Ask, told: Told) {
        let list =
            |told: Told| if let Told::List(list) = told { list } else { panic!("{told:?} is no list") };
        match asked {
            Ask::Get(one) => self.read(*one, told),
            Ask::GetMany(one, other) => {
                let mut values = list(told).into_iter();
                self.read(*one, values.next().unwrap());
                self.read(*other, values.next().unwrap());
            }
            Ask::Set(one, value) => self.set(*one, Some(value.to_string())),
            Ask::Delete(one) => self.set(*one, None),
            Ask::ReadAndSet(in_a_script, one, other, value) => {
                self.read(*one, if *in_a_script { told } else { list(told).remove(0) });
                self.set(*other, Some(value.to_string()));
            }
            Ask::SetAndRead(in_a_script, one, other, value) => {
                self.set(*other, Some(value.to_string()));
                self.read(*one, if *in_a_script { told } else { list(told).remove(1) });
            }
            Ask::Flush | Ask::Swap | Ask::Room(_) => {}
        }
    }

    /// What it keeps is what there is, once everything is executed and told.
    fn check(&self, reader: &KvReader) -> Result<(), TestCaseError> {
        prop_assert!(self.asked.is_empty(), "{:?} is not answered", self.asked);
        for (key, kept) in &self.kept {
            let is = reader.with_in(Database::FIRST, key.as_bytes(), |found| {
                found.map(|found| String::from_utf8(found.value.to_vec()).unwrap())
            });
            prop_assert_eq!(kept, &is, "{} was changed, and nobody was told", key);
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A client sends something.
    Ask(u8, Ask),
    /// A client's thread has a turn.
    Turn(u8),
    /// What a client's thread has in flight is executed.
    Execute(u8),
    /// The server goes on from a snapshot.
    Restore,
    /// Everything is executed and told.
    Settle,
}

fn asks() -> impl Strategy<Value = Ask> {
    let key = 0..5_u8;
    prop_oneof![
        8 => key.clone().prop_map(Ask::Get),
        3 => (key.clone(), key.clone()).prop_map(|(one, other)| Ask::GetMany(one, other)),
        8 => (key.clone(), 0..3_u16).prop_map(|(key, value)| Ask::Set(key, value)),
        2 => key.clone().prop_map(Ask::Delete),
        3 => (any::<bool>(), key.clone(), key.clone(), 0..3_u16)
            .prop_map(|(how, one, other, value)| Ask::ReadAndSet(how, one, other, value)),
        3 => (any::<bool>(), key.clone(), key, 0..3_u16)
            .prop_map(|(how, one, other, value)| Ask::SetAndRead(how, one, other, value)),
        1 => Just(Ask::Flush),
        1 => Just(Ask::Swap),
        1 => (0..4_u8).prop_map(Ask::Room),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let client = 0..4_u8;
    let step = prop_oneof![
        12 => (client.clone(), asks()).prop_map(|(client, ask)| Step::Ask(client, ask)),
        12 => client.clone().prop_map(Step::Turn),
        8 => client.prop_map(Step::Execute),
        1 => Just(Step::Restore),
        2 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 1..80)
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let server = FakeServer::new();
    let modes = ["", "NOLOOP", "BCAST", "BCAST NOLOOP"];
    let mut keepers = modes.map(|mode| Keeper::new(&server, mode));
    for step in steps.iter().chain([&Step::Settle]) {
        match step {
            Step::Ask(client, ask) => keepers[usize::from(*client)].ask(ask),
            Step::Turn(client) => keepers[usize::from(*client)].turn(),
            Step::Execute(client) => {
                keepers[usize::from(*client)].stage.engine.step();
            }
            Step::Restore => server.restore_nothing(),
            Step::Settle => {
                let mut is_busy = true;
                while is_busy {
                    is_busy = false;
                    for keeper in &mut keepers {
                        keeper.turn();
                        is_busy |= keeper.stage.engine.step();
                    }
                }
                keepers.iter_mut().for_each(Keeper::turn);
                for keeper in &keepers {
                    keeper.check(server.reader())?;
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_keeps_what_has_changed(steps in steps()) {
        run(&steps)?;
    }
}

fn id(client: &mut Client) -> u64 {
    client.ask("CLIENT ID")[1..].parse().unwrap()
}

/// A client that speaks version 3.
fn newer(server: &Server) -> Client {
    let mut client = server.redis();
    client.send("HELLO 3\r\n");
    while client.line() != "modules" {}
    assert_eq!(client.line(), "*0");
    client
}

fn lines(client: &mut Client, count: usize) -> String {
    (0..count).map(|_| client.line()).collect::<Vec<_>>().join(" ")
}

#[test]
fn another_client_is_told_in_whichever_version_and_thread() {
    let server = Server::start(3, 100);
    let mut clients: Vec<Client> = (0..6).map(|_| server.redis()).collect();
    for at in 0..6 {
        let mut told = server.redis();
        let told_id = id(&mut told);
        assert_eq!(told.ask("SUBSCRIBE __redis__:invalidate"), "*3");
        lines(&mut told, 5);
        let client = &mut clients[at];
        assert_eq!(client.ask(&format!("CLIENT TRACKING ON REDIRECT {told_id}")), "+OK");
        assert_eq!(client.ask("CLIENT GETREDIR"), format!(":{told_id}"));
        assert_eq!(client.ask("GET k"), if at == 0 { "$-1" } else { "$1" });
        if at > 0 {
            client.line();
        }
        assert_eq!(clients[(at + 1) % 6].ask(&format!("SET k {at}")), "+OK");
        let message = "*3 $7 message $20 __redis__:invalidate *1 $1 k";
        assert_eq!(lines(&mut told, 8), message);
        assert_eq!(clients[(at + 2) % 6].ask("FLUSHALL"), "+OK");
        assert_eq!(lines(&mut told, 6), "*3 $7 message $20 __redis__:invalidate $-1");
        let mut told = newer(&server);
        let told_id = id(&mut told);
        let client = &mut clients[at];
        assert_eq!(client.ask(&format!("CLIENT TRACKING ON REDIRECT {told_id}")), "+OK");
        assert_eq!(client.ask("GET k"), "$-1");
        assert_eq!(client.ask("SET k 1"), "+OK", "its own change");
        assert_eq!(lines(&mut told, 5), ">2 $10 invalidate *1 $1");
        assert_eq!(told.line(), "k");
        assert_eq!(clients[at].ask("CLIENT TRACKING OFF"), "+OK");
    }
    assert_eq!(server.fake.reader().tracking().tracked().keys, 0);
}

#[test]
fn who_has_another_one_told_hears_that_it_has_gone() {
    let server = Server::start(2, 100);
    let (mut client, mut other) = (newer(&server), server.redis());
    let mut told = [newer(&server), newer(&server)];
    for told in &mut told {
        let told_id = id(told);
        assert_eq!(client.ask(&format!("CLIENT TRACKING ON REDIRECT {told_id}")), "+OK");
        // From the reply on, it is not there any more, even if it does not close its connection.
        assert_eq!(told.ask("QUIT"), "+OK");
        assert_eq!(client.ask("GET k"), "_");
        assert_eq!(client.ask("SET k 1"), "+OK");
        assert_eq!(lines(&mut client, 3), ">2 $21 tracking-redir-broken");
        assert_eq!(client.line(), format!(":{told_id}"));
        assert_eq!(client.ask("DEL k"), ":1");
        let own = id(&mut client);
        let line = text(&mut other, &format!("CLIENT LIST ID {own}"));
        assert!(line.contains(" flags=tR ") && line.contains(&format!(" redir={told_id} ")), "{line}");
    }
    assert_eq!(client.ask("CLIENT TRACKING ON"), "+OK");
    let own = id(&mut client);
    let line = text(&mut other, &format!("CLIENT LIST ID {own}"));
    assert!(line.contains(" flags=t ") && line.contains(" redir=0 "), "{line}");
    let info = text(&mut other, "INFO");
    assert!(info.contains("\r\ntracking_clients:1\r\n"), "{info}");
    drop(client);
    server.until(|_| text(&mut other, "INFO").contains("\r\ntracking_clients:0\r\n"));
}

#[test]
fn a_snapshot_in_the_place_of_commands_makes_all_stale() {
    let server = Server::start(2, 100);
    let mut clients: Vec<Client> = (0..4).map(|_| newer(&server)).collect();
    for client in &mut clients {
        assert_eq!(client.ask("CLIENT TRACKING ON"), "+OK");
    }
    server.fake.restore_nothing();
    for client in &mut clients {
        assert_eq!(lines(client, 4), ">2 $10 invalidate _");
        assert_eq!(client.ask("PING"), "+PONG");
    }
}

#[test]
fn a_client_that_takes_nothing_is_closed_and_hears_no_more() {
    let config = FrontEndConfig { threads: 1, subscriber_output: 1 << 20, ..FrontEndConfig::default() };
    let server = Server::start_with(config);
    let mut slow = newer(&server);
    assert_eq!(slow.ask("CLIENT TRACKING ON BCAST"), "+OK");
    let mut writer = server.redis();
    let key = "k".repeat(60 << 10);
    for _ in 0..1000 {
        assert_eq!(writer.ask(&format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$1\r\nv", key.len())), "+OK");
        if server.front_ends.shared.metrics.deaf() == [1, 0] {
            break;
        }
    }
    assert_eq!(server.front_ends.shared.metrics.deaf(), [1, 0]);
    server.until(|server| server.fake.reader().tracking().tracked().clients == 0);
    assert_eq!(writer.ask("PING"), "+PONG");
}
