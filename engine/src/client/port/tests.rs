//! Several ports on one server that is driven by hand. Each accepted command is executed once, with its own
//! bytes and in its lane's order, and each token gets exactly one outcome.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use niagara_group::Commands;
use niagara_log::MemoryFiles;
use niagara_sequencer::GlobalPosition;
use proptest::prelude::*;

use super::*;
use crate::config::{Config, Member};
use crate::frozen::{Encoded, MalformedState};
use crate::internals::sim::{Clock, Environment, ManualClock, SimServer};
use crate::{Durability, NotAQuery, StateMachine};

const GROUPS: usize = 2;
const PORTS: usize = 3;
const COMMAND_BYTES: usize = 66_000;
/// So few that a few turns without a round exceed it.
const LANE_COMMANDS: usize = 8;
const LANE_BYTES: usize = 2 * COMMAND_BYTES;
/// No attached read takes more of these.
const READ_BYTES: usize = 32;

/// Answers each command with the number of commands executed before it, and its checksum.
#[derive(Default)]
struct Summing {
    executed: u64,
}

impl StateMachine for Summing {
    type Reply = (u64, u32);
    type Reader = ();
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) {}

    fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<(u64, u32)>) {
        for command in commands {
            replies.push((self.executed, crc32fast::hash(command.as_slice())));
            self.executed += 1;
        }
    }

    fn check_query(_: &[u8]) -> Result<(), NotAQuery> {
        Ok(())
    }

    /// The same as a command would be answered with.
    fn answer(&self, query: &[u8]) -> (u64, u32) {
        (self.executed, crc32fast::hash(query))
    }

    fn freeze(&mut self) -> Encoded {
        Encoded::new(self.executed.to_le_bytes().to_vec())
    }

    fn restoring((): &()) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, _: Encoded) -> Result<(), MalformedState> {
        unreachable!("one server receives nothing, and is not started again")
    }
}

#[derive(Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(&self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Propose {
        port: usize,
        lane: usize,
        length: usize,
        is_shared: bool,
    },
    Attach {
        port: usize,
        lane: usize,
    },
    Flush(usize),
    /// One round of each of the server's threads.
    Round,
    Collect(usize),
    Sleep(usize),
    DeadlinesPass,
}

