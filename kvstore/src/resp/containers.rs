//! Requests for commands with subcommands, and their help.

use super::parse::Arguments;
use super::words::{is, shown};
use crate::table::subcommands;

/// What is wrong with a request's subcommand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// There is none of this name. With the text of the error.
    #[error("{0}")]
    Unknown(String),
    /// Of the one with this name.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arguments(String),
}

/// Whether a request's subcommand exists and takes so many arguments.
pub(super) fn check(container: &str, arguments: Arguments<'_>) -> Result<(), Unfit> {
    let asked = arguments.get(1);
    let Some(((name, least, most), _)) =
        subcommands(container).iter().find(|((name, ..), _)| is(asked, name))
    else {
        let asked = shown(asked, 128);
        let text = format!("ERR unknown subcommand '{asked}'. Try {container} HELP.");
        return Err(Unfit::Unknown(text));
    };
    let given = arguments.len() - 2;
    if given < *least || given > *most {
        return Err(Unfit::Arguments(format!("{container}|{name}").to_lowercase()));
    }
    Ok(())
}

/// The help of a command, line by line.
pub(super) fn help(container: &'static str) -> impl Iterator<Item = String> {
    let head = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let lines = subcommands(container).iter().map(|((name, ..), text)| format!("{name} {text}"));
    std::iter::once(head).chain(lines)
}
