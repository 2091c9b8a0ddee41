//! The parts of a server that the models run.

#[path = "../../../../engine/src/server/application.rs"]
mod application;
#[path = "../../../../engine/src/server/executor.rs"]
mod executor;
#[path = "../../../../engine/src/server/stretch.rs"]
mod stretch;

pub(crate) use application::Application;
pub(crate) use executor::{Executor, Work};
pub(crate) use stretch::Stretch;
