//! One thread's part of a run: begins operations when they are due and there is room, and hears what became of them.

use std::collections::VecDeque;

use super::clock::Clock;
use super::measure::{Measure, Totals};
use super::operation::{Kind, Operation, Outcome, Trouble};
use super::pace::Pace;
use super::transport::{Event, Transport};
use super::workload::{Findings, Phase, Workload};

/// A place whose operation was refused rests, rather than to ask again at once.
const REST_NANOS: u64 = 10_000_000;
/// An open loop sleeps in steps of this length at least: at high rates several operations share a turn.
const STEP_NANOS: u64 = 100_000;
/// A phase that is to end by itself has failed if nothing is done for so long.
const PATIENCE_NANOS: u64 = 30_000_000_000;
/// What ends if no server can be reached for so long in the beginning.
const REACHED_WITHIN_NANOS: u64 = 5_000_000_000;

/// A thread's transport and workload, from phase to phase.
pub(super) struct Worker<T> {
    transport: T,
    workload: Box<dyn Workload>,
    desk: Desk,
    operation: Operation,
}

/// How a phase goes.
pub(super) struct PhasePlan {
    pub phase: Phase,
    pub pace: Pace,
    /// When no more operations begin; never, where they end by themselves.
    pub until: Option<u64>,
}

/// How a phase went.
pub(super) struct Ended {
    pub totals: Totals,
    /// All that was to be done is done.
    pub is_whole: bool,
}

/// The places of a thread, and what is in flight in them.
struct Desk {
    /// Places of each connection.
    pipeline: usize,
    flights: Vec<Flight>,
    in_flight: usize,
    /// Places that wait for an operation, in the order in which they get one.
    free: VecDeque<usize>,
    /// Places that become free at a time.
    resting: VecDeque<(u64, usize)>,
    /// Free places of connections that take nothing at present.
    parked: Vec<Vec<usize>>,
    /// Free places for which the workload has nothing more to do.
    retired: Vec<usize>,
    /// When an operation was done last.
    last_done: u64,
    has_opened: bool,
}

#[derive(Clone, Copy)]
struct Flight {
    kind: Kind,
    intended: u64,
}

impl<T: Transport> Worker<T> {
    pub fn new(transport: T, workload: Box<dyn Workload>, connections: usize, pipeline: usize) -> Worker<T> {
        let places = connections * pipeline;
        Worker {
            transport,
            workload,
            desk: Desk {
                pipeline,
                flights: vec![Flight { kind: Kind::Write, intended: 0 }; places],
                in_flight: 0,
                free: VecDeque::new(),
                resting: VecDeque::new(),
                parked: vec![Vec::new(); connections],
                retired: Vec::new(),
                last_done: 0,
                has_opened: false,
            },
            operation: Operation::new(),
        }
    }

    /// Goes through a phase, until nothing is in flight.
    pub fn run(&mut self, clock: Clock, mut plan: PhasePlan, mut measure: Measure) -> Ended {
        self.workload.enter(plan.phase);
        self.desk.begin(clock.now());
        let is_whole = loop {
            let now = clock.now();
            measure.tick(now);
            let is_over = plan.until.is_some_and(|until| until <= now);
            if !is_over {
                self.begin_operations(now, &mut plan);
            }
            if is_over && self.desk.in_flight == 0 {
                break true;
            }
            if plan.until.is_none() {
                if self.desk.is_at_rest() {
                    break true;
                }
                let patience = if self.desk.has_opened { PATIENCE_NANOS } else { REACHED_WITHIN_NANOS };
                if self.desk.last_done + patience <= now {
                    break false;
                }
            }
            let until = self.next_look(now, &plan, &measure);
            let Worker { transport, workload, desk, .. } = self;
            transport.turn(clock, until, &mut |now, event| {
                desk.hear(now, event, plan.until.is_none(), workload.as_mut(), &mut measure);
            });
        };
        let backlog = plan.until.map_or(0, |until| plan.pace.overdue(until));
        Ended { totals: measure.finish(clock.now(), backlog), is_whole }
    }

