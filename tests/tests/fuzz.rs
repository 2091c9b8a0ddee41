//! The fuzz targets, for seconds: on their corpora, on mutations of these, and on noise.
//!
//! A failure is shrunk and written to a file, and says how to replay it. `NIAGARA_TEST_ROUNDS` multiplies the number of
//! mutations; `tests/fuzz` goes on for as long as wanted.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Once;

use niagara_tests::fuzz::{TARGETS, Target};
use niagara_tests::rounds;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};

/// Mutations of corpus entries for each target, and as much noise.
const CASES: usize = 400;
/// Noise is up to this long.
const NOISE_BYTES: usize = 300;
/// Most bytes of all corpora together: they are meant to be small, and to be read.
const CORPORA_BYTES: usize = 300 << 10;

macro_rules! targets {
    ($($name:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*
    };
}

targets!(frame greeting message driver entry log_damage log_forgery snapshot transfer feed redis http command);

fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("it is among the targets");
    if let Some(path) = std::env::var_os("NIAGARA_FUZZ_INPUT") {
        (target.run)(&fs::read(path).expect("the input can be read"));
        return;
    }
    let corpus: Vec<Vec<u8>> = corpus(target).into_values().collect();
    for input in &corpus {
        attempt(target, input).unwrap_or_else(|why| fail(target, input, &why));
    }
    let mutated = (any::<Index>(), vec(mutation(), 1..6)).prop_map(move |(entry, mutations)| {
        let mut input = entry.get(&corpus).clone();
        mutations.iter().for_each(|mutation| mutation.apply(&mut input, &corpus));
        input
    });
    let noise = vec(any::<u8>(), 0..NOISE_BYTES);
    let config = Config {
        cases: rounds(CASES) as u32,
        max_shrink_iters: 4096,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config)
        .run(&prop_oneof![3 => mutated.boxed(), 1 => noise.boxed()], |input| {
            attempt(target, &input).map_err(TestCaseError::fail)
        });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => fail(target, &input, &why.to_string()),
        Err(error) => panic!("{error}"),
    }
}

/// A change to an input, as a fuzzer makes it.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Put(Index, u8),
    /// A number at an end of its range, or nearly so.
    Fill(Index, usize, u8),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize),
    Insert(Index, Vec<u8>),
    /// Goes on as another entry does, from some place on.
    Splice(Index, Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    // Numbers at the ends of their ranges, and bytes that mean something in text.
    let telling = proptest::sample::select(b"\0\x01\x7f\x80\xff\r\n \":*$0".to_vec());
    prop_oneof![
        3 => (at(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        3 => (at(), prop_oneof![any::<u8>(), telling]).prop_map(|(at, byte)| Mutation::Put(at, byte)),
        1 => (at(), 1..9usize, prop_oneof![Just(0), Just(0xff)])
            .prop_map(|(at, count, byte)| Mutation::Fill(at, count, byte)),
        1 => at().prop_map(Mutation::Cut),
        2 => (at(), 1..40usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        2 => (at(), 1..40usize).prop_map(|(at, count)| Mutation::Repeat(at, count)),
        1 => (at(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => (at(), at(), at()).prop_map(|(at, other, from)| Mutation::Splice(at, other, from)),
    ]
}

impl Mutation {
    fn apply(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let end = input.len();
        let place = |at: &Index| at.index(end + 1);
        match self {
            Mutation::Flip(at, _) | Mutation::Put(at, _) if place(at) == end => {}
            Mutation::Flip(at, bit) => input[place(at)] ^= 1 << bit,
            Mutation::Put(at, byte) => input[place(at)] = *byte,
            Mutation::Fill(at, count, byte) => {
                input[place(at)..].iter_mut().take(*count).for_each(|to| *to = *byte);
            }
            Mutation::Cut(at) => input.truncate(place(at)),
            Mutation::Remove(at, count) => drop(input.drain(place(at)..end.min(place(at) + count))),
            Mutation::Repeat(at, count) => {
                let repeated = input[place(at)..end.min(place(at) + count)].to_vec();
                input.splice(place(at)..place(at), repeated);
            }
            Mutation::Insert(at, bytes) => drop(input.splice(place(at)..place(at), bytes.iter().copied())),
            Mutation::Splice(at, other, from) => {
                let other = other.get(corpus);
                input.truncate(place(at));
                input.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
}

thread_local! {
    /// Whether this thread tries an input: its panics are caught, and shrinking would print hundreds of them.
    static TRIES: Cell<bool> = const { Cell::new(false) };
}

/// Runs a target. An error is what it panicked with.
fn attempt(target: &Target, input: &[u8]) -> Result<(), String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !TRIES.get() {
                print(info);
            }
        }));
    });
    TRIES.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    TRIES.set(false);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}

fn fail(target: &Target, input: &[u8], why: &str) -> ! {
    let name = target.name;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{:08x}", crc32fast::hash(input)));
    fs::write(&path, input).expect("the input can be written");
    let path = path.display();
    panic!(
        "{name}: {why}\n\nthe input, {} bytes, is in {path}\n{}\n\nreplay it with\n    NIAGARA_FUZZ_INPUT={path} cargo \
         test -p niagara-tests --test fuzz -- --exact {name}\nand keep it, once the bug is fixed, as\n    \
         tests/fuzz/corpus/{name}/found-...\n",
        input.len(),
        input.escape_ascii()
    );
}

fn corpus_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name)
}

