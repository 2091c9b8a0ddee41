use std::time::{Duration, SystemTime};

use super::refusals::Refusals;
use super::*;
use crate::table::Spec;

/// Users of which one was made by these rules.
fn with(rules: &str) -> Users {
    let mut users = Users::default();
    set(&mut users, "alice", rules).unwrap();
    users
}

fn set(users: &mut Users, name: &str, rules: &str) -> Result<(), String> {
    let rules = prepare(rules.split(' ').map(str::as_bytes))?;
    let set = users.set(name.as_bytes(), rules.iter().map(Vec::as_slice));
    set.map_err(|why| format!("ERR {why}"))
}

/// Why a user may not send a line; empty if it may.
fn denied(users: &Users, name: &str, line: &str) -> String {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let spec = Spec::find(words[0]).expect("it is a command");
    let denied = users.denied(name.as_bytes(), || Wanted::request(spec, &words[1..]));
    denied.map_or(String::new(), |denied| denied.whole_text())
}

fn described(users: &Users) -> String {
    String::from_utf8(users.find(b"alice").unwrap().describe()).unwrap()
}

const HASH: &str = "#2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

#[test]
fn a_new_user_may_do_nothing_and_shows_it() {
    let users = with("on");
    assert_eq!(described(&users), "user alice on sanitize-payload resetchannels -@all");
    assert_eq!(denied(&users, "alice", "GET k"), "User alice has no permissions to run the 'get' command");
    assert_eq!(denied(&users, "alice", "AUTH alice x"), "", "it must be able to become another one");
    assert_eq!(denied(&users, "bob", "GET k"), "User bob does not exist any more");
    let default = String::from_utf8(users.default_user().describe()).unwrap();
    assert_eq!(default, "user default on nopass sanitize-payload ~* &* +@all");
    assert_eq!(denied(&users, "default", "FLUSHALL"), "");
}

#[test]
fn keys_are_read_and_written_by_patterns() {
    let users = with("on +@all ~both:* %R~read:* %W~write:* %r~a %w~a");
    let may = |line: &str| denied(&users, "alice", line).is_empty();
    for line in [
        "GET both:1",
        "SET both:1 v GET",
        "GET read:1",
        "SET write:1 v",
        "STRLEN write:1",
        "EXISTS read:1",
        "DEL write:1",
        "INCR both:1",
        "INCR a",
        "COPY read:1 write:1",
        "BITOP AND write:1 read:1 read:2",
        "RENAME both:1 write:1",
        "EVAL return 2 both:1 both:2 other",
        "EVAL_RO return 1 read:1",
        "BITFIELD read:1 GET u8 0 overflow fail get u8 8",
        "MGET read:1 both:1",
        "KEYS *",
    ] {
        assert!(may(line), "{line}: {}", denied(&users, "alice", line));
    }
    for line in [
        "GET write:1",
        "GET other",
        "EXISTS other",
        "SET read:1 v",
        "SET write:1 v GET",
        "INCR write:1",
        "INCR read:1",
        "GETDEL write:1",
        "COPY write:1 read:1",
        "RENAME read:1 write:1",
        "BITOP AND read:1 read:2",
        "EVAL return 1 read:1",
        "BITFIELD read:1 GET u8 0 SET u8 0 1",
        "BITFIELD read:1 GET u8",
        "BITFIELD write:1 GET u8 0",
        "MGET read:1 other",
        "MSET write:1 v read:1 v",
        "NIAGARA.PUT read:1 v t e",
        "WATCH other",
    ] {
        assert!(denied(&users, "alice", line).contains("key"), "{line}");
    }
}

#[test]
fn channels_are_allowed_by_patterns_and_patterns_literally() {
    let users = with("on +@all &news.* &all*");
    for line in ["SUBSCRIBE news.a all", "PUBLISH news.b m", "PSUBSCRIBE news.* all*", "UNSUBSCRIBE x"] {
        assert_eq!(denied(&users, "alice", line), "", "{line}");
    }
    for line in ["SUBSCRIBE news.a x", "PUBLISH x m", "SPUBLISH x m", "PSUBSCRIBE news.a*", "SSUBSCRIBE x"] {
        assert!(denied(&users, "alice", line).ends_with("channel"), "{line}");
    }
}

#[test]
fn subcommands_are_commands_of_their_own() {
    let users = with("on +client|id +acl|whoami -config +config|get +@connection -client|list ~*");
    for line in ["CLIENT ID", "client setname x", "ACL WHOAMI", "CONFIG GET x", "PING"] {
        assert_eq!(denied(&users, "alice", line), "", "{line}");
    }
    for (line, name) in
        [("CLIENT LIST", "client|list"), ("ACL LIST", "acl|list"), ("CONFIG SET a b", "config|set")]
    {
        let text = format!("User alice has no permissions to run the '{name}' command");
        assert_eq!(denied(&users, "alice", line), text);
    }
}

