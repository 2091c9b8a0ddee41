//! Servers that prove to each other who they are.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use niagara_net::{LinkConfig, Peer, Plain, ProbeError, Refusal, Sent, peer_name, probe};
use niagara_tls::{Mutual, MutualFiles};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::rig::{DEADLINE, Node, config, drive, hello, nowhere};

/// An authority, and a directory for what it issues.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new() -> Authority {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Issues a certificate for a server of a cluster into its files.
    fn issue(&self, file: &str, (cluster, server): (u128, u64)) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![peer_name(cluster, server)]).unwrap();
        fs::write(self.at(&format!("{file}.key")), key.serialize_pem()).unwrap();
        fs::write(self.at(&format!("{file}.pem")), params.signed_by(&key, &self.issuer).unwrap().pem())
            .unwrap();
    }

    fn tls(&self, cluster: u128, server: u64) -> Arc<Mutual> {
        let file = format!("{cluster}-{server}");
        self.issue(&file, (cluster, server));
        let (certificate, key) = (self.at(&format!("{file}.pem")), self.at(&format!("{file}.key")));
        Arc::new(Mutual::open(MutualFiles { ca: self.at("ca.pem"), certificate, key }).unwrap())
    }

    /// What a server of the tests' cluster has.
    fn own(&self, server: u64) -> Arc<Mutual> {
        self.tls(hello(server).cluster, server)
    }
}

fn with(config: LinkConfig, tls: Arc<Mutual>) -> LinkConfig {
    LinkConfig { tls: Some(tls), ..config }
}

/// Lets server 2 with this proof dial server 1 with that one, until neither can be usable.
fn never_connects(listener: LinkConfig, dialler: impl FnOnce(LinkConfig) -> LinkConfig) -> [Node; 2] {
    let mut one = Node::open(listener);
    let mut two = Node::open(dialler(config(2, &[(1, one.address())])));
    drive([&mut one, &mut two], "the dialler has tried", |[one, two]| {
        let failed = two.counters().dial_failures >= 3 || two.refusals().len() >= 3;
        assert!(!one.is_connected(2) && !two.is_connected(1));
        failed
    });
    [one, two]
}

/// A probe proves as much as a connection does.
#[test]
fn a_probe_finds_the_server_that_has_the_certificate() {
    let authority = Authority::new();
    let mut one = Node::open(with(config(1, &[(2, nowhere())]), authority.own(1)));
    let address = one.address().to_string();
    let mut probed = |server, config| {
        let peer = Peer { server, address: address.clone() };
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| probe(config, peer, DEADLINE));
            while !asked.is_finished() {
                one.turn();
            }
            asked.join().unwrap()
        })
    };
    probed(1, with(config(2, &[]), authority.own(2))).unwrap();
    probed(1, with(config(1, &[]), authority.own(1))).expect("a server may look for itself");
    let wrong = probed(3, with(config(2, &[]), authority.own(2))).unwrap_err();
    assert!(matches!(&wrong, ProbeError::Unreachable(why) if why.contains("certificate")), "{wrong:?}");
    let stranger = probed(1, with(config(2, &[]), Authority::new().own(2))).unwrap_err();
    assert!(matches!(stranger, ProbeError::Unreachable(_)), "{stranger:?}");
    let plain = probed(1, config(2, &[])).unwrap_err();
    assert!(matches!(plain, ProbeError::Refused(Refusal::Certificate(_))), "{plain:?}");
}

#[test]
fn messages_of_all_lengths_pass_in_order() {
    let authority = Authority::new();
    let mut one = Node::open(with(config(1, &[(2, nowhere())]), authority.own(1)));
    let mut two = Node::open(with(config(2, &[(1, one.address())]), authority.own(2)));
    drive([&mut one, &mut two], "both are up", |[one, two]| one.is_connected(2) && two.is_connected(1));
    let lengths = [0, 1, 17, 16 << 10, (16 << 10) + 1, 100_000, 3 << 20];
    let body = |length: usize| Bytes::from((0..length).map(|i| (i % 251) as u8).collect::<Vec<_>>());
    for length in lengths {
        assert_eq!(one.send(2, body(length)), Sent::Queued);
        assert_eq!(two.send(1, body(length)), Sent::Queued);
    }
    drive([&mut one, &mut two], "all arrive", |[one, two]| {
        one.bodies(2).count() == lengths.len() && two.bodies(1).count() == lengths.len()
    });
    for (heard, length) in one.bodies(2).zip(lengths).chain(two.bodies(1).zip(lengths)) {
        assert!(*heard == body(length), "{length} bytes");
    }
}

#[test]
fn who_has_the_certificate_of_another_server_is_refused() {
    let authority = Authority::new();
    let listener = with(config(1, &[(2, nowhere()), (3, nowhere())]), authority.own(1));
    let [one, two] = never_connects(listener, |dialler| with(dialler, authority.own(3)));
    for (node, by_us) in [(&one, true), (&two, false)] {
        let (refusal, by) = node.refusals().remove(0);
        let Refusal::Certificate(text) = refusal else { panic!("{refusal}") };
        assert!(
            by == by_us && text.contains(&peer_name(0xc1, 2)) && text.contains(&peer_name(0xc1, 3)),
            "{text}"
        );
    }
}

#[test]
fn a_dialler_does_not_speak_to_another_server_or_cluster() {
    let authority = Authority::new();
    for listener in [authority.own(3), authority.tls(0xc2, 1)] {
        let [one, two] = never_connects(with(config(1, &[(2, nowhere())]), listener), |dialler| {
            with(dialler, authority.own(2))
        });
        assert!(one.refusals().is_empty() && two.refusals().is_empty(), "no greeting was exchanged");
    }
}

