//! A campaign under way: clusters one after another, episode by episode.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::ClusterPlan;
use crate::network::{Namespaces, NetworkError};

use super::fault::{Fault, Kind};
use super::healing;
use super::judge::Judge;
use super::keeping::Keeping;
use super::keys::Keys;
use super::stop::Stop;
use super::tally::Tally;
use super::worker::{Shared, Workers};
use super::world::World;
use super::{CampaignPlan, Progress, Report, Violation};
use crate::export;
use niagara_testing::parts::chance::Chance;

/// An episode lasts between so many milliseconds, healing not included.
const EPISODE_MS: (u64, u64) = (8000, 30_000);
/// Pauses between two faults, in milliseconds: some come while the one before is being dealt with, others long after.
const PAUSES_MS: [(u64, u64); 4] = [(1, 30), (30, 300), (300, 1500), (1500, 4000)];
/// After so much time under faults a new cluster begins.
const CLUSTER_TIME: Duration = Duration::from_secs(180);
/// Between two looks at what is due.
const LOOK: Duration = Duration::from_millis(5);

pub(super) struct Campaign<'p, W> {
    pub plan: &'p CampaignPlan,
    pub network: Option<Arc<Namespaces>>,
    pub kinds: Vec<Kind>,
    pub random: Chance,
    pub end: &'p AtomicBool,
    pub watch: W,
}

impl<W: FnMut(Progress)> Campaign<'_, W> {
    pub(super) fn run(mut self) -> Result<Report, NetworkError> {
        let tally = Arc::<Tally>::default();
        let mut left = self.plan.time;
        let mut violation = None;
        while violation.is_none() && left > Duration::ZERO && !self.end.load(Relaxed) {
            let number = tally.clusters.fetch_add(1, Relaxed) + 1;
            let keeping = self.plan.keep.as_ref().map(|dir| Keeping::of_cluster(dir, number));
            let keeping = keeping.transpose().expect("what is to be kept can be put there");
            violation = self.one_cluster(&tally, keeping, &mut left)?;
        }
        Ok(Report {
            table: tally.to_string(),
            operations: tally.done(),
            faults: tally.faults(),
            histories: tally.windows.load(Relaxed),
            violation,
        })
    }

    fn one_cluster(
        &mut self,
        tally: &Arc<Tally>,
        keeping: Option<Keeping>,
        left: &mut Duration,
    ) -> Result<Option<Violation>, NetworkError> {
        let mut plan = ClusterPlan::new(self.plan.servers, self.plan.groups).durability(self.plan.durability);
        if self.random.one_in(2) {
            plan = plan.engine("threads", 1);
        }
        if let Some(network) = &self.network {
            plan = plan.network(network);
        }
        let mut world = World::new(plan.start(), self.network.clone(), self.plan.groups);
        let (judge, send) = Judge::start(tally, keeping.clone());
        let shared = Shared::new(world.cluster.endpoints(), Keys::new(send), Arc::clone(tally));
        let workers = Workers::start(Arc::new(shared), &mut self.random);
        let mut time = CLUSTER_TIME.min(*left);
        *left -= time;
        let mut stopped = None;
        while stopped.is_none() && time > Duration::ZERO && !self.end.load(Relaxed) {
            stopped = self.episode(&mut world, &workers, &judge, &mut time, *left).err();
        }
        tally.compared.fetch_add(world.compared, Relaxed);
        drop(workers.shared.keys.retire());
        workers.stop();
        // All clients and keys are gone, so the judge has got its last history.
        let guilty = judge.finish();
        if let Some(keeping) = keeping {
            keeping.files(world.cluster.dir()).expect("there is room for what is to be kept");
        }
        let what = match (guilty, stopped) {
            (Some(guilty), _) => {
                let path = world.cluster.dir().join("history.jsonl");
                fs::write(path, export::json_lines(&guilty.history))
                    .expect("the cluster's directory can be written");
                guilty.what
            }
            (None, Some(Stop::Violation(what))) => what,
            (None, Some(Stop::Network(error))) => return Err(error),
            (None, None) => return Ok(None),
        };
        world.note("violation");
        fs::write(world.cluster.dir().join("violation.txt"), &what)
            .expect("the cluster's directory can be written");
        world.cluster.keep_files();
        Ok(Some(Violation { what, directory: world.cluster.dir().to_owned() }))
    }

    /// Clients at work under faults, and then the proof that all is well.
    fn episode(
        &mut self,
        world: &mut World,
        workers: &Workers,
        judge: &Judge,
        time: &mut Duration,
        left: Duration,
    ) -> Result<(), Stop> {
        let (least, most) = EPISODE_MS;
        let length = Duration::from_millis(self.random.between(least, most)).min(*time);
        let begin = Instant::now();
        let mut next_fault = begin;
        let mut next_look = begin;
        while begin.elapsed() < length && !self.end.load(Relaxed) {
            world.end_due()?;
            if Instant::now() >= next_fault {
                self.begin_fault(world, &workers.shared.tally)?;
                let (least, most) = *self.random.pick(&PAUSES_MS);
                next_fault = Instant::now() + Duration::from_millis(self.random.between(least, most));
            }
            if Instant::now() >= next_look {
                next_look = Instant::now() + 20 * LOOK;
                is_well(world, workers, judge)?;
                let to_come = left + *time - begin.elapsed().min(*time);
                self.tell(&workers.shared.tally, world.broken(), self.plan.time - to_come);
            }
            thread::sleep(LOOK);
        }
        *time -= length;
        world.heal()?;
        healing::await_service(world, workers)?;
        healing::compare(world, workers)?;
        is_well(world, workers, judge)
    }

    fn begin_fault(&mut self, world: &mut World, tally: &Tally) -> Result<(), Stop> {
        let (fault, lasts) = Fault::choose(&self.kinds, world.servers(), self.plan.groups, &mut self.random);
        if let Some(kind) = world.begin(fault, lasts)? {
            tally.fault(kind);
        }
        Ok(())
    }

    fn tell(&mut self, tally: &Tally, broken: usize, time: Duration) {
        (self.watch)(Progress {
            time,
            operations: tally.done(),
            faults: tally.faults(),
            broken,
            histories: tally.windows.load(Relaxed),
        });
    }
}

/// Whether nothing has come to light so far.
fn is_well(world: &mut World, workers: &Workers, judge: &Judge) -> Result<(), Stop> {
    if let Some(guilty) = judge.found() {
        return Err(Stop::Violation(guilty.what));
    }
    if let Some(wrong) = workers.shared.wrong.lock().expect("no thread panics while it holds this").clone() {
        return Err(Stop::Violation(wrong));
    }
    world.ended_by_itself().map_or(Ok(()), |what| Err(Stop::Violation(what)))
}
