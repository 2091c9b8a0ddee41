//! What the included files know of the rest of a server.

mod board;

#[path = "../../../../engine/src/server/application.rs"]
mod application;
#[path = "../../../../engine/src/server/bell.rs"]
mod bell;
#[path = "../../../../engine/src/server/bounds.rs"]
mod bounds;
#[path = "../../../../engine/src/server/mailbox.rs"]
mod mailbox;
#[path = "../../../../engine/src/server/stretch.rs"]
mod stretch;
#[path = "../../../../engine/src/server/waits.rs"]
mod waits;

pub(crate) use application::{Application, Executed, Executor, Work};
pub(crate) use bell::Bell;
pub(crate) use board::{Board, Mail};
pub(crate) use bounds::{Bounds, Limits};
pub(crate) use mailbox::Mailbox;
pub(crate) use stretch::Stretch;
