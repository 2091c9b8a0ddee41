//! Which commands a set of rights allows, and by which rules.

use super::ids::Id;
use super::rule::RuleError;
use crate::table::{Categories, Spec};

/// Room for all commands and subcommands; a test checks that it is enough.
const WORDS: usize = 4;

/// The commands that are allowed: all or none, and rules that change that one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commands {
    begins_with_all: bool,
    /// Such as `+get` and `-@write`, each command or category once.
    rules: Vec<String>,
    allowed: [u64; WORDS],
}

impl Commands {
    pub(super) fn none() -> Commands {
        Commands { begins_with_all: false, rules: Vec::new(), allowed: [0; WORDS] }
    }

    pub(super) fn all() -> Commands {
        Commands { begins_with_all: true, rules: Vec::new(), allowed: [u64::MAX; WORDS] }
    }

    /// Whether everything is allowed, also what a later release brings.
    pub(super) fn is_all(&self) -> bool {
        self.begins_with_all && self.rules.iter().all(|rule| rule.starts_with('+'))
    }

    pub(super) fn allows(&self, id: Id) -> bool {
        // Whoever has no rights must be able to get some.
        let is_for_all = matches!(id.name(), "auth" | "hello" | "quit" | "reset");
        is_for_all || self.allowed[id.number() / 64] & 1 << (id.number() % 64) != 0
    }

    /// Changes them by a rule, which begins with `+` or `-`.
    pub(super) fn change(&mut self, rule: &str) -> Result<(), RuleError> {
        let (allow, name) = (rule.starts_with('+'), rule[1..].to_ascii_lowercase());
        let ids: Vec<Id> = match name.strip_prefix('@') {
            Some("all") => {
                *self = if allow { Commands::all() } else { Commands::none() };
                return Ok(());
            }
            Some(category) => {
                let category = Categories::named(category.as_bytes()).ok_or(RuleError::Unknown)?;
                Id::all().filter(|id| id.categories().meet(category)).collect()
            }
            None => Id::named(&name).ok_or_else(|| Commands::unknown(&name))?,
        };
        for id in ids {
            let (word, bit) = (&mut self.allowed[id.number() / 64], 1 << (id.number() % 64));
            *word = if allow { *word | bit } else { *word & !bit };
        }
        // An earlier rule for the same counts no more, nor do those for its subcommands.
        let is_outdated = |rule: &String| {
            rule[1..].strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        };
        self.rules.retain(|rule| !is_outdated(rule));
        self.rules.push(format!("{}{name}", if allow { '+' } else { '-' }));
        Ok(())
    }

    fn unknown(name: &str) -> RuleError {
        match name.split_once('|') {
            Some((_, rest)) if rest.contains('|') => RuleError::FirstArgument,
            Some((command, _)) if Spec::find(command.as_bytes()).is_some() => RuleError::UnknownSubcommand,
            _ => RuleError::Unknown,
        }
    }

    /// The rules, from the beginning.
    pub(super) fn describe(&self) -> String {
        let begin = if self.begins_with_all { "+@all" } else { "-@all" };
        self.rules.iter().fold(begin.to_owned(), |text, rule| text + " " + rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_commands_and_subcommands_have_room() {
        assert!(Id::all().count() <= 64 * WORDS);
    }

    #[test]
    fn the_last_rule_for_a_command_counts() {
        let mut commands = Commands::none();
        for rule in ["+get", "+@write", "-SET", "+client|id", "+client", "-client|list", "-get", "+get"] {
            commands.change(rule).unwrap();
        }
        assert_eq!(commands.describe(), "-@all +@write -set +client -client|list +get");
        let allows = |name: &str| commands.allows(Id::named(name).unwrap()[0]);
        assert!(allows("get") && allows("append") && allows("client|id") && allows("auth"));
        assert!(!allows("set") && !allows("client|list") && !allows("strlen"));
        assert_eq!(commands.change("+nonesuch"), Err(RuleError::Unknown));
        assert_eq!(commands.change("+@nonesuch"), Err(RuleError::Unknown));
        assert_eq!(commands.change("+client|nonesuch"), Err(RuleError::UnknownSubcommand));
        assert_eq!(commands.change("+client|id|x"), Err(RuleError::FirstArgument));
        commands.change("+@all").unwrap();
        assert!(commands.is_all() && commands == Commands::all());
        commands.change("-flushall").unwrap();
        assert!(!commands.is_all());
        assert_eq!(commands.describe(), "+@all -flushall");
    }
}