#[test]
fn other_authorities_and_plain_connections_are_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let listener = || config(1, &[(2, nowhere())]);
    never_connects(with(listener(), authority.own(1)), |dialler| with(dialler, other.own(2)));
    never_connects(listener(), |dialler| with(dialler, authority.own(2)));
    let [_, two] = never_connects(with(listener(), authority.own(1)), |dialler| dialler);
    let (refusal, by_us) = two.refusals().remove(0);
    assert!(!by_us && refusal.to_string().contains("speaks TLS"), "{refusal}");
}

/// A running cluster goes over to TLS in three steps, one server after the other.
#[test]
fn servers_go_over_to_tls_one_after_the_other() {
    let authority = Authority::new();
    let (of_one, of_two) = (authority.own(1), authority.own(2));
    let step = |number: u8, config: LinkConfig, tls: &Arc<Mutual>| match number {
        0 => config,
        1 => LinkConfig { plain: Plain::Dialled, ..with(config, Arc::clone(tls)) },
        2 => LinkConfig { plain: Plain::Accepted, ..with(config, Arc::clone(tls)) },
        _ => with(config, Arc::clone(tls)),
    };
    for (first, second) in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3)] {
        let mut one = Node::open(step(first, config(1, &[(2, nowhere())]), &of_one));
        let mut two = Node::open(step(second, config(2, &[(1, one.address())]), &of_two));
        drive([&mut one, &mut two], "both are up", |[one, two]| one.is_connected(2) && two.is_connected(1));
        two.send(1, Bytes::from_static(b"hello"));
        drive([&mut one, &mut two], "it arrives", |[one, _]| one.bodies(2).any(|body| body == "hello"));
        assert_eq!((one.refusals(), two.refusals()), (Vec::new(), Vec::new()), "{first} and {second}");
    }
    // Where both are spoken, who speaks TLS still has to prove who he is.
    let listener = step(2, config(1, &[(2, nowhere()), (3, nowhere())]), &of_one);
    let [one, _] = never_connects(listener, |dialler| with(dialler, authority.own(3)));
    assert!(matches!(one.refusals().remove(0), (Refusal::Certificate(_), true)));
}

#[test]
fn new_certificates_are_used_for_the_next_connection() {
    let authority = Authority::new();
    let (of_one, of_two) = (authority.own(1), authority.own(2));
    let mut one = Node::open(with(config(1, &[(2, nowhere())]), Arc::clone(&of_one)));
    let address = one.address();
    let dial = |tls: &Arc<Mutual>| Node::open(with(config(2, &[(1, address)]), Arc::clone(tls)));
    let mut two = dial(&of_two);
    drive([&mut one, &mut two], "both are up", |[one, two]| one.is_connected(2) && two.is_connected(1));
    // A new authority: what was agreed with the old one goes on, what comes later is not trusted.
    let other = Authority::new();
    fs::copy(other.at("ca.pem"), authority.at("ca.pem")).unwrap();
    assert!(of_one.reload_if_changed().unwrap() && !of_one.reload_if_changed().unwrap());
    two.send(1, Bytes::from_static(b"still"));
    drive([&mut one, &mut two], "it arrives", |[one, _]| one.bodies(2).any(|body| body == "still"));
    drop(two);
    let mut two = dial(&of_two);
    drive([&mut one, &mut two], "it is refused", |[_, two]| {
        assert!(!two.is_connected(1));
        two.counters().dial_failures >= 3
    });
    drop(two);
    // One of its own is.
    let mut two = dial(&other.own(2));
    fs::copy(other.at("ca.pem"), authority.at("ca.pem")).unwrap();
    other.issue("new", (0xc1, 1));
    for end in ["pem", "key"] {
        fs::copy(other.at(&format!("new.{end}")), authority.at(&format!("{}-1.{end}", 0xc1))).unwrap();
    }
    of_one.reload().unwrap();
    drive([&mut one, &mut two], "both are up again", |[one, two]| one.is_connected(2) && two.is_connected(1));
}

/// A running cluster goes over to another authority in three steps, one server after the other.
#[test]
fn servers_go_over_to_another_authority() {
    let (old, new) = (Authority::new(), Authority::new());
    let of: [Arc<Mutual>; 2] = [old.own(1), old.own(2)];
    let cluster = hello(1).cluster;
    let authorities = |of: &[&Authority]| -> String {
        of.iter().map(|authority| fs::read_to_string(authority.at("ca.pem")).unwrap()).collect()
    };
    let [both, new_alone] = [authorities(&[&old, &new]), authorities(&[&new])];
    let step = |server: u64, what: &str| {
        of[server as usize - 1].reload().unwrap();
        let mut one = Node::open(with(config(1, &[(2, nowhere())]), Arc::clone(&of[0])));
        let mut two = Node::open(with(config(2, &[(1, one.address())]), Arc::clone(&of[1])));
        drive([&mut one, &mut two], &format!("both are up: {what} at {server}"), |[one, two]| {
            one.is_connected(2) && two.is_connected(1)
        });
    };
    let trust = |text: &str, what| {
        fs::write(old.at("ca.pem"), text).unwrap();
        (1..=2).for_each(|server| step(server, what));
    };
    trust(&both, "both are trusted");
    for server in 1..=2 {
        let file = format!("{cluster}-{server}");
        new.issue(&file, (cluster, server));
        for end in ["pem", "key"] {
            fs::copy(new.at(&format!("{file}.{end}")), old.at(&format!("{file}.{end}"))).unwrap();
        }
        step(server, "a certificate of the new one");
    }
    trust(&new_alone, "the old one is trusted no more");
    let of_old = old.own(2);
    never_connects(with(config(1, &[(2, nowhere())]), Arc::clone(&of[0])), |dialler| with(dialler, of_old));
}
