//! Recoveries of clusters whose members have changed, also from what servers left that are no members any more.

mod coming;
mod eventually;
mod two_groups;

use std::path::{Path, PathBuf};

use coming::{change, come, contact, count, have_quorum, newcomer, write};
use eventually::eventually;
use niagara_engine::internals::example::Counter;
use niagara_engine::{Config, Durability, Engine, EngineState, Found, MembersChange, Recovery};
use two_groups::{configs, fit, start};

fn found(left: &[&Config]) -> Found {
    let left: Vec<PathBuf> = left.iter().map(|config| config.data_dir.clone()).collect();
    Recovery::open(&left).unwrap().found().clone()
}

fn leave(servers: &[u64]) -> MembersChange {
    MembersChange { leave: servers.to_vec(), come: Vec::new() }
}

/// Waits until a server knows that it is needed no more, and stops it.
fn see_off(engine: Engine<Counter>) {
    let state = || engine.client().watch().current().state;
    eventually("the server is removed", || matches!(state(), EngineState::Removed { .. }));
    engine.stop();
}

/// Of members 1, 3 and 4, the first is lost with all that it knew.
#[test]
fn a_cluster_whose_members_have_changed_is_recovered() {
    let dir = tempfile::tempdir().unwrap();
    for snapshot_entries in [1000, 15] {
        let dir = dir.path().join(snapshot_entries.to_string());
        let mut configs = configs(3, Durability::Os, &dir);
        configs.iter_mut().for_each(|config| config.snapshot_entries = snapshot_entries);
        let mut engines: Vec<_> = configs.iter().map(start).collect();
        have_quorum(&engines.iter().collect::<Vec<_>>());
        write(&engines[0], 20);
        let four = newcomer(4, &configs[0], &dir);
        let replaced = MembersChange { leave: vec![2], come: vec![contact(&four)] };
        change(&engines.iter().collect::<Vec<_>>(), &replaced);
        engines.push(come(&four, &engines[0]));
        engines.remove(1).stop();
        have_quorum(&engines.iter().collect::<Vec<_>>());
        write(&engines[0], 20);
        engines.into_iter().for_each(Engine::stop);

        let left = [&configs[2], &four].map(|config| config.data_dir.clone());
        let recovery = Recovery::open(&left).unwrap();
        let found = recovery.found();
        assert!(found.is_complete(), "{found:?}");
        assert_eq!((&found.members[..], found.missing()), (&[1, 3, 4][..], vec![1]));
        let mut new = Config::local(1, 1).unwrap();
        fit(&mut new[0], Durability::Os, &dir.join("new"));
        recovery.run(&new, Counter::default(), &mut |_| ()).unwrap();
        let engine = start(&new[0]);
        have_quorum(&[&engine]);
        assert_eq!(count(&engine), 40);
        engine.stop();
    }
}

/// Servers 1 and 2; the second one is removed, and the first goes on.
fn removed(dir: &Path) -> Vec<Config> {
    let configs = configs(2, Durability::Os, dir);
    let mut engines: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&engines.iter().collect::<Vec<_>>());
    write(&engines[0], 10);
    change(&engines.iter().collect::<Vec<_>>(), &leave(&[2]));
    see_off(engines.remove(1));
    write(&engines[0], 10);
    engines.into_iter().for_each(Engine::stop);
    configs
}

#[test]
fn a_server_that_was_removed_has_left_nothing_of_what_came_after() {
    let dir = tempfile::tempdir().unwrap();
    let configs = removed(dir.path());
    let of_removed = found(&[&configs[1]]);
    assert!(!of_removed.is_complete(), "{of_removed:?}");
    assert!(of_removed.has_whole_logs(), "of the epoch that it was in, it has all");
    let next = &of_removed.next[0];
    assert_eq!((of_removed.next.len(), next.epoch, &next.members[..], next.not_begun), (1, 2, &[1][..], 0));
    assert_eq!(of_removed.told_of(), Some((2, 2)));
    for left in [&[&configs[0]][..], &[&configs[0], &configs[1]]] {
        let all = found(left);
        assert!(all.is_complete() && all.next.is_empty() && all.told_of().is_none(), "{all:?}");
    }

    // Whoever accepts the loss gets the state in which the cluster went on.
    let mut new = Config::local(1, 1).unwrap();
    fit(&mut new[0], Durability::Os, &dir.path().join("new"));
    let recovery = Recovery::open(&[configs[1].data_dir.clone()]).unwrap();
    recovery.run(&new, Counter::default(), &mut |_| ()).unwrap();
    let engine = start(&new[0]);
    have_quorum(&[&engine]);
    assert_eq!(count(&engine), 10);
    engine.stop();
}

/// Servers 2 and 3 of three were a majority, until 4 and 5 came in their place.
#[test]
fn a_majority_of_earlier_members_does_not_know_what_the_present_ones_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let configs = configs(3, Durability::Os, dir.path());
    let mut engines: Vec<_> = configs.iter().map(start).collect();
    have_quorum(&engines.iter().collect::<Vec<_>>());
    write(&engines[0], 10);
    let new = [4, 5].map(|server| newcomer(server, &configs[0], dir.path()));
    let replaced =
        MembersChange { leave: vec![2, 3], come: new.iter().map(|newcomer| contact(newcomer)).collect() };
    change(&engines.iter().collect::<Vec<_>>(), &replaced);
    let come = new.each_ref().map(|config| come(config, &engines[0]));
    have_quorum(&come.each_ref());
    write(&come[0], 10);
    // No two members of now know them.
    engines.drain(1..).for_each(see_off);
    engines.into_iter().chain(come).for_each(Engine::stop);

    let [one, two, three] = &configs[..] else { unreachable!("there are three") };
    let earlier = found(&[two, three]);
    assert!(!earlier.is_complete() && earlier.has_whole_logs(), "{earlier:?}");
    assert_eq!((&earlier.next[0].members[..], earlier.next[0].not_begun), (&[1, 4, 5][..], 0));
    assert!(!found(&[one, two, three]).is_complete(), "one of the present members is no majority");
    assert!(found(&[one, &new[0]]).is_complete());
    assert!(found(&[two, &new[0], &new[1]]).is_complete());
}
