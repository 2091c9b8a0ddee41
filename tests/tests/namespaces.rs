//! Servers in a network of their own, where single links fail.

use std::env;
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use niagara_engine::{Durability, LeaseStatus, Reads, Role};
use niagara_tests::campaign::CampaignPlan;
use niagara_tests::network::{Host, Namespaces, Subnet};
use niagara_tests::{Answer, Client, ClusterPlan, Endpoint, History, Http, Register, rounds, wait};

/// A network for a cluster; `None`, with the reason printed, where there can be none.
fn network(servers: u16, groups: u16) -> Option<Arc<Namespaces>> {
    match Namespaces::create(servers, groups) {
        Ok(network) => {
            network.enter(Host::Clients).expect("what was made can be entered");
            Some(Arc::new(network))
        }
        Err(reason) => {
            println!("skipped: {reason}");
            None
        }
    }
}

/// Whether a message from one server reaches another one in a subnet, and one of theirs comes back.
fn connects(network: &Namespaces, subnet: Subnet, from: Host, to: Host) -> bool {
    let address = SocketAddr::from((subnet.address(to), 7));
    thread::scope(|scope| {
        let attempt = scope.spawn(|| {
            network.enter(from).expect("it exists");
            TcpStream::connect_timeout(&address, Duration::from_millis(300))
        });
        match attempt.join().expect("it does not panic") {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut, "a cut is silent, but {error}");
                false
            }
        }
    })
}

/// Proves that a cut loses what it says and nothing else, and that all is removed at the end.
#[test]
fn cuts_are_of_one_link_in_one_direction() {
    let Some(network) = network(3, 2) else { return };
    let [one, two, three] = [1, 2, 3].map(Host::Server);
    let listeners = [one, two, three].map(|host| {
        thread::scope(|scope| {
            let listen = scope.spawn(|| {
                network.enter(host).expect("it exists");
                TcpListener::bind("0.0.0.0:7")
            });
            listen.join().expect("it does not panic").expect("the port is free in a new namespace")
        })
    });
    let group = Subnet::Link(1);
    assert!(connects(&network, group, one, two));

    network.cut(group, one, two).unwrap();
    assert!(!connects(&network, group, one, two), "what asks for the connection is lost");
    assert!(!connects(&network, group, two, one), "what accepts it is lost");
    assert!(connects(&network, group, one, three) && connects(&network, group, two, three));
    assert!(connects(&network, Subnet::Link(2), one, two), "another group's link lives");
    assert!(connects(&network, Subnet::Clients, Host::Clients, one));

    network.cut(group, one, two).unwrap();
    network.join(group, one, two).unwrap();
    assert!(!connects(&network, group, one, two), "two faults cut the link, and only one has ended");
    network.join(group, one, two).unwrap();
    assert!(connects(&network, group, one, two));

    network.cut(Subnet::Clients, two, Host::Clients).unwrap();
    assert!(!connects(&network, Subnet::Clients, Host::Clients, two));
    network.heal().unwrap();
    assert!(connects(&network, Subnet::Clients, Host::Clients, two));
    drop(listeners);

    let prefix = network.prefix().to_owned();
    let left = || {
        let names = Path::new("/run/netns").read_dir().unwrap();
        names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with(&prefix)).count()
    };
    assert_eq!(left(), 5, "three servers, the clients and the switch");
    drop(network);
    assert_eq!(left(), 0);
}

/// Proves that one group's broken link between two servers stops nobody but the one who does not hear the group's leader any
/// more: the other servers take writes and strong reads, in all groups, and that one does too as soon as the link is back.
#[test]
fn one_broken_link_of_one_group_stops_one_server_at_most() {
    let Some(network) = network(3, 3) else { return };
    let cluster = ClusterPlan::new(3, 3).network(&network).start();
    for (group, (a, b)) in (1..).map(Subnet::Link).zip([(1, 2), (2, 3), (3, 1)]) {
        let (a, b) = (Host::Server(a), Host::Server(b));
        network.cut(group, a, b).unwrap();
        network.cut(group, b, a).unwrap();
        await_service(cluster.endpoints(), 2);
        network.heal().unwrap();
        await_service(cluster.endpoints(), 3);
    }
    assert!(cluster.await_agreement() > 0, "the servers' logs can be compared");
}

