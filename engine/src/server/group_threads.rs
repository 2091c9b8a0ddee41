//! The threads that drive groups: what they are given at the start, and the groups of later epochs that join them.

use std::io;
use std::sync::Arc;

use crossbeam_channel::Sender;
use niagara_log::{Durability, LogWriter};
use niagara_net::Waker;

use super::channels::{Listening, group_link};
use super::driven_group::{Disk, DrivenGroup};
use super::epoch_opener::OpenedEpoch;
use super::group_parts::GroupParts;
use super::group_thread::Joining;
use super::log_thread::{GroupLog, LogThread, Pending};
use super::replica::Replica;
use super::start_error::StartError;
use super::thread_layout::groups_of;
use crate::config::Config;
use crate::identity::Identity;
use crate::progress::SharedProgress;

/// The running group threads, to which groups of later epochs are handed.
pub(crate) struct GroupThreads {
    pub config: Config,
    pub identity: Arc<Identity>,
    pub progress: Arc<SharedProgress>,
    /// Where this server listens.
    pub listening: Listening,
    pub threads: Vec<ThreadEntrance>,
}

/// The way into a running group thread.
pub(crate) struct ThreadEntrance {
    pub joining: Sender<Joining>,
    pub waker: Waker,
}

impl GroupThreads {
    /// Spreads the groups of an epoch over the threads, as a start does.
    ///
    /// # Errors
    /// If an address cannot be resolved, or a thread for the logs cannot be started.
    pub fn take_in(&self, epoch: OpenedEpoch) -> Result<(), StartError> {
        let OpenedEpoch { progress, chain, groups } = epoch;
        let record = &chain.newest().record;
        let count = groups.len();
        let mut groups = groups.into_iter();
        for (at, ThreadEntrance { joining, waker }) in self.threads.iter().enumerate() {
            let part = groups_of(at, self.threads.len(), count);
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
