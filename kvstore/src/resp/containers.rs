//! Requests for commands with subcommands, and their help.

use super::parse::Arguments;
use super::words::{is, shown};
use crate::table::subcommands;

/// What is wrong with a request's subcommand.
pub(super) fn check(container: &str, arguments: Arguments<'_>) -> Result<(), String> {
    let asked = arguments.get(1);
    let Some(((name, least, most), _)) =
        subcommands(container).iter().find(|((name, ..), _)| is(asked, name))
    else {
        let asked = shown(asked, 128);
        let text = format!("ERR unknown subcommand '{asked}'. Try {container} HELP.");
        return Err(text);
    };
    let given = arguments.len() - 2;
    if given < *least || given > *most {
        let name = format!("{container}|{name}").to_lowercase();
        let text = format!("ERR wrong number of arguments for '{name}' command");
        return Err(text);
    }
    Ok(())
}

/// The help of a command, line by line.
pub(super) fn help(container: &'static str) -> impl Iterator<Item = String> {
    let head = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let lines = subcommands(container).iter().map(|((name, ..), text)| format!("{name} {text}"));
    std::iter::once(head).chain(lines)
}
