//! The threads that drive groups: what they are given at the start, and the groups of later epochs that join them. Where more
//! groups are to have more threads, these are started then.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;

use core_affinity::CoreId;
use crossbeam_channel::{Sender, unbounded};
use niagara_log::thread::spawn;
use niagara_log::{Durability, LogWriter};
use niagara_net::{Transport, Waker};
use parking_lot::Mutex;

use super::channels::{Listening, group_link};
use super::driven_group::{Disk, DrivenGroup};
use super::epoch_opener::OpenedEpoch;
use super::group_parts::GroupParts;
use super::group_thread::{GroupThread, Joining};
use super::log_thread::{GroupLog, LogThread, Pending};
use super::replica::Replica;
use super::start_error::StartError;
use super::surroundings::MakeTransport;
use super::thread_layout::{ThreadPart, core_of_another, groups_of, threads_of};
use super::ticks::Ticks;
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::Identity;
use crate::misuse::NoWaiting;
use crate::progress::SharedProgress;

/// The threads that drive groups, to which groups of later epochs are handed.
pub(crate) struct GroupThreads {
    /// As the server was configured, before its start settled how many threads there are.
    pub config: Config,
    pub identity: Arc<Identity>,
    pub progress: Arc<SharedProgress>,
    /// Where this server listens.
    pub listening: Listening,
    pub clock: Clock,
    /// The cores that this process may use.
    pub cores: Vec<CoreId>,
    pub make_transport: MakeTransport,
    /// What was settled for each thread.
    pub layout: Vec<ThreadPart>,
    pub running: Arc<RunningThreads>,
}

/// The threads that drive groups, as the engine ends them.
#[derive(Default)]
pub(crate) struct RunningThreads {
    threads: Mutex<Vec<RunningThread>>,
    /// Whether the server stops: then each thread ends with its last group.
    stop: Arc<AtomicBool>,
}

struct RunningThread {
    joining: Sender<Joining>,
    waker: Waker,
    handle: JoinHandle<()>,
}

/// What a thread begins with.
pub(super) struct Beginning {
    /// In the name of the thread.
    pub name: String,
    pub ticks: Ticks,
    pub core: Option<CoreId>,
    pub transport: Box<dyn Transport>,
    pub groups: Vec<DrivenGroup>,
    pub logs: Option<LogThread>,
}

impl RunningThreads {
    /// Starts one more.
    pub(super) fn start(&self, beginning: Beginning) -> io::Result<()> {
        let Beginning { name, ticks, core, transport, groups, logs } = beginning;
        let ((sender, joining), waker) = (unbounded(), transport.waker());
        let (logs, stop) = (logs.into_iter().collect(), Arc::clone(&self.stop));
        let thread = GroupThread { ticks, core, transport, groups, logs, joining, stop };
        let handle = spawn(format!("group-{name}"), move || {
            let _group = NoWaiting::inside("a call from a group's thread");
            thread.run();
        })?;
        self.threads.lock().push(RunningThread { joining: sender, waker, handle });
        Ok(())
    }

    /// Lets all end once their groups have been told to stop. No other one may be started any more.
    pub fn end(&self) {
        self.stop.store(true, SeqCst);
        self.threads.lock().iter().for_each(|thread| thread.waker.wake());
    }

    /// Waits until all have ended.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        let ended = threads.into_iter().map(|thread| thread.handle.join());
        ended.for_each(|ended| ended.expect("a panic in a thread of the engine ends the process"));
    }
}

impl GroupThreads {
    /// Spreads the groups of an epoch over the threads, as a start does.
    ///
    /// # Errors
    /// If an address cannot be resolved, or a thread cannot be started.
    pub fn take_in(&mut self, epoch: OpenedEpoch) -> Result<(), StartError> {
        let OpenedEpoch { progress, chain, groups } = epoch;
        let record = &chain.newest().record;
        let count = groups.len();
        self.grow_for(count)?;
        let mut groups = groups.into_iter();
        let threads = self.running.threads.lock();
        for (at, RunningThread { joining, waker, .. }) in threads.iter().enumerate() {
            let part = groups_of(at, threads.len(), count);
            if part.is_empty() {
                continue;
            }
            let name = format!("log-{}-{}", record.epoch, part.start + 1);
            let link = |group| {
                let link = group_link(&self.config, record, group as u16, &self.identity, &self.listening)?;
                self.listening.joins(&self.config, group as u16, &link);
                Ok(link)
            };
            let links = part.clone().map(link).collect::<Result<Vec<_>, StartError>>()?;
            let driven = drive(&self.config, &self.progress, name, groups.by_ref().take(part.len()));
            let (groups, logs) = driven.map_err(StartError::Thread)?;
            part.for_each(|group| progress.groups[group].set_waker(waker.clone()));
            let groups = groups.into_iter().zip(links).collect();
            let admission = Arc::<Identity>::clone(&self.identity);
            // A thread that has ended has no use for groups: the server stops.
            let _ = joining.send(Joining { groups, admission, logs });
            waker.wake();
        }
        Ok(())
    }

    /// Starts the threads that so many groups have beyond those that there are. Threads that fewer groups do not need sleep.
    fn grow_for(&mut self, groups: usize) -> Result<(), StartError> {
        for at in self.layout.len()..threads_of(&self.config, groups, &self.cores) {
            let group = at as u16 + 1;
            let transport = (self.make_transport)().map_err(|source| StartError::Link { group, source })?;
            let core = core_of_another(&self.layout, &self.cores);
            let ticks = Ticks::new(self.clock.clone(), self.config.tick);
            let name = format!("more-{group}");
            let begin = Beginning { name, ticks, core, transport, groups: Vec::new(), logs: None };
            self.running.start(begin).map_err(StartError::Thread)?;
            self.layout.push(ThreadPart { groups: at..at, core });
        }
        if self.progress.group_threads.swap(self.layout.len(), SeqCst) != self.layout.len() {
            tracing::info!(groups, threads = self.layout.len(), "more groups have more threads");
        }
        Ok(())
    }
}

/// Groups as their thread drives them, and the thread that makes their logs durable if that takes syncs.
pub(super) fn drive(
    config: &Config,
    progress: &Arc<SharedProgress>,
    log_thread: String,
    groups: impl Iterator<Item = GroupParts>,
) -> io::Result<(Vec<DrivenGroup>, Option<LogThread>)> {
    let groups: Vec<GroupParts> = groups.collect();
    let peers: Vec<_> = groups.iter().map(|group| config.peers(&group.record)).collect();
    let (replicas, writers): (Vec<_>, Vec<_>) =
        groups.into_iter().map(|GroupParts { replica, writer, .. }| (replica, writer)).unzip();
    let (logs, disks): (_, Vec<Disk>) = if config.durability == Durability::Fsync {
        let log = |(replica, writer): (&Replica, LogWriter)| {
            GroupLog::new(replica.group, Arc::clone(replica.epoch()), writer, replica.metrics.clone())
        };
        let logs = replicas.iter().zip(writers).map(log).collect();
        let (thread, handles) = LogThread::start(log_thread, logs, Arc::clone(progress))?;
        (Some(thread), handles.into_iter().map(|handle| Disk::Thread(handle, Vec::new())).collect())
    } else {
        let inline = |writer| Disk::Inline(Box::new(writer), Pending::default());
        (None, writers.into_iter().map(inline).collect())
    };
    let driven = |((replica, disk), peers): ((_, _), Vec<_>)| DrivenGroup::new(replica, peers, disk);
    Ok((replicas.into_iter().zip(disks).zip(peers).map(driven).collect(), logs))
}