/// Proves that a leader which reads by its lease, and is cut off from the others, stops that before they have another leader:
/// none of its answers lacks what was acknowledged before, while its clients can reach it all the time.
#[test]
fn a_leader_that_is_cut_off_gives_no_stale_read_by_its_lease() {
    let Some(network) = network(3, 1) else { return };
    let mut cluster = ClusterPlan::new(3, 1).reads(Reads::Lease).network(&network).start();
    let history = History::default();
    for _ in 0..rounds(3) {
        await_service(cluster.endpoints(), 3);
        let holds_lease = |server: &u64| {
            cluster.status(*server).local.iter().any(|group| group.lease == Some(LeaseStatus::Held))
        };
        let leader = wait::until("a lease", || cluster.servers().find(holds_lease));
        let register = history.register();
        let [mut old_leader, _] = Client::both(cluster.endpoint(leader));
        assert_eq!(register.write(&mut old_leader), Answer::Done(()), "nothing has failed yet");
        for other in cluster.servers().filter(|server| *server != leader) {
            network.cut(Subnet::Link(1), Host::Server(leader), Host::Server(other)).unwrap();
            network.cut(Subnet::Link(1), Host::Server(other), Host::Server(leader)).unwrap();
        }
        let other = cluster.endpoints().iter().find(|endpoint| endpoint.server != leader).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let reads = scope.spawn(|| {
                network.enter(Host::Clients).expect("it exists");
                read_until(&is_over, &register, cluster.http(leader))
            });
            let [mut client, _] = Client::both(other);
            for _ in 0..20 {
                wait::until("another leader", || {
                    (register.write(&mut client) == Answer::Done(())).then_some(())
                });
            }
            is_over.store(true, SeqCst);
            let reads = reads.join().expect("no read was stale");
            println!("{reads} reads were answered by the leader that was cut off");
        });
        network.heal().unwrap();
    }
    cluster.stop_all();
}

/// Reads a register until all is over, and checks each answer. Returns how many answers there were.
fn read_until(is_over: &AtomicBool, register: &Register, mut http: Http) -> u64 {
    let mut answers = 0;
    while !is_over.load(SeqCst) {
        let began = register.begin_read();
        let answer = http.get(register.key(), "lease").expect("its clients reach the server");
        match answer.status {
            200 => assert_eq!(register.end_read(began, Some(&answer.body)), Ok(())),
            503 => {}
            other => panic!("a read was answered {other}: {}", answer.text()),
        }
        answers += u64::from(answer.status == 200);
    }
    answers
}

/// Waits until so many servers have served a write and a strong read, over both protocols.
fn await_service(endpoints: &[Endpoint], wanted: usize) {
    let mut waiting: Vec<&Endpoint> = endpoints.iter().collect();
    wait::until("servers to serve", || {
        waiting.retain(|endpoint| {
            let served = |client: &mut Client| {
                client.set("key", b"value") == Answer::Done(())
                    && client.get("key") == Answer::Done(Some(b"value".to_vec()))
            };
            !Client::both(endpoint).iter_mut().all(served)
        });
        (endpoints.len() - waiting.len() >= wanted).then_some(())
    });
}

/// Proves that the largest value, over links of 20 Mbit/s, costs no leader its office: heartbeats pass it, and so do their
/// answers when a follower forwards it.
#[test]
#[ignore = "a throttled link takes half a minute: run it by name, with --ignored"]
fn the_largest_value_over_a_slow_link_keeps_its_leader() {
    let Some(network) = network(3, 1) else { return };
    if let Err(reason) = network.can_throttle() {
        println!("skipped: {reason}");
        return;
    }
    let cluster = ClusterPlan::new(3, 1).network(&network).start();
    let terms = || cluster.servers().map(|server| cluster.status(server).local[0].term).collect::<Vec<_>>();
    await_service(cluster.endpoints(), 3);
    for host in network.servers() {
        network.throttle(Subnet::Link(1), host, 20_000).unwrap();
    }
    let before = terms();
    let leads = |server: &u64| cluster.status(*server).local[0].role == Role::Leader;
    let leader = cluster.servers().find(leads).expect("the group has a leader");
    for server in [leader, leader % 3 + 1] {
        let key = format!("through {server}");
        let value = vec![b'v'; 16 << 20];
        let [mut http, _] = Client::both(cluster.endpoint(server));
        let answer = http.set(&key, &value);
        assert!(matches!(answer, Answer::Done(()) | Answer::Unknown), "{answer:?}");
        wait::until("the value to be everywhere", || {
            let holds = |endpoint| Client::both(endpoint)[0].get(&key) == Answer::Done(Some(value.clone()));
            cluster.endpoints().iter().all(holds).then_some(())
        });
        assert_eq!(terms(), before, "server {server} kept or followed its leader");
    }
}

/// Proves that clients of a cluster under faults of all kinds are told nothing that a correct store would not tell them. The
/// binary `faults` does the same for as long as one likes.
///
/// The seed is taken from `NIAGARA_TEST_SEED` if that is set.
#[test]
fn a_short_campaign() {
    let seed = env::var("NIAGARA_TEST_SEED").map_or_else(
        |_| RandomState::new().hash_one(0),
        |text| text.parse().expect("NIAGARA_TEST_SEED is a number"),
    );
    println!("NIAGARA_TEST_SEED={seed}");
    let plan = CampaignPlan {
        servers: 3,
        groups: 2,
        time: Duration::from_secs(20) * u32::try_from(rounds(1)).expect("a number that one types"),
        seed,
        durability: Durability::Fsync,
        loopback: None,
        keep: None,
    };
    let report = plan.run(&Arc::default(), |_| {}).expect("the network works");
    println!("{}", report.table);
    if let Some(violation) = report.violation {
        panic!("{}\nthe files are in {}", violation.what, violation.directory.display());
    }
    assert!(report.operations > 0 && report.faults > 0 && report.histories > 0);
}
