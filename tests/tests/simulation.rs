//! The simulator itself, a fixed list of seeds, and what once failed. `docs/testing.md` says how to run more.

use std::io::{IoSlice, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use niagara_log::{self, Durability, Files, HardState, LogConfig, LogEntry};
use niagara_testing::parts::chance::Chance;
use niagara_tests::rounds;
use niagara_tests::sim::{Coverage, Disk, FailingSync, Fault, Outcome, Plan, Planned, corpus, run};

/// Seeds that are simulated with each run of the tests.
const SEEDS: std::ops::Range<u64> = 0..60;

/// Seeds that have failed once, or fail with a bug put back, with what was wrong then. When plans come to be drawn otherwise,
/// seeds change their meaning: then look for others, with the bug planted.
const FAILED_ONCE: &[(u64, &str)] = &[
    (
        941_840_382_745,
        "a leader whose state machine hung kept its group, with a full window, for as long as a failover of another group may take",
    ),
    (913_922_876_738, "the same, with eight groups and leases"),
    (
        30_000_981,
        "a read that had waited for the store's life to be named waited for a quorum as long again: twice its deadline",
    ),
    (
        941_563_879_139,
        "a start that opened three epochs forgot that lanes of the second had yet to come to the third: their commands were never sent",
    ),
    (1294, "a group's thread stayed awake for commands in lanes that had gone on to the next epoch"),
    (
        212,
        "the leaders of an ended epoch handed their groups to and fro: its merge never comes to what is void",
    ),
    (1212, "a log stayed on disk of an epoch that a snapshot led beyond while its logs were being made"),
    (5130, "logs stayed on disk of epochs that a start from a received snapshot had not opened"),
    (
        910_741_101_327,
        "a candidate that had not heard of an early election deposed its winner, and nobody stood again until an \
         election timeout had passed",
    ),
    (
        910_741_101_978,
        "a disk with room for less than an entry made the leader send more than the bound allowed",
    ),
    (
        907_126_969_965,
        "a server that was behind accepted all messages of a burst, since it had not published yet what the first one \
         committed",
    ),
    (
        906_707_873_433,
        "a leader whose disk filled up soon after its start, with no write under way, kept its groups for seconds",
    ),
    (900_179_352_410, "a message of 69 small entries took more memory than the bound allowed for one"),
    (
        896_523_321_096,
        "a server whose disk hung kept a group that had written nothing since, until commands waited in it",
    ),
    (
        896_052_834_953,
        "four survivors split their votes in an early election, and waited for an election timeout then",
    ),
    (1, "a frame whose sync had failed was trusted by the next process, and lost with the power"),
    (833_688_537_230, "a loss of power while no process ran tore a partial snapshot, and was not counted"),
    (834_000_005_438, "entries of four commands cost more rounds than the bound allowed"),
    (
        842_796_863_521,
        "a server that catches up entry by entry was still at it when everything had to be settled",
    ),
    (
        843_687_210_978,
        "a leader whose window filled up long after its merge had stopped kept its leadership too long",
    ),
];

/// The same, with changing members or followers.
const FAILED_WITH_FOLLOWERS: &[(u64, &str)] = &[
    (
        966_859_781_203,
        "a read waited for the store's life to be named, learned it from a received snapshot, and then waited for a whole \
         deadline",
    ),
    (
        735,
        "a follower with room for one entry at a time was still catching up when the script had waited for long",
    ),
    (996_000_001_591, "the same, with 1,700 entries behind it"),
    (
        965_734_228_492,
        "a leader that is drained while it is cut off steps down an election timeout later: the checker's mistake",
    ),
    (
        992_784_652_242,
        "a leader heard from two servers of three, one after the other, and never from both at once: the checker's mistake",
    ),
    (
        4_353_457_261,
        "candidates with the longer log campaigned again whenever they refused a pre-vote, and gave up the votes on their \
         way: 34 terms in a fifth of a second",
    ),
    (
        1_301_301_004_163,
        "the same: who won at last was deposed by another candidate, and the rest waited for an election timeout",
    ),
    (
        1_320_000_005_519,
        "the power failed between the two segments of a write whose entries replaced others: the entries of the new term were \
         there, the term was not, and the log was taken for one that has lost its end",
    ),
    (
        1_340_000_011_058,
        "a server that leapt over epochs whose groups its start had opened kept these groups, and their logs, until it was \
         started again",
    ),
    (
        1_330_000_020_864,
        "a log stayed on disk that a process had begun to make when it died, of an epoch that the next one leapt over",
    ),
    (
        1_330_000_015_871,
        "a log of a closed epoch had waited for room on the disk, and its server counted as without room for good",
    ),
    (
        1_330_000_026_095,
        "a server that ended a pause answered a leader of an ended epoch between two ticks, and closed the group: the \
         checker's mistake",
    ),
    (
        1_330_000_015_259,
        "the groups of an ended epoch were closed while nobody wanted anything, and their heartbeats until then counted as \
         too many: the checker's mistake",
    ),
    (
        1_340_000_014_156,
        "a voter refused a pre-vote for a term that had come already, took its own log for the longer one, and deposed whom \
         it had just voted for",
    ),
    (
        1_360_000_000_169,
        "a new leader that had committed nothing yet dropped the question of a read, which was not put again before three \
         heartbeats",
    ),
];

/// Simulates a plan that no seed stands for.
fn holds_under(plan: Plan, what: &str) -> Coverage {
    let seed = plan.seed;
    let report = run(plan, false);
    if let Some(failure) = report.failure {
        panic!("seed {seed}, {what}: {failure}\n{}", report.last_lines);
    }
    report.coverage
}

fn holds(plan: Plan) -> Coverage {
    let seed = plan.seed;
    let report = run(plan, false);
    if let Some(failure) = report.failure {
        panic!(
            "seed {seed}: {failure}\nreplay: cargo run --release -p niagara-tests --bin sim -- --seed {seed}"
        );
    }
    report.coverage
}

#[test]
fn everything_holds_in_a_fixed_list_of_seeds() {
    let mut coverage = Coverage::default();
    for seed in 0..SEEDS.end * rounds(1) as u64 {
        coverage.merge(&holds(Plan::of(seed)));
    }
    for (what, least) in
        [("leader elected", 100), ("write acknowledged", 1000), ("strong read answered", 1000)]
    {
        assert!(coverage.of(what) >= least, "{what}: {} times", coverage.of(what));
    }
}

#[test]
fn what_has_failed_once_holds() {
    for (seed, _) in FAILED_ONCE.iter().chain(FAILED_WITH_FOLLOWERS) {
        holds(Plan::of(*seed));
    }
}

#[test]
fn a_seed_gives_the_same_trace_byte_by_byte() {
    for seed in [1, 2, 3, 1000, u64::MAX] {
        let (first, second) = (run(Plan::of(seed), true), run(Plan::of(seed), true));
        assert!(first.trace.lines().count() > 100, "seed {seed} tells nothing");
        assert!(first.trace == second.trace, "seed {seed} is not the same twice");
        assert_eq!(first.coverage, second.coverage);
    }
    assert_ne!(run(Plan::of(1), true).trace, run(Plan::of(2), true).trace);
}

#[test]
fn a_seed_leads_to_the_same_in_a_process_of_its_own() {
    let seeds = [1, 2, 3];
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    let mut child = command.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut asked = child.stdin.take().unwrap();
    seeds.iter().for_each(|seed| writeln!(asked, "{seed}").unwrap());
    drop(asked);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success());
    let said = String::from_utf8(said.stdout).unwrap();
    let outcomes: Vec<Outcome> = said.lines().map(|line| Outcome::of_line(line).unwrap()).collect();
    let expected = seeds.map(|seed| Outcome::from(run(Plan::of(seed), false)));
    assert_eq!(outcomes, expected);
}

