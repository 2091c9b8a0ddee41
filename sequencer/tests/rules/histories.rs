//! Random histories of a [`crate::cluster`].

use proptest::prelude::*;

use crate::cluster::SERVERS;

/// Who moves next.
#[derive(Clone, Debug)]
pub enum Step {
    Command { group: u16 },
    LeaderTurn { group: u16 },
    Replicate { group: u16, server: usize, entries: usize },
    Commit { group: u16, entries: usize },
    LearnCommits { group: u16, server: usize },
    Apply { server: usize, positions: u64 },
    Read { server: usize },
    Begin { server: usize },
    Deliver { message: usize },
    Lose { message: usize },
    Tick { server: usize },
    Elect { group: u16, server: usize },
}

/// A number of groups, and a history of them.
pub fn histories() -> impl Strategy<Value = (u16, Vec<Step>)> {
    (1..=5u16).prop_flat_map(|groups| (Just(groups), prop::collection::vec(step(groups), 0..250)))
}

fn step(groups: u16) -> impl Strategy<Value = Step> {
    let (group, server, entries, message) = (1..=groups, 0..SERVERS, 1..4usize, 0..8usize);
    prop_oneof![
        3 => group.clone().prop_map(|group| Step::Command { group }),
        4 => group.clone().prop_map(|group| Step::LeaderTurn { group }),
        8 => (group.clone(), server.clone(), entries.clone())
            .prop_map(|(group, server, entries)| Step::Replicate { group, server, entries }),
        6 => (group.clone(), entries).prop_map(|(group, entries)| Step::Commit { group, entries }),
        8 => (group.clone(), server.clone()).prop_map(|(group, server)| Step::LearnCommits { group, server }),
        4 => (server.clone(), 1..2000u64).prop_map(|(server, positions)| Step::Apply { server, positions }),
        2 => server.clone().prop_map(|server| Step::Read { server }),
        3 => server.clone().prop_map(|server| Step::Begin { server }),
        4 => message.clone().prop_map(|message| Step::Deliver { message }),
        1 => message.prop_map(|message| Step::Lose { message }),
        3 => server.clone().prop_map(|server| Step::Tick { server }),
        1 => (group, server).prop_map(|(group, server)| Step::Elect { group, server }),
    ]
}
