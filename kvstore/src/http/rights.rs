//! The rights that requests need, in terms of the commands that do the same.

use super::request::{Page, What};
use crate::table::Op;
use crate::users::{Access, Wanted};

/// What a request wants to touch; `None` if everybody may make it.
pub(super) fn wanted(what: &What) -> Option<Wanted<'_>> {
    match what {
        What::Get { key, .. } => Some(Wanted::on_key(Op::Get, key, Access::READ)),
        What::Put { key, .. } => Some(Wanted::on_key(Op::Set, key, Access::WRITE)),
        What::Delete { key, .. } => Some(Wanted::on_key(Op::Del, key, Access::WRITE)),
        What::Page { page: Page::Status | Page::Leaders | Page::Metrics(_), .. } => {
            Some(Wanted::named("INFO", None))
        }
        What::ChangeLeaders { .. } | What::Snapshot { .. } => Some(Wanted::named("CONFIG", Some("GET"))),
        What::Page { page: Page::Healthz | Page::Readyz, .. }
        | What::Options(_)
        | What::Preflight(_)
        | What::Fail(_) => None,
    }
}