#[test]
fn further_sets_of_rights_stand_for_themselves() {
    let users = with("on +get ~a (+set ~b) (%R~c +get &x)");
    for line in ["GET a", "SET b v", "GET c"] {
        assert_eq!(denied(&users, "alice", line), "", "{line}");
    }
    for line in ["SET a v", "GET b", "SET c v"] {
        assert_ne!(denied(&users, "alice", line), "", "{line}");
    }
    assert_eq!(
        described(&users),
        "user alice on sanitize-payload ~a resetchannels -@all +get (~b resetchannels -@all +set) \
         (%R~c resetchannels &x -@all +get)"
    );
    let mut users = users;
    set(&mut users, "alice", "(+@all ~b ~x)").unwrap();
    let nearest = "User alice has no permissions to access the 'z' key";
    assert_eq!(denied(&users, "alice", "MSET b 1 x 2 z 3"), nearest, "not b or x, which another set allows");
    set(&mut users, "alice", "clearselectors").unwrap();
    assert_eq!(described(&users), "user alice on sanitize-payload ~a resetchannels -@all +get");
}

#[test]
fn passwords_are_hashed_before_anybody_sees_them() {
    let rules = prepare([b">foo".as_slice(), b"<foo"].into_iter()).unwrap();
    assert_eq!(rules, [HASH.as_bytes(), HASH.replace('#', "!").as_bytes()]);
    let users = with("on >foo");
    assert_eq!(described(&users), format!("user alice on sanitize-payload {HASH} resetchannels -@all"));
    let alice = users.find(b"alice").unwrap();
    assert!(alice.has(&Password::of(b"foo")) && !alice.has(&Password::of(b"fo")));
    assert!(!format!("{users:?}").contains("2c26"), "nor do logs show digests");
    let mut users = users;
    set(&mut users, "alice", ">bar <foo").unwrap();
    assert!(!users.find(b"alice").unwrap().has(&Password::of(b"foo")));
    set(&mut users, "alice", "nopass").unwrap();
    assert_eq!(described(&users), "user alice on nopass sanitize-payload resetchannels -@all");
    set(&mut users, "alice", &format!("{HASH} off")).unwrap();
    assert_eq!(described(&users), format!("user alice off sanitize-payload {HASH} resetchannels -@all"));
}

#[test]
fn wrong_rules_change_nothing_and_show_no_password() {
    for (rules, why) in [
        ("on secret", "modifier 'secret': Syntax error"),
        ("+nonesuch", "modifier '+nonesuch': Unknown command or category name in ACL"),
        ("+@nonesuch", "Unknown command or category name in ACL"),
        ("%X~a", "modifier '%X~a': Syntax error"),
        ("%~a", "Syntax error"),
        ("#12", "modifier '#..': The password hash must be exactly 64 characters"),
        (&HASH.to_uppercase(), "lowercase"),
        ("<other", "modifier '!..': The password you are trying to remove from the user does not exist"),
        ("allkeys ~a", "Adding a pattern after the * pattern (or the 'allkeys' flag)"),
        ("&* &a", "(or the 'allchannels' flag)"),
        ("(+get ~a", "Unmatched parenthesis in acl selector starting at '(+get ~a'."),
        ("(on)", "modifier '(on)': Syntax error"),
        ("+client|id|x", "Allowing first-arg of a subcommand is not supported"),
    ] {
        let mut users = with("on");
        let before = users.clone();
        let error = set(&mut users, "alice", &format!("+get {rules}")).unwrap_err();
        assert!(error.starts_with("ERR ") && error.contains(why), "{rules}: {error}");
        assert_eq!(users, before);
    }
    let long = format!("~{}", "a".repeat(2000));
    assert!(set(&mut Users::default(), "alice", &long).unwrap_err().ends_with("at most 1024 bytes"));
}

#[test]
fn names_are_checked_and_the_default_user_stays() {
    let mut users = with("on");
    for name in ["a b", "", "niagara.rescue", &"n".repeat(257)] {
        assert!(set(&mut users, name, "on").is_err(), "{name}");
    }
    assert_eq!(users.remove([b"default".as_slice(), b"alice"].into_iter()), Err(NotChanged::Default));
    assert_eq!(users.remove([b"alice".as_slice(), b"bob"].into_iter()), Ok(1));
    assert!(users.are_plain());
    set(&mut users, "default", "-flushall").unwrap();
    assert!(!users.are_plain());
    assert!(denied(&users, "default", "FLUSHALL").contains("flushall"));
    assert_eq!(denied(&users, "niagara.rescue", "FLUSHALL"), "");
}

