//! The linearizability checker: histories that a store may and may not show, a second opinion, and its speed.
//!
//! - [`stories`] are small histories, each with one thing that clients notice.
//! - [`second_opinion`] compares the checker with stateright's on thousands of [`generated`] histories.
//! - [`speed`] prints what long histories take.

mod generated;
mod second_opinion;
mod speed;
mod stories;