#[test]
fn a_cluster_without_faults_serves_everybody() {
    let mut plan = Plan::of(5);
    plan.faults.clear();
    // It would refuse writes.
    plan.is_followed = false;
    plan.weather.lost = 0;
    plan.weather.damaged = 0;
    plan.lane_commands = 1 << 10;
    // So that no lane is ever full.
    plan.sizes = Default::default();
    let coverage = holds(plan);
    assert_eq!(coverage.of("command refused"), 0);
    assert_eq!(coverage.of("outcome unknown"), 0);
}

#[test]
fn all_servers_may_lose_their_power_again_and_again() {
    let mut plan = Plan::of(6);
    let lost = |n: u64| Planned { at: (300 + 250 * n) * 1000, fault: Fault::AllPowerLost { down: 20_000 } };
    plan.faults = (0..8).map(lost).collect();
    assert_eq!(holds(plan).of("all power lost"), 8);
}

/// One server's links come and go, slower than heartbeats and faster than elections, or about as fast: the groups that it led get
/// other leaders once, and from then on no read through the other servers waits longer than a lost question takes.
#[test]
fn a_server_whose_links_come_and_go_holds_up_no_reads_through_others() {
    for seed in 0..8 * rounds(1) as u64 {
        for each in [520_000, 550_000, 590_000, 620_000] {
            let server = 1 + seed % 3;
            let plan = Plan::of(seed).with_nothing_but_flapping(server, each);
            let coverage = holds_under(plan, &format!("{server} flaps, {each} us"));
            assert!(coverage.of("prompt reads asked") > 30);
        }
    }
}

