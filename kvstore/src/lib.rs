//! A replicated key-value store over Redis protocol and HTTP, and the niagara binary.

pub mod command;
pub mod config;
mod decimal;
mod front;
pub mod http;
mod reply;
pub mod resp;
pub mod server;
mod state;
mod version;

pub use front::{FrontEndConfig, FrontEnds};
pub use reply::{CommandError, Reply};
pub use state::{Cursor, Found, Kv, KvReader};
pub use version::{NotAVersion, Version};
