//! Servers come and go while others run and clients write.

mod coming;
mod eventually;
mod two_groups;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use bytes::Bytes;
use coming::{change, come, contact, count, have_quorum, id, newcomer, write};
use eventually::eventually;
use niagara_engine::internals::example::Counter;
use niagara_engine::{Durability, Engine, EngineState, MemberView, MembersChange, NotChanged};
use two_groups::{configs, start};

#[test]
fn a_server_comes_while_clients_write() {
    let dir = tempfile::tempdir().unwrap();
    for durability in [Durability::Memory, Durability::Os] {
        let dir = dir.path().join(durability.to_string());
        let configs = configs(3, durability, &dir);
        let engines: Vec<_> = configs.iter().map(start).collect();
        let all: Vec<_> = engines.iter().collect();
        have_quorum(&all);
        let (stop, total) = (AtomicBool::new(false), AtomicUsize::new(0));
        let four = newcomer(4, &configs[0], &dir);
        let fourth = thread::scope(|scope| {
            for engine in &engines {
                scope.spawn(|| {
                    while !stop.load(SeqCst) {
                        let Ok(ticket) = engine.client().propose(Bytes::from_static(b"count")) else {
                            continue;
                        };
                        ticket.wait().expect("each write has an outcome");
                        total.fetch_add(1, SeqCst);
                    }
                });
            }
            change(&all, &MembersChange { leave: Vec::new(), come: vec![contact(&four)] });
            let fourth = come(&four, &engines[0]);
            have_quorum(&[&fourth]);
            stop.store(true, SeqCst);
            fourth
        });
        write(&fourth, 5);
        let expected = total.load(SeqCst) + 5;
        for engine in engines.iter().chain([&fourth]) {
            let epoch = engine.client().epoch();
            assert_eq!((epoch.members, epoch.members_since), (vec![1, 2, 3, 4], 2));
            assert_eq!(epoch.contacts[3], contact(&four));
            assert_eq!(count(engine), expected);
        }
    }
}

#[test]
fn a_server_whose_disk_is_gone_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let mut engines: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&engines.iter().collect::<Vec<_>>());
    write(&engines[0], 10);
    engines.remove(1).stop();
    std::fs::remove_dir_all(&configs[1].data_dir).unwrap();
    let four = newcomer(4, &configs[0], dir.path());
    change(
        &engines.iter().collect::<Vec<_>>(),
        &MembersChange { leave: vec![2], come: vec![contact(&four)] },
    );
    engines.push(come(&four, &engines[0]));
    have_quorum(&engines.iter().collect::<Vec<_>>());
    write(&engines[2], 10);

    // All stop and start. What the files say of members is a hint; the one that has come needs no invitation any more.
    engines.into_iter().for_each(Engine::stop);
    let engines = [&configs[0], &configs[2], &four].map(start);
    have_quorum(&engines.each_ref());
    for engine in &engines {
        assert_eq!(engine.client().epoch().members, [1, 3, 4]);
        assert_eq!(count(engine), 20);
    }
    let two = MemberView { server: 2, ..contact(&four) };
    let asked = engines[0].client().ask_for_members(&MembersChange { leave: Vec::new(), come: vec![two] });
    assert_eq!(asked, Err(NotChanged::WasMember { server: 2 }));
}

/// Who leaves knows only one of the two that go on.
#[test]
fn one_of_two_servers_is_replaced_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(2, Durability::Os, dir.path());
    let mut engines: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&engines.iter().collect::<Vec<_>>());
    write(&engines[0], 10);
    let three = newcomer(3, &configs[0], dir.path());
    let replace = MembersChange { leave: vec![2], come: vec![contact(&three)] };
    change(&engines.iter().collect::<Vec<_>>(), &replace);
    let third = come(&three, &engines[0]);
    let second = engines.pop().unwrap();
    // The first that is committed says that a majority has begun.
    write(&third, 1);
    let state = || second.client().watch().current().state;
    eventually("the server knows that it is needed by nobody", || {
        matches!(state(), EngineState::Removed { epoch: 2 })
    });
    second.stop();
    assert_eq!(count(&third), 11);
}

