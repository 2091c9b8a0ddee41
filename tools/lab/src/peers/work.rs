//! What is asked of the stores.

use serde::Serialize;

use crate::timing::Timing;

/// Keys that are written and read, all alike.
pub(super) const KEYS: u32 = 10_000;
pub(super) const KEY_BYTES: usize = 16;
pub(super) const VALUE_BYTES: usize = 100;

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum StoreWork {
    Writes,
    /// As fresh as the store gives them.
    Reads,
    /// Half writes, half reads.
    Mixed,
    /// What a server has at hand, however old.
    WeakReads,
}

impl StoreWork {
    pub const ALL: [StoreWork; 4] =
        [StoreWork::Writes, StoreWork::Reads, StoreWork::Mixed, StoreWork::WeakReads];

    pub fn name(self) -> &'static str {
        match self {
            StoreWork::Writes => "writes",
            StoreWork::Reads => "strong reads",
            StoreWork::Mixed => "half writes, half strong reads",
            StoreWork::WeakReads => "weak reads",
        }
    }

    /// The share of reads.
    pub fn reads(self) -> f64 {
        match self {
            StoreWork::Writes => 0.0,
            StoreWork::Mixed => 0.5,
            StoreWork::Reads | StoreWork::WeakReads => 1.0,
        }
    }
}

/// How many operations are in flight, and on how many connections: each begins when one ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shape {
    pub connections: u32,
    /// On each connection.
    pub pipeline: u32,
}

impl Shape {
    pub const FEW: &[Shape] = &[Shape::of(1, 1), Shape::of(64, 1), Shape::of(64, 16)];
    pub const ALL: &[Shape] = &[
        Shape::of(1, 1),
        Shape::of(4, 1),
        Shape::of(16, 1),
        Shape::of(64, 1),
        Shape::of(64, 4),
        Shape::of(64, 16),
    ];

    const fn of(connections: u32, pipeline: u32) -> Shape {
        Shape { connections, pipeline }
    }

    pub fn in_flight(self) -> u32 {
        self.connections * self.pipeline
    }

    pub fn name(self) -> String {
        let Shape { connections, pipeline } = self;
        if pipeline == 1 { connections.to_string() } else { format!("{connections} x {pipeline}") }
    }
}

/// One measurement of a store: what is asked of it, in what shape, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stint {
    pub work: StoreWork,
    pub shape: Shape,
    pub timing: Timing,
}
