//! Servers that follow a cluster without being members: real threads and sockets.

mod eventually;
mod two_groups;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use eventually::eventually;
use niagara_engine::agreement::{Agreement, compare_all};
use niagara_engine::internals::example::Counter;
use niagara_engine::{
    Config, Consistency, Durability, Engine, EngineState, IdentityError, Member, MemberView, MembersChange,
    NotChanged, ProbeResponder, Refused, ServerRole, StartError, Status, Ticket,
};
use two_groups::{configs, fit, newcomer_config, start};

fn follower(server: u64, of: &Config, dir: &Path) -> Config {
    let mut config = Config::follower(of.cluster, server, of.members.clone());
    config.durability = of.durability;
    config.data_dir = dir.join(server.to_string());
    config
}

fn write(engine: &Engine<Counter>, times: usize) -> u64 {
    let one = || engine.client().propose(Bytes::from_static(b"count")).unwrap().wait().unwrap();
    (0..times).map(|_| one().position.get()).max().unwrap_or(0)
}

fn strong(engine: &Engine<Counter>) -> usize {
    let mut count = None;
    eventually("a strong read is answered", || {
        let read = engine.client().read(Consistency::Strong).wait();
        count = read.ok().map(|counter| counter.load(SeqCst));
        count.is_some()
    });
    count.unwrap()
}

fn have_quorum(engines: &[Engine<Counter>]) {
    eventually("a quorum", || engines.iter().all(|engine| engine.client().has_quorum()));
}

/// All come to the same position, digests and epoch.
fn agree(engines: &[&Engine<Counter>]) {
    let statuses = || engines.iter().map(|engine| engine.client().status());
    eventually("all have executed the same", || {
        let first = engines[0].client().status();
        statuses().all(|status| (status.commands, status.epoch) == (first.commands, first.epoch))
    });
    eventually("all have digests of their last commands", || {
        let last = |status: Status| status.digests.last().cloned();
        let first = last(engines[0].client().status());
        first.is_some() && statuses().all(|status| last(status) == first)
    });
    let statuses: Vec<Status> = statuses().collect();
    let compared = compare_all(statuses.iter().map(|status| (status.server, &status.digests[..])));
    assert!(compared.unwrap() > 0);
    assert!(matches!(Agreement::of(statuses.iter(), 0), Agreement::Agree { .. }));
}

/// Writes at a server until told to stop, and counts what was acknowledged.
fn write_on(engine: &Engine<Counter>, stop: &AtomicBool, total: &AtomicUsize) {
    while !stop.load(SeqCst) {
        match engine.client().propose(Bytes::from_static(b"count")).map(Ticket::wait) {
            Ok(outcome) => {
                outcome.expect("each write has an outcome");
                total.fetch_add(1, SeqCst);
            }
            Err(_) => thread::yield_now(),
        }
    }
}

#[test]
fn a_follower_comes_to_the_same_state_and_answers_reads() {
    let dir = tempfile::tempdir().unwrap();
    for durability in [Durability::Memory, Durability::Fsync] {
        let dir = dir.path().join(durability.to_string());
        let configs = configs(3, durability, &dir);
        let members: Vec<_> = configs.iter().map(start).collect();
        have_quorum(&members);
        let position = write(&members[0], 20);
        let nine = start(&follower(9, &configs[0], &dir));
        let client = nine.client();
        let at_least = Consistency::AtLeast(niagara_engine::GlobalPosition::new(position));
        assert_eq!(client.read(at_least).wait().unwrap().load(SeqCst), 20);
        for written in 21..60 {
            write(&members[written % 3], 1);
            assert_eq!(strong(&nine), written, "a strong read sees what was acknowledged anywhere");
        }
        assert!(client.read(Consistency::Weak).wait().unwrap().load(SeqCst) >= 59);
        agree(&[&nine, &members[0], &members[1], &members[2]]);

        assert_eq!(client.propose(Bytes::from_static(b"count")).err(), Some(Refused::Follower));
        assert_eq!(client.ask_for_groups(3), Err(NotChanged::Follower));
        let status = client.status();
        assert_eq!((status.role, status.voters.clone()), (ServerRole::Follower, vec![1, 2, 3]));
        assert!(status.alarms.is_empty(), "{:?}", status.alarms);
        eventually("it serves", || client.watch().current().state == EngineState::Serving);
        eventually("a member knows it", || {
            members.iter().all(|member| member.client().status().followers == [9])
        });
        nine.stop();
        eventually("no member has a follower", || {
            members.iter().all(|member| member.client().status().followers.is_empty())
        });
    }
}

