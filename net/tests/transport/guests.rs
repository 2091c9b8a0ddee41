//! Channels for guests: servers that their host has not listed.

use std::net::SocketAddr;

use niagara_net::{Dialling, Event, LinkConfig, Refusal};

use crate::rig::{Node, config, drive};

fn host(server: u64, most: usize) -> Node {
    Node::open(LinkConfig { dialling: Dialling::Host { most }, ..config(server, &[]) })
}

fn guest(server: u64, hosts: &[(u64, SocketAddr)]) -> Node {
    Node::open(LinkConfig { dialling: Dialling::Guest, ..config(server, hosts) })
}

#[test]
fn guests_come_whatever_their_ids_and_both_ends_can_send() {
    let mut host = host(2, 2);
    let hosts = [(2, host.address())];
    let (mut one, mut three) = (guest(1, &hosts), guest(3, &hosts));
    assert_eq!(one.transport_address(), None, "a guest does not listen");
    drive([&mut host, &mut one, &mut three], "both are up", |[host, one, three]| {
        host.is_connected(1) && host.is_connected(3) && one.is_connected(2) && three.is_connected(2)
    });
    host.send(1, "for one");
    host.send(3, "for three");
    one.send(2, "from one");
    drive([&mut host, &mut one, &mut three], "all messages arrive", |[host, one, three]| {
        host.bodies(1).count() + one.bodies(2).count() + three.bodies(2).count() == 3
    });
    assert_eq!(one.bodies(2).next().unwrap(), "for one");
    assert_eq!(three.bodies(2).next().unwrap(), "for three");
}

#[test]
fn a_guest_that_leaves_makes_room_for_another() {
    let mut host = host(1, 1);
    let hosts = [(1, host.address())];
    let mut two = guest(2, &hosts);
    drive([&mut host, &mut two], "the first is up", |[host, two]| {
        host.is_connected(2) && two.is_connected(1)
    });
    let mut three = guest(3, &hosts);
    drive([&mut host, &mut two, &mut three], "the second is refused", |[_, _, three]| {
        three.refusals().contains(&(Refusal::Full { most: 1 }, false))
    });
    assert!(host.is_connected(2));
    drop(two);
    drive([&mut host, &mut three], "the second is up", |[host, three]| {
        host.is_connected(3) && three.is_connected(1)
    });
    assert!(!host.is_connected(2));
    let went = |event: &Event| matches!(event, Event::Down { peer: 2, .. });
    assert_eq!(host.events.iter().filter(|event| went(event)).count(), 1);
}

#[test]
fn nobody_is_a_guest_of_its_own() {
    let mut host = host(1, 2);
    let hosts = [(7, host.address())];
    let mut same = guest(1, &hosts);
    drive([&mut host, &mut same], "it is refused", |[_, same]| !same.refusals().is_empty());
    assert_eq!(same.refusals()[0], (Refusal::UnknownServer { server: 1 }, false));
}
