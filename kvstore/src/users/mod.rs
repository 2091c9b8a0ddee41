//! Users, and what each may do: the access control lists of Redis.
//!
//! Users are replicated state: ordered commands change them, so their rights are the same everywhere from one position on,
//! and snapshots hold them. What stands here is pure, apart from the [`Directory`], which shows the users of the moment to
//! other threads, and remembers who was refused.
//!
//! | file | holds |
//! |---|---|
//! | `password.rs` | a password, as its digest |
//! | `ids.rs` | commands and subcommands, as rights know them |
//! | `commands.rs` | which of them a set of rights allows, and by which rules |
//! | `patterns.rs` | which keys and channels it allows |
//! | `rights.rs` | a set of rights: commands on keys and channels |
//! | `wanted.rs` | what a request or a command of the log wants to touch |
//! | `user.rs` | one user, and the rules that change it |
//! | `rule.rs` | what is wrong with a rule |
//! | `prepare.rs` | rules made fit for the log |
//! | `all.rs` | all users together |
//! | `directory.rs` | the users of the moment, for all threads |
//! | `refusals.rs` | who was refused lately, on this server |

mod all;
mod commands;
mod directory;
mod ids;
mod password;
mod patterns;
mod prepare;
mod refusals;
mod rights;
mod rule;
#[cfg(test)]
mod tests;
mod user;
mod wanted;

pub(crate) use all::NotChanged;
pub(crate) use all::{DEFAULT, RESCUE, Users};
pub(crate) use directory::Directory;
pub(crate) use ids::Id;
pub(crate) use password::Password;
pub(crate) use patterns::Access;
pub(crate) use prepare::prepare;
pub(crate) use refusals::{Context, Refusal};
pub use rights::Denied;
pub(crate) use user::{ShownRights, User};
pub(crate) use wanted::Wanted;
