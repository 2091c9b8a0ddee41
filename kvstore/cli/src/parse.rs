//! Parses the command line into [`Arguments`], or answers with help.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error, FromArgMatches};
use niagara_logging as logs;

use super::output::print;
use super::style;
use crate::arguments::Arguments;

/// Parses a command line. Otherwise prints the error or the help, and returns the exit status.
pub fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<Arguments, ExitCode> {
    understand(&typed.into_iter().collect::<Vec<_>>()).map_err(|error| answer(&error))
}

/// Keys, values and files may start with a dash. A word that is neither an option nor similar to one counts
/// as one of them.
fn understand(typed: &[OsString]) -> Result<Arguments, Error> {
    let understood = match Arguments::command().try_get_matches_from(typed) {
        Err(error) if error.kind() == ErrorKind::UnknownArgument && !is_nearly_an_option(&error) => {
            with_dashes(Arguments::command()).try_get_matches_from(typed)
        }
        understood => understood,
    };
    Arguments::from_arg_matches(&understood?)
}

fn is_nearly_an_option(error: &Error) -> bool {
    // A word with hardly a letter is not similar to any option.
    let is_word = |typed: &ContextValue| matches!(typed, ContextValue::String(typed) if typed.chars().filter(|c| c.is_alphabetic()).count() >= 3);
    error.get(ContextKind::SuggestedArg).is_some() && error.get(ContextKind::InvalidArg).is_some_and(is_word)
}

fn with_dashes(command: Command) -> Command {
    command
        .mut_args(|arg| if arg.is_positional() { arg.allow_hyphen_values(true) } else { arg })
        .mut_subcommands(with_dashes)
}

fn answer(error: &Error) -> ExitCode {
    let text = |paint: style::Paint| {
        let text = error.render();
        if paint.is_on() { text.ansi().to_string() } else { text.to_string() }
    };
    if error.use_stderr() {
        logs::say(&text(style::for_stderr()));
        return ExitCode::from(2);
    }
    match print(text(style::for_stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Command as Chosen;

    fn understood(line: &str) -> Result<Arguments, Error> {
        understand(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn keys_and_values_may_begin_with_a_dash() {
        for (line, key, value) in [
            ("niagara put n -5", "n", "-5"),
            ("niagara put -n -5.5 --quiet", "-n", "-5.5"),
            ("niagara put --quiet n --5", "n", "--5"),
            ("niagara put n -", "n", "-"),
            ("niagara put n --- --at h:1", "n", "---"),
            ("niagara put -- -q --quiet", "-q", "--quiet"),
        ] {
            let Chosen::Put(put) = understood(line).unwrap().command else { panic!("{line}") };
            assert_eq!(
                (put.key.to_str(), put.value.as_ref().and_then(|v| v.to_str())),
                (Some(key), Some(value)),
                "{line}"
            );
            assert_eq!(put.quiet, line.contains("--quiet") && !line.contains("-- "), "{line}");
        }
        for line in ["niagara get -5", "niagara get -key --read weak", "niagara get --read weak -- -v"] {
            let Chosen::Get(get) = understood(line).unwrap().command else { panic!("{line}") };
            assert!(get.key.to_str().is_some_and(|key| key.starts_with('-')), "{line}");
        }
        assert!(matches!(understood("niagara del -x").unwrap().command, Chosen::Del(_)));
        assert!(matches!(understood("niagara log inspect -data").unwrap().command, Chosen::Log(_)));
        assert!(matches!(
            understood("niagara snapshot inspect -f.snap").unwrap().command,
            Chosen::Snapshot(_)
        ));
    }

    #[test]
    fn an_option_that_is_mistyped_is_no_value() {
        for line in [
            "niagara put n --if-absnt",
            "niagara put n v --quite",
            "niagara get k --verbos",
            "niagara get k --timout 3",
            "niagara put n v -5",
            "niagara status --jsn",
        ] {
            assert_eq!(understood(line).unwrap_err().kind(), ErrorKind::UnknownArgument, "{line}");
        }
    }
}
