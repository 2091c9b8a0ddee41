//! The read gate: what a read waits for, against the position of execution.

use std::sync::Arc;
use std::time::Instant;

use loom::thread;
use niagara_sequencer::{GlobalPosition, Layout};

use crate::client::Inbox;
use crate::metrics::Metrics;
use crate::models::inbox::{Unpark, collect};
use crate::outcome::Completion;
use crate::progress::{Mail, SharedProgress};
use crate::read_gate::{AtLeastBatch, ReadBatch, ReadGate};
use crate::sync::{Ordering::SeqCst, current};

pub(super) fn gate(progress: &Arc<SharedProgress>) -> ReadGate {
    let layout = Layout::new(progress.epoch().groups.len() as u16);
    ReadGate::new(layout, Arc::clone(progress), Arc::new(Metrics::default()), 3, 40)
}

pub(super) fn reads<R: Send + 'static>(inbox: &Arc<Inbox<R>>, token: u64) -> ReadBatch {
    let sink = Arc::<Inbox<R>>::clone(inbox);
    ReadBatch { sink, tokens: vec![token], queued: Instant::now(), deadline: Instant::now() }
}

/// A read that needs a position.
pub(super) fn at_least<R: Send + 'static>(
    position: GlobalPosition,
    inbox: &Arc<Inbox<R>>,
    token: u64,
) -> AtLeastBatch {
    let ReadBatch { sink, queued, deadline, .. } = reads(inbox, token);
    AtLeastBatch { sink, reads: vec![(position, token)], queued, deadline }
}

fn inbox() -> Arc<Inbox<()>> {
    Arc::new(Inbox::new(Arc::new(Unpark(current()))))
}

/// Execution reaches a position while a read starts to wait for it.
pub fn a_read_hears_of_its_position() {
    let progress = Arc::new(SharedProgress::new(1));
    let gate = Arc::new(gate(&progress));
    let inbox = inbox();
    let theirs = (Arc::clone(&progress), Arc::clone(&gate));
    let application = thread::spawn(move || {
        let (progress, gate) = theirs;
        progress.applied.store(1, SeqCst);
        gate.applied(GlobalPosition::new(1));
    });
    gate.read_at_least(at_least(GlobalPosition::new(1), &inbox, 7));
    let came = collect(&inbox, 1);
    application.join().unwrap();
    assert_eq!(came, [Completion::Readable { token: 7, applied: GlobalPosition::new(1) }]);
}

/// A quorum's answer arrives while execution reaches the resulting barrier.
pub fn a_strong_read_hears_of_its_barrier() {
    let progress = Arc::new(SharedProgress::new(1));
    let gate = Arc::new(gate(&progress));
    let inbox = inbox();
    gate.read_strong(reads(&inbox, 7), || None);
    let theirs = (Arc::clone(&progress), Arc::clone(&gate));
    let application = thread::spawn(move || {
        let (progress, gate) = theirs;
        progress.applied.store(1, SeqCst);
        gate.applied(GlobalPosition::new(1));
    });
    let group = thread::spawn(move || {
        let mut mail = Vec::new();
        progress.epoch().groups[0].mailbox.take(&mut mail);
        let [Mail::AskRead(round)] = mail[..] else { panic!("a read asks one group: {mail:?}") };
        gate.answered(round, 1);
    });
    let came = collect(&inbox, 1);
    application.join().unwrap();
    group.join().unwrap();
    assert_eq!(came, [Completion::Readable { token: 7, applied: GlobalPosition::new(1) }]);
}
