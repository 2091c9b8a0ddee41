//! How long the checker takes. Run with `cargo test --release -p niagara-tests --test linearizability -- --ignored --nocapture`.

use std::time::Instant;

use niagara_tests::linearizability::{Condition, Input, Operation, Output, Verdict, check};

/// A stream of numbers that look random enough (xorshift), always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

struct Plan {
    operations: usize,
    keys: u64,
    clients: usize,
    /// So many of a thousand have an unknown outcome; half of them have happened.
    unknown: u64,
}

/// What the clients of a correct store are told. Each does one thing after another.
fn history(plan: &Plan, seed: u64) -> Vec<Operation<u64>> {
    let mut numbers = Numbers(seed);
    let mut clock = vec![0u64; plan.clients];
    let mut timed: Vec<(u64, u64, u64, usize)> = Vec::new();
    for _ in 0..plan.operations {
        let client = (0..plan.clients).min_by_key(|&client| clock[client]).expect("there are clients");
        let began = clock[client] + numbers.below(20);
        let done = began + numbers.below(100);
        let ended = done + numbers.below(100);
        clock[client] = ended + 1;
        timed.push((done, began, ended, client));
    }
    timed.sort_unstable();
    let mut held: Vec<Option<(i64, u64)>> = vec![None; plan.keys as usize];
    let mut operations = Vec::new();
    for (turn, (_, began, ended, client)) in (1u64..).zip(timed) {
        let key = numbers.below(plan.keys);
        let slot = &mut held[key as usize];
        let unknown = numbers.below(1000) < plan.unknown;
        let lost = unknown && numbers.below(2) == 0;
        let before = *slot;
        let (input, output) = match numbers.below(10) {
            0..5 => {
                let found = slot.map(|(value, version)| Output::Found { value, version: Some(version) });
                (Input::Get, found.unwrap_or(Output::Absent))
            }
            5..7 => {
                *slot = Some((turn as i64, turn));
                let input = Input::Set { value: turn, condition: Condition::Always };
                (input, Output::Written { value: None, version: Some(turn) })
            }
            7 => {
                let expected = slot.map_or(0, |held| held.1);
                let output = match slot {
                    Some(_) => Output::Written { value: None, version: Some(turn) },
                    None => Output::ConditionFailed,
                };
                *slot = slot.map(|_| (turn as i64, turn));
                (Input::Set { value: turn, condition: Condition::IfVersion(expected) }, output)
            }
            8 => {
                let sum = slot.map_or(0, |held| held.0) + 1;
                *slot = Some((sum, turn));
                (Input::Increment { by: 1 }, Output::Written { value: Some(sum), version: Some(turn) })
            }
            _ => {
                let existed = slot.take().is_some();
                (Input::Delete { condition: Condition::Always }, Output::Deleted { existed })
            }
        };
        if lost {
            *slot = before;
        }
        let ended = (!unknown).then_some((ended, output));
        operations.push(Operation { client: client as u64, key, began, ended, input });
    }
    operations
}

fn time(name: &str, plan: &Plan, rounds: u32) {
    let mut all = 0.0;
    let mut spoiled = 0.0;
    let mut violations = 0;
    for round in 0..rounds {
        let mut history = history(plan, 0x9e37_79b9_7f4a_7c15 + u64::from(round));
        let began = Instant::now();
        let verdict = check(&history, 20_000_000);
        all += began.elapsed().as_secs_f64();
        assert_eq!(verdict, Verdict::Linearizable, "{verdict}");
        // The same with one read in the middle that is stale.
        let middle = history.len() / 2;
        let stale = history[middle..]
            .iter()
            .position(|operation| matches!(operation.ended, Some((_, Output::Found { .. }))));
        let Some(at) = stale.map(|at| at + middle) else { continue };
        let old = history[..at].iter().find_map(|operation| match operation.ended {
            Some((_, output @ Output::Found { .. })) if operation.key == history[at].key => Some(output),
            _ => None,
        });
        let (Some((ended, _)), Some(old)) = (history[at].ended, old) else { continue };
        history[at].ended = Some((ended, old));
        let began = Instant::now();
        let verdict = check(&history, 20_000_000);
        spoiled += began.elapsed().as_secs_f64();
        violations += u32::from(matches!(verdict, Verdict::Violation(_)));
    }
    let each = |seconds: f64| 1e3 * seconds / f64::from(rounds);
    println!(
        "{name}: {:.3} ms each; with a stale read {:.3} ms each, {violations} violations in {rounds}",
        each(all),
        each(spoiled)
    );
}

#[test]
#[ignore = "prints times, and asserts none"]
fn print_times() {
    let small = Plan { operations: 200, keys: 5, clients: 5, unknown: 20 };
    time("200 operations on 5 keys, 5 clients, 2% unknown outcomes", &small, 1000);
    let rough = Plan { unknown: 150, clients: 10, ..small };
    time("200 operations on 5 keys, 10 clients, 15% unknown outcomes", &rough, 1000);
    let long = Plan { operations: 200_000, keys: 50, clients: 16, unknown: 5 };
    time("200,000 operations on 50 keys, 16 clients, 0.5% unknown outcomes", &long, 3);
    let hot = Plan { operations: 20_000, keys: 1, clients: 8, unknown: 0 };
    time("20,000 operations on 1 key, 8 clients", &hot, 1);
}