#[test]
fn a_follower_under_load_goes_through_changes_of_groups() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let members: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&members);
    write(&members[0], 1);
    let (stop, total) = (AtomicBool::new(false), AtomicUsize::new(1));
    let nine = start(&follower(9, &configs[0], dir.path()));
    thread::scope(|scope| {
        for member in &members {
            scope.spawn(|| write_on(member, &stop, &total));
        }
        for groups in [3, 1, 2] {
            let before = nine.client().epoch().number;
            eventually("a member takes the request", || {
                members.iter().any(|member| member.client().ask_for_groups(groups).is_ok())
                    || nine.client().epoch().number > before
            });
            eventually("the follower is in the next epoch", || nine.client().epoch().number > before);
            assert_eq!(nine.client().epoch().groups, groups);
            // It goes on there.
            let at = nine.client().applied();
            eventually("more is executed", || nine.client().applied() > at);
        }
        stop.store(true, SeqCst);
    });
    assert_eq!(strong(&nine), total.load(SeqCst));
    agree(&[&nine, &members[0], &members[1], &members[2]]);
}

#[test]
fn a_follower_goes_on_with_other_members_when_those_that_it_knew_have_left() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let mut members: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&members);
    write(&members[0], 5);
    let nine = start(&follower(9, &configs[0], dir.path()));
    for (leaves, comes) in [(1, 4), (2, 5), (3, 6)] {
        let mut config = newcomer_config(comes, configs[0].cluster);
        fit(&mut config, Durability::Os, dir.path());
        let Member { addresses, transfer, .. } = config.members[0].clone();
        let come = MemberView { server: comes, addresses, transfer, weight: 100, ..MemberView::default() };
        let change = MembersChange { leave: vec![leaves], come: vec![come] };
        let before = members[0].client().epoch().number;
        let waits = ProbeResponder::start(&config).unwrap();
        eventually("a member takes the request", || {
            members.iter().any(|member| member.client().start_to_change_members(change.clone()).is_ok())
                || members.iter().any(|member| member.client().epoch().number > before)
        });
        eventually("the epoch has ended", || {
            members[1..].iter().all(|member| member.client().epoch().number > before)
        });
        drop(waits);
        config.join = Some(members[1].client().epoch());
        members.push(start(&config));
        have_quorum(&members[1..]);
        let left = members.remove(0);
        eventually("who leaves is needed by nobody", || {
            matches!(left.client().watch().current().state, EngineState::Removed { .. })
        });
        left.stop();
        write(&members[2], 5);
    }
    assert_eq!(strong(&nine), 20);
    assert_eq!(nine.client().epoch().members, [4, 5, 6]);
    agree(&[&nine, &members[0], &members[1], &members[2]]);
}

#[test]
fn a_follower_that_restarts_goes_on_from_its_own_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let members: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&members);
    write(&members[0], 10);
    let nine = follower(9, &configs[0], dir.path());
    let engine = start(&nine);
    write(&members[0], 10);
    assert_eq!(strong(&engine), 20);
    let taken = engine.client().snapshot().wait().unwrap();
    assert!(taken.path.unwrap().exists());
    engine.stop();
    write(&members[1], 10);

    // Its state is there before any member is.
    members.into_iter().for_each(Engine::stop);
    let engine = start(&nine);
    assert_eq!(engine.client().read(Consistency::Weak).wait().unwrap().load(SeqCst), 20);
    assert_eq!(engine.client().watch().current().state, EngineState::Joining);
    let hasty = engine.client().with_deadline(Duration::from_millis(200));
    assert!(hasty.read(Consistency::Strong).wait().is_err(), "there is nobody to ask");
    let members: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&members);
    assert_eq!(strong(&engine), 30);
    assert_eq!(engine.client().status().snapshot.failures, 0);
    agree(&[&engine, &members[0], &members[1], &members[2]]);
}

