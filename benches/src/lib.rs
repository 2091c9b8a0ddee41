//! Criterion benchmarks of the hot paths, in `benches/`; each says what it bounds, and why.
//!
//! `cargo bench -p niagara-benches -- --noplot` runs all of them in about three minutes; with plots it takes twice as long.
//! With `-- --test` each runs once, within a few seconds.
