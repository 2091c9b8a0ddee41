//! Which thread drives which groups, and on which core.

use std::ops::Range;

use core_affinity::CoreId;

use crate::config::{Config, ConfigError, Pinning, Threads};

/// One group thread's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadPart {
    /// Zero-based indexes of its groups.
    pub groups: Range<usize>,
    pub core: Option<CoreId>,
}

/// Threads beside those of the groups that are busy under load: front end, sequencer, application. A log's
/// thread mostly waits for the disk.
const OTHERS: usize = 3;

/// The parts of all group threads on a machine with these cores.
///
/// By default, each group has a thread and a core to itself if the machine has cores for them and for the
/// threads beside them, as in the paper. Fewer threads than cores leave the excess to the groups. On a smaller
/// machine, threads would only take turns, and each would have its own sleeps, wake-ups and syncs.
///
/// Neighbours share a thread. Since groups are led round robin by default, a server's groups are then on
/// different threads.
pub(crate) fn parts(config: &Config, cores: &[CoreId]) -> Result<Vec<ThreadPart>, ConfigError> {
    let groups = usize::from(config.groups());
    let threads = threads_of(config, groups, cores);
    let cores = pinned(&config.pinning, threads, groups, cores)?;
    Ok((0..threads)
        .map(|at| ThreadPart { groups: groups_of(at, threads, groups), core: cores[at] })
        .collect())
}

/// How many threads drive so many groups.
pub(super) fn threads_of(config: &Config, groups: usize, cores: &[CoreId]) -> usize {
    match (config.threads, &config.pinning) {
        (Threads::Count(count), _) => usize::from(count).min(groups),
        (Threads::Auto, Pinning::Cores(wanted)) => wanted.len().clamp(1, groups),
        (Threads::Auto, _) => cores.len().saturating_sub(OTHERS).clamp(1, groups),
    }
}

/// The core of one more thread, which comes with more groups: one of its own, if those before it have that and there is another.
pub(super) fn core_of_another(threads: &[ThreadPart], cores: &[CoreId]) -> Option<CoreId> {
    let taken = |core: &CoreId| threads.iter().any(|part| part.core == Some(*core));
    let all_have = threads.iter().all(|part| part.core.is_some());
    let mut free = cores.iter().filter(|core| all_have && !taken(core));
    // The last one is left to the threads beside them.
    let core = free.next()?;
    free.next().map(|_| *core)
}

/// Groups of one of several threads, all given by zero-based indexes.
pub(super) fn groups_of(thread: usize, threads: usize, groups: usize) -> Range<usize> {
    let bound = |thread: usize| (thread * groups).div_ceil(threads);
    bound(thread)..bound(thread + 1)
}

/// The groups that share a thread with this one, with itself, if so many threads drive so many groups. A group beyond
/// these, of a later epoch, is alone in a simulator.
pub fn groups_beside(group: usize, threads: usize, groups: usize) -> Range<usize> {
    let mut all = (0..threads).map(|thread| groups_of(thread, threads, groups));
    all.find(|part| part.contains(&group)).unwrap_or(group..group + 1)
}

/// The core for each thread.
fn pinned(
    pinning: &Pinning,
    threads: usize,
    groups: usize,
    there: &[CoreId],
) -> Result<Vec<Option<CoreId>>, ConfigError> {
    match pinning {
        // Threads that share groups have no core to themselves: there are too few.
        Pinning::Auto if threads == groups && there.len() > threads => {
            Ok(there.iter().take(threads).copied().map(Some).collect())
        }
        Pinning::Auto | Pinning::Off => Ok(vec![None; threads]),
        Pinning::Cores(wanted) if wanted.len() != threads => Err(ConfigError::Unfit(format!(
            "pinning names {} cores: name one for each of the {threads} threads that drive the {groups} groups",
            wanted.len()
        ))),
        Pinning::Cores(wanted) => wanted
            .iter()
            .map(|id| {
                there.iter().find(|core| core.id == *id).copied().map(Some).ok_or_else(|| {
                    let ids: Vec<String> = there.iter().map(|core| core.id.to_string()).collect();
                    ConfigError::Unfit(format!(
                        "pinning: there is no core {id}; this process may use {}",
                        ids.join(", ")
                    ))
                })
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Member;

    fn config(groups: usize) -> Config {
        let addresses = vec!["nowhere:0".to_owned(); groups];
        Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "nowhere:0".to_owned() }])
    }

    fn cores(count: usize) -> Vec<CoreId> {
        (0..count).map(|id| CoreId { id }).collect()
    }

    /// The groups of each thread, and whether they are bound to cores.
    fn layout(config: &Config, of: usize) -> (Vec<Range<usize>>, bool) {
        let parts = parts(config, &cores(of)).unwrap();
        let bound = parts.iter().filter(|part| part.core.is_some()).count();
        assert!(bound == 0 || bound == parts.len());
        (parts.into_iter().map(|part| part.groups).collect(), bound > 0)
    }

    /// A single thread's groups.
    fn one(groups: Range<usize>) -> Vec<Range<usize>> {
        std::iter::once(groups).collect()
    }

    #[test]
    fn each_group_has_a_core_where_there_are_enough() {
        assert_eq!(layout(&config(4), 7), ((0..4).map(|group| group..group + 1).collect(), true));
        assert_eq!(layout(&config(1), 4), (one(0..1), true));
    }

    #[test]
    fn on_a_small_machine_groups_share_threads() {
        assert_eq!(layout(&config(4), 2), (one(0..4), false));
        assert_eq!(layout(&config(4), 0), (one(0..4), false), "of an unknown machine");
        assert_eq!(layout(&config(4), 5), (vec![0..2, 2..4], false));
        assert_eq!(layout(&config(6), 6), (vec![0..2, 2..4, 4..6], false));
        assert_eq!(layout(&config(5), 5), (vec![0..3, 3..5], false));
    }

    #[test]
    fn what_is_configured_counts() {
        let mut config = config(4);
        config.threads = Threads::Count(4);
        assert_eq!(layout(&config, 2).0.len(), 4);
        config.threads = Threads::Count(9);
        assert_eq!(layout(&config, 2).0.len(), 4, "a thread without groups is of no use");
        config.threads = Threads::Count(2);
        config.pinning = Pinning::Cores(vec![1, 0]);
        assert_eq!(layout(&config, 2), (vec![0..2, 2..4], true));
        config.threads = Threads::Auto;
        assert_eq!(layout(&config, 2), (vec![0..2, 2..4], true), "a thread for each core named");
    }

    #[test]
    fn one_more_thread_gets_a_core_of_its_own_if_all_have_one() {
        let part = |core: Option<usize>| ThreadPart { groups: 0..1, core: core.map(|id| CoreId { id }) };
        assert_eq!(core_of_another(&[part(Some(0)), part(Some(1))], &cores(4)), Some(CoreId { id: 2 }));
        assert_eq!(core_of_another(&[part(Some(0))], &cores(2)), None, "the last one is for other threads");
        assert_eq!(core_of_another(&[part(None)], &cores(4)), None);
    }

    #[test]
    fn cores_that_do_not_fit_are_refused_with_what_would() {
        let mut config = config(4);
        config.threads = Threads::Count(2);
        config.pinning = Pinning::Cores(vec![0]);
        let error = parts(&config, &cores(2)).unwrap_err().to_string();
        assert!(error.contains("1 cores") && error.contains("2 threads"), "{error}");
        config.pinning = Pinning::Cores(vec![0, 7]);
        let error = parts(&config, &cores(2)).unwrap_err().to_string();
        assert!(error.contains("no core 7") && error.contains("0, 1"), "{error}");
    }
}
