use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 120..140), Just(vec![7; MAX_KEY_BYTES])]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 16_380..16_390)]
}

fn condition() -> impl Strategy<Value = Condition> {
    let versions = vec((any::<u64>(), any::<u32>()), 0..5).prop_map(|versions| {
        Condition::IfAnyVersion(
            versions.into_iter().map(|(position, further)| Version { position, further }).collect(),
        )
    });
    prop_oneof![Just(Condition::Always), Just(Condition::IfAbsent), Just(Condition::IfPresent), versions]
}

proptest! {
    #[test]
    fn a_set_comes_back(key in key(), value in value(), condition in condition(), want_old: bool) {
        let mut bytes = Vec::new();
        encode_set_head(&mut bytes, &key, &condition, want_old);
        bytes.extend_from_slice(&value);
        prop_assert_eq!(decode(&bytes), Ok(Command::Set { key: &key, value: &value, condition, want_old }));
    }

    #[test]
    fn a_delete_comes_back(keys in vec(key(), 1..5), condition in condition()) {
        let condition = if keys.len() == 1 { condition } else { Condition::Always };
        let mut bytes = Vec::new();
        encode_delete(&mut bytes, keys.iter().map(Vec::as_slice), &condition);
        let Ok(Command::Delete { keys: back, condition: same }) = decode(&bytes) else {
            return Err(TestCaseError::fail("not a delete"));
        };
        prop_assert_eq!(same, condition);
        prop_assert_eq!(back.len(), keys.len());
        prop_assert!(back.eq(keys.iter().map(Vec::as_slice)));
    }

    #[test]
    fn an_mset_comes_back(pairs in vec((key(), value()), 1..5), if_absent: bool) {
        let mut bytes = Vec::new();
        encode_mset(&mut bytes, pairs.iter().map(|(key, value)| (key.as_slice(), value.as_slice())), if_absent);
        let Ok(Command::MSet { pairs: back, if_absent: same }) = decode(&bytes) else {
            return Err(TestCaseError::fail("not an mset"));
        };
        prop_assert_eq!(same, if_absent);
        prop_assert_eq!(back.len(), pairs.len());
        prop_assert!(back.eq(pairs.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))));
    }

    #[test]
    fn an_append_and_an_increment_come_back(key in key(), value in value(), delta: i64) {
        let mut bytes = Vec::new();
        encode_append(&mut bytes, &key, &value);
        prop_assert_eq!(decode(&bytes), Ok(Command::Append { key: &key, value: &value }));
        bytes.clear();
        encode_incr_by(&mut bytes, &key, delta);
        prop_assert_eq!(decode(&bytes), Ok(Command::IncrBy { key: &key, delta }));
    }

    #[test]
    fn foreign_bytes_are_refused_or_walked_without_a_panic(opcode in 0u8..8, tail in vec(prop_oneof![0u8..4, any::<u8>()], 0..60)) {
        let bytes = [vec![opcode], tail].concat();
        match decode(&bytes) {
            Ok(Command::Delete { keys, .. }) => prop_assert!(keys.into_iter().all(|key| key.len() < 60)),
            Ok(Command::MSet { pairs, .. }) => prop_assert!(pairs.into_iter().all(|(key, _)| key.len() < 60)),
            _ => {}
        }
    }
}

#[test]
fn limits_hold_for_whatever_comes() {
    let mut bytes = Vec::new();
    encode_set_head(&mut bytes, &vec![1; MAX_KEY_BYTES + 1], &Condition::Always, false);
    assert_eq!(decode(&bytes), Err(MalformedCommand("a key has at most 65536 bytes")));

    bytes.clear();
    encode_set_head(&mut bytes, b"k", &Condition::Always, false);
    bytes.resize(bytes.len() + MAX_VALUE_BYTES, 0);
    assert!(decode(&bytes).is_ok());
    bytes.push(0);
    assert_eq!(decode(&bytes), Err(VALUE_TOO_LONG));

    bytes.clear();
    encode_delete(&mut bytes, [b"a".as_slice(), b"b"].into_iter(), &Condition::IfPresent);
    assert_eq!(
        decode(&bytes),
        Err(MalformedCommand("a delete needs a key, and exactly one with a condition"))
    );

    let versions = vec![Version { position: 1, further: 0 }; MAX_CONDITION_VERSIONS + 1];
    bytes.clear();
    encode_set_head(&mut bytes, b"k", &Condition::IfAnyVersion(versions), false);
    assert_eq!(decode(&bytes), Err(MalformedCommand("a condition names too many versions")));
}

#[test]
fn a_condition_compares_whole_versions() {
    let one = Version { position: 5, further: 1 };
    let any = Condition::IfAnyVersion(vec![Version { position: 4, further: 0 }, one]);
    assert!(any.holds(Some(one)));
    assert!(!any.holds(Some(Version { position: 5, further: 0 })));
    assert!(!any.holds(None));
    assert!(!Condition::IfAnyVersion(Vec::new()).holds(Some(one)));
    assert!(Condition::IfAbsent.holds(None) && !Condition::IfAbsent.holds(Some(one)));
    assert!(Condition::IfPresent.holds(Some(one)) && !Condition::IfPresent.holds(None));
}