#[test]
fn users_come_back_from_text() {
    let mut users = with("on >foo >bar ~a %R~b* &c +@all -@dangerous +keys (+get ~x)x) (~* &* +@all)");
    set(&mut users, "bob", "off nopass skip-sanitize-payload allkeys allchannels").unwrap();
    set(&mut users, "default", "resetpass -flushall").unwrap();
    let text = users.describe();
    assert_eq!(Users::parse(&text), Some(users), "{}", String::from_utf8_lossy(&text));
    for text in ["", "user\n", "user alice on", "alice on\n", "user alice +nonesuch\n"] {
        assert_eq!(Users::parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(Users::parse(&Users::default().describe()), Some(Users::default()));
}

/// Whether users are read as they were from what a snapshot holds of them.
fn come_back(users: &Users) {
    let text = users.describe();
    assert_eq!(Users::parse(&text).as_ref(), Some(users), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn all_keys_by_a_pattern_stay_a_pattern_in_snapshots() {
    for rules in ["%RW~*", "%R~* %W~*", "~a %wr~* ~b", "(%RW~* +get)"] {
        let users = with(rules);
        come_back(&users);
        // Where it were all keys, this would be refused.
        let (mut here, mut there) = (users.clone(), Users::parse(&users.describe()).unwrap());
        assert_eq!(set(&mut here, "alice", "~c"), set(&mut there, "alice", "~c"));
        assert_eq!(here, there);
    }
}

#[test]
fn no_rule_makes_users_that_cannot_be_read() {
    let mut users = Users::default();
    let set = |users: &mut Users, rule: &str| {
        let rules = prepare([rule.as_bytes()].into_iter())?;
        users.set(b"alice", rules.iter().map(Vec::as_slice)).map_err(|why| why.to_string())
    };
    for rule in
        ["(~a) +get)", "(~a) %R~b)) ~c)", "(~)x( +select|1))", "~a)", "&b)", "(~* &b) +@read)", "+select|x)"]
    {
        set(&mut users, rule).unwrap();
        come_back(&users);
    }
    for space in ["a b", "a\nuser bob on nopass ~* +@all", "a\tb", "a\x0bb", "\0"] {
        for rule in [format!("+select|{space}"), format!("(~a +select|{})", space.replace(' ', "\r"))] {
            let refused = set(&mut users, &rule).unwrap_err();
            assert!(refused.contains("Syntax error"), "{refused}");
        }
        let as_the_log = format!("+select|{space}");
        assert!(users.set(b"alice", [as_the_log.as_bytes()].into_iter()).is_err());
    }
    assert_eq!(users.iter().len(), 2);
}

proptest::proptest! {
    #[test]
    fn users_of_any_rules_come_back_from_text(
        rules in proptest::collection::vec((0..3_u8, "[-+~%&()RWrw#!a*|]{0,6}|[+-](@read|@all|get|client|client\\|id|select\\|[a)( ]{1,3})"), 0..24),
    ) {
        let mut users = Users::default();
        for (name, rule) in rules {
            let name = ["alice", "bob", "default"][usize::from(name)];
            // As the log may carry it, whoever has proposed it.
            let _ = users.set(name.as_bytes(), [rule.as_bytes()].into_iter());
            come_back(&users);
        }
    }
}

#[test]
fn many_users_are_read_in_a_moment_and_counted_right() {
    let mut users = Users::default();
    for number in 0..20_000 {
        users.set(format!("user{number}").as_bytes(), [].into_iter()).unwrap();
    }
    come_back(&users);
    let names: Vec<String> = (0..20_000).map(|number| format!("user{number}")).collect();
    assert_eq!(users.remove(names.iter().map(String::as_bytes)), Ok(20_000));
    assert_eq!(users, Users::default(), "what they have taken counts no more");
}

#[test]
fn what_users_take_is_bounded() {
    let mut users = Users::default();
    let patterns: Vec<String> = (0..1000).map(|number| format!("~{}{number}", "k".repeat(1000))).collect();
    let rules = patterns.join(" ");
    let refused = (0..4).map(|number| set(&mut users, &format!("user{number}"), &rules)).find(Result::is_err);
    let text = refused.expect("there is a limit").unwrap_err();
    assert!(text.contains("16 MiB"), "{text}");
}

#[test]
fn refusals_alike_are_counted_together_for_a_while() {
    let refusals = Refusals::default();
    let users = with("on +get ~a");
    let denied = users.denied(b"alice", || Wanted::named("FLUSHALL", None)).unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    for (later, context) in
        [(0, Context::Alone), (59, Context::Alone), (118, Context::Script), (200, Context::Alone)]
    {
        refusals.denied(&denied, context, "id=1", start + Duration::from_secs(later));
    }
    refusals.unknown(None, "id=2", start + Duration::from_secs(201));
    let latest = refusals.latest(10);
    let shown: Vec<_> = latest.iter().map(|one| (one.reason, one.context, one.count)).collect();
    assert_eq!(
        shown,
        [
            ("auth", Context::Alone, 1),
            ("command", Context::Alone, 1),
            ("command", Context::Script, 1),
            ("command", Context::Alone, 2),
        ]
    );
    assert_eq!(latest[0].user, b"(unknown)");
    for number in 0..1000u64 {
        refusals.unknown(Some(number.to_string().as_bytes()), "", start);
    }
    assert_eq!(refusals.latest(usize::MAX).len(), 128);
    refusals.clear();
    assert!(refusals.latest(1).is_empty());
}
