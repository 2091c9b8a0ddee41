//! What a server answers by itself: about the connection, and about the server.

use super::about::{About, BAD_NAME};
use super::containers;
use super::encode::{Replies, Version};
use super::entering;
use super::parse::Arguments;
use super::words::{is, shown};
use crate::access::Entrance;
use crate::decimal::decimal;
use crate::script::Scripts;

/// The Redis version that replies follow. Clients choose their behaviour by it.
pub(super) const REDIS_VERSION: &str = "7.2.0";

/// Answers SCRIPT EXISTS.
pub(super) fn known_scripts(arguments: Arguments<'_>, scripts: &Scripts, replies: &mut Replies<'_>) {
    let names = arguments.from(2);
    replies.array(names.len());
    names.iter().for_each(|name| replies.integer(i64::from(scripts.find(name).is_some())));
}

/// `PING [text]`: the same in both versions of the protocol, since nobody subscribes here.
pub(super) fn ping(arguments: Arguments<'_>, replies: &mut Replies<'_>) {
    match arguments.iter().nth(1) {
        Some(text) => replies.bulk(text),
        None => replies.simple("PONG"),
    }
}

/// `HELLO [version [AUTH user password] [SETNAME name]]`
pub(super) fn hello(
    arguments: Arguments<'_>,
    about: &mut About,
    entrance: &mut Entrance,
    (client, mode, role): (&str, &str, &str),
    replies: &mut Replies<'_>,
) -> bool {
    let version = match arguments.iter().nth(1) {
        None => replies.version,
        Some(b"2") => Version::Two,
        Some(b"3") => Version::Three,
        Some(asked) => {
            replies.error(match decimal(asked) {
                Some(_) => "NOPROTO unsupported protocol version",
                None => "ERR Protocol version is not an integer or out of range",
            });
            return false;
        }
    };
    let (mut name, mut entering) = (None, None);
    let mut options = arguments.from(2).iter();
    while let Some(option) = options.next() {
        if is(option, "SETNAME") && options.len() > 0 {
            name = options.next();
        } else if is(option, "AUTH") && options.len() > 1 {
            entering = options.next().zip(options.next());
        } else {
            replies.error(&format!("ERR Syntax error in HELLO option '{}'", shown(option, 128)));
            return false;
        }
    }
    if let Some((user, password)) = entering
        && !entering::enter((user, password), entrance, client, replies)
    {
        return false;
    }
    if entrance.barred().is_some() {
        replies.error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        );
        return false;
    }
    if let Some(name) = name
        && !about.rename(name)
    {
        replies.error(BAD_NAME);
        return false;
    }
    replies.version = version;
    replies.map(7);
    for (key, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        replies.bulk(key.as_bytes());
        replies.bulk(value.as_bytes());
    }
    replies.bulk(b"proto");
    replies.integer(if version == Version::Two { 2 } else { 3 });
    replies.bulk(b"id");
    replies.count(about.seat().arrival().id);
    for (key, value) in [("mode", mode), ("role", role)] {
        replies.bulk(key.as_bytes());
        replies.bulk(value.as_bytes());
    }
    replies.bulk(b"modules");
    replies.array(0);
    true
}

/// `CLIENT HELP` and so on.
pub(super) fn help(container: &'static str, replies: &mut Replies<'_>) {
    let lines: Vec<String> = containers::help(container).collect();
    replies.array(lines.len());
    for line in lines {
        replies.simple(&line);
    }
}
