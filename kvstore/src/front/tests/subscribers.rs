//! Messages for subscribers, over real sockets.

use std::fmt::Write as _;
use std::io::Read;
use std::thread;

use super::sockets::{Client, Server};
use crate::front::FrontEndConfig;

/// Subscribes to a channel, and waits until that is confirmed.
fn subscriber(server: &Server, channel: &str) -> Client {
    let mut client = server.redis();
    assert_eq!(client.ask(&format!("SUBSCRIBE {channel}")), "*3");
    let confirmed: Vec<String> = (0..5).map(|_| client.line()).collect();
    assert_eq!(confirmed.join(" "), format!("$9 subscribe ${} {channel} :1", channel.len()));
    client
}

/// The payload of the next message.
pub(super) fn heard(client: &mut Client) -> String {
    assert_eq!((client.line(), client.line(), client.line()), ("*3".into(), "$7".into(), "message".into()));
    let rest: Vec<String> = (0..4).map(|_| client.line()).collect();
    rest[3].clone()
}

#[test]
fn subscribers_of_all_threads_hear_the_same_in_the_same_order() {
    let server = Server::start(3, 100);
    let mut subscribers: Vec<Client> = (0..6).map(|_| subscriber(&server, "news")).collect();
    let (publishers, messages) = (4, 200);
    thread::scope(|scope| {
        for publisher in 0..publishers {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.redis();
                let mut commands = String::new();
                for i in 0..messages {
                    write!(commands, "PUBLISH news {publisher}-{i}\r\n").unwrap();
                }
                client.send(commands);
                (0..messages).for_each(|_| assert_eq!(client.line(), ":6"));
            });
        }
    });
    let all = publishers * messages;
    let first: Vec<String> = (0..all).map(|_| heard(&mut subscribers[0])).collect();
    for other in &mut subscribers[1..] {
        (0..all).for_each(|i| assert_eq!(heard(other), first[i]));
    }
    for publisher in 0..publishers {
        let own = format!("{publisher}-");
        let mut of_it = first.iter().filter(|message| message.starts_with(&own));
        assert!((0..messages).all(|i| of_it.next() == Some(&format!("{own}{i}"))), "a publisher's own order");
    }
    assert_eq!(server.front_ends.shared.metrics.heard(), (6 * all) as u64);
}

#[test]
fn a_client_hears_what_it_publishes_itself_between_its_replies() {
    let server = Server::start(1, 100);
    let mut client = server.redis();
    assert_eq!(client.ask("HELLO 3"), "%7");
    while client.line() != "modules" {}
    assert_eq!(client.line(), "*0");
    client.send("SUBSCRIBE news\r\nSET k v\r\nPUBLISH news x\r\nGET k\r\nPING\r\n");
    // The message comes some time after its subscription is confirmed.
    let told: Vec<String> = (0..6 + 1 + 1 + 2 + 1 + 7).map(|_| client.line()).collect();
    let told = told.join(" ");
    let message = ">3 $7 message $4 news $1 x ";
    assert!(format!("{told} ").contains(message), "{told}");
    let replies = format!("{told} ").replacen(message, "", 1);
    assert_eq!(replies, ">3 $9 subscribe $4 news :1 +OK :1 $1 v +PONG ");
}

#[test]
fn a_subscriber_that_takes_nothing_is_closed_and_counted() {
    let config = FrontEndConfig { threads: 1, subscriber_output: 1 << 20, ..FrontEndConfig::default() };
    let server = Server::start_with(config);
    let mut slow = subscriber(&server, "news");
    let mut quick = subscriber(&server, "news");
    let mut publisher = server.redis();
    let payload = "x".repeat(1 << 18);
    let command = format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n${}\r\n{payload}\r\n", payload.len());
    let mut receivers = 2;
    // The system takes some MiB for the slow one.
    for _ in 0..1000 {
        publisher.send(&command);
        let told = publisher.line();
        assert_eq!(heard(&mut quick).len(), payload.len());
        receivers = told.trim_start_matches(':').parse().unwrap();
        if receivers == 1 {
            break;
        }
    }
    assert_eq!(receivers, 1, "it is closed");
    let mut rest = Vec::new();
    // It gets an end, or an error, but not all.
    let _ = slow.0.read_to_end(&mut rest);
    assert_eq!(server.front_ends.shared.metrics.deaf(), [1, 0]);
    assert_eq!(publisher.ask("PING"), "+PONG");
}

#[test]
fn subscribers_who_have_missed_messages_are_closed_and_nobody_else() {
    let server = Server::start(2, 100);
    let mut others: Vec<Client> = (0..2).map(|_| server.redis()).collect();
    let mut subscribers: Vec<Client> = (0..4).map(|_| subscriber(&server, "news")).collect();
    server.fake.reader().hub().lose();
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.rest(), "");
    }
    server.until(|server| server.front_ends.clients() == 2);
    for other in &mut others {
        // A connection counts as closed a moment before it hears nothing any more.
        server.until(|_| other.ask("PUBLISH news x") == ":0");
    }
    assert_eq!(server.front_ends.shared.metrics.deaf(), [0, 4]);
    let mut again = subscriber(&server, "news");
    assert_eq!(others[0].ask("PUBLISH news x"), ":1");
    assert_eq!(heard(&mut again), "x");
}