    /// What this thread contributes to the check.
    pub fn findings(&mut self) -> Findings {
        self.workload.findings()
    }

    fn begin_operations(&mut self, now: u64, plan: &mut PhasePlan) {
        let Worker { transport, workload, desk, operation } = self;
        while let Some(place) = desk.free_place(now, transport) {
            let Some(intended) = plan.pace.next(now) else {
                desk.free.push_front(place);
                return;
            };
            if !workload.next(place, operation) {
                desk.retired.push(place);
                continue;
            }
            desk.flights[place] = Flight { kind: operation.verb.kind(), intended };
            desk.in_flight += 1;
            transport.send(now, place / desk.pipeline, place, operation);
        }
    }

    /// When something is to be done, if nothing comes before.
    fn next_look(&self, now: u64, plan: &PhasePlan, measure: &Measure) -> u64 {
        let mut until = measure.next_tick().min(now + PATIENCE_NANOS);
        match plan.until {
            Some(end) if end <= now => return until,
            Some(end) => until = until.min(end),
            None => {}
        }
        if let Some((rested, _)) = self.desk.resting.front() {
            until = until.min(*rested);
        }
        match plan.pace.due() {
            Some(due) if !self.desk.free.is_empty() => until.min(due.max(now + STEP_NANOS)),
            _ => until,
        }
    }
}

impl Desk {
    /// All places are free, the first ones of every connection first.
    fn begin(&mut self, now: u64) {
        let (pipeline, connections) = (self.pipeline, self.parked.len());
        let place = |turn: usize| (turn % connections) * pipeline + turn / connections;
        self.free = (0..self.flights.len()).map(place).collect();
        self.resting.clear();
        self.parked.iter_mut().for_each(Vec::clear);
        self.retired.clear();
        self.last_done = now;
    }

    /// The next place that is free, of a connection that takes something.
    fn free_place(&mut self, now: u64, transport: &impl Transport) -> Option<usize> {
        while let Some((_, place)) = self.resting.pop_front_if(|(rested, _)| *rested <= now) {
            self.free.push_back(place);
        }
        while let Some(place) = self.free.pop_front() {
            let connection = place / self.pipeline;
            if transport.takes(connection) {
                self.has_opened = true;
                return Some(place);
            }
            self.parked[connection].push(place);
        }
        None
    }

    /// Whether there is nothing more to do: some place has been told so, and whatever failed since is done.
    fn is_at_rest(&self) -> bool {
        self.in_flight == 0 && self.free.is_empty() && self.resting.is_empty() && !self.retired.is_empty()
    }

