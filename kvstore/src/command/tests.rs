use proptest::collection::vec;
use proptest::prelude::*;

use super::fields::VALUE_TOO_LONG;
use super::*;
use crate::{MAX_CONTENT_TYPE_BYTES, Tag, Version};

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
    let tags = || {
        vec((1u64.., any::<u64>(), any::<u32>()), 0..5).prop_map(|tags| {
            let tag = |(life, position, further)| Tag {
                life: Life::new(life).unwrap(),
                version: Version { position, further },
            };
            tags.into_iter().map(tag).collect::<Vec<_>>()
        })
    };
    let single = prop_oneof![
        Just(Condition::Always),
        Just(Condition::IfAbsent),
        Just(Condition::IfPresent),
        versions,
        tags().prop_map(Condition::IfAnyTag),
        tags().prop_map(Condition::UnlessAnyTag),
    ];
    let both = (single.clone(), single.clone());
    prop_oneof![4 => single, 1 => both.prop_map(|(first, second)| Condition::Both(Box::new([first, second])))]
}

fn description() -> impl Strategy<Value = (String, String)> {
    let text = || prop_oneof![2 => Just(String::new()), 1 => "[!-~]([ -~\t]{0,30}[!-~])?"];
    (text(), text())
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "takes too long")]
    fn a_set_comes_back(
        key in key(),
        value in value(),
        condition in condition(),
        want_old: bool,
        described in description(),
    ) {
        let description = Description {
            content_type: described.0.as_bytes(),
            content_encoding: described.1.as_bytes(),
        };
        let mut bytes = Vec::new();
        encode_put_head(&mut bytes, &key, &condition, want_old, description);
        bytes.extend_from_slice(&value);
        let set = Command::Set { key: &key, value: &value, description, condition, want_old, lasts: None };
        prop_assert_eq!(decode(&bytes), Ok(set));
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
    #[cfg_attr(miri, ignore = "takes too long")]
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
    fn a_choice_comes_back(
        keys in vec(key(), 0..4),
        value in value(),
        condition in condition(),
        counts in (0usize..3, 0usize..3),
    ) {
        let test = |number: usize| match number % 5 {
            0 => Test::Condition(condition.clone()),
            1 => Test::Value(&value),
            2 => Test::OtherValue(&value),
            3 => Test::Before(&value),
            _ => Test::After(&value),
        };
        let tests: Vec<_> = keys.iter().enumerate().map(|(number, key)| (key.as_slice(), test(number))).collect();
        let mut look = Vec::new();
        encode_look(&mut look, b"k");
        let (then, otherwise) = (vec![look.as_slice(); counts.0], vec![look.as_slice(); counts.1]);
        let mut bytes = Vec::new();
        encode_choice(&mut bytes, tests.clone().into_iter(), then.into_iter(), otherwise.into_iter());
        let Ok(Command::Choice(choice)) = decode(&bytes) else {
            return Err(TestCaseError::fail("not a choice"));
        };
        prop_assert!(choice.tests().eq(tests));
        for (hold, count) in [(true, counts.0), (false, counts.1)] {
            let looks = vec![Command::Look { key: b"k" }; count];
            prop_assert!(choice.commands(hold).eq(looks));
        }
        let mut nested = Vec::new();
        encode_choice(&mut nested, std::iter::empty(), std::iter::once(bytes.as_slice()), std::iter::empty());
        prop_assert_eq!(decode(&nested), Err(MalformedCommand("a command may not be part of a block")));
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
    fn foreign_bytes_are_refused_or_walked_without_a_panic(opcode in 0u8..20, tail in vec(prop_oneof![0u8..4, any::<u8>()], 0..60)) {
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
    assert_eq!(decode(&bytes), Err(MalformedCommand("a key is longer than 65536 bytes")));

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
        Err(MalformedCommand("a delete needs a key, and exactly one if it has a condition"))
    );

    for (description, fits) in [
        ([b'a'; MAX_CONTENT_TYPE_BYTES].as_slice(), true),
        (&[b'a'; MAX_CONTENT_TYPE_BYTES + 1], false),
        (b"a\r\nb", false),
        (b" a", false),
    ] {
        bytes.clear();
        let description = Description { content_type: description, content_encoding: b"" };
        encode_put_head(&mut bytes, b"k", &Condition::Always, false, description);
        assert_eq!(decode(&bytes).is_ok(), fits, "{description:?}");
    }

    let versions = vec![Version { position: 1, further: 0 }; MAX_CONDITION_VERSIONS + 1];
    bytes.clear();
    encode_set_head(&mut bytes, b"k", &Condition::IfAnyVersion(versions), false);
    assert_eq!(decode(&bytes), Err(MalformedCommand("a condition names too many versions")));
}

#[test]
fn a_condition_compares_whole_versions() {
    let one = Version { position: 5, further: 1 };
    let any = Condition::IfAnyVersion(vec![Version { position: 4, further: 0 }, one]);
    assert!(any.holds(Some(one), None));
    assert!(!any.holds(Some(Version { position: 5, further: 0 }), None));
    assert!(!any.holds(None, None));
    assert!(!Condition::IfAnyVersion(Vec::new()).holds(Some(one), None));
    assert!(Condition::IfAbsent.holds(None, None) && !Condition::IfAbsent.holds(Some(one), None));
    assert!(Condition::IfPresent.holds(Some(one), None) && !Condition::IfPresent.holds(None, None));
}

#[test]
fn a_tag_names_nothing_in_another_life() {
    let (version, [own, other]) =
        (Version { position: 5, further: 0 }, [1, 2].map(|life| Life::new(life).unwrap()));
    let tags = || vec![Tag { life: own, version }];
    for (life, same) in [(Some(own), true), (Some(other), false), (None, false)] {
        assert_eq!(Condition::IfAnyTag(tags()).holds(Some(version), life), same);
        assert_eq!(Condition::UnlessAnyTag(tags()).holds(Some(version), life), !same);
    }
    assert!(!Condition::IfAnyTag(tags()).holds(None, Some(own)));
    assert!(Condition::UnlessAnyTag(tags()).holds(None, Some(own)));
}

/// Bytes that earlier versions have put into logs.
#[test]
fn commands_of_before_are_read() {
    let key = b"k".as_slice();
    let set = |condition, want_old| Command::Set {
        key,
        value: b"v",
        description: Description::NONE,
        condition,
        want_old,
        lasts: None,
    };
    let versions = vec![Version { position: 3, further: 2 }];
    for (bytes, expected) in [
        (b"\x01\0\0\x01kv".as_slice(), set(Condition::Always, false)),
        (b"\x01\x01\x01\x01kv", set(Condition::IfAbsent, true)),
        (b"\x01\x02\0\x01kv", set(Condition::IfPresent, false)),
        (b"\x01\x03\x01\x03\0\0\0\0\0\0\0\x02\0\0\0\0\x01kv", set(Condition::IfAnyVersion(versions), false)),
        (b"\x04\x01kv", Command::Append { key, value: b"v" }),
        (b"\x05\xff\xff\xff\xff\xff\xff\xff\xff\x01k", Command::IncrBy { key, delta: -1 }),
        (b"\x06", Command::FlushAll),
    ] {
        assert_eq!(decode(bytes), Ok(expected));
    }
    assert!(
        matches!(decode(b"\x02\0\x02\x01k\x01l"), Ok(Command::Delete { keys, .. }) if keys.clone().eq([key, b"l"]))
    );
    let pairs = [(key, b"v".as_slice())];
    assert!(
        matches!(decode(b"\x03\x01\x01\x01k\x01v"), Ok(Command::MSet { pairs: read, if_absent: true }) if read.clone().eq(pairs))
    );
    // A set without a description is written as before, so earlier versions can read it, too.
    let mut bytes = Vec::new();
    encode_set_head(&mut bytes, key, &Condition::Always, false);
    assert_eq!(bytes, b"\x01\0\0\x01k");
}

/// Peers compare it, so it changes with every command and limit, and reads as its documentation says.
#[test]
fn the_application_is_named_by_its_commands_and_limits() {
    assert_eq!(format!("{:032x}", application()), "07180640000100000100000001000040");
    // Opcodes beyond the last one are unknown, whatever follows.
    for rest in [&b""[..], b"\0", b"\0\0\x01k"] {
        assert!(decode(&[&[MAKE_ROOM + 1], rest].concat()).is_err());
        assert!(decode(&[&[0], rest].concat()).is_err());
    }
    assert!(decode(&[SET, LAST_CONDITION + 1, 0, 1, b'k']).is_err());
}

/// Servers propose it by themselves: it is nobody's, and no part of anything.
#[test]
fn room_is_made_by_itself() {
    assert_eq!(decode(&[MAKE_ROOM]), Ok(Command::MakeRoom));
    assert!(decode(&[MAKE_ROOM, 0]).is_err());
    let wrapped: [fn(&mut Vec<u8>); 4] = [
        |out| encode_time(out, 9),
        |out| encode_by(out, b"alice", std::iter::empty()),
        |out| encode_in(out, Database::new(3).expect("there are 16")),
        |out| encode_once(out, 10, [1; 16], [2; 16]),
    ];
    for begin in wrapped {
        let mut bytes = Vec::new();
        begin(&mut bytes);
        encode_make_room(&mut bytes);
        assert!(decode(&bytes).is_err(), "{bytes:?}");
    }
    let mut block = Vec::new();
    encode_block(&mut block, std::iter::empty(), [&[MAKE_ROOM][..]].into_iter());
    assert!(decode(&block).is_err());
}
