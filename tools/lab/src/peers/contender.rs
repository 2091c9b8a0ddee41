//! Who takes part, and what each promises.

use niagara_engine::Durability;
use niagara_measure::find_program;
use serde::{Serialize, Serializer};

use super::work::Shape;

/// A store in a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Contender {
    pub product: Product,
    /// How hard it tries to keep what it has acknowledged: Niagara's own word, and what comes closest elsewhere.
    #[serde(serialize_with = "by_name")]
    pub durability: Durability,
}

/// A store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Product {
    Niagara { groups: u16, protocol: Protocol },
    Etcd,
    Redis,
}

/// How clients speak to Niagara.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Protocol {
    Redis,
    Http,
}

fn by_name<S: Serializer>(durability: &Durability, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(durability)
}

impl Contender {
    /// All, those that sync first.
    pub fn all() -> Vec<Contender> {
        let niagara = |groups, protocol| Product::Niagara { groups, protocol };
        let (one, four) = (niagara(1, Protocol::Redis), niagara(4, Protocol::Redis));
        let synced = [one, four, niagara(1, Protocol::Http), Product::Etcd, Product::Redis];
        let written = [one, four, Product::Etcd, Product::Redis];
        let in_memory = [one, four, Product::Redis];
        let with = |durability| move |product: &Product| Contender { product: *product, durability };
        let all = synced.iter().map(with(Durability::Fsync));
        let all = all.chain(written.iter().map(with(Durability::Os)));
        all.chain(in_memory.iter().map(with(Durability::Memory))).collect()
    }

    pub fn name(self) -> String {
        let Contender { product, durability } = self;
        let setting = match (product, durability) {
            (Product::Niagara { .. }, durability) => durability.name(),
            (Product::Etcd, Durability::Fsync) => "fsync",
            (Product::Etcd, _) => "no fsync",
            (Product::Redis, Durability::Fsync) => "always",
            (Product::Redis, Durability::Os) => "everysec",
            (Product::Redis, Durability::Memory) => "no file",
        };
        match product {
            Product::Niagara { groups, protocol: Protocol::Redis } => {
                format!("Niagara R = {groups}, {setting}")
            }
            Product::Niagara { groups, protocol: Protocol::Http } => {
                format!("Niagara R = {groups} over HTTP, {setting}")
            }
            Product::Etcd => format!("etcd, {setting}"),
            Product::Redis => format!("Redis with WAIT 1, {setting}"),
        }
    }

    /// Whether an acknowledged write is on a disk, at least on one.
    pub fn is_synced(self) -> bool {
        self.durability == Durability::Fsync
    }

    pub fn is_ours(self) -> bool {
        matches!(self.product, Product::Niagara { .. })
    }

    /// Whether its protocol and the load generator have that.
    pub fn fits(self, shape: Shape) -> bool {
        let http = matches!(self.product, Product::Niagara { protocol: Protocol::Http, .. });
        !(http && shape.pipeline > 1)
    }

    /// Why it cannot take part, and what to do.
    pub fn lack(self) -> Option<String> {
        let (program, package) = self.product.program()?;
        let lack = format!("{program} is not installed; on Debian: apt-get install {package}");
        find_program(program).is_none().then_some(lack)
    }

    /// Where an acknowledged write is, and what it survives.
    pub fn write_promise(self) -> [&'static str; 2] {
        match (self.product, self.durability) {
            (Product::Niagara { .. } | Product::Etcd, Durability::Fsync) => {
                ["on a quorum's disks", "failovers; power loss everywhere"]
            }
            (Product::Niagara { .. } | Product::Etcd, Durability::Os) => [
                "with a quorum's operating systems",
                "failovers; killed processes; no power loss of a quorum",
            ],
            (Product::Niagara { .. } | Product::Etcd, Durability::Memory) => {
                ["in a quorum's memory", "failovers; not the end of a quorum's processes"]
            }
            (Product::Redis, Durability::Fsync) => [
                "on the primary's disk, in one replica's memory",
                "the primary's restart; not a failover to the other replica",
            ],
            (Product::Redis, Durability::Os) => [
                "with the primary's system, in one replica's memory",
                "the primary's restart; not a failover to the other replica",
            ],
            (Product::Redis, Durability::Memory) => {
                ["in memory of the primary and one replica", "a failover to that replica only"]
            }
        }
    }

    /// What the reads are that count as strong here.
    pub fn read_promise(self) -> &'static str {
        match self.product {
            Product::Niagara { .. } | Product::Etcd => "linearizable, through every server",
            Product::Redis => "the primary's state",
        }
    }

    /// Whether it promises the same as another one.
    pub fn promises_like(self, other: Contender) -> bool {
        let kind = |one: Contender| (std::mem::discriminant(&one.product), one.durability);
        kind(self) == kind(other)
    }
}

impl Product {
    /// A third-party program, and the package that it comes in.
    pub fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Product::Niagara { .. } => None,
            Product::Etcd => Some(("etcd", "etcd-server")),
            Product::Redis => Some(("redis-server", "redis-server")),
        }
    }
}
