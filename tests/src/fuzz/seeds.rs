//! What corpora begin with: one small input for each thing that a target's bytes can say. Each comes with a name.
//!
//! The files in `tests/fuzz/corpus` are made from these; `tests/tests/fuzz.rs` compares them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use niagara_group::batch::{Span, SubBatch, encode_commands, encode_skip};
use niagara_group::digest_mark::DigestMark;
use niagara_group::epoch_end::encode_end;
use niagara_group::wire::Wire;
use niagara_kvstore::command::{self, Condition, Test, Watch};
use niagara_kvstore::{Database, Description, Life, Op, Tag, Version, resp};
use niagara_log::{self, HardState, LogEntry};
use niagara_net::{Greeting, Hello, Levels, Refusal};
use niagara_sequencer::epoch::{Contact, Epoch, EpochEnd, Terms};
use raft::eraftpb::{Entry, Message, MessageType};

use super::driver::KINDS;
use super::log_on_disk::{LOG_ID, config, directory, segment_name};
use super::segment_image::{HEADER_BYTES, Sealing, frames};

type Seeds = Vec<(String, Vec<u8>)>;

pub(super) fn named<'n>(seeds: impl IntoIterator<Item = (&'n str, Vec<u8>)>) -> Seeds {
    seeds.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

/// Streams of frames: with the bodies of all greetings and messages, sealed by the target, and as they are on the wire.
pub fn frame() -> Seeds {
    let bodies: Vec<Vec<u8>> = greeting()
        .into_iter()
        .chain(message())
        .map(|(_, body)| body)
        .filter(|body| body.len() < 500)
        .collect();
    let sealed: Vec<u8> = bodies.iter().flat_map(|body| sized(body)).collect();
    let wire: Vec<u8> = bodies
        .into_iter()
        .flat_map(|body| niagara_net::Frame::from(Bytes::from(body)).slices().collect::<Vec<_>>().concat())
        .collect();
    let mut damaged =
        niagara_net::Frame::from(Bytes::from_static(&[7; 90])).slices().collect::<Vec<_>>().concat();
    damaged[80] ^= 1;
    let after = |head: &[u8], rest: &[u8]| [head, rest].concat();
    named([
        ("empty", vec![]),
        ("greeting-then-growth", after(&[0x34, 2, 66, 9], &sized(&greeting()[0].1))),
        ("sealed", after(&[0x1b, 3, 10, 0, 70], &sealed)),
        ("sealed-in-a-tiny-buffer", after(&[0x1c, 1, 30], &sealed)),
        ("wire", after(&[0x0f, 4, 0, 7, 64, 2], &wire)),
        ("wire-in-a-tiny-buffer", after(&[0x0c, 2, 66, 30], &wire)),
        ("sealed-long-body", after(&[0x1d, 2, 65, 5], &sized(&[0xab; 700]))),
        ("damaged-long-body", after(&[0x0d, 1, 40], &damaged)),
        ("zeros", after(&[0x0b, 0], &[0; 24])),
        ("too-long", after(&[0x0b, 1, 3], &[0xff; 16])),
    ])
}

/// Every greeting there is, and what is none.
pub fn greeting() -> Seeds {
    let hello = Hello { cluster: 0xc1, server: 2, channel: 1, channels: 4, store: 0x57, ..Hello::default() };
    let levels = Some(Levels { in_force: 1, known: 2 });
    let refusals = [
        ("cluster", Refusal::WrongCluster),
        ("version", Refusal::WrongVersion { refuser: 2, refused: 1 }),
        ("channel", Refusal::WrongChannel { refuser: 1, refused: 2 }),
        ("channels", Refusal::WrongChannels { refuser: 4, refused: 8 }),
        ("server", Refusal::WrongServer { expected: 2, found: 3 }),
        ("unknown", Refusal::UnknownServer { server: 9 }),
        ("turn", Refusal::NotYourTurn { refuser: 1, refused: 2 }),
        ("store", Refusal::Store("server 2 has another store than before".into())),
        ("members", Refusal::Members("server 1 lists 1, 2, 3; server 2 lists 2".into())),
        ("application", Refusal::Application("the applications differ".into())),
        ("old-copy", Refusal::OldCopy("server 2 has been further".into())),
        ("other", Refusal::Other { code: 999, text: "déjà vu".into() }),
    ];
    let mut seeds = named([
        ("hello", Greeting::Hello(hello.clone()).encode().to_vec()),
        ("hello-with-levels", Greeting::Hello(Hello { levels, ..hello }).encode().to_vec()),
        ("welcome", Greeting::Welcome.encode().to_vec()),
        ("of-the-future", b"NIAGARA\0\x07\0\x01fields of the future".to_vec()),
        ("http", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec()),
    ]);
    let refusals = refusals
        .map(|(name, refusal)| (format!("refusal-{name}"), Greeting::Refusal(refusal).encode().to_vec()));
    seeds.extend(refusals);
    seeds
}

/// Every kind of message, and every type of Raft's.
pub fn message() -> Seeds {
    let mark = |position, state| DigestMark { position, log: position * 3, state };
    let mut wires = vec![
        ("forward".to_owned(), Wire::Forward(sub_batch(&[b"one", b"", b"three"], 1))),
        ("forward-too-much".to_owned(), Wire::Forward(too_much())),
        ("forward-lone".to_owned(), Wire::Forward(SubBatch { lone: true, ..sub_batch(&[&[7; 40]], 5) })),
        ("nack".to_owned(), Wire::Nack { lane: 0, attempt: 3 }),
        ("pad-request".to_owned(), Wire::PadRequest { level: 77 }),
        ("claim".to_owned(), Wire::Claim),
        ("ask-promise".to_owned(), Wire::AskPromise { term: 3, asked: Duration::from_millis(70) }),
        ("promise".to_owned(), Wire::Promise { term: 3, asked: Duration::from_millis(70) }),
        ("digests".to_owned(), Wire::Digests(vec![mark(1, None), mark(2, Some(5)), mark(40, Some(0))])),
        ("snapshot".to_owned(), Wire::Snapshot { term: 3, round: 40 }),
        ("notice".to_owned(), notice()),
    ];
    for kind in KINDS {
        wires.push((format!("raft-{kind:?}"), Wire::Raft(Box::new(raft_message(kind)))));
    }
    wires.into_iter().map(|(name, wire)| (name, wire.encode().parts().concat())).collect()
}

/// An append that only says what is committed.
fn notice() -> Wire {
    Wire::Notice(Box::new(Message { entries: vec![].into(), ..raft_message(MessageType::MsgAppend) }))
}

fn raft_message(kind: MessageType) -> Message {
    let entry = |index: u64, (context, data)| Entry { term: 8, index, context, data, ..Entry::default() };
    let entries = match kind {
        MessageType::MsgAppend => vec![
            entry(42, encode_commands(7, &[sub_batch(&[b"set", b"get"], 1), sub_batch(&[b"x"], 9)])),
            entry(43, (encode_skip(1009), Bytes::new())),
            entry(44, (Bytes::new(), Bytes::new())),
        ],
        MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => {
            vec![Entry { data: Bytes::from_static(b"question"), ..Entry::default() }]
        }
        _ => vec![],
    };
    Message {
        msg_type: kind,
        to: 2,
        from: 1,
        term: 9,
        log_term: 8,
        index: 41,
        commit: 40,
        reject: kind == MessageType::MsgAppendResponse,
        reject_hint: 30,
        context: Bytes::from_static(b"context"),
        entries: entries.into(),
        ..Message::default()
    }
}

fn sub_batch(commands: &[&[u8]], first: u64) -> SubBatch {
    let body: Vec<u8> = match commands {
        [lone] if lone.len() >= 40 => lone.to_vec(),
        _ => commands.iter().flat_map(|command| [&[command.len() as u8], *command].concat()).collect(),
    };
    let span = Span { server: 2, incarnation: 7, lane: 3, attempt: 1, first, count: commands.len() as u32 };
    SubBatch { span, lone: false, body: body.into() }
}

/// A sub-batch that has a command more than it says.
fn too_much() -> SubBatch {
    let mut batch = sub_batch(&[b"one", b"", b"three"], 1);
    batch.span.count -= 1;
    batch
}

/// Ends the first epoch.
fn end(contacts: Vec<Contact>) -> EpochEnd {
    let next = Terms { groups: 3, members: vec![1, 4], level: 1, contacts };
    EpochEnd { epoch: Epoch::new(1), next, request: 5 }
}

fn contact(server: u64) -> Contact {
    let addresses = vec![format!("a{server}:1"), format!("a{server}:2")];
    Contact { server, addresses, transfer: format!("a{server}:9"), weight: 1, note: "n".into() }
}

/// Entries of every kind.
pub fn entry() -> Seeds {
    let framed = |(context, data): (Bytes, Bytes)| [&sized(&context), &data[..]].concat();
    let lone = SubBatch { lone: true, ..sub_batch(&[&[7; 40]], 5) };
    named([
        ("raft-s-own", framed((Bytes::new(), Bytes::new()))),
        ("skip", framed((encode_skip(1009), Bytes::new()))),
        ("commands", framed(encode_commands(7, &[sub_batch(&[b"one", b"", b"three"], 1)]))),
        ("lone", framed(encode_commands(7, std::slice::from_ref(&lone)))),
        ("several", framed(encode_commands(7, &[sub_batch(&[b"one"], 1), lone, sub_batch(&[b"", b""], 2)]))),
        ("too-much", framed(encode_commands(7, &[too_much()]))),
        ("no-sub-batch", framed(encode_commands(7, &[]))),
        ("end-of-epoch", framed(encode_end(7, &end(Vec::new())))),
        ("end-with-contacts", framed(encode_end(7, &end(vec![contact(1), contact(4)])))),
    ])
}

/// Every message between followers and members, as docs/followers.md says how they are encoded.
pub fn feed() -> Seeds {
    let follow = |epoch: u32, hash: u128, at_once: u8, groups: &[(u64, u32)]| {
        let mut out = [&[64][..], &epoch.to_le_bytes(), &hash.to_le_bytes(), &[at_once]].concat();
        for (last, room) in groups {
            out.extend(last.to_le_bytes());
            out.extend(room.to_le_bytes());
        }
        out
    };
    let number = |kind: u8, number: u64| [&[kind][..], &number.to_le_bytes()].concat();
    let barrier =
        |is_known: u8, position: u64| [&number(70, 3)[..], &[is_known], &position.to_le_bytes()].concat();
    let entries = |entries: &[(u16, (Bytes, Bytes))]| {
        let mut out = [&[66][..], &1u32.to_le_bytes(), &77u64.to_le_bytes()].concat();
        for ((group, (context, data)), index) in entries.iter().zip(5u64..) {
            out.extend([&group.to_le_bytes()[..], &index.to_le_bytes(), &2u64.to_le_bytes(), &[0]].concat());
            out.extend([(context.len() as u32).to_le_bytes(), (data.len() as u32).to_le_bytes()].concat());
            out.extend([&context[..], &data[..]].concat());
        }
        out
    };
    let mut digests = vec![71];
    for state in [None, Some(5)] {
        DigestMark { position: 40, log: 120, state }.encode(&mut digests);
    }
    let commands = || encode_commands(7, &[sub_batch(&[b"one", b"", b"three"], 1)]);
    named([
        ("follow-without-state", follow(0, 0, 1, &[])),
        ("follow", follow(1, 7, 0, &[(5, 1 << 20), (9, 0)])),
        ("follow-far-ahead", follow(1, 7, 1, &[(u64::MAX - 1, 1), (0, u32::MAX)])),
        ("leave", vec![65]),
        ("entries", entries(&[(0, commands()), (1, (encode_skip(1009), Bytes::new()))])),
        ("entries-with-an-end", entries(&[(1, encode_end(7, &end(vec![contact(4)])))])),
        ("no-entries", entries(&[])),
        ("behind", [&[67][..], &2u32.to_le_bytes(), &1000u64.to_le_bytes()].concat()),
        ("other-chain", vec![68]),
        ("ask-for-a-barrier", number(69, 3)),
        ("barrier", barrier(1, 1 << 40)),
        ("barrier-unknown", barrier(0, 0)),
        ("digests", digests),
    ])
}

/// Scripts of writes, whole and damaged in every way.
pub fn log_damage() -> Seeds {
    let plain = [3, 0x43, 10, 0x02, 60, 0x41, 5];
    let long = [9, 0x47, 90, 0x07, 80, 0x4f, 99, 0x43, 1, 0xc7, 120, 0x14, 7, 0x47, 200, 0x40, 0, 0x07, 33];
    let with = |script: &[u8], damage: &[u8]| [script, damage].concat();
    named([
        ("nothing", vec![]),
        ("plain", plain.to_vec()),
        ("long", long.to_vec()),
        ("flip-in-the-header", with(&plain, &[0, 0, 20, 0, 1])),
        ("flip-in-the-first-frame", with(&plain, &[0, 0, 100, 0, 0x80])),
        ("flip-in-the-last-frame", with(&plain, &[0, 0, 0x30, 2, 4])),
        ("flip-behind-the-end", with(&plain, &[0, 0, 0xf0, 3, 1])),
        ("sector-of-zeros", with(&long, &[1, 2, 0, 1, 0])),
        ("sector-of-noise", with(&long, &[2, 2, 0, 2, 0x55])),
        ("cut", with(&long, &[3, 3, 0, 1, 0])),
        ("moved", with(&long, &[0, 4, 0x40, 1, 0x40])),
        ("twice", with(&long, &[0, 0, 200, 0, 1, 2, 0, 200, 0, 1])),
    ])
}

/// Segments that the engine has written, as they are and to be sealed again after each change.
pub fn log_forgery() -> Seeds {
    let one = segments(1, false);
    let three = segments(3, false);
    let compacted = segments(6, true);
    let of = |form: u8, segments: &[Vec<u8>]| {
        let (last, others) = segments.split_last().expect("there is a segment");
        let lengths = others.iter().flat_map(|segment| (segment.len() as u16).to_le_bytes());
        let mut input = vec![form | (others.len() as u8) << 4];
        input.extend(lengths);
        input.extend(others.concat());
        input.extend_from_slice(last);
        input
    };
    let high = (u64::MAX - 1).to_le_bytes();
    named([
        ("nothing", vec![]),
        ("not-a-segment", of(0, &[b"NIAGLOG?".repeat(9)])),
        ("written", of(0, &one)),
        ("written-three", of(0, &three)),
        ("sealed", of(1, &one)),
        ("sealed-three", of(1, &three)),
        ("sealed-unfit", of(0x41, &one)),
        ("long-entry", of(0x41, &[patched(&one[0], 24 + 96 + 24, &[0xff, 0xff])])),
        ("long-frame", of(0x41, &[patched(&one[0], 16, &[0xff, 0xff])])),
        ("numbered", of(3, &one)),
        ("numbered-three", of(3, &three)),
        ("compacted", of(5, &compacted)),
        ("compacted-numbered", of(7, &compacted)),
        ("gap", of(1, &three[1..])),
        ("last-number", of(0x0d, &compacted[..1])),
        ("last-but-few", of(9, &compacted)),
        ("greatest-sequence", of(5, &[patched(&compacted[0], 8, &[0xff; 8])])),
        ("greatest-index-in-start", of(1, &[patched(&one[0], 24 + 8, &[0xff; 8])])),
        ("greatest-floor", of(1, &[patched(&one[0], 24 + 32 + 8, &[0xff; 8])])),
        ("greatest-index", of(1, &[patched(&patched(&one[0], 24 + 8, &high), 24 + 96 + 8, &[0xff; 8])])),
        ("later-start", of(1, &[patched(&one[0], 24 + 32 + 4, &[4])])),
        ("reset", of(1, &[patched(&one[0], 24 + 64 + 4, &[5])])),
        ("greatest-reset", of(1, &[patched(&patched(&one[0], 24 + 64 + 4, &[5]), 24 + 64 + 8, &[0xff; 8])])),
    ])
}

/// A segment with other bytes in its first frame, to be sealed again.
fn patched(segment: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut patched = segment.to_vec();
    patched[HEADER_BYTES + at..][..with.len()].copy_from_slice(with);
    patched
}

/// The segment files of a small log. Their salt, which the engine draws at random, is made the same each time.
///
/// # Panics
/// When the engine's checksums are not those of `segment_image`.
fn segments(writes: u64, compact: bool) -> Vec<Vec<u8>> {
    let dir = directory();
    let (store, mut writer) =
        niagara_log::open(&config(dir.path()), &mut |_| {}).expect("a new log can be opened");
    for write in 1..=writes {
        let entry = |index| LogEntry {
            index,
            term: write,
            kind: 0,
            context: encode_skip(index),
            data: vec![index as u8; 60 * write as usize].into(),
        };
        // Every second write replaces the last entry of the one before.
        let from = 3 * write - 2 - (write + 1) % 2;
        let entries: Vec<LogEntry> = (from..=3 * write).map(entry).collect();
        store.append(&entries);
        let hard_state = HardState { term: write, vote: 2, commit: from };
        writer.write(&entries, Some(hard_state)).expect("a log can be written");
    }
    if compact {
        writer.compact(store.compact_to(3 * writes - 4)).expect("a log can be compacted");
    }
    drop(writer);

    let mut sealing = Sealing { fit: true, sequence: None };
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for number in 1.. {
        let Ok(mut bytes) = fs::read(dir.path().join(segment_name(number))) else {
            if segments.is_empty() { continue } else { break }
        };
        let written = bytes.clone();
        sealing.seal(&mut bytes, LOG_ID, number);
        assert!(bytes == written, "the second reading of the format differs in segment {number}");
        let Some(last) = frames(&bytes).pop() else { break };
        bytes.truncate(last.end);
        bytes[32..40].fill(0x5a);
        // The target has these as the first ones, or as those from the fifth on.
        let number = segments.len() as u64 + if compact { 5 } else { 1 };
        sealing.seal(&mut bytes, LOG_ID, number);
        segments.push(bytes);
    }
    segments.split_off(segments.len().saturating_sub(4))
}

/// The conversations of the golden tests, and some of their own.
pub fn redis() -> Seeds {
    let mut seeds = golden("resp", |line| format!("{line}\r\n").into_bytes());
    let own: [(&str, &[u8]); 7] = [
        ("no-line-end", b"\0*1\r\n$4\r\nPING\rxPING\r\n"),
        (
            "arrays",
            b"\x02\x03\x81*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nv\r\n\0v\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        ),
        ("too-many-arguments", b"\0*1048577\r\n$4\r\nPING\r\n"),
        ("too-long-an-argument", b"\0*2\r\n$3\r\nGET\r\n$16777217\r\n"),
        ("no-number", b"\x01\x02*1\r\n$-3\r\n"),
        ("quotes", b"\0SET \"a\\x41\\n\" 'it\\'s'\r\nGET \"aA\\n\"\r\nGET 'open\r\n"),
        ("post", b"\0INCR a\r\nPOST /kv HTTP/1.1\r\n\r\nFLUSHALL\r\n"),
    ];
    seeds.extend(named(own.map(|(name, bytes)| (name, bytes.to_vec()))));
    seeds
}

/// The conversations of the golden tests, and some of their own.
pub fn http() -> Seeds {
    // A backslash at the end stands for a line that does not end: the last one of a body.
    let mut seeds = golden("http", |line| match line.strip_suffix('\\') {
        Some(part) => part.as_bytes().to_vec(),
        None => format!("{line}\r\n").into_bytes(),
    });
    let own: [(&str, &[u8]); 6] = [
        (
            "chunks",
            b"\x02\x04\x80PUT /kv/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nfirst\r\nA\r\n and more!\r\n0\r\nT: x\r\n\r\nGET /kv/k HTTP/1.1\r\nHost: h\r\n\r\n",
        ),
        (
            "expects",
            b"\x01\x40PUT /kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbodyGET /kv/k?read=weak HTTP/1.1\r\nHost: h\r\n\r\n",
        ),
        (
            "conditions",
            b"\0PUT /kv/k HTTP/1.1\r\nHost: h\r\nIf-None-Match: *\r\nContent-Length: 0\r\n\r\nDELETE /kv/k HTTP/1.1\r\nHost: h\r\nIf-Match: \"0000000000000001-2\",\r\nIf-Match: , \"1\"\r\nIf-None-Match: W/\"0000000000000001-2.1\"\r\n\r\n",
        ),
        (
            "described",
            b"\0PUT http://h:80/kv/k HTTP/1.2\r\nHost: h\r\nContent-Type: text/plain; a=\"b;c\"\r\nContent-Encoding: gzip,\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nvHEAD /kv/k HTTP/1.1\r\nHost: h\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nConnection: ,close\r\n\r\n",
        ),
        ("two-lengths", b"\0PUT /kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nab"),
        ("bare-line-feeds", b"\0GET /kv/%00%ff?read=at-least:9 HTTP/1.0\nConnection: keep-alive\n\nGET /healthz HTTP/1.0\n\n"),
    ];
    seeds.extend(named(own.map(|(name, bytes)| (name, bytes.to_vec()))));
    seeds
}

/// What clients send in the scripts of a folder of golden tests.
fn golden(folder: &str, encode: impl Fn(&str) -> Vec<u8>) -> Seeds {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kvstore/tests/golden").join(folder);
    let mut seeds = Vec::new();
    for file in fs::read_dir(&folder).expect("the scripts are there") {
        let path = file.expect("the folder can be read").path();
        let script = fs::read_to_string(&path).expect("a script can be read");
        let mut input = vec![3, 0x80 | 20, 5, 70];
        for line in script.lines() {
            if let Some(raw) = line.strip_prefix(">>") {
                input.extend(unescape(raw.trim_start()));
            } else if let Some(request) = line.strip_prefix('>') {
                input.extend(encode(request.strip_prefix(' ').unwrap_or(request)));
            }
        }
        seeds.push((format!("golden-{}", stem(&path)), input));
    }
    seeds
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).expect("scripts have plain names")
}

fn unescape(text: &str) -> Vec<u8> {
    let quoted = format!("x \"{}\"\r\n", text.replace('"', "\\\""));
    let request = resp::parse(quoted.as_bytes()).expect("escapes are well-formed").expect("the line ends");
    request.arguments[1].clone()
}

fn call(out: &mut Vec<u8>, time: Option<u64>, op: Op, words: &[&[u8]]) {
    if let Some(time) = time {
        command::encode_time(out, time);
    }
    command::encode_call(out, op, words.iter().copied());
}

/// Every command, every condition, and what is no command.
pub fn command() -> Seeds {
    let set = |key: &[u8], value: &[u8], condition: Condition, want_old| {
        let mut out = Vec::new();
        command::encode_set_head(&mut out, key, &condition, want_old);
        out.extend_from_slice(value);
        out
    };
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        out
    };
    let keys = || [b"a".as_slice(), b"k", b"a"].into_iter();
    let pairs = || [(b"a".as_slice(), b"1".as_slice()), (b"k", b"two"), (b"a", b"3")].into_iter();
    let versions = vec![Version { position: 1, further: 0 }, Version { position: 1, further: 2 }];
    let tag = Tag { life: Life::new(7).expect("7 is not 0"), version: versions[0] };
    let both = Condition::Both(Box::new([Condition::IfPresent, Condition::UnlessAnyTag(vec![tag])]));
    let always = set(b"k", b"value", Condition::Always, true);
    let all = [
        always.clone(),
        set(b"k", b"", Condition::IfAbsent, false),
        set(b"k", b"new", Condition::IfPresent, true),
        set(b"k", &[7; 300], Condition::IfAnyVersion(versions.clone()), true),
        encoded(&|out| command::encode_incr_by(out, b"n", -5)),
        encoded(&|out| command::encode_incr_by(out, b"n", i64::MIN)),
        encoded(&|out| command::encode_incr_by(out, b"k", 1)),
        encoded(&|out| command::encode_append(out, b"k", b" and more")),
        encoded(&|out| command::encode_mset(out, pairs(), false)),
        encoded(&|out| command::encode_mset(out, pairs(), true)),
        encoded(&|out| command::encode_delete(out, keys(), &Condition::Always)),
        encoded(&|out| {
            command::encode_delete(out, keys().take(1), &Condition::IfAnyVersion(versions.clone()));
        }),
        encoded(&|out| {
            let description = Description { content_type: b"text/plain", content_encoding: b"gzip" };
            command::encode_put_head(out, b"k", &both, true, description);
        }),
        encoded(&|out| command::encode_name_life(out, tag.life)),
        encoded(&|out| command::encode_delete(out, keys().take(1), &Condition::IfAnyTag(vec![tag; 2]))),
        vec![99, 9, 9],
        vec![],
        encoded(&|out| call(out, Some(1000), Op::SetEx, &[b"k", b"2", b"v"])),
        encoded(&|out| call(out, Some(1500), Op::Set, &[b"a", b"v", b"PX", b"700", b"GET"])),
        encoded(&|out| call(out, None, Op::Rename, &[b"k", b"b"])),
        encoded(&|out| call(out, Some(1600), Op::PExpire, &[b"b", b"100", b"GT"])),
        encoded(&|out| call(out, None, Op::BitField, &[b"n", b"INCRBY", b"u3", b"#1", b"9"])),
        encoded(&|out| call(out, None, Op::RandomKey, &[])),
        encoded(&|out| {
            let parts = [always.clone(), encoded(&|out| call(out, None, Op::Keys, &[b"*"]))];
            let watches = [(b"k".as_slice(), Some(versions[0])), (b"x", None)];
            let watches = watches.into_iter().map(|(key, version)| Watch { key, database: None, version });
            command::encode_block(out, watches, parts.iter().map(Vec::as_slice));
        }),
        encoded(&|out| {
            let rules: [&[u8]; 5] = [b"on", b"nopass", b"~k", b"+set", b"(+@read %R~a)"];
            command::encode_set_user(out, b"alice", rules.into_iter());
        }),
        encoded(&|out| {
            command::encode_by(out, b"alice", [Op::SetNx].into_iter());
            out.extend_from_slice(&always);
        }),
        encoded(&|out| command::encode_remove_users(out, [&b"alice"[..], b"bob"].into_iter())),
        encoded(&|out| {
            let look = encoded(&|out| command::encode_look(out, b"k"));
            let tests = [
                (&b"k"[..], Test::Value(b"w")),
                (b"x", Test::OtherValue(b"")),
                (b"b", Test::Condition(Condition::IfAbsent)),
            ];
            let (then, otherwise) = ([always.as_slice(), &look], [look.as_slice()]);
            command::encode_choice(out, tests.into_iter(), then.into_iter(), otherwise.into_iter());
        }),
        encoded(&command::encode_keep_changes),
        encoded(&|out| {
            let used = [(Database::FIRST, &b"k"[..]), (Database::new(9).unwrap(), b"")];
            command::encode_used(out, used.into_iter());
        }),
        encoded(&|out| {
            let words: [&[u8]; 5] = [b"SET", b"maxmemory", b"700", b"maxmemory-policy", b"allkeys-lru"];
            command::encode_call(out, Op::Config, words.into_iter());
        }),
        encoded(&command::encode_make_room),
        encoded(&|out| command::encode_advance(out, 2400)),
        encoded(&|out| command::encode_ask_clocks(out, 1, 2)),
        encoded(&|out| command::encode_tell_clock(out, 3, (1, 2), 1700)),
        encoded(&command::encode_flush_all),
    ];
    let at_one_position =
        [vec![all.len() as u8], all.iter().flat_map(|command| sized(command)).collect()].concat();
    let one_by_one = all.iter().flat_map(|command| [vec![1], sized(command)].concat()).collect();
    let back_at_once = [
        set(b"a", b"before", Condition::Always, false),
        encoded(&|out| command::encode_delete(out, keys(), &Condition::Always)),
        set(b"a", b"after", Condition::IfAbsent, false),
    ];
    // Enough keys that a shard doubles now and then, and a scan has many pages.
    let many = (0..200u8).flat_map(|key| sized(&set(&[key], &[key], Condition::Always, false)));
    named([
        ("at-one-position", at_one_position),
        ("one-by-one", one_by_one),
        ("many-keys", [200].into_iter().chain(many).collect()),
        (
            "back-at-once",
            [3].into_iter().chain(back_at_once.iter().flat_map(|command| sized(command))).collect(),
        ),
        ("set", [vec![1], sized(&always)].concat()),
    ])
}

/// Bytes behind their length as a 16-bit number.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_le_bytes(), bytes].concat()
}
