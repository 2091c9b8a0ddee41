//! The latest changes, which all watchers of a server share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use niagara_engine::Wake;
use parking_lot::Mutex;

use super::{Change, ChangeId};

/// Most bytes of changes that a server keeps; the changes of the latest batch are kept however many they are.
const MOST_BYTES: usize = 64 << 20;

/// Where the thread that executes commands meets the front-end threads of its server.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    kept: Mutex<Kept>,
    /// Bytes of changes until they are not kept any more, unless somebody says that he watches.
    credit: AtomicUsize,
    /// Bytes of all changes that were ever kept here.
    recorded: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    /// The first change that is kept, or will be; `None` while none are.
    begin: Option<ChangeId>,
    parts: VecDeque<Arc<Part>>,
    bytes: usize,
    /// The threads that have had watchers.
    desks: Vec<Arc<Desk>>,
}

/// Changes of a batch.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) changes: Vec<Change>,
    pub(super) bytes: usize,
}

impl Part {
    fn last(&self) -> ChangeId {
        self.changes.last().expect("a part holds a change").id
    }
}

/// What follows a place.
pub(super) enum Next {
    Part(Arc<Part>),
    /// It is not kept any more; the first change that is, if any are.
    Gone(Option<ChangeId>),
    /// Everything has been read.
    Nothing,
}

/// A front-end thread that has watchers.
pub(super) struct Desk {
    wake: Arc<dyn Wake>,
    pub(super) watchers: AtomicUsize,
    /// Changes have come, or were lost, since the thread looked last.
    pub(super) has_news: AtomicBool,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("watchers", &self.watchers).finish_non_exhaustive()
    }
}

impl Feed {
    /// A thread that may have watchers takes part.
    pub(super) fn join(&self, wake: Arc<dyn Wake>) -> Arc<Desk> {
        let desk = Arc::new(Desk { wake, watchers: AtomicUsize::new(0), has_news: AtomicBool::new(false) });
        self.kept.lock().desks.push(Arc::clone(&desk));
        desk
    }

    /// A thread has no watchers any more, and will have none.
    pub(super) fn leave(&self, left: &Arc<Desk>) {
        self.kept.lock().desks.retain(|desk| !Arc::ptr_eq(desk, left));
    }

    /// The first change that is kept, or will be; `None` while none are.
    pub(crate) fn begin(&self) -> Option<ChangeId> {
        self.kept.lock().begin
    }

    /// How many clients of this server watch.
    pub(crate) fn watchers(&self) -> usize {
        self.kept.lock().desks.iter().map(|desk| desk.watchers.load(SeqCst)).sum()
    }

    /// Changes are kept from this one on. Returns those that were kept before.
    pub(super) fn restart(&self, begin: Option<ChangeId>) -> VecDeque<Arc<Part>> {
        let mut kept = self.kept.lock();
        kept.begin = begin;
        kept.bytes = 0;
        let parts = std::mem::take(&mut kept.parts);
        let rung = kept.ring();
        drop(kept);
        rung.iter().for_each(|desk| desk.wake.wake());
        parts
    }

    /// Appends changes. Returns those that are not kept any more.
    pub(super) fn append(&self, part: Part, credit: usize) -> VecDeque<Arc<Part>> {
        self.credit.store(credit, SeqCst);
        self.recorded.fetch_add(part.bytes as u64, SeqCst);
        let mut kept = self.kept.lock();
        kept.bytes += part.bytes;
        kept.parts.push_back(Arc::new(part));
        let mut gone = VecDeque::new();
        while kept.bytes > MOST_BYTES && kept.parts.len() > 1 {
            let part = kept.parts.pop_front().expect("there are two");
            kept.bytes -= part.bytes;
            kept.begin = Some(part.last().next());
            gone.push_back(part);
        }
        let rung = kept.ring();
        drop(kept);
        rung.iter().for_each(|desk| desk.wake.wake());
        gone
    }

    /// What follows for a watcher that awaits this change.
    pub(super) fn next(&self, awaited: ChangeId) -> Next {
        let kept = self.kept.lock();
        match kept.begin {
            Some(begin) if begin <= awaited => {
                let read = kept.parts.partition_point(|part| part.last() < awaited);
                kept.parts.get(read).map_or(Next::Nothing, |part| Next::Part(Arc::clone(part)))
            }
            begin => Next::Gone(begin),
        }
    }

    /// Bytes until changes are not kept any more, and those that were ever kept.
    pub(super) fn credit(&self) -> (usize, u64) {
        (self.credit.load(SeqCst), self.recorded.load(SeqCst))
    }

    /// Sets how many bytes are still kept.
    pub(super) fn extend(&self, credit: usize) {
        self.credit.store(credit, SeqCst);
    }
}

impl Kept {
    /// Each thread with watchers is to be woken, once until it looks. Whoever rings wakes them outside of the lock, since that
    /// runs code of an embedding program.
    fn ring(&self) -> Vec<Arc<Desk>> {
        let has_slept =
            |desk: &&Arc<Desk>| desk.watchers.load(SeqCst) > 0 && !desk.has_news.swap(true, SeqCst);
        self.desks.iter().filter(has_slept).map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lookout;
    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(&self) {}
    }

    /// Programs that embed a server come and go, unlike its threads.
    #[test]
    fn whoever_has_left_is_not_remembered() {
        let feed = Arc::new(Feed::default());
        drop(feed.restart(Some(ChangeId::first_at(1))));
        let desks = || feed.kept.lock().desks.len();
        let stays = Lookout::new(Arc::new(Nobody));
        let watcher = stays.watch(&feed, Vec::new(), None, 0).expect("changes are kept");
        for _ in 0..3 {
            let goes = Lookout::new(Arc::new(Nobody));
            drop(goes.watch(&feed, Vec::new(), None, 0).expect("changes are kept"));
            assert_eq!(desks(), 2);
        }
        assert_eq!((desks(), feed.watchers()), (1, 1));
        drop((watcher, stays));
        assert_eq!((desks(), feed.watchers()), (0, 0));
    }
}
