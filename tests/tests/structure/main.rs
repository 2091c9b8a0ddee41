//! The house rules that are tests: who may import whom, and that what ARCHITECTURE.md names exists.
//!
//! * Packages depend on those below them alone ([`packages`]).
//! * In each folder the imports between modules have no cycle ([`imports`]), and inside the engine they go down the picture in
//!   ARCHITECTURE.md ([`picture`]).
//! * What each library offers is on its list, and what an embedding program uses has an example ([`public_api`]).
//! * Each threat in docs/security.md has tests that exist ([`threats`]).
//! * Each function that ARCHITECTURE.md follows a write and a read by exists ([`names`]).

mod imports;
mod names;
mod packages;
mod picture;
mod public_api;
mod public_items;
mod sources;
mod threats;
