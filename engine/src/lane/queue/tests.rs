//! However callers push and whatever is taken in between, no command is lost, duplicated or overtaken, and
//! the counters are right.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use niagara_group::batch::{LONE_COMMAND_BYTES, MOST_PIECE_BYTES, put_command};
use niagara_sequencer::GlobalPosition;
use proptest::prelude::*;

use super::*;
use crate::lane::heard::Heard;
use crate::lane::{Deliveries, Lane, LaneLimits, Sink, StagedReads, Submission};
use crate::outcome::Completion;

const ORIGIN: Origin = Origin { server: 3, incarnation: 5, lane: 2 };

#[derive(Clone, Debug)]
enum Step {
    /// One caller's commands, of these lengths.
    Push {
        lengths: Vec<usize>,
        piece_bytes: usize,
    },
    Take(usize),
}

/// Lengths at which something changes: a lone command, a full entry, a run that is moved rather than copied,
/// another byte for the length.
fn length() -> impl Strategy<Value = usize> {
    let edge = prop::sample::select(vec![1_usize, 127, 1 << 10, 4 << 10, 16 << 10, 32 << 10, 64 << 10]);
    prop_oneof![
        3 => 1..200_usize,
        4 => (edge, 0..9_usize).prop_map(|(edge, more)| (edge + more).saturating_sub(4).max(1)),
        1 => 1..66_000_usize,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let lengths = prop_oneof![
        3 => prop::collection::vec(length(), 1..6),
        1 => (1..40_usize, 1..120_usize).prop_map(|(length, times)| vec![length; times]),
    ];
    let piece_bytes =
        prop::sample::select(vec![1, 1 << 10, 4 << 10, MOST_PIECE_BYTES - LONE_COMMAND_BYTES - 5]);
    let limit = prop_oneof![0..3_usize, length(), Just(usize::MAX)];
    prop_oneof![
        3 => (lengths, piece_bytes).prop_map(|(lengths, piece_bytes)| Step::Push { lengths, piece_bytes }),
        2 => limit.prop_map(Step::Take),
    ]
}

/// Bytes that encode a command's number and their offset.
fn command(number: u64, length: usize) -> Vec<u8> {
    (0..length).map(|at| (number.wrapping_mul(167) as usize + at * 13 + at / 251) as u8).collect()
}

/// Pieces as a port would make them from the commands of a turn.
fn pieces(commands: impl Iterator<Item = Vec<u8>>, piece_bytes: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for command in commands {
        if command.len() >= LONE_COMMAND_BYTES {
            pieces.push(Piece::Lone(command.into()));
        } else if let Some(Piece::Framed { body, count }) = pieces.last_mut()
            && body.len() < piece_bytes
        {
            put_command(body, &command);
            *count += 1;
        } else {
            let mut body = BytesMut::new();
            put_command(&mut body, &command);
            pieces.push(Piece::Framed { body, count: 1 });
        }
    }
    pieces
}

/// Bytes that a command takes in a body.
fn cost(length: usize) -> usize {
    let mut framed = BytesMut::new();
    put_command(&mut framed, &vec![0; length]);
    if length >= LONE_COMMAND_BYTES { length } else { framed.len() }
}

struct Checked {
    queue: LaneQueue,
    /// Lengths of the commands that wait.
    waiting: VecDeque<usize>,
    /// Number of the first command that waits.
    next: u64,
}

impl Checked {
    fn new(seal_bytes: usize) -> Checked {
        Checked { queue: LaneQueue::new(ORIGIN, seal_bytes), waiting: VecDeque::new(), next: 1 }
    }

    fn push(&mut self, lengths: &[usize], piece_bytes: usize) {
        let first = self.next + self.waiting.len() as u64;
        let commands = (first..).zip(lengths).map(|(number, length)| command(number, *length));
        let mut pieces = pieces(commands, piece_bytes);
        self.queue.push(first, &mut pieces);
        assert!(pieces.is_empty(), "the caller's room is left to it");
        self.waiting.extend(lengths);
    }

    fn take(&mut self, most: usize) -> Result<(), TestCaseError> {
        let mut taken = Vec::new();
        self.queue.take(most, &mut taken);
        prop_assert_eq!(taken.is_empty(), self.waiting.is_empty(), "something is taken if anything waits");
        let bytes: usize = taken.iter().map(|batch| batch.body.len()).sum();
        prop_assert!(bytes <= most || taken.len() == 1, "{} bytes of {most}", bytes);
        for batch in taken {
            self.check(&batch)?;
        }
        Ok(())
    }

    fn check(&mut self, batch: &SubBatch) -> Result<(), TestCaseError> {
        let Span { server, incarnation, lane, attempt, first, count } = batch.span;
        prop_assert_eq!(
            (server, incarnation, lane, attempt),
            (ORIGIN.server, ORIGIN.incarnation, ORIGIN.lane, 0)
        );
        prop_assert_eq!(first, self.next, "numbers go on where they were");
        prop_assert_eq!(batch.check(), Ok(()));
        prop_assert!(count as usize <= self.waiting.len(), "{} commands of {}", count, self.waiting.len());
        let most = self.queue.seal_bytes + MOST_PIECE_BYTES;
        prop_assert!(batch.lone || batch.body.len() < most, "{} bytes share a sub-batch", batch.body.len());
        for found in batch.commands() {
            let length = self.waiting.pop_front().expect("counted above");
            prop_assert_eq!(batch.lone, length >= LONE_COMMAND_BYTES);
            prop_assert!(found.as_slice() == command(self.next, length), "command {} is another", self.next);
            self.next += 1;
        }
        prop_assert_eq!(self.next, batch.end());
        Ok(())
    }

    fn check_counters(&self) -> Result<(), TestCaseError> {
        let (commands, bytes) = (self.queue.commands.load(SeqCst), self.queue.bytes.load(SeqCst));
        let held: usize = self.waiting.iter().map(|length| cost(*length)).sum();
        prop_assert_eq!((commands, bytes), (self.waiting.len(), held), "commands and bytes that wait");
        prop_assert_eq!(self.queue.has_commands(), !self.waiting.is_empty());
        prop_assert_eq!(self.queue.is_empty(), self.waiting.is_empty());
        prop_assert_eq!(self.queue.is_saturated(), held >= self.queue.seal_bytes);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 192 }))]

    #[test]
    fn nothing_is_lost_doubled_or_overtaken(
        seal_bytes in prop::sample::select(vec![1 << 10, 4 << 10, 64 << 10]),
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let mut checked = Checked::new(seal_bytes);
        for step in &steps {
            match step {
                Step::Push { lengths, piece_bytes } => checked.push(lengths, *piece_bytes),
                Step::Take(most) => checked.take(*most)?,
            }
            checked.check_counters()?;
        }
        // Sealed commands come first, then the others.
        checked.take(usize::MAX)?;
        checked.take(usize::MAX)?;
        prop_assert!(checked.waiting.is_empty(), "{} commands stay behind", checked.waiting.len());
        checked.check_counters()?;
    }
}

