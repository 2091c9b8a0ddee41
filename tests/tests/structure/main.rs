//! The house rules that are tests: who may import whom, and that what ARCHITECTURE.md names exists.
//!
//! * Packages depend on those below them alone ([`packages`]).
//! * In each folder the imports between modules have no cycle ([`imports`]), and inside the engine they go down the picture in
//!   ARCHITECTURE.md ([`picture`]).
//! * Each function that ARCHITECTURE.md follows a write and a read by exists ([`names`]).

mod imports;
mod names;
mod packages;
mod picture;
mod sources;