#[test]
fn a_server_that_leaves_stops_and_stays_away() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let mut engines: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&engines.iter().collect::<Vec<_>>());
    write(&engines[0], 10);
    change(&engines.iter().collect::<Vec<_>>(), &MembersChange { leave: vec![3], come: Vec::new() });
    let third = engines.pop().unwrap();
    let client = third.client();
    eventually("the server knows that it is needed by nobody", || {
        matches!(client.watch().current().state, EngineState::Removed { epoch: 2 })
    });
    third.stop();
    write(&engines[0], 10);
    assert_eq!(count(&engines[1]), 20);
    let refused = Engine::start(configs[2].clone(), Counter::default()).unwrap_err().to_string();
    assert!(refused.contains("server 3 was removed"), "{refused}");
}

#[test]
fn a_server_that_was_away_learns_that_it_has_been_removed() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let mut engines: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&engines.iter().collect::<Vec<_>>());
    write(&engines[0], 10);
    engines.pop().unwrap().stop();
    change(&engines.iter().collect::<Vec<_>>(), &MembersChange { leave: vec![3], come: Vec::new() });
    write(&engines[0], 10);
    let third = start(&configs[2]);
    let client = third.client();
    eventually("the server knows that it is needed by nobody", || {
        matches!(client.watch().current().state, EngineState::Removed { epoch: 2 })
    });
}

#[test]
fn one_server_grows_to_three() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(1, Durability::Os, dir.path());
    let mut engines = vec![start(&configs[0])];
    have_quorum(&engines.iter().collect::<Vec<_>>());
    for server in [5, 2] {
        write(&engines[0], 10);
        let config = newcomer(server, &configs[0], dir.path());
        change(
            &engines.iter().collect::<Vec<_>>(),
            &MembersChange { leave: Vec::new(), come: vec![contact(&config)] },
        );
        engines.push(come(&config, &engines[0]));
        have_quorum(&engines.iter().collect::<Vec<_>>());
    }
    write(&engines[2], 1);
    for engine in &engines {
        assert_eq!(engine.client().epoch().members, [1, 5, 2]);
        assert_eq!(count(engine), 21);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Memory, dir.path());
    let engines: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&engines.iter().collect::<Vec<_>>());
    let leader =
        engines.iter().find(|engine| engine.client().leaders().groups[0].leader == id(engine)).unwrap();
    let client = leader.client();
    let ask = |leave: &[u64], come: &[MemberView]| {
        client.ask_for_members(&MembersChange { leave: leave.to_vec(), come: come.to_vec() })
    };
    let newcomer_four = newcomer(4, &configs[0], dir.path());
    let four = contact(&newcomer_four);
    assert_eq!(ask(&[7], &[]), Err(NotChanged::NotAMember { server: 7 }));
    assert_eq!(ask(&[1, 2, 3], &[]), Err(NotChanged::Members { members: 0, most: 64 }));
    assert_eq!(ask(&[1, 2, 3], std::slice::from_ref(&four)), Err(NotChanged::NobodyStays));
    for wrong in [
        MemberView { server: 0, ..four.clone() },
        MemberView { addresses: Vec::new(), ..four.clone() },
        MemberView { transfer: String::new(), ..four.clone() },
        MemberView { transfer: "x".repeat(2000), ..four.clone() },
    ] {
        assert_eq!(ask(&[], std::slice::from_ref(&wrong)), Err(NotChanged::Address { server: wrong.server }));
    }
    assert_eq!(ask(&[], &[four.clone(), four.clone()]), Err(NotChanged::Address { server: 4 }));

    // Nobody listens where this one should be.
    let gone = MemberView { transfer: "127.0.0.1:1".into(), ..four };
    client.start_to_change_members(MembersChange { leave: Vec::new(), come: vec![gone] }).unwrap();
    eventually("the refusal is shown", || client.epoch().refused.is_some());
    let refused = client.epoch().refused.unwrap();
    assert!(refused.contains("server 4") && refused.contains("127.0.0.1:1"), "{refused}");
    assert_eq!(client.epoch().number, 1);

    // A server that is to join has to be a member.
    let mut stranger = newcomer(9, &configs[0], dir.path()).clone();
    stranger.join = Some(client.epoch());
    let refused = Engine::start(stranger, Counter::default()).unwrap_err().to_string();
    assert!(refused.contains("server 9 is no member"), "{refused}");
}
