//! ACL: who the users are, and what they may do. What changes them is a command of the log; GETUSER, LIST, USERS and DRYRUN
//! are strong reads.

use std::time::SystemTime;

use super::containers::{self, Unfit};
use super::encode::Replies;
use super::parse::Arguments;
use super::plan::NOT_AN_INTEGER;
use super::words::{is, shown};
use crate::access::Entrance;
use crate::decimal::decimal;
use crate::table::{CATEGORIES, Categories, Spec, subcommands};
use crate::users::{Context, Denied, Id, Refusal, ShownRights, User, Users, Wanted};

/// So many entries of the log are shown unless a client asks for more.
const SHOWN: i64 = 10;

/// The most bits of a password that is made here.
const MOST_BITS: i64 = 4096;

/// `ACL CAT`, `GENPASS`, `LOG` and `WHOAMI`.
pub(super) fn answer(arguments: Arguments<'_>, entrance: &Entrance, replies: &mut Replies<'_>) -> bool {
    let what = arguments.get(1);
    let argument = arguments.iter().nth(2);
    if is(what, "WHOAMI") {
        replies.bulk(entrance.user().name());
        true
    } else if is(what, "CAT") {
        categories(argument, replies)
    } else if is(what, "GENPASS") {
        make_password(argument, replies)
    } else {
        log(argument, entrance, replies)
    }
}

/// `ACL GETUSER`, `LIST`, `USERS` and `DRYRUN`, on the users of the moment.
pub(super) fn tell(arguments: Arguments<'_>, users: &Users, replies: &mut Replies<'_>) {
    let what = arguments.get(1);
    if is(what, "LIST") {
        replies.array(users.iter().len());
        users.iter().for_each(|user| replies.bulk(&user.describe()));
    } else if is(what, "USERS") {
        replies.array(users.iter().len());
        users.iter().for_each(|user| replies.bulk(user.name()));
    } else if is(what, "GETUSER") {
        match users.find(arguments.get(2)) {
            Some(user) => describe(user, replies),
            None => replies.null(),
        }
    } else {
        try_out(arguments, users, replies);
    }
}

fn categories(named: Option<&[u8]>, replies: &mut Replies<'_>) -> bool {
    let Some(named) = named else {
        replies.array(CATEGORIES.len());
        CATEGORIES.iter().for_each(|name| replies.bulk(name.as_bytes()));
        return true;
    };
    let Some(category) = Categories::named(named) else {
        replies.error(&format!("ERR Unknown category '{}'", shown(named, 128)));
        return false;
    };
    let within: Vec<Id> = Id::all().filter(|id| id.categories().meet(category)).collect();
    replies.array(within.len());
    within.iter().for_each(|id| replies.bulk(id.name().as_bytes()));
    true
}

fn make_password(bits: Option<&[u8]>, replies: &mut Replies<'_>) -> bool {
    let Some(bits) = bits.map_or(Some(256), decimal) else {
        replies.error(NOT_AN_INTEGER);
        return false;
    };
    if !(1..=MOST_BITS).contains(&bits) {
        replies.error(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        );
        return false;
    }
    let digits = (bits as usize).div_ceil(4);
    let mut random = vec![0; digits.div_ceil(2)];
    if getrandom::fill(&mut random).is_err() {
        replies.error("ERR the system has no random numbers: make a password elsewhere");
        return false;
    }
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    replies.bulk(&text.as_bytes()[..digits]);
    true
}

fn log(argument: Option<&[u8]>, entrance: &Entrance, replies: &mut Replies<'_>) -> bool {
    let refusals = &entrance.directory().refusals;
    if argument.is_some_and(|word| is(word, "RESET")) {
        refusals.clear();
        replies.simple("OK");
        return true;
    }
    let Some(count) = argument.map_or(Some(SHOWN), decimal) else {
        replies.error(NOT_AN_INTEGER);
        return false;
    };
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    let (latest, now) = (refusals.latest(count), SystemTime::now());
    replies.array(latest.len());
    latest.iter().for_each(|refusal| show(refusal, now, replies));
    true
}

fn show(refusal: &Refusal, now: SystemTime, replies: &mut Replies<'_>) {
    let context = match refusal.context {
        Context::Alone => "toplevel",
        Context::Transaction => "multi",
        Context::Script => "lua",
    };
    let unix_ms = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    };
    let age = now.duration_since(refusal.last).unwrap_or_default();
    replies.map(10);
    number("count", refusal.count, replies);
    text("reason", refusal.reason.as_bytes(), replies);
    text("context", context.as_bytes(), replies);
    text("object", &refusal.object, replies);
    text("username", &refusal.user, replies);
    replies.bulk(b"age-seconds");
    replies.seconds(age);
    text("client-info", refusal.client.as_bytes(), replies);
    number("entry-id", refusal.id, replies);
    number("timestamp-created", unix_ms(refusal.first), replies);
    number("timestamp-last-updated", unix_ms(refusal.last), replies);
}

fn text(name: &str, value: &[u8], replies: &mut Replies<'_>) {
    replies.bulk(name.as_bytes());
    replies.bulk(value);
}

fn number(name: &str, value: u64, replies: &mut Replies<'_>) {
    replies.bulk(name.as_bytes());
    replies.count(value);
}

fn describe(user: &User, replies: &mut Replies<'_>) {
    let (own, selectors) = user.shown();
    replies.map(6);
    replies.bulk(b"flags");
    replies.array(user.flags().count());
    user.flags().for_each(|flag| replies.bulk(flag.as_bytes()));
    replies.bulk(b"passwords");
    replies.array(user.passwords().len());
    user.passwords().for_each(|password| replies.bulk(password.as_bytes()));
    let rights = |replies: &mut Replies<'_>, rights: &ShownRights| {
        for (name, text) in
            [("commands", rights.commands.as_bytes()), ("keys", &rights.keys), ("channels", &rights.channels)]
        {
            replies.bulk(name.as_bytes());
            replies.bulk(text);
        }
    };
    rights(replies, &own);
    replies.bulk(b"selectors");
    replies.array(selectors.len());
    for selector in &selectors {
        replies.map(3);
        rights(replies, selector);
    }
}

/// `ACL DRYRUN user command [argument ..]`
fn try_out(arguments: Arguments<'_>, users: &Users, replies: &mut Replies<'_>) {
    let (name, asked) = (arguments.get(2), arguments.get(3));
    let Some(user) = users.find(name) else {
        return replies.error(&format!("ERR User '{}' not found", shown(name, 128)));
    };
    let not_found = || format!("ERR Command '{}' not found", shown(asked, 128));
    let Some(spec) = Spec::find(asked) else { return replies.error(&not_found()) };
    if !spec.takes(arguments.len() - 3) {
        let name = spec.name.to_lowercase();
        return replies.error(&format!("ERR wrong number of arguments for '{name}' command"));
    }
    if !subcommands(spec.name).is_empty() && arguments.len() > 4 {
        match containers::check(spec.name, arguments.from(3)) {
            Ok(()) => {}
            Err(Unfit::Unknown(_)) => return replies.error(&not_found()),
            Err(why) => return replies.error(&why.to_string()),
        }
    }
    let words: Vec<&[u8]> = arguments.from(4).iter().collect();
    match user.denied(&Wanted::request(spec, &words)) {
        None => replies.simple("OK"),
        Some(denied) => replies.bulk(Denied::whole_text(&denied).as_bytes()),
    }
}
