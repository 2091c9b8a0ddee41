//! Commands and subcommands, as rights know them.

use std::sync::OnceLock;

use crate::table::{COMMANDS, Categories, Spec, is, subcommands};

/// A command, or one of the subcommands of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(u16);

/// What is known of each.
struct Known {
    /// In small letters; a subcommand as `client|list`.
    name: String,
    categories: Categories,
}

struct All {
    known: Vec<Known>,
    /// The id of the first subcommand of each command.
    first: Vec<u16>,
}

fn all() -> &'static All {
    static ALL: OnceLock<All> = OnceLock::new();
    ALL.get_or_init(|| {
        let command =
            |spec: &Spec| Known { name: spec.name.to_lowercase(), categories: Categories::of(spec) };
        let mut known: Vec<Known> = COMMANDS.iter().map(command).collect();
        let mut first = Vec::new();
        for spec in &COMMANDS {
            first.push(known.len() as u16);
            for ((name, ..), _) in subcommands(spec.name) {
                let categories = Categories::of_subcommand(spec.name, name);
                known.push(Known { name: format!("{}|{name}", spec.name).to_lowercase(), categories });
            }
        }
        All { known, first }
    })
}

impl Id {
    /// Of a request: its command, or its subcommand if it names one that exists.
    pub(crate) fn of(spec: &Spec, second: Option<&[u8]>) -> Id {
        let place = spec.place();
        let asked = |second| subcommands(spec.name).iter().position(|((name, ..), _)| is(second, name));
        let id = second.and_then(asked).map_or(place, |at| usize::from(all().first[place]) + at);
        Id(id as u16)
    }

    /// The command that a rule names, with all its subcommands, or one of these.
    pub(super) fn named(text: &str) -> Option<Vec<Id>> {
        match text.split_once('|') {
            None => {
                let spec = Spec::find(text.as_bytes())?;
                let first = all().first[spec.place()];
                let subs = 0..subcommands(spec.name).len() as u16;
                Some([Id(spec.place() as u16)].into_iter().chain(subs.map(|at| Id(first + at))).collect())
            }
            Some((command, sub)) => {
                let spec = Spec::find(command.as_bytes())?;
                let id = Id::of(spec, Some(sub.as_bytes()));
                (usize::from(id.0) != spec.place()).then(|| vec![id])
            }
        }
    }

    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Id> {
        (0..all().known.len() as u16).map(Id)
    }

    /// Its name, in small letters.
    pub(crate) fn name(self) -> &'static str {
        &all().known[usize::from(self.0)].name
    }

    pub(crate) fn categories(self) -> Categories {
        all().known[usize::from(self.0)].categories
    }

    pub(super) fn number(self) -> usize {
        self.0.into()
    }
}
