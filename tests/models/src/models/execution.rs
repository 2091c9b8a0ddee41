//! Execution: the state, its position, and notifications of that, in this order.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;
use niagara_group::batch::encode_commands;
use niagara_group::{Commands, LaneSource};
use niagara_log::LogEntry;
use niagara_sequencer::epoch::{Chain, Terms};
use niagara_sequencer::{Emitted, GlobalPosition};

use crate::apply::LaneSessions;
use crate::client::Inbox;
use crate::frozen::{Encoded, MalformedState};
use crate::growing::Growing;
use crate::lane::{Lane, Sink};
use crate::models::gate::{at_least, gate};
use crate::models::inbox::{Unpark, collect};
use crate::models::lane::{lane, submit};
use crate::models::sockets::Sockets;
use crate::outcome::Completion;
use crate::progress::SharedProgress;
use crate::read_gate::ReadGate;
use crate::server::{Application, Executor, Stretch, Work};
use crate::snapshot::Handover;
use crate::state_machine::StateMachine;
use crate::subscription::{Feed, FeedLimits};
use crate::sync::{Ordering::SeqCst, current};

/// Counts commands without a memory order of its own: a reader sees what it sees because it was told to look.
struct Count(Arc<AtomicU64>);

impl StateMachine for Count {
    type Reply = u64;
    type Reader = Arc<AtomicU64>;
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) -> Self::Reader {
        Arc::clone(&self.0)
    }

    fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<u64>) {
        for _ in commands {
            let count = self.0.load(Relaxed) + 1;
            self.0.store(count, Relaxed);
            replies.push(count);
        }
    }

    fn freeze(&mut self) -> Encoded {
        Encoded::new(Vec::new())
    }

    fn restoring(_: &Self::Reader) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, _: Encoded) -> Result<(), MalformedState> {
        Ok(())
    }
}

/// A server of one group whose lane holds a command that is about to be executed.
struct Fixture {
    progress: Arc<SharedProgress>,
    gate: Arc<ReadGate>,
    inbox: Arc<Inbox<u64>>,
    state: Arc<AtomicU64>,
    application: Application<Count>,
    stretch: Stretch,
}

const POSITION: GlobalPosition = GlobalPosition::new(1);

impl Fixture {
    fn new() -> Fixture {
        let progress = Arc::new(SharedProgress::new(1));
        let gate = Arc::new(gate(&progress));
        let inbox = Arc::new(Inbox::new(Arc::new(Unpark(current()))));
        let state = Arc::new(AtomicU64::new(0));
        let lanes = Arc::new(Growing::new());
        lanes.grow_to(1, |_| lane());
        let stretch = stretch(&lanes[0], &inbox);
        let executor = Executor {
            unshown: Vec::new(),
            state: Count(Arc::clone(&state)),
            server: 1,
            cluster: 1,
            chain: Chain::genesis(Terms { groups: 1, members: vec![1], level: 1, ..Terms::default() })
                .expect("a server"),
            incarnation: 1,
            sessions: LaneSessions::new(&[1], 1),
            lanes,
            progress: Arc::clone(&progress),
            executed: Arc::default(),
            metrics: Arc::default(),
            feed: Arc::new(Feed::new(FeedLimits { bytes: 1 << 20, history: false })),
            held: GlobalPosition::ZERO,
        };
        let application = Application {
            executor,
            reads: Arc::clone(&gate),
            work: Work::default(),
            handover: Arc::<Handover<Count>>::default(),
            sequencer: Arc::default(),
        };
        Fixture { progress, gate, inbox, state, application, stretch }
    }
}

/// A command that has gone through the lane into an entry, and out of the merge.
fn stretch(lane: &Lane<u64>, inbox: &Arc<Inbox<u64>>) -> Stretch {
    let sink: Arc<dyn Sink<u64>> = Arc::<Inbox<u64>>::clone(inbox);
    submit(lane, 7, &sink);
    let mut batches = Vec::new();
    lane.queue.take(1 << 10, &mut batches);
    let (context, data) = encode_commands(1, &batches);
    let item = LogEntry { index: 1, term: 1, kind: 0, context, data };
    Stretch { bytes: 0, emitted: vec![Emitted::Commands { position: POSITION, item }], then: None }
}

/// A caller that is notified of a command finds its effect, and its position published.
pub fn an_outcome_comes_after_its_effect() {
    let Fixture { progress, inbox, state, mut application, stretch, .. } = Fixture::new();
    let execution = thread::spawn(move || application.execute(stretch));
    let came = collect(&inbox, 1);
    assert_eq!(came, [Completion::Applied { token: 7, position: POSITION, reply: 1 }]);
    assert_eq!(
        progress.applied.load(SeqCst),
        POSITION.get(),
        "read_is_fresh: who hears of it may read at least it"
    );
    assert_eq!(state.load(Relaxed), 1);
    execution.join().unwrap();
}

/// A read of at least a position finds the effect of the command there, whether it had to wait or not.
pub fn a_read_sees_what_is_applied() {
    let Fixture { progress, gate, inbox, state, mut application, stretch } = Fixture::new();
    let execution = thread::spawn(move || application.execute(stretch));
    if progress.applied.load(SeqCst) < POSITION.get() {
        gate.read_at_least(at_least(POSITION, &inbox, 9));
        let mut came = Vec::new();
        while !came.iter().any(|one| matches!(one, Completion::Readable { token: 9, .. })) {
            came.extend(collect(&inbox, 1));
        }
    }
    assert_eq!(state.load(Relaxed), 1, "read_is_fresh: it reads less than it was promised");
    execution.join().unwrap();
}

/// Commands that wait for any progress resume when others of their lane have been executed.
pub fn held_commands_hear_of_execution() {
    let Fixture { progress, mut application, stretch, .. } = Fixture::new();
    let (sockets, queue) = (Sockets::new(), Arc::clone(&application.executor.lanes[0].queue));
    let group = &progress.epoch().groups[0];
    group.mailbox.set_waker(sockets.waker.clone());
    let execution = thread::spawn(move || application.execute(stretch));
    let mut seen = queue.next_command();
    while seen < 2 {
        group.waits.say(u64::MAX, 0);
        sockets.poll(|| !group.waits.are_over(0, queue.next_command() != seen));
        seen = queue.next_command();
    }
    execution.join().unwrap();
}
