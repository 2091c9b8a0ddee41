//! What the corpora of snapshots and of messages about them begin with.

use bytes::BufMut;
use niagara_engine::internals::apply::{Digests, LaneSessions};
use niagara_engine::internals::snapshot::{Header, Transfer};
use niagara_engine::{Frozen, GlobalPosition, StateMachine};
use niagara_group::GroupFloor;
use niagara_group::batch::Span;
use niagara_kvstore::{Kv, command};
use niagara_log::EntryId;
use niagara_sequencer::GroupId;
use niagara_sequencer::epoch::{Chain, Cut, Epoch, Terms};

use super::seeds::named;
use super::snapshot::seal;

type Seeds = Vec<(String, Vec<u8>)>;

/// Whole files, small ones and such as lack something.
pub fn snapshot() -> Seeds {
    let (empty, some) = (file(&header(1), &[]), file(&header(3), &[&state()]));
    let cut = some[..some.len() - 7].to_vec();
    let flagged = |flag: u8, file: Vec<u8>| [&[flag][..], &file].concat();
    named([
        ("nothing", vec![]),
        ("no-chunks", flagged(0, empty.clone())),
        ("some-keys", flagged(0, some.clone())),
        ("some-keys-sealed", flagged(1, some)),
        ("bare-keys", flagged(1, file(&header(2), &[b"\x01\x01\x02\x03\0kvw"]))),
        ("no-keys-in-chunk", flagged(1, file(&header(2), &[&[1], &[9, 9]]))),
        ("cut", flagged(0, cut)),
        ("header-only", flagged(1, header(1).encode())),
        ("later-epoch", flagged(0, file(&header_of_later_epoch(), &[&state()]))),
    ])
}

/// Every message there is.
pub fn transfer() -> Seeds {
    let (id, cut) = (0xabc, Cut { epoch: Epoch::new(2), round: 1000 });
    let body = |message: Transfer| message.encode().parts().concat();
    named([
        ("ask", body(Transfer::Ask { cut, part: 0 })),
        ("ask-with-part", body(Transfer::Ask { cut, part: id })),
        ("offer", body(Transfer::Offer { id, cut, bytes: 1 << 30 })),
        ("over", body(Transfer::Over { cut })),
        ("nothing", body(Transfer::Nothing)),
        ("fetch", body(Transfer::Fetch { id, offset: 1 << 20, length: 256 << 10 })),
        ("piece", body(Transfer::Piece { id, offset: 70, bytes: "part of a file".into() })),
        ("gone", body(Transfer::Gone { id })),
    ])
}

/// The header of a snapshot of the second epoch.
fn header_of_later_epoch() -> Header {
    let mut header = header(2);
    header.chain =
        Chain::genesis(Terms { groups: 3, ..header.record().terms.clone() }).expect("three groups");
    header.chain.extend(9, Terms { groups: 2, ..header.record().terms.clone() }).expect("two groups");
    header.sessions = LaneSessions::new(&[1, 2, 3], 3);
    header
}

fn header(groups: u16) -> Header {
    let mut sessions = LaneSessions::new(&[1, 2, 3], groups);
    sessions.admit(&Span { server: 2, incarnation: 1, lane: 0, attempt: 0, first: 1, count: 4 });
    let mut digests = Digests::default();
    digests.commands(GlobalPosition::new(5), 77, Some(78));
    let floor = |group| GroupFloor {
        entry: EntryId { index: u64::from(group), term: 1 },
        voters: vec![1, 2, 3],
        learners: Vec::new(),
    };
    Header {
        id: 0x1d,
        cluster: 0xc1,
        server: 1,
        created_ms: 1_700_000_000_000,
        round: 40,
        anchor: GroupId::new(1),
        commands: 4,
        duplicates: 0,
        noops: 36,
        chain: Chain::genesis(Terms { groups, members: vec![1, 2, 3], level: 1, ..Terms::default() })
            .expect("three members"),
        floors: (0..groups).map(floor).collect(),
        sessions,
        digests,
        own_files: false,
    }
}

/// A format and a life begin a chunk of the key-value store's.
const CHUNK_HEAD: usize = 9;

/// A chunk of the key-value store's.
fn state() -> Vec<u8> {
    let mut kv = Kv::new();
    for (position, key) in (1..).zip(["a", "b", "c"]) {
        let mut add = Vec::new();
        command::encode_incr_by(&mut add, key.as_bytes(), 7);
        kv.execute(GlobalPosition::new(position), &add.into());
    }
    let mut chunk = Vec::new();
    kv.freeze().next_chunk(&mut chunk);
    // Which of the keys goes first follows from chance; a corpus is the same each time.
    let mut entries: Vec<Vec<u8>> = Vec::new();
    let (head, rest) = chunk.split_at(CHUNK_HEAD);
    entries.extend(rest.chunks(rest.len() / 3).map(<[u8]>::to_vec));
    entries.sort_unstable();
    [head, &entries.concat()].concat()
}

fn file(header: &Header, chunks: &[&[u8]]) -> Vec<u8> {
    let mut file = header.encode();
    let mut payload = 0;
    for (number, chunk) in (1..).zip(chunks) {
        file.put_u32_le(0);
        file.put_u32_le(chunk.len() as u32);
        file.put_u64_le(number);
        file.put_slice(chunk);
        payload += chunk.len() as u64;
    }
    let length = file.len() as u64 + 40;
    file.put_u64_le(0);
    [chunks.len() as u64 + 1, payload, length, 0].iter().for_each(|field| file.put_u64_le(*field));
    seal(&mut file);
    file
}
