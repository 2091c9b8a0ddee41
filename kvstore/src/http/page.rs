//! Which pages about the server there are.

use super::media_type::Exposition;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Status,
    Leaders,
    Groups,
    /// The level, and those that the members know.
    Level,
    /// The epoch and its members.
    Members,
    Healthz,
    Readyz,
    Metrics(Exposition),
    OpenApi,
}