/// Several callers on their own threads, and one thread that takes and executes meanwhile.
#[test]
fn callers_on_many_threads_each_find_all_of_theirs_in_order() {
    const CALLERS: u64 = 4;
    const TURNS: u64 = 150;
    let lengths = [16, 20, 1000, 1020, 1024, 1030, 4090, 4096, 32_767, 32_768, 65_536];
    let queue = Arc::new(LaneQueue::new(ORIGIN, 64 << 10));
    let lane = Lane::new(
        Arc::clone(&queue),
        LaneLimits { commands: 1 << 20, bytes: 1 << 30, window: 4, tick: Duration::from_millis(50) },
    );
    let heard: Vec<Arc<Heard>> = (0..CALLERS).map(|_| Arc::default()).collect();
    let (taken, executed) = mpsc::channel::<SubBatch>();
    let done = AtomicBool::new(false);
    let named = |caller: u64, token: u64| {
        let length = lengths[(token as usize * 7 + caller as usize) % lengths.len()];
        let mut bytes = command(token, length);
        bytes[..8].copy_from_slice(&caller.to_le_bytes());
        bytes[8..16].copy_from_slice(&token.to_le_bytes());
        bytes
    };
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (lane, heard) = (&lane, &heard);
                scope.spawn(move || {
                    let sink: Arc<dyn Sink<u64>> = Arc::<Heard>::clone(&heard[caller as usize]);
                    let mut token = 0;
                    for turn in 0..TURNS {
                        let tokens: Vec<u64> = (token..token + 1 + turn % 4).collect();
                        token += tokens.len() as u64;
                        let commands = tokens.iter().map(|token| named(caller, *token));
                        let bytes = commands.clone().map(|command| command.len()).sum();
                        let (pieces, tokens) = (&mut pieces(commands, 90 << 10), &mut tokens.clone());
                        let deadline = Instant::now() + Duration::from_secs(3600);
                        let reads = &mut StagedReads::default();
                        let taken = lane.submit(Submission { pieces, tokens, bytes, reads, deadline }, &sink);
                        taken.expect("there is room for all");
                    }
                    token
                })
            })
            .collect();
        let (queue, done) = (&queue, &done);
        scope.spawn(move || {
            let mut out = Vec::new();
            loop {
                let is_last = done.load(SeqCst);
                queue.take(64 << 10, &mut out);
                if is_last && out.is_empty() {
                    break;
                }
                out.drain(..).for_each(|batch| taken.send(batch).expect("somebody executes"));
                thread::yield_now();
            }
        });
        let (lane, found) = (&lane, &mut found);
        scope.spawn(move || {
            let mut next = 1;
            for batch in executed {
                assert_eq!(batch.span.first, next, "numbers go on where they were");
                batch.check().expect("it holds what it says");
                for command in batch.commands() {
                    let number = |at: usize| {
                        u64::from_le_bytes(command.as_slice()[at..at + 8].try_into().expect("eight"))
                    };
                    let (caller, token) = (number(0), number(8));
                    let last = found.entry(caller).or_default();
                    assert_eq!(token, *last, "caller {caller}'s next command");
                    *last += 1;
                    assert!(
                        command.as_slice() == named(caller, token),
                        "command {token} of {caller} is another"
                    );
                }
                let mut out = Deliveries::default();
                let replies: Vec<u64> = (next..batch.end()).collect();
                lane.applied(next, GlobalPosition::new(next), replies.into_iter(), &mut out);
                out.deliver();
                next = batch.end();
            }
        });
        let sent: Vec<u64> =
            callers.into_iter().map(|caller| caller.join().expect("no caller panics")).collect();
        done.store(true, SeqCst);
        assert_eq!(sent.len() as u64, CALLERS);
    });
    let sent: u64 = (0..TURNS).map(|turn| 1 + turn % 4).sum();
    for caller in 0..CALLERS {
        assert_eq!(found[&caller], sent, "commands of caller {caller}");
        let completions = std::mem::take(&mut *heard[caller as usize].0.lock());
        let tokens: Vec<u64> = completions
            .into_iter()
            .map(|completion| match completion {
                Completion::Applied { token, .. } => token,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(tokens, (0..sent).collect::<Vec<_>>(), "outcomes of caller {caller}");
    }
    assert_eq!(queue.bytes.load(SeqCst), 0);
}
