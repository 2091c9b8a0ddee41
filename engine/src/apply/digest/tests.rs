use super::*;
use crate::agreement::first_difference;

fn at(position: u64) -> GlobalPosition {
    GlobalPosition::new(position)
}

/// Feeds positions 1 to `end`: commands at multiples of 3, no-ops elsewhere in runs of up to `run`.
fn feed(end: u64, run: u64) -> Digests {
    let mut digests = Digests::default();
    let mut position = 1;
    while position <= end {
        if position.is_multiple_of(3) {
            digests.commands(at(position), position * 17, Some(u128::from(position) << 60));
            position += 1;
        } else {
            let count = run.min(3 - position % 3).min(end - position + 1);
            digests.noops(at(position), count);
            position += count;
        }
    }
    digests
}

/// Compares both, and returns the last position that both have.
fn shared(a: &Digests, b: &Digests) -> u64 {
    let (a, b) = (a.kept(), b.kept());
    assert_eq!(first_difference(&a, &b), None, "equal logs have equal digests");
    a.iter().filter(|mark| b.contains(mark)).map(|mark| mark.position).max().unwrap_or(0)
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn servers_far_apart_share_a_position() {
    for (a, b) in [(1000, 990), (5000, 4000), (64, 63), (100_000, 70_000)] {
        assert!(shared(&feed(a, 1), &feed(b, 2)) > b / 2);
    }
}

/// However far a server lags, the beginnings of the logs can be compared.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_server_that_has_only_begun_shares_a_position_with_one_far_ahead() {
    let ahead = feed(100_000, 2);
    for behind in [1, 2, 3, 63, 64, 65, 1000, 49_999] {
        let shared = shared(&ahead, &feed(behind, 1));
        assert!(shared > behind / 2, "{behind} positions and 100,000 share {shared}");
    }
    assert_eq!(shared(&ahead, &Digests::default()), 0);
    assert!(ahead.kept().len() < 64);
}

#[test]
fn how_no_ops_are_grouped_does_not_matter() {
    assert_eq!(feed(500, 1).kept(), feed(500, 2).kept());
    let mut long = Digests::default();
    long.noops(at(1), 1000);
    let mut short = Digests::default();
    (1..=1000).for_each(|p| short.noops(at(p), 1));
    assert_eq!(long.kept(), short.kept());
}

/// No-ops beyond a snapshot leave no marks in it, and do not change what follows.
#[test]
fn digests_go_back_over_no_ops() {
    let mut later = feed(300, 2);
    let at_300 = later.clone();
    later.noops(at(301), 300);
    let mut back = later.without_noops_after(at(300));
    assert_eq!((back.log, back.state), (at_300.log, at_300.state));
    assert!(back.kept().iter().all(|mark| at_300.kept().contains(mark)));
    back.noops(at(301), 300);
    let kept = later.kept();
    assert!(kept.iter().filter(|mark| mark.position > 300).all(|mark| back.kept().contains(mark)));
}

#[test]
fn digests_come_back_as_they_were() {
    for digests in [feed(300, 2), Digests::default()] {
        let mut bytes = Vec::new();
        digests.encode(&mut bytes);
        assert_eq!(Digests::decode(&mut &bytes[..]), Some(digests));
        assert_eq!(Digests::decode(&mut &bytes[..bytes.len() - 1]), None);
    }
}

/// As format version 1 had them: 64 pairs of marks of the log alone.
#[test]
fn digests_of_the_first_version_are_read() {
    let digests = feed(300, 2);
    let mut bytes = digests.log.to_le_bytes().to_vec();
    for power in 0..POWERS {
        let Multiples { newest, previous, .. } = digests.powers.get(power).copied().unwrap_or_default();
        for number in [newest.position, newest.log, previous.position, previous.log] {
            bytes.put_u64_le(number);
        }
    }
    let mut input = &bytes[..];
    let read = Digests::decode_first_version(&mut input).unwrap();
    assert!(input.is_empty());
    assert_eq!((read.value(), read.state()), (digests.value(), None));
    assert_eq!(first_difference(&read.kept(), &digests.kept()), None);
    assert!(read.kept().iter().any(|mark| mark.position == 300));
}

#[test]
fn a_difference_of_the_logs_stays_visible() {
    let mut other = feed(299, 2);
    other.commands(at(300), 1, None);
    let difference = first_difference(&other.kept(), &feed(300, 2).kept()).unwrap();
    assert_eq!((difference.position, difference.of), (300, crate::agreement::DigestOf::Log));
}

#[test]
fn a_difference_of_the_states_alone_is_visible() {
    let mut other = feed(299, 2);
    other.commands(at(300), 300 * 17, Some(1));
    let difference = first_difference(&other.kept(), &feed(300, 2).kept()).unwrap();
    assert_eq!((difference.position, difference.of), (300, crate::agreement::DigestOf::State));
    assert!(other.agrees_with(Some(1)) && !other.agrees_with(Some(2)) && other.agrees_with(None));
}

/// What others see is the digests themselves, however the stretches fall between which they are published.
#[test]
fn what_is_published_is_what_was_added() {
    let (mut digests, mut shown) = (Digests::default(), Digests::default());
    let mut next = 1;
    for turn in 0..5_000u64 {
        let run = 1 + mix(turn) % 70;
        match turn % 3 {
            0 => digests.noops(GlobalPosition::new(next), run),
            _ => (next..next + run)
                .for_each(|g| digests.commands(GlobalPosition::new(g), mix(g), Some(u128::from(g)))),
        }
        next += run;
        if turn % 4 != 1 {
            digests.publish(&mut shown);
            assert_eq!(shown, digests, "after {next} positions");
            assert_eq!(digests.unpublished, 0);
        }
    }
}
