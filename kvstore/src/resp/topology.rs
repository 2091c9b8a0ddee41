//! The cluster as clients of Sentinel and Cluster see it: one master and its replicas.
//!
//! Niagara has neither: every server takes everything. So a server that serves names itself as the master, and the
//! others that are up as replicas. One that is about to stop, or knows no quorum, names another server, so that clients
//! leave it.

use niagara_engine::ServerId;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::failover::RedisAddress;

/// A server that is up, and that clients can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) server: ServerId,
    pub(super) address: RedisAddress,
    /// 40 hexadecimal digits, the same whichever server is asked.
    pub(super) id: String,
}

/// See the [module](self). This server is always one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) master: Node,
    /// In the order of their ids among the members.
    pub(super) replicas: Vec<Node>,
    /// This server.
    pub(super) own: ServerId,
    /// The id of what all of them hold: 40 hexadecimal digits.
    pub(super) shard: String,
    serves: bool,
}

/// What this server knows of itself.
#[derive(Clone, Debug)]
pub(super) struct Standing<'s> {
    /// The cluster's id, in hexadecimal.
    pub(super) cluster: &'s str,
    pub(super) server: ServerId,
    pub(super) address: RedisAddress,
    /// Whether it takes requests and can answer them.
    pub(super) serves: bool,
}

impl Topology {
    /// What a server tells, by what it knows of itself, of the members' addresses, and of which of them are up.
    pub(super) fn new(
        standing: &Standing<'_>,
        members: &[(ServerId, RedisAddress)],
        up: &[ServerId],
    ) -> Topology {
        let node = |server: ServerId, address: &RedisAddress| Node {
            server,
            address: address.clone(),
            id: node_id(standing.cluster, server),
        };
        let own = node(standing.server, &standing.address);
        let is_other = |server: ServerId| server != standing.server && up.contains(&server);
        let others = members.iter().filter(|(server, _)| is_other(*server));
        let mut replicas: Vec<Node> = others.map(|(server, address)| node(*server, address)).collect();
        let master = if standing.serves || replicas.is_empty() {
            own
        } else {
            replicas.push(own);
            replicas.remove(0)
        };
        replicas.sort_by_key(|node| node.server);
        let serves = standing.serves || master.server != standing.server;
        let shard = node_id(standing.cluster, 0);
        Topology { master, replicas, own: standing.server, shard, serves }
    }

    /// Whether this server names itself.
    pub(super) fn is_master(&self) -> bool {
        self.master.server == self.own
    }

    /// Whether the master serves, as far as is known.
    pub(super) fn serves(&self) -> bool {
        self.serves
    }

    /// All servers that are up, the master first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> + Clone {
        std::iter::once(&self.master).chain(&self.replicas)
    }

    /// This server.
    pub(super) fn own(&self) -> &Node {
        self.nodes().find(|node| node.server == self.own).expect("this server is one of them")
    }

    /// The servers but this one.
    pub(super) fn others(&self) -> impl Iterator<Item = &Node> + Clone {
        self.nodes().filter(|node| node.server != self.own)
    }
}

/// A server's id in the terms of Redis. It must never change, since clients compare what several servers tell.
fn node_id(cluster: &str, server: ServerId) -> String {
    let mut hasher = SipHasher24::new();
    std::hash::Hasher::write(&mut hasher, cluster.as_bytes());
    std::hash::Hasher::write(&mut hasher, &server.to_le_bytes());
    let hash = hasher.finish128();
    // The end of the server's id makes it easy to recognise.
    format!("{:016x}{:016x}{:08x}", hash.h1, hash.h2, server & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(server: ServerId, serves: bool, up: &[ServerId]) -> Topology {
        let address = |server: ServerId| format!("10.0.0.{server}:7001").parse().unwrap();
        let members: Vec<(ServerId, RedisAddress)> =
            (1..=3).map(|server| (server, address(server))).collect();
        let address = members[server as usize - 1].1.clone();
        Topology::new(&Standing { cluster: "c1", server, address, serves }, &members, up)
    }

    fn servers<'n>(nodes: impl Iterator<Item = &'n Node>) -> Vec<ServerId> {
        nodes.map(|node| node.server).collect()
    }

    #[test]
    fn a_server_that_serves_names_itself_and_who_is_up() {
        let all = told(2, true, &[1, 3]);
        assert!(all.is_master());
        assert_eq!((servers(all.nodes()), servers(all.others())), (vec![2, 1, 3], vec![1, 3]));
        assert_eq!(servers(told(2, true, &[3]).nodes()), [2, 3], "who is down is left out");
        assert_eq!(servers(told(2, true, &[]).nodes()), [2]);
    }

    #[test]
    fn a_server_that_does_not_serve_names_another_one() {
        let all = told(1, false, &[2, 3]);
        assert!(!all.is_master());
        assert_eq!((servers(all.nodes()), servers(all.others())), (vec![2, 1, 3], vec![2, 3]));
        assert!(all.serves());
        let alone = told(1, false, &[]);
        assert!(alone.is_master() && !alone.serves(), "there is no other one");
    }

    #[test]
    fn ids_are_the_same_everywhere_and_forever() {
        let ids = |server| {
            let told = told(server, true, &[1, 2, 3]);
            let mut ids: Vec<_> = told.nodes().map(|node| (node.server, node.id.clone())).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(1), ids(3));
        assert!(ids(1).iter().all(|(_, id)| id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_eq!(node_id("c1", 1), "c24b7f84fa986c9cb9de32bf6ba6164300000001");
        assert_ne!(node_id("c1", 2)[..32], node_id("c1", 1)[..32]);
        assert_ne!(node_id("c2", 1)[..32], node_id("c1", 1)[..32]);
    }
}
