//! What is done with files before the power fails.

use proptest::prelude::*;

/// Something that is done with files. Names are numbers, of [`DIRS`] directories with [`NAMES`] names each.
#[derive(Clone, Debug)]
pub enum Op {
    Create(usize),
    Write {
        name: usize,
        at: usize,
        parts: Vec<Vec<u8>>,
    },
    Zeros {
        name: usize,
        from: usize,
        length: usize,
    },
    Reserve {
        name: usize,
        from: usize,
        length: usize,
    },
    SyncData(usize),
    SyncAll(usize),
    Rename(usize, usize),
    Remove(usize),
    SyncDir(usize),
    CreateDir(usize),
    /// A look at what would be left if the power failed here.
    Cut,
}

pub const DIRS: usize = 2;
pub const NAMES: usize = 3;

/// Operations; offsets and lengths are multiples of a unit, more or less.
pub fn ops(unit: usize, most: usize) -> impl Strategy<Value = Vec<Op>> {
    let name = 0..DIRS * NAMES;
    let place = move || (0..40_usize, 0..unit).prop_map(move |(units, more)| units * unit + more);
    let part = (any::<u8>(), 0..20 * unit).prop_map(|(byte, length)| vec![byte; length]);
    let parts = prop::collection::vec(part, 1..4);
    let op = prop_oneof![
        3 => name.clone().prop_map(Op::Create),
        6 => (name.clone(), place(), parts).prop_map(|(name, at, parts)| Op::Write { name, at, parts }),
        1 => (name.clone(), place(), place()).prop_map(|(name, from, length)| Op::Zeros { name, from, length }),
        1 => (name.clone(), place(), place()).prop_map(|(name, from, length)| Op::Reserve { name, from, length }),
        2 => name.clone().prop_map(Op::SyncData),
        2 => name.clone().prop_map(Op::SyncAll),
        3 => (name.clone(), 0..NAMES).prop_map(|(from, to)| Op::Rename(from, from / NAMES * NAMES + to)),
        1 => name.prop_map(Op::Remove),
        3 => (0..DIRS).prop_map(Op::SyncDir),
        1 => (0..DIRS).prop_map(Op::CreateDir),
        2 => Just(Op::Cut),
    ];
    prop::collection::vec(op, 1..most)
}