#[test]
fn a_follower_that_was_away_for_long_gets_another_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut configs = configs(3, Durability::Os, dir.path());
    configs.iter_mut().for_each(|config| config.snapshot_entries = 20);
    let members: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&members);
    write(&members[0], 1);
    let nine = follower(9, &configs[0], dir.path());
    start(&nine).stop();
    let is_compacted = || members.iter().all(|member| member.client().status().snapshot.taken >= 4);
    eventually("all members have dropped what the follower lacks", || {
        write(&members[0], 30);
        is_compacted()
    });
    let engine = start(&nine);
    eventually("it has received a snapshot", || engine.client().status().snapshot.position > 30);
    agree(&[&engine, &members[0], &members[1], &members[2]]);
    write(&members[2], 5);
    agree(&[&engine, &members[0], &members[1], &members[2]]);
}

#[test]
fn the_member_that_a_follower_follows_may_die() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let mut members: Vec<_> = configs.iter().map(|config| Some(start(config))).collect();
    eventually("a quorum", || members.iter().flatten().all(|member| member.client().has_quorum()));
    write(members[0].as_ref().unwrap(), 10);
    let followers = [9, 10].map(|server| start(&follower(server, &configs[0], dir.path())));
    let mut written = 10;
    for _ in 0..3 {
        eventually("the follower follows", || followers[0].client().status().follows.unwrap().member != 0);
        let at = followers[0].client().status().follows.unwrap().member as usize - 1;
        members[at].take().unwrap().stop();
        let other = members.iter().flatten().next().unwrap();
        eventually("the others go on", || {
            let proposed = other.client().propose(Bytes::from_static(b"count"));
            proposed.is_ok_and(|ticket| ticket.wait().is_ok())
        });
        written = strong(other);
        for engine in &followers {
            assert_eq!(strong(engine), written);
        }
        members[at] = Some(start(&configs[at]));
    }
    assert!(written >= 13);
    let members: Vec<_> = members.iter().flatten().collect();
    agree(&[&followers[0], &followers[1], members[0], members[1], members[2]]);
}

/// The value of a metric; `None` if there is none of that name.
fn metric(engine: &Engine<Counter>, name: &str) -> Option<u64> {
    let mut page = String::new();
    engine.client().encode_metrics(&mut page);
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    page.lines().find_map(value)
}

#[test]
fn the_metrics_of_a_follower_say_whom_it_follows_and_how_far_behind_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let mut members: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&members);
    write(&members[0], 10);
    let nine = start(&follower(9, &configs[0], dir.path()));
    eventually("it is connected to all", || metric(&nine, "niagara_follower_connections_total") == Some(3));
    let position = write(&members[1], 10);
    eventually("it knows what a member has executed, and has executed it", || {
        let known = metric(&nine, "niagara_followed_position").unwrap();
        known >= position && metric(&nine, "niagara_follower_lag") == Some(0)
    });
    let followed = metric(&nine, "niagara_followed_member").unwrap();
    assert!((1..=3).contains(&followed), "it follows server {followed}");
    assert_eq!(metric(&members[0], "niagara_followed_member"), None, "a member follows nobody");

    // It loses a connection, and gets it back.
    members.remove(2).stop();
    members.push(start(&configs[2]));
    eventually("it is connected again", || metric(&nine, "niagara_follower_connections_total") == Some(4));
    members.into_iter().for_each(Engine::stop);
    eventually("it follows nobody", || metric(&nine, "niagara_followed_member") == Some(0));
}