    fn hear(
        &mut self,
        now: u64,
        event: Event<'_>,
        all_rest: bool,
        workload: &mut dyn Workload,
        measure: &mut Measure,
    ) {
        match event {
            Event::Opened { connection } => self.free.extend(self.parked[connection].drain(..)),
            Event::Unreachable { why } => {
                measure.trouble(now, Trouble::Unreachable, why.as_bytes());
            }
            Event::Outcome { place, outcome } => {
                let Flight { kind, intended } = self.flights[place];
                self.in_flight -= 1;
                workload.done(place, &outcome);
                match outcome {
                    Outcome::Done(done) => {
                        self.last_done = now;
                        measure.done(now, kind, intended, kind == Kind::Read && done.value.is_none());
                        self.free.push_back(place);
                    }
                    Outcome::Failed(trouble, said) => {
                        measure.trouble(now, trouble, said);
                        // What failed may have to be done again, by whoever can.
                        self.free.extend(self.retired.drain(..));
                        if all_rest || !trouble.is_unknown() {
                            self.resting.push_back((now + REST_NANOS, place));
                        } else {
                            self.free.push_back(place);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::super::measure::Window;
    use super::super::operation::Done;
    use super::super::pace::Schedule;
    use super::*;

    const MILLI: u64 = 1_000_000;

    /// One connection, which opens at a time, and then does what it is asked for at once, or fails it so many times before.
    struct Fake {
        opens: u64,
        open: bool,
        sent: Vec<usize>,
        failures: usize,
    }

    impl Transport for Fake {
        fn takes(&self, _: usize) -> bool {
            self.open
        }

        fn send(&mut self, _: u64, _: usize, place: usize, _: &Operation) {
            self.sent.push(place);
        }

        fn turn(&mut self, clock: Clock, until: u64, heard: &mut impl FnMut(u64, Event<'_>)) {
            let wake = if self.open { until } else { until.min(self.opens) };
            if self.sent.is_empty() {
                let pause = wake.saturating_sub(clock.now()).min(MILLI);
                std::thread::sleep(std::time::Duration::from_nanos(pause));
            }
            let now = clock.now();
            if !self.open && self.opens <= now {
                self.open = true;
                heard(now, Event::Opened { connection: 0 });
            }
            for place in self.sent.drain(..) {
                let fails = self.failures > 0;
                self.failures -= usize::from(fails);
                let outcome = if fails {
                    Outcome::Failed(Trouble::Overloaded, b"too much")
                } else {
                    Outcome::Done(Done { position: 1, value: None })
                };
                heard(now, Event::Outcome { place, outcome });
            }
        }
    }

    /// So many operations in all, each until it is done.
    struct Errands {
        left: usize,
        done: usize,
    }

    impl Workload for Errands {
        fn enter(&mut self, _: Phase) {}

        fn next(&mut self, _: usize, _: &mut Operation) -> bool {
            let any = self.left > 0;
            self.left -= usize::from(any);
            any
        }

        fn done(&mut self, _: usize, outcome: &Outcome<'_>) {
            match outcome {
                Outcome::Done(_) => self.done += 1,
                Outcome::Failed(..) => self.left += 1,
            }
        }
    }

    fn run(fake: Fake, errands: usize, window: Window, pace: Pace, until: Option<u64>) -> Ended {
        let (finished, slices) = sync_channel(1000);
        let workload = Box::new(Errands { left: errands, done: 0 });
        let mut worker = Worker::new(fake, workload, 1, 2);
        let plan = PhasePlan { phase: Phase::Run, pace, until };
        let ended = worker.run(Clock::start(), plan, Measure::new(0, window, finished));
        drop(slices);
        ended
    }

    #[test]
    fn what_is_due_while_nobody_serves_counts_from_when_it_was_due() {
        let fake = Fake { opens: 50 * MILLI, open: false, sent: vec![], failures: 0 };
        let window = Window { begin: 0, end: 300 * MILLI, step: 100 * MILLI };
        let pace = Pace::Open(Schedule::new(0, 1000.0, None));
        let Ended { totals, .. } = run(fake, usize::MAX, window, pace, Some(window.end));
        let writes = &totals.nanos[Kind::Write as usize];
        assert_eq!(writes.len() + totals.backlog, 300, "nothing that was due is forgotten");
        assert!(writes.max() >= 49 * MILLI, "the first had waited since the beginning: {}", writes.max());
    }

    #[test]
    fn a_phase_ends_when_all_is_done_however_often_it_failed() {
        let fake = Fake { opens: 5 * MILLI, open: false, sent: vec![], failures: 3 };
        let window = Window { begin: 0, end: u64::MAX / 4, step: 1000 * MILLI };
        let Ended { totals, is_whole } = run(fake, 7, window, Pace::Closed, None);
        assert_eq!((is_whole, totals.nanos[0].len(), totals.errors[&Trouble::Overloaded]), (true, 7, 3));
        assert_eq!(totals.said[&Trouble::Overloaded], "too much");
    }
}
