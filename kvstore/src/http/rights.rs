//! The rights that requests need, in terms of the commands that do the same.

use super::page::Page;
use super::request::What;
use crate::access::Entrance;
use crate::command::{self, Command};
use crate::table::Op;
use crate::users::{Access, Denied, Wanted};

/// What a request wants to touch; `None` if everybody may make it.
pub(super) fn wanted(what: &What) -> Option<Wanted<'_>> {
    match what {
        What::Get { key, .. } => Some(Wanted::on_key(Op::Get, key, Access::READ)),
        What::Put { key, .. } => Some(Wanted::on_key(Op::Set, key, Access::WRITE)),
        What::Delete { key, .. } => Some(Wanted::on_key(Op::Del, key, Access::WRITE)),
        // Of the keys, only those are shown that may be read.
        What::List { .. } | What::Watch { .. } => Some(key_names()),
        // What it does is known when its body has come.
        What::Transaction { .. } => Some(Wanted::named("EXEC", None)),
        What::Page {
            page: Page::Status | Page::Leaders | Page::Groups | Page::Level | Page::Members | Page::Metrics(_),
            ..
        } => Some(Wanted::named("INFO", None)),
        What::Change { .. } | What::Snapshot { .. } => Some(Wanted::named("CONFIG", Some("GET"))),
        What::Page { page: Page::Healthz | Page::Readyz | Page::OpenApi, .. }
        | What::Options(_)
        | What::Preflight(_)
        | What::Fail(_) => None,
    }
}

/// To see which keys there are.
pub(super) fn key_names() -> Wanted<'static> {
    Wanted::named("SCAN", None)
}

/// Whether a key, and what has become of it, may be shown.
pub(super) fn shows(entrance: &Entrance, key: &[u8]) -> bool {
    entrance.denied(|| Wanted::on_key(Op::Get, key, Access::READ)).is_none()
}

/// Why the user may not do something that a transaction would, as a command.
pub(super) fn denied_part(entrance: &Entrance, bytes: &[u8]) -> Option<Denied> {
    entrance.carried()?;
    match command::decode(bytes).ok()? {
        Command::Timed { command, .. } | Command::By { command, .. } | Command::In { command, .. } => {
            denied_part(entrance, command)
        }
        Command::Once(once) => denied_part(entrance, once.command),
        Command::Choice(choice) => Wanted::parts(&choice).find_map(|part| entrance.denied(|| part)),
        _ => None,
    }
}
