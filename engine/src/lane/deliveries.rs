//! Completions on their way to those who wait for them.

use std::sync::Arc;

use super::backpressure::RoomPromise;
use super::looks::Look;
use crate::outcome::{Completion, Detached};

/// Where completions go: a port's inbox, or a block of tickets.
pub(crate) trait Sink<R>: Send + Sync {
    /// Takes all completions of a batch at once. May leave another buffer in place of theirs.
    fn deliver(&self, completions: &mut Vec<Completion<R>>);
}

/// Completions collected for their sinks, delivered once per batch.
pub(crate) struct Deliveries<R> {
    sinks: Vec<Delivery<R>>,
    /// Buffers that sinks left at earlier deliveries, for reuse.
    spare: Vec<Vec<Completion<R>>>,
    /// Replies that nobody waits for, dropped at delivery, outside of the lane's lock. They are the
    /// embedder's, and dropping one may do anything.
    unheard: Vec<R>,
    told: Vec<Arc<dyn Sink<R>>>,
    /// Looks that have ended.
    looks: Vec<(Box<dyn Look>, Option<Detached>)>,
    /// Callers that wait for room in a lane that has some.
    has_room: Vec<Arc<RoomPromise>>,
}

/// A port takes one delivery per stretch. The buffers of tickets are small, so more are not worth keeping.
const MOST_SPARE: usize = 4;

/// Neighbours mostly share a sink, and a batch has few ports. It may have as many tickets as a lane has room
/// for, so looking further back would cost their square.
const LOOKS_BACK: usize = 8;

type Delivery<R> = (Arc<dyn Sink<R>>, Vec<Completion<R>>);

impl<R> Default for Deliveries<R> {
    fn default() -> Self {
        Deliveries {
            sinks: Vec::new(),
            spare: Vec::new(),
            unheard: Vec::new(),
            told: Vec::new(),
            looks: Vec::new(),
            has_room: Vec::new(),
        }
    }
}

impl<R> Deliveries<R> {
    /// The completions for a sink, in order. A sink that was last named long ago gets another delivery, after
    /// its earlier one.
    pub fn to(&mut self, sink: &Arc<dyn Sink<R>>) -> &mut Vec<Completion<R>> {
        let recent = self.sinks.len().saturating_sub(LOOKS_BACK);
        let at = self.sinks[recent..].iter().rposition(|(known, _)| Arc::ptr_eq(known, sink));
        let at = at.map_or_else(
            || {
                self.sinks.push((Arc::clone(sink), self.spare.pop().unwrap_or_default()));
                self.sinks.len() - 1
            },
            |at| recent + at,
        );
        &mut self.sinks[at].1
    }

    /// Drops replies that nobody waits for.
    pub(super) fn drop_later(&mut self, replies: impl Iterator<Item = R>) {
        self.unheard.extend(replies);
    }

    /// Drops a sink that was notified before.
    pub(super) fn forget(&mut self, sink: Arc<dyn Sink<R>>) {
        self.told.push(sink);
    }

    /// Tells a caller what its look has seen, or why nothing.
    pub fn tell(&mut self, look: Box<dyn Look>, why: Option<Detached>) {
        self.looks.push((look, why));
    }

    /// Wakes callers that wait for room.
    pub(super) fn wake(&mut self, waiting: impl Iterator<Item = Arc<RoomPromise>>) {
        self.has_room.extend(waiting);
    }

    /// Delivers everything.
    pub fn deliver(&mut self) {
        self.unheard.clear();
        self.told.clear();
        for (sink, mut completions) in self.sinks.drain(..) {
            sink.deliver(&mut completions);
            if self.spare.len() < MOST_SPARE {
                completions.clear();
                self.spare.push(completions);
            }
        }
        self.looks.drain(..).for_each(|(look, why)| look.tell(why));
        self.has_room.drain(..).for_each(|promise| promise.keep(()));
    }
}

#[cfg(test)]
mod tests {
    use niagara_sequencer::GlobalPosition;
    use rustix::time::{ClockId, clock_gettime};

    use super::*;
    use crate::sync::Mutex;

    #[derive(Default)]
    struct Heard(Mutex<Vec<u64>>);

    impl Sink<()> for Heard {
        fn deliver(&self, completions: &mut Vec<Completion<()>>) {
            self.0.lock().extend(completions.drain(..).map(|completion| match completion {
                Completion::Applied { token, .. } => token,
                other => panic!("{other:?}"),
            }));
        }
    }

    fn applied(token: u64) -> Completion<()> {
        Completion::Applied { token, position: GlobalPosition::new(1), reply: () }
    }

    #[test]
    fn each_sink_gets_its_completions_in_order_however_many_sinks_there_are() {
        let heard: Vec<Arc<Heard>> = (0..100).map(|_| Arc::default()).collect();
        let sinks: Vec<Arc<dyn Sink<()>>> =
            heard.iter().map(|heard| Arc::<Heard>::clone(heard) as Arc<dyn Sink<()>>).collect();
        let mut out = Deliveries::default();
        for token in 0..1000 {
            out.to(&sinks[(token * 37 % 100) as usize]).push(applied(token));
        }
        out.deliver();
        for (sink, heard) in heard.iter().enumerate() {
            let heard = heard.0.lock();
            assert_eq!(heard.len(), 10);
            assert!(heard.is_sorted() && heard.iter().all(|token| token * 37 % 100 == sink as u64));
        }
    }

    /// Processor time of this thread for one completion each of so many sinks, in nanoseconds per sink.
    fn cost(sinks: usize) -> f64 {
        let sinks: Vec<Arc<dyn Sink<()>>> =
            (0..sinks).map(|_| Arc::<Heard>::default() as Arc<dyn Sink<()>>).collect();
        let now = || {
            let time = clock_gettime(ClockId::ThreadCPUTime);
            time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
        };
        let mut out = Deliveries::default();
        let begun = now();
        for (token, sink) in (0..).zip(&sinks) {
            out.to(sink).push(applied(token));
        }
        (now() - begun) / sinks.len() as f64
    }

    #[test]
    fn a_sink_costs_the_same_among_many_as_among_few() {
        let least = |sinks| (0..5).map(|_| cost(sinks)).fold(f64::MAX, f64::min);
        let (few, many) = (least(1_000), least(64_000));
        // A search of all sinks makes it 64 times as much.
        assert!(many < 16.0 * few, "{few} ns among few, {many} ns among many");
    }
}
