//! Subscriptions to the global log: executed commands, in the order of the log, for whoever follows it.
//!
//! | file | holds |
//! |---|---|
//! | `feed.rs` | the recent part of the global log, which execution writes and subscribers read |
//! | `part.rs` | executed commands of a stretch, as subscribers share them |
//! | `compacted.rs` | why a subscription cannot begin |
//! | `reader.rs` | a subscription: a position in the feed, and who is woken when there is more |
//!
//! Execution appends a part per stretch and waits for nobody: a part is kept until newer ones exceed the
//! bound in bytes, whether or not it was read. A subscriber that is too slow for that is told so. While nobody
//! subscribes and no history is kept, execution does nothing here but store and load one number per stretch.

mod compacted;
mod feed;
mod part;
mod reader;

pub use compacted::Compacted;
pub(crate) use feed::{Feed, FeedLimits};
pub(crate) use part::Recording;
pub use reader::{Executed, NextExecuted, Subscription, SubscriptionEnd};
