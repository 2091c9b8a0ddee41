//! The part of a thread with watchers: how it is woken, and what it says in the log on their behalf.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use niagara_engine::Wake;

use super::feed::Desk;
use super::recorder::CREDIT_BYTES;
use super::{ChangeId, Feed, Gone, Watcher};

/// See the [module](self).
pub(crate) struct Lookout {
    wake: Arc<dyn Wake>,
    /// From its first watcher on.
    joined: OnceCell<(Arc<Feed>, Arc<Desk>)>,
    /// The bytes that were recorded when it last said that it has watchers.
    said: Cell<Option<u64>>,
}

impl fmt::Debug for Lookout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookout").field("joined", &self.joined).finish_non_exhaustive()
    }
}

impl Lookout {
    /// A thread without watchers, which `wake` wakes when changes come.
    pub(crate) fn new(wake: Arc<dyn Wake>) -> Lookout {
        Lookout { wake, joined: OnceCell::new(), said: Cell::new(None) }
    }

    /// A watcher of the keys with a prefix, from a change on, or of what is executed after position `applied`.
    pub(crate) fn watch(
        &self,
        feed: &Arc<Feed>,
        prefix: Vec<u8>,
        from: Option<ChangeId>,
        applied: u64,
    ) -> Result<Watcher, Gone> {
        let begin = feed.begin();
        let awaited = from
            .unwrap_or_else(|| ChangeId::first_at(applied + 1).max(begin.unwrap_or(ChangeId::first_at(0))));
        if begin.is_none_or(|begin| awaited < begin) {
            return Err(Gone::after(begin));
        }
        let (feed, desk) = self.joined.get_or_init(|| (Arc::clone(feed), feed.join(Arc::clone(&self.wake))));
        Ok(Watcher::new(Arc::clone(feed), Arc::clone(desk), prefix, awaited))
    }

    /// Whether there is something new for watchers, since this was asked last.
    pub(crate) fn take_news(&self) -> bool {
        self.joined.get().is_some_and(|(_, desk)| desk.has_news.swap(false, SeqCst))
    }

    /// Whether there is something new for watchers.
    pub(crate) fn has_news(&self) -> bool {
        self.joined.get().is_some_and(|(_, desk)| desk.has_news.load(SeqCst))
    }

    /// Whether it should say now, in the log, that it has watchers: when half of the bytes that changes are kept for are
    /// used up, and again if that has not been heard for a while.
    pub(crate) fn must_speak(&self) -> bool {
        let Some((feed, desk)) = self.joined.get() else { return false };
        let (credit, recorded) = feed.credit();
        if desk.watchers.load(SeqCst) == 0 || credit > CREDIT_BYTES / 2 {
            self.said.set(None);
            return false;
        }
        let is_due = self.said.get().is_none_or(|said| recorded - said >= CREDIT_BYTES as u64 / 8);
        if is_due {
            self.said.set(Some(recorded));
        }
        is_due
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        if let Some((feed, desk)) = self.joined.take() {
            feed.leave(&desk);
        }
    }
}
