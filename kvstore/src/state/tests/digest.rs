//! The digest of the state, and commands that this version does not know.

use niagara_engine::{Frozen, Restoring};

use super::*;

type Encode<'a> = Box<dyn Fn(&mut Vec<u8>) + 'a>;

/// Whatever has come and gone, the digest is that of the current entries: a state restored from them has the
/// same.
#[test]
fn the_digest_is_that_of_the_entries_that_are_there() {
    let (mut kv, mut other) = (Kv::new(), Kv::new());
    let mut position = 0;
    let mut execute = |kv: &mut Kv, encode: &dyn Fn(&mut Vec<u8>)| {
        position += 1;
        run(kv, position, encode)
    };
    let empty = kv.digest();
    let set = |out: &mut Vec<u8>, key: &[u8], value: &[u8]| {
        command::encode_set_head(out, key, &Condition::Always, false);
        out.extend_from_slice(value);
    };
    let large = vec![7; 10_000];
    let steps: Vec<Encode<'_>> = vec![
        Box::new(|out| set(out, b"a", b"1")),
        Box::new(|out| set(out, b"a", &large)),
        Box::new(|out| command::encode_append(out, b"a", b"more")),
        Box::new(|out| command::encode_append(out, b"a", &large)),
        Box::new(|out| command::encode_append(out, b"b", b"new")),
        Box::new(|out| command::encode_incr_by(out, b"n", 5)),
        Box::new(|out| command::encode_incr_by(out, b"n", -7)),
        Box::new(|out| command::encode_mset(out, [(&b"b"[..], &b"2"[..]), (b"c", b"3")].into_iter(), false)),
        Box::new(|out| command::encode_delete(out, [&b"b"[..], b"nothing"].into_iter(), &Condition::Always)),
        Box::new(|out| set(out, b"c", b"")),
    ];
    let mut seen = vec![empty];
    for step in &steps {
        execute(&mut kv, step);
        assert!(!seen.contains(&kv.digest()), "each of these changes something");
        seen.push(kv.digest());
        assert_eq!(restored(&mut kv).digest(), kv.digest());
    }
    execute(&mut other, &|out| command::encode_flush_all(out));
    assert_eq!(other.digest(), empty);
    execute(&mut kv, &|out| command::encode_flush_all(out));
    assert_eq!(kv.digest(), empty);
    execute(&mut kv, &|out| set(out, b"a", b"1"));
    assert_eq!(restored(&mut kv).digest(), kv.digest());
    assert_ne!(kv.digest(), seen[1], "the same value in another version");
}

/// What a snapshot of this state restores to.
pub(super) fn restored(kv: &mut Kv) -> Kv {
    let mut restored = Kv::new();
    let mut state = Kv::restoring(&restored.reader());
    let mut frozen = kv.freeze();
    let mut chunk = Vec::new();
    while frozen.next_chunk(&mut chunk) {
        state.add_chunk(&Bytes::from(std::mem::take(&mut chunk))).unwrap();
    }
    assert_eq!(state.digest(), kv.digest());
    restored.restore(GlobalPosition::new(kv.reader().position()), state).unwrap();
    restored
}

/// Servers of two versions would diverge if one skipped it. The engine notices, and ends the process.
#[test]
fn what_is_no_command_is_remembered_and_never_taken() {
    let mut kv = Kv::new();
    let mut flush = Vec::new();
    command::encode_flush_all(&mut flush);
    assert_eq!(Kv::check(&flush), Ok(()));
    kv.execute(GlobalPosition::new(1), &flush.into());
    assert_eq!(kv.unexecutable(), None);
    for unknown in [&b""[..], &[7], &[0], &[200, 1, 2], &[6, 0], &[1, 9]] {
        assert!(Kv::check(unknown).is_err(), "{unknown:?}");
        let mut kv = Kv::new();
        kv.execute(GlobalPosition::new(1), &Bytes::copy_from_slice(unknown));
        assert!(kv.unexecutable().is_some(), "{unknown:?}");
    }
}