/// Members and a follower restart at random moments, with or without their snapshots, while groups change and clients write.
#[test]
fn whatever_restarts_a_follower_ends_with_the_members_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut configs = configs(3, Durability::Os, dir.path());
    configs.iter_mut().for_each(|config| config.snapshot_entries = 50);
    let mut nine = follower(9, &configs[0], dir.path());
    nine.snapshot_entries = 30;
    let mut members: Vec<_> = configs.iter().map(|config| Some(start(config))).collect();
    eventually("a quorum", || members.iter().flatten().all(|member| member.client().has_quorum()));
    write(members[0].as_ref().unwrap(), 1);
    let mut engine = Some(start(&nine));
    let mut draws = 0x9e37_79b9_u64;
    let mut draw = |most: u64| {
        draws = draws.wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(0x94d0_49bb_1331_11eb) ^ (draws >> 31);
        (draws >> 33) % most
    };
    for _ in 0..40 {
        let at = draw(3) as usize;
        match draw(6) {
            0 => {
                members[at].take().unwrap().stop();
                let other = members.iter().flatten().next().unwrap();
                let _ = other.client().propose(Bytes::from_static(b"count")).map(Ticket::wait);
                members[at] = Some(start(&configs[at]));
            }
            1 => {
                engine.take().unwrap().stop();
                (0..draw(80)).for_each(|_| {
                    let _ = members[at].as_ref().unwrap().client().propose(Bytes::from_static(b"count"));
                });
                engine = Some(start(&nine));
            }
            2 => {
                engine.take().unwrap().stop();
                std::fs::remove_dir_all(nine.data_dir.join("snapshots")).unwrap();
                engine = Some(start(&nine));
            }
            3 => drop(members[at].as_ref().unwrap().client().ask_for_groups(1 + draw(3) as u16)),
            4 => drop(engine.as_ref().unwrap().client().snapshot()),
            _ => {}
        }
        let client = members[at].as_ref().unwrap().client();
        let proposed = (0..draw(20)).filter_map(|_| client.propose(Bytes::from_static(b"count")).ok());
        let tickets: Vec<_> = proposed.collect();
        tickets.into_iter().for_each(|ticket| {
            let _ = ticket.wait();
        });
    }
    let members: Vec<_> = members.iter().flatten().collect();
    eventually("a quorum", || members.iter().all(|member| member.client().has_quorum()));
    let count = strong(members[0]);
    assert_eq!(strong(engine.as_ref().unwrap()), count);
    agree(&[engine.as_ref().unwrap(), members[0], members[1], members[2]]);
}

/// What a follower has not merged is bounded, so it asks for more only when it has room.
#[test]
fn a_follower_with_little_room_takes_entries_that_are_longer_than_that() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let members: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&members);
    write(&members[0], 1);
    let mut nine = follower(9, &configs[0], dir.path());
    nine.merge_bytes = 4 << 10;
    let engine = start(&nine);
    let long = Bytes::from(vec![7; 3 << 20]);
    for _ in 0..8 {
        let tickets: Vec<_> =
            members.iter().map(|member| member.client().propose(long.clone()).unwrap()).collect();
        for ticket in tickets {
            ticket.wait().unwrap();
        }
    }
    assert_eq!(strong(&engine), 25);
    agree(&[&engine, &members[0], &members[1], &members[2]]);
}

#[test]
fn a_server_keeps_its_role_and_two_followers_cannot_share_an_id() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let members: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&members);
    write(&members[0], 1);
    let nine = follower(9, &configs[0], dir.path());
    let engine = start(&nine);
    eventually("it is connected to all", || engine.client().connected() == [1, 2, 3]);

    let mut same = nine.clone();
    same.data_dir = dir.path().join("same");
    same.deadline = Duration::from_millis(200);
    let other = thread::spawn(move || Engine::start(same, Counter::default()));
    eventually("the members go on with the first one", || write(&members[0], 1) > 0);
    assert_eq!(strong(&engine), 2);
    assert!(!other.is_finished(), "the second one is refused, and tries again");
    engine.stop();
    // Its place is free now.
    other.join().unwrap().unwrap().stop();

    let mut as_member = Config::new(
        nine.cluster,
        9,
        vec![Member { server: 9, addresses: vec!["127.0.0.1:0".into()], transfer: "127.0.0.1:0".into() }],
    );
    fit(&mut as_member, Durability::Os, dir.path());
    let refused = Engine::start(as_member, Counter::default()).unwrap_err();
    assert!(
        matches!(
            &refused,
            StartError::Identity(IdentityError::OtherRole { found: ServerRole::Follower, .. })
        ),
        "{refused}"
    );
    let mut listed = follower(3, &configs[0], dir.path());
    assert!(matches!(Engine::start(listed.clone(), Counter::default()), Err(StartError::Config(_))));
    listed.members.clear();
    assert!(matches!(Engine::start(listed, Counter::default()), Err(StartError::Config(_))));
}
