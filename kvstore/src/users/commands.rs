//! Which commands a set of rights allows, and by which rules.

use super::ids::Id;
use super::rule::{RuleError, has_space};
use crate::table::Categories;

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

    /// Whether a command is allowed with this first argument.
    pub(super) fn allows(&self, id: Id, first: Option<&[u8]>) -> bool {
        // Whoever has no rights must be able to get some.
        let is_for_all = matches!(id.name(), "auth" | "hello" | "quit" | "reset");
        let is_allowed = is_for_all || self.allowed[id.number() / 64] & 1 << (id.number() % 64) != 0;
        is_allowed || first.is_some_and(|first| self.allow_with(id, first))
    }

    /// Whether a rule such as `+select|0` allows it.
    fn allow_with(&self, id: Id, first: &[u8]) -> bool {
        let mut rules = self.rules.iter().filter_map(|rule| first_argument(rule));
        rules.any(|(name, argument)| name == id.name() && first.eq_ignore_ascii_case(argument.as_bytes()))
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
            None => match Id::named(&name) {
                Some(ids) => ids,
                None => return self.allow_first_argument(&name, allow),
            },
        };
        for id in &ids {
            let (word, bit) = (&mut self.allowed[id.number() / 64], 1 << (id.number() % 64));
            *word = if allow { *word | bit } else { *word & !bit };
        }
        // An earlier rule for the same counts no more, nor do those for its subcommands and first arguments.
        let is_same = |rule: &str| {
            rule[1..].strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        };
        let is_outdated = |rule: &str| {
            first_argument(rule).is_some_and(|(command, _)| ids.iter().any(|id| id.name() == command))
        };
        self.rules.retain(|rule| !is_same(rule) && !is_outdated(rule));
        self.rules.push(format!("{}{name}", if allow { '+' } else { '-' }));
        Ok(())
    }

    /// Allows a command with one first argument, if it has no subcommands.
    fn allow_first_argument(&mut self, name: &str, allow: bool) -> Result<(), RuleError> {
        let (command, argument) = name.rsplit_once('|').ok_or(RuleError::Unknown)?;
        if command.contains('|') {
            return Err(if Id::named(command).is_some() {
                RuleError::FirstArgument
            } else {
                RuleError::Unknown
            });
        }
        let has_subcommands = Id::named(command).ok_or(RuleError::Unknown)?.len() > 1;
        if has_subcommands || !allow {
            return Err(RuleError::Unknown);
        }
        // Redis takes an argument with spaces, and then cannot read its own file of users.
        if argument.is_empty() || has_space(argument.as_bytes()) {
            return Err(RuleError::Syntax);
        }
        let rule = format!("+{name}");
        if !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
        Ok(())
    }

    /// The rules, from the beginning.
    pub(super) fn describe(&self) -> String {
        let begin = if self.begins_with_all { "+@all" } else { "-@all" };
        self.rules.iter().fold(begin.to_owned(), |text, rule| text + " " + rule)
    }
}

/// Command and first argument of a rule such as `+select|0`.
fn first_argument(rule: &str) -> Option<(&str, &str)> {
    let (command, argument) = rule.strip_prefix('+')?.split_once('|')?;
    Id::named(command).is_some_and(|ids| ids.len() == 1).then_some((command, argument))
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
        let allows = |name: &str| commands.allows(Id::named(name).unwrap()[0], None);
        assert!(allows("get") && allows("append") && allows("client|id") && allows("auth"));
        assert!(!allows("set") && !allows("client|list") && !allows("strlen"));
        assert_eq!(commands.change("+nonesuch"), Err(RuleError::Unknown));
        assert_eq!(commands.change("+@nonesuch"), Err(RuleError::Unknown));
        assert_eq!(commands.change("+client|nonesuch"), Err(RuleError::Unknown));
        assert_eq!(commands.change("+client|id|x"), Err(RuleError::FirstArgument));
        commands.change("+select|0").unwrap();
        commands.change("+@all").unwrap();
        assert!(commands.is_all() && commands == Commands::all());
        commands.change("-flushall").unwrap();
        assert!(!commands.is_all());
        assert_eq!(commands.describe(), "+@all -flushall");
    }

    #[test]
    fn a_command_can_be_allowed_with_one_first_argument() {
        let allows = |commands: &Commands, name: &str, first: Option<&str>| {
            commands.allows(Id::named(name).unwrap()[0], first.map(str::as_bytes))
        };
        let mut commands = Commands::none();
        for rule in ["+select|0", "+SELECT|One", "+select|0", "+get|a"] {
            commands.change(rule).unwrap();
        }
        assert_eq!(commands.describe(), "-@all +select|0 +select|one +get|a");
        assert!(allows(&commands, "select", Some("0")) && allows(&commands, "select", Some("ONE")));
        assert!(!allows(&commands, "select", Some("1")) && !allows(&commands, "select", None));
        assert!(allows(&commands, "get", Some("a")) && !allows(&commands, "strlen", Some("a")));
        for wrong in ["-select|0", "-select|", "+select|0|1", "+client|nonesuch", "+nonesuch|0"] {
            assert_eq!(commands.change(wrong), Err(RuleError::Unknown), "{wrong}");
        }
        for wrong in ["+select|", "+select|a b"] {
            assert_eq!(commands.change(wrong), Err(RuleError::Syntax), "{wrong}");
        }
        // What is said of the command, or its category, counts instead.
        commands.change("-@read").unwrap();
        assert!(!allows(&commands, "get", Some("a")) && allows(&commands, "select", Some("0")));
        commands.change("-select").unwrap();
        assert!(!allows(&commands, "select", Some("0")));
        assert_eq!(commands.describe(), "-@all -@read -select");
    }
}
