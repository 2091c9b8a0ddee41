//! Searches each finished history for an order that explains it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::linearizability::{Operation, Verdict, check};

use super::keeping::Keeping;
use super::tally::Tally;

/// A history without an order.
#[derive(Clone, Debug)]
pub(super) struct Guilty {
    pub what: String,
    pub history: Vec<Operation<String>>,
}

/// A running judge. It ends when nobody can send it histories any more.
pub(super) struct Judge {
    found: Arc<Mutex<Option<Guilty>>>,
    thread: JoinHandle<()>,
}

/// Histories that wait. When the judge falls behind, clients wait for it, and memory stays bounded.
const QUEUE: usize = 64;
/// Steps of one search: a few seconds. Few histories ever need as many.
const BUDGET: u64 = 3_000_000;

impl Judge {
    /// Starts a judge; where to send it histories. It keeps them all, if there is a place.
    pub(super) fn start(
        tally: &Arc<Tally>,
        keeping: Option<Keeping>,
    ) -> (Judge, SyncSender<Vec<Operation<String>>>) {
        let (send, receive) = sync_channel(QUEUE);
        let found = Arc::<Mutex<Option<Guilty>>>::default();
        let (tally, writes_to) = (Arc::clone(tally), Arc::clone(&found));
        let thread = thread::spawn(move || judge_all(&receive, keeping.as_ref(), &tally, &writes_to));
        (Judge { found, thread }, send)
    }

    /// The first history without an order, so far.
    pub(super) fn found(&self) -> Option<Guilty> {
        self.found.lock().expect("no thread panics while it holds this").clone()
    }

    /// The same after the last history, which others must have sent.
    pub(super) fn finish(self) -> Option<Guilty> {
        self.thread.join().expect("the judge does not panic");
        self.found.lock().expect("the judge has ended without a panic").take()
    }
}

fn judge_all(
    receive: &Receiver<Vec<Operation<String>>>,
    keeping: Option<&Keeping>,
    tally: &Tally,
    found: &Mutex<Option<Guilty>>,
) {
    for history in receive {
        if let Some(keeping) = keeping {
            keeping.history(&history).expect("there is room for what is to be kept");
        }
        tally.windows.fetch_add(1, Relaxed);
        match check(&history, BUDGET) {
            Verdict::Linearizable => {}
            Verdict::OutOfBudget { .. } => {
                tally.undecided.fetch_add(1, Relaxed);
            }
            Verdict::Violation(violation) => {
                let what = violation.to_string();
                let mut found = found.lock().expect("no thread panics while it holds this");
                found.get_or_insert(Guilty { what, history });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizability::{Condition, Input, Output};

    fn operation(began: u64, input: Input, output: Output) -> Operation<String> {
        Operation { client: 1, key: "k".into(), began, ended: Some((began + 1, output)), input }
    }

    #[test]
    fn a_lost_write_is_found_and_kept() {
        let tally = Arc::new(Tally::default());
        let dir = tempfile::tempdir().unwrap();
        let keeping = Keeping::of_cluster(dir.path(), 1).unwrap();
        let (judge, send) = Judge::start(&tally, Some(keeping));
        let set = Input::Set { value: 5, condition: Condition::Always };
        let write = operation(0, set, Output::Written { value: None, version: None });
        let fresh = operation(10, Input::Get, Output::Found { value: 5, version: None });
        send.send(vec![write.clone(), fresh]).unwrap();
        send.send(vec![write, operation(10, Input::Get, Output::Absent)]).unwrap();
        drop(send);
        let guilty = judge.finish().expect("the second history has no order");
        assert_eq!(tally.windows.load(Relaxed), 2);
        assert_eq!(guilty.history.len(), 2);
        let kept = |form: &str| {
            std::fs::read_to_string(dir.path().join("cluster-1/histories/k").with_extension(form))
        };
        assert!(kept("edn").unwrap().ends_with(":type :ok, :f :read, :value nil, :client 1}\n"));
        assert_eq!(kept("jsonl").unwrap(), crate::export::json_lines(&guilty.history), "of the last one");
    }
}