/// A server's links take a thousand times less than it lacks: little waits for it in the others' memory (an invariant of every
/// simulation), and when the links are mended it comes up to the others.
#[test]
fn little_waits_for_a_server_behind_thin_links() {
    for seed in 0..10 * rounds(1) as u64 {
        let mut plan = Plan::of(seed);
        let thin =
            |bytes_per_second| Fault::ThinLinks { server: 1 + seed % 3, bytes_per_second, lasts: 2_000_000 };
        plan.faults =
            vec![Planned { at: 300_000, fault: thin(*[500, 2_000, 8_000].get(seed as usize % 3).unwrap()) }];
        // The seed's own faults may be at another server, through which no prompt call is made.
        plan.prompt = None;
        assert_eq!(holds_under(plan, "links are thin").of("links thin"), 1);
    }
}

/// Linux takes what a failed sync was for as clean: the next process reads it, a second sync succeeds, and the power takes it
/// all the same. The log writes its last frame again before it counts it as durable.
#[test]
fn a_frame_whose_sync_has_failed_is_made_durable_by_the_next_process() {
    let entry = |index| LogEntry { index, term: 1, kind: 0, context: Bytes::new(), data: Bytes::from("x") };
    let disk = Disk::new(Chance::new(1));
    let mut config = LogConfig::new("log", Durability::Fsync, 1);
    config.segment_bytes = 1 << 10;
    config.prepare_beside = false;
    config.files = Arc::new(disk.clone());
    let state = Some(HardState { term: 1, vote: 1, commit: 0 });
    {
        let (store, mut writer) = niagara_log::open(&config, &mut |_| {}).unwrap();
        store.append(&[entry(1)]);
        disk.trouble(|trouble| trouble.sync_fails = Some(FailingSync(None)));
        writer.write(&[entry(1)], state).unwrap_err();
    }
    disk.process_ends();
    {
        let (store, mut writer) = niagara_log::open(&config, &mut |_| {}).unwrap();
        assert_eq!(store.last_index(), 1, "it can be read");
        store.append(&[entry(2)]);
        writer.write(&[entry(2)], state).unwrap();
    }
    disk.power_fails();
    let (store, _) = niagara_log::open(&config, &mut |_| {}).unwrap();
    assert_eq!(store.last_index(), 2, "and so it is there for good");
}

/// The simulated disk is as bad as the format assumes: without a sync, everything may go.
#[test]
fn the_simulated_disk_loses_what_was_not_synced() {
    let survives = |seed| {
        let disk = Disk::new(Chance::new(seed));
        disk.create_dir(Path::new("dir")).unwrap();
        let file = disk.create(Path::new("dir/file")).unwrap();
        disk.sync_dir(Path::new("dir")).unwrap();
        file.write_all_at(&mut [IoSlice::new(b"data")], 0).unwrap();
        disk.power_fails();
        disk.open(Path::new("dir/file")).unwrap().length().unwrap() > 0
    };
    let survivors = (0..100).filter(|seed| survives(*seed)).count();
    assert!((20..80).contains(&survivors), "{survivors} of 100 writes survive");
}

/// Seeds that had failed before there were plans with changing members, followers and hanging groups still mean what they did.
#[test]
fn seeds_keep_their_meaning() {
    for seed in FAILED_ONCE.iter().map(|(seed, _)| *seed).chain(corpus().iter().map(|kept| kept.seed)) {
        let Plan { spares, is_followed, faults, .. } = Plan::of(seed);
        assert_eq!((spares, is_followed), (0, false), "seed {seed}");
        let hangs = |planned: &Planned| matches!(planned.fault, Fault::HungGroup { .. });
        assert!(!faults.iter().any(hangs), "seed {seed}");
    }
}