fn length() -> impl Strategy<Value = usize> {
    let edge = prop::sample::select(vec![1_usize, 1 << 10, 4 << 10, 32 << 10, 64 << 10, COMMAND_BYTES]);
    prop_oneof![
        3 => 1..200_usize,
        4 => (edge, 0..9_usize).prop_map(|(edge, more)| (edge + more).saturating_sub(4).max(1)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let propose = (0..PORTS, 0..GROUPS, length(), any::<bool>());
    prop_oneof![
        10 => propose.prop_map(|(port, lane, length, is_shared)| Step::Propose { port, lane, length, is_shared }),
        5 => (0..PORTS, 0..GROUPS).prop_map(|(port, lane)| Step::Attach { port, lane }),
        5 => (0..PORTS).prop_map(Step::Flush),
        3 => Just(Step::Round),
        3 => (0..PORTS).prop_map(Step::Collect),
        2 => (0..PORTS).prop_map(Step::Sleep),
        1 => Just(Step::DeadlinesPass),
    ]
}

/// Bytes that encode the token and their offset.
fn command(token: u64, length: usize) -> Vec<u8> {
    (0..length).map(|at| (token.wrapping_mul(167) as usize + at * 13 + at / 251) as u8).collect()
}

struct Fixture {
    machine: SimServer<Summing>,
    clock: Arc<ManualClock>,
    now: Duration,
    ports: Vec<Caller>,
    /// Commands submitted to each lane, in order: token and checksum.
    lanes: Vec<Vec<(u64, u32)>>,
    /// The outcome of each token: where it was executed, or `None` if unknown.
    told: BTreeMap<u64, Option<(u64, u32)>>,
    refused: Vec<u64>,
    /// The command that each attached read follows, by tokens.
    reads: BTreeMap<u64, u64>,
    /// After how many commands each read was executed, or `None` if it was not.
    read: BTreeMap<u64, Option<u64>>,
    next_token: u64,
}

struct Caller {
    port: Port<Summing>,
    woken: Arc<Woken>,
    /// How often it had been woken when it went to sleep, if it sleeps.
    asleep: Option<u64>,
    /// Where the last command with an outcome was executed.
    last: Option<u64>,
    /// Staged commands of each lane: token, length and checksum.
    staged: Vec<Vec<(u64, usize, u32)>>,
}

impl Fixture {
    fn new(entry_bytes: usize) -> Fixture {
        let addresses = vec!["nowhere:0".to_owned(); GROUPS];
        let mut config =
            Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "nowhere:0".into() }]);
        config.durability = Durability::Fsync;
        config.data_dir = Path::new("d").to_owned();
        config.entry_bytes = entry_bytes;
        config.command_bytes = COMMAND_BYTES;
        config.lane_commands = LANE_COMMANDS;
        config.lane_bytes = LANE_BYTES;
        let clock = Arc::new(ManualClock::new());
        let environment = Environment {
            boot: 1,
            clock: Clock::Manual(Arc::clone(&clock)),
            files: Arc::new(MemoryFiles::default()),
            prepare_beside: false,
            election_seed: Some(1),
        };
        let machine =
            SimServer::open(&config, &environment, Summing::default()).expect("memory is enough to start");
        let caller = |woken: Arc<Woken>| Caller {
            port: machine.client().port(Arc::<Woken>::clone(&woken)),
            woken,
            asleep: None,
            last: None,
            staged: vec![Vec::new(); GROUPS],
        };
        let mut fixture = Fixture {
            ports: (0..PORTS).map(|_| caller(Arc::default())).collect(),
            machine,
            clock,
            now: Duration::ZERO,
            lanes: vec![Vec::new(); GROUPS],
            told: BTreeMap::new(),
            refused: Vec::new(),
            reads: BTreeMap::new(),
            read: BTreeMap::new(),
            next_token: 0,
        };
        // Nothing is accepted until both groups have a leader.
        while (0..GROUPS).any(|group| !fixture.machine.standing(group).leads) {
            fixture.round();
        }
        fixture
    }

    fn round(&mut self) {
        for group in 0..GROUPS {
            self.machine.tick_group(group);
            assert!(self.machine.turn(group).is_empty(), "there is nobody to send to");
            self.machine.write_log(group).expect("memory can be written");
        }
        self.machine.merge();
        self.machine.execute();
    }

    fn propose(
        &mut self,
        port: usize,
        lane: usize,
        length: usize,
        is_shared: bool,
    ) -> Result<(), TestCaseError> {
        let token = self.next_token;
        self.next_token += 1;
        let bytes = command(token, length);
        let checksum = crc32fast::hash(&bytes);
        let caller = &mut self.ports[port];
        let lane_id = LaneId(lane as u16);
        let taken = match is_shared {
            true => caller.port.propose_shared(lane_id, token, bytes.into()),
            false => caller.port.propose(lane_id, token, &bytes),
        };
        let expected = match length {
            0..=COMMAND_BYTES => Ok(()),
            _ => Err(Refused::TooLarge { bytes: length, limit: COMMAND_BYTES }),
        };
        prop_assert_eq!(taken, expected);
        if taken.is_ok() {
            caller.staged[lane].push((token, length, checksum));
        }
        Ok(())
    }

    /// A read can be attached to what is staged, and to nothing else.
    fn attach(&mut self, port: usize, lane: usize) -> Result<(), TestCaseError> {
        let token = self.next_token;
        self.next_token += 1;
        let caller = &mut self.ports[port];
        let attached = caller.port.attach(LaneId(lane as u16), token, &token.to_le_bytes());
        match caller.staged[lane].last() {
            None => prop_assert_eq!(attached, Err(NotAttached::NothingStaged)),
            Some((command, ..)) => {
                prop_assert_eq!(attached, Ok(()));
                self.reads.insert(token, *command);
            }
        }
        Ok(())
    }

    /// The commands of a turn for a lane are accepted as a whole, or refused as a whole if there are too
    /// many.
    fn flush(&mut self, port: usize) -> Result<(), TestCaseError> {
        let pending = |lane: &crate::lane::Lane<(u64, u32)>| lane.pending();
        let caller = &mut self.ports[port];
        let before: Vec<usize> = caller.port.shared.lanes.iter().map(pending).collect();
        caller.port.flush();
        let after: Vec<usize> = caller.port.shared.lanes.iter().map(pending).collect();
        for (lane, staged) in caller.staged.iter_mut().enumerate() {
            let bytes: usize = staged.iter().map(|(_, length, _)| length).sum();
            let added = after[lane] - before[lane];
            prop_assert!(added == staged.len() || added == 0, "{added} of {} were taken", staged.len());
            let reads = self.reads.values().filter(|after| staged.iter().any(|(token, ..)| token == *after));
            let bytes = bytes + reads.count() * READ_BYTES;
            let must = before[lane] == 0 && staged.len() <= LANE_COMMANDS && bytes <= LANE_BYTES;
            prop_assert!(added == staged.len() || !must, "an empty lane refuses {} commands", staged.len());
            prop_assert!(after[lane] <= LANE_COMMANDS, "{} commands wait", after[lane]);
            let commands = staged.drain(..).map(|(token, _, checksum)| (token, checksum));
            match added {
                0 => self.refused.extend(commands.map(|(token, _)| token)),
                _ => self.lanes[lane].extend(commands),
            }
        }
        Ok(())
    }

    fn collect(&mut self, port: usize) -> Result<(), TestCaseError> {
        let caller = &mut self.ports[port];
        let woken = caller.asleep.take().map(|before| caller.woken.0.load(SeqCst) > before);
        caller.port.awake();
        let mut done = Vec::new();
        caller.port.collect(&mut done);
        if let Some(woken) = woken {
            prop_assert_eq!(
                woken,
                !done.is_empty(),
                "who sleeps is woken by an outcome, and by nothing else"
            );
        }
        for completion in done {
            let (token, told) = match completion {
                Completion::Applied { token, reply, .. } => {
                    prop_assert!(caller.last < Some(reply.0), "the outcome of token {} was overtaken", token);
                    caller.last = Some(reply.0);
                    (token, Some(reply))
                }
                Completion::Unknown { token, .. } => (token, None),
                Completion::Refused { token, refused: Refused::Overloaded } => {
                    prop_assert!(self.refused.contains(&token), "{} was taken", token);
                    let at = self.refused.iter().position(|refused| *refused == token).expect("it is there");
                    self.refused.swap_remove(at);
                    continue;
                }
                Completion::Answered { token, reply: (executed, checksum), .. } => {
                    prop_assert_eq!(checksum, crc32fast::hash(&token.to_le_bytes()), "another's query");
                    prop_assert_eq!(
                        self.read.insert(token, Some(executed)),
                        None,
                        "{} is answered twice",
                        token
                    );
                    continue;
                }
                Completion::Detached { token, read } => {
                    prop_assert_eq!(&read.query[..], &token.to_le_bytes()[..], "another's query");
                    prop_assert_eq!(self.read.insert(token, None), None, "{} is detached twice", token);
                    continue;
                }
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert_eq!(self.told.insert(token, told), None, "token {} is told twice", token);
        }
        Ok(())
    }

    fn sleep(&mut self, port: usize) {
        let caller = &mut self.ports[port];
        if caller.port.may_sleep() {
            caller.asleep = Some(caller.woken.0.load(SeqCst));
        } else {
            caller.port.awake();
        }
    }

    fn deadlines_pass(&mut self) {
        self.now += Duration::from_secs(3600);
        self.clock.set(self.now);
        self.machine.tick();
    }

    fn end(&mut self) -> Result<(), TestCaseError> {
        for port in 0..PORTS {
            self.flush(port)?;
        }
        let mut rounds = 0;
        while self.machine.pending_commands() > 0 {
            rounds += 1;
            prop_assert!(rounds < 10_000, "{} commands are never executed", self.machine.pending_commands());
            self.round();
        }
        for port in 0..PORTS {
            self.collect(port)?;
        }
        prop_assert!(self.refused.is_empty(), "{:?} were not told that they were refused", self.refused);
        let taken: usize = self.lanes.iter().map(Vec::len).sum();
        prop_assert_eq!(self.told.len(), taken, "each command that was taken has an outcome");
        prop_assert_eq!(self.machine.client().status().commands, taken as u64, "each is executed once");
        for (read, command) in &self.reads {
            let Some(answered) = self.read.get(read) else {
                return Err(TestCaseError::fail(format!("read {read} is not answered")));
            };
            // A read and its command have one deadline, so none of them is told alone.
            let executed = self.told.get(command).copied().flatten().map(|(before, _)| before + 1);
            prop_assert_eq!(
                *answered,
                executed,
                "read {} does not come right after command {}",
                read,
                command
            );
        }
        for lane in &self.lanes {
            let mut last = None;
            for (token, checksum) in lane {
                prop_assert!(self.told.contains_key(token), "{} has no outcome", token);
                if let Some((at, found)) = self.told[token] {
                    prop_assert_eq!(found, *checksum, "the command of token {} is another", token);
                    prop_assert!(last < Some(at), "the command of token {} was overtaken", token);
                    last = Some(at);
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 96 }))]

    #[test]
    fn every_token_hears_of_its_own_command_once(
        entry_bytes in prop::sample::select(vec![4 << 10, 64 << 10]),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut fixture = Fixture::new(entry_bytes);
        for step in &steps {
            match *step {
                Step::Propose { port, lane, length, is_shared } => fixture.propose(port, lane, length, is_shared)?,
                Step::Attach { port, lane } => fixture.attach(port, lane)?,
                Step::Flush(port) => fixture.flush(port)?,
                Step::Round => fixture.round(),
                Step::Collect(port) => fixture.collect(port)?,
                Step::Sleep(port) => fixture.sleep(port),
                Step::DeadlinesPass => fixture.deadlines_pass(),
            }
        }
        fixture.end()?;
    }
}
