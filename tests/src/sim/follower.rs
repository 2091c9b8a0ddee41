//! A simulated follower: a server that is no member, and executes what the members have committed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use niagara_engine::internals::sim::{Clock, Environment, ManualClock, SimFollower};
use niagara_engine::internals::snapshot::Header;
use niagara_engine::{Config, ServerRole, StartError};
use niagara_kvstore::Life;
use niagara_log::Files;
use niagara_net::Event as NetEvent;

use super::callers::Callers;
use super::disk::Disk;
use super::network::Micros;
use super::recorder::Recorder;
use super::witness::Witness;

/// A follower, running or not.
pub struct Follower {
    /// Its id, above those of all members.
    pub id: u64,
    /// Its disk.
    pub disk: Disk,
    /// Number of its current or last life; events of an earlier one are void.
    pub life: u64,
    /// Its process.
    pub running: Option<Following>,
    config: Config,
    clock: Arc<ManualClock>,
}

/// A follower's process.
pub struct Following {
    /// The engine.
    pub machine: SimFollower<Recorder>,
    /// What its clients reach.
    pub callers: Callers,
    /// What its state machine has done.
    pub witness: Witness,
    /// Unhandled events of its links.
    pub inbox: VecDeque<NetEvent>,
    /// When its clock ticks next.
    pub ticks_at: Micros,
}

impl Follower {
    /// A follower that has never run, of a cluster with members of this configuration.
    pub fn new(id: u64, of: &Config, disk: Disk) -> Follower {
        let mut config = of.clone();
        (config.server, config.role, config.data_dir) = (id, ServerRole::Follower, "follower".into());
        Follower { id, disk, life: 0, running: None, config, clock: Arc::new(ManualClock::new()) }
    }

    /// Starts its process, with a member's snapshot if it has none of its own.
    pub fn start(&mut self, first: (Arc<Header>, Vec<u8>)) -> Result<(), StartError> {
        self.life += 1;
        let clock = Clock::Manual(Arc::clone(&self.clock));
        let files: Arc<dyn Files> = Arc::new(self.disk.clone());
        let environment = Environment {
            boot: self.id << 32 | self.life,
            clock: clock.clone(),
            files,
            prepare_beside: false,
            election_seed: None,
        };
        let state = Recorder::default();
        let records = state.records();
        let machine = SimFollower::open(&self.config, &environment, state, Some((first.0, &first.1)))?;
        let client = machine.client();
        let life = Life::new(environment.boot).expect("servers are numbered from 1");
        self.running = Some(Following {
            callers: Callers::new(&client, life, clock),
            witness: Witness::new(&client, records),
            machine,
            inbox: VecDeque::new(),
            ticks_at: 0,
        });
        Ok(())
    }

    /// Sets its clocks.
    pub fn set_clock(&mut self, now: Micros, wall: u64) {
        self.clock.set(Duration::from_micros(now));
        if let Some(running) = &mut self.running {
            running.callers.set_wall(wall);
        }
    }
}