/// The corpus of a target, by the names of its files.
fn corpus(target: &Target) -> BTreeMap<String, Vec<u8>> {
    let dir = corpus_of(target.name);
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    files
        .map(|file| {
            let file = file.expect("the corpus can be listed");
            let name = file.file_name().into_string().expect("inputs have plain names");
            (name, fs::read(file.path()).expect("an input can be read"))
        })
        .collect()
}

/// The files called `seed-...` are what the code says, so that nobody has to trust them. NIAGARA_BLESS writes them anew.
#[test]
fn corpora_begin_with_the_seeds() {
    let mut total = 0;
    for target in TARGETS {
        let seeds: BTreeMap<String, Vec<u8>> =
            (target.seeds)().into_iter().map(|(name, input)| (format!("seed-{name}"), input)).collect();
        if std::env::var_os("NIAGARA_BLESS").is_some() {
            bless(target, &seeds);
        }
        let (found, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            corpus(target).into_iter().partition(|(name, _)| name.starts_with("seed-"));
        let differing = seeds.keys().chain(found.keys()).find(|name| seeds.get(*name) != found.get(*name));
        assert_eq!(
            differing, None,
            "the corpus of {} is not what its seeds say; if these are right, run again with NIAGARA_BLESS=1",
            target.name
        );
        let kept = others.iter().filter(|(name, _)| name.starts_with("found-"));
        total +=
            seeds.values().map(Vec::len).sum::<usize>() + kept.map(|(_, input)| input.len()).sum::<usize>();
    }
    assert!(total < CORPORA_BYTES, "the corpora have {total} bytes");
}

fn bless(target: &Target, seeds: &BTreeMap<String, Vec<u8>>) {
    let dir = corpus_of(target.name);
    fs::create_dir_all(&dir).expect("the corpus can be made");
    for stale in corpus(target).keys().filter(|name| name.starts_with("seed-")) {
        fs::remove_file(dir.join(stale)).expect("a seed can be removed");
    }
    for (name, input) in seeds {
        fs::write(dir.join(name), input).expect("a seed can be written");
    }
}

/// A target that is left out somewhere would look as if nothing were wrong with it.
#[test]
fn each_target_has_a_test_and_an_entry_point() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("the manifest can be read");
    assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), TESTED);
    for Target { name, .. } in TARGETS {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name} is not in the manifest");
        let entry =
            fs::read_to_string(fuzz.join(format!("targets/{name}.rs"))).expect("there is an entry point");
        assert!(entry.contains(&format!("niagara_tests::fuzz::{name}(data)")), "{name}: {entry}");
    }
}
