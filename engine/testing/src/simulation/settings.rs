//! How a simulated cluster is set up.

use std::time::Duration;

use niagara_engine::{Config, Durability, Member};

use crate::parts::network::Weather;
use crate::recording::Comparing;

/// The most groups that a simulated server has.
const MOST_GROUPS: u16 = 30;

/// How a simulated cluster is set up. Start with [`Settings::new`], and change what differs.
///
/// Here `Counter` is a state machine of yours, which counts commands:
///
/// ```
/// # use niagara_engine::internals::example::Counter;
/// use niagara_testing::{Settings, Simulation};
///
/// let mut settings = Settings::new(42, 5, 3);
/// settings.weather.lost = 500; // 5 percent
/// settings.config.snapshot_entries = 10;
/// let simulation = Simulation::with(settings, |_server| Counter::default());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// What the network does to messages.
    pub weather: Weather,
    /// Configuration of all servers; each gets its own id and directory. Sizes are small, and a snapshot is
    /// taken every 50 entries, so that seconds of virtual time see much. The clock ticks every 20 ms.
    pub config: Config,
    /// The state is encoded and compared after every so many positions of the global log; 0 for never. The
    /// default, 1, finds the very command that made states differ, and costs as much as encoding the state
    /// after each entry.
    pub states_every: u64,
    /// Whether equal states are encoded equally. If not, for example since the entries of a `HashMap` are
    /// encoded in its order, set this to `false`: then only replies and digests are compared.
    pub encoded_states: bool,
    /// How many groups there can be in all epochs together, for a cluster whose number of groups
    /// [changes](super::Simulation::ask_for_groups); at most 30.
    pub most_groups: u16,
    /// Whether servers split the commands of an entry into calls of `apply` each in its own way. Nothing may
    /// depend on that.
    pub split_batches: bool,
    /// So many of the servers, the last ones, are no members at first: [`ask_for_members`](super::Simulation::ask_for_members)
    /// and [`join`](super::Simulation::join) let them come.
    pub spares: u64,
}

impl Settings {
    /// The defaults for a cluster of so many servers and groups.
    ///
    /// # Panics
    /// If there is no server, no group, or more than 30 groups.
    pub fn new(seed: u64, servers: u64, groups: u16) -> Settings {
        assert!(servers > 0, "a cluster has at least one server");
        assert!(
            (1..=MOST_GROUPS).contains(&groups),
            "a simulated cluster has 1 to {MOST_GROUPS} groups, not {groups}"
        );
        let address = "simulated:0".to_owned();
        let addresses = vec![address.clone(); usize::from(groups)];
        let member = |server| Member { server, addresses: addresses.clone(), transfer: address.clone() };
        let mut config = Config::new(0xc1, 1, (1..=servers).map(member).collect());
        config.tick = Duration::from_millis(20);
        config.deadline = Duration::from_secs(1);
        config.entry_bytes = 4 << 10;
        config.segment_bytes = 8 << 10;
        config.log_cache_bytes = 16 << 10;
        config.command_bytes = 64 << 10;
        config.lane_bytes = 256 << 10;
        config.snapshot_entries = 50;
        config.snapshot_piece_bytes = 4 << 10;
        Settings {
            seed,
            weather: Weather { delay: (50, 1000), lost: 20, doubled: 20, overtaken: 50, damaged: 2 },
            config,
            states_every: 1,
            encoded_states: true,
            most_groups: groups,
            split_batches: true,
            spares: 0,
        }
    }

    pub(super) fn comparing(&self) -> Comparing {
        let Settings { states_every, encoded_states, split_batches, .. } = *self;
        Comparing { states_every, encoded_states, split_batches }
    }

    /// # Panics
    /// If servers could not survive a crash, or could not start.
    /// The configuration of a server. One that is no member at first knows itself alone.
    pub(super) fn config_of(&self, server: u64) -> Config {
        let founders = self.config.members.len() - self.spares as usize;
        let mut config = self.config.clone();
        config.server = server;
        config.groups = Some(self.config.groups());
        match server as usize <= founders {
            true => config.members.truncate(founders),
            false => config.members.retain(|member| member.server == server),
        }
        config
    }

    pub(super) fn check(&self) {
        assert!(self.spares < self.config.members.len() as u64, "a cluster begins with at least one member");
        assert!(
            self.config.durability != Durability::Memory,
            "a simulated server crashes and must find its log again: use Durability::Fsync or Durability::Os"
        );
        assert!(
            (self.config.groups()..=MOST_GROUPS).contains(&self.most_groups),
            "a simulated cluster has at most {MOST_GROUPS} groups in all its epochs, and those of the first one"
        );
        if let Err(error) = self.config.check() {
            panic!("the settings' configuration cannot work: {error}");
        }
    }
}
