//! What COMMAND tells of the table of commands.

use std::borrow::Cow;

use bytes::Bytes;

use super::encode::Replies;
use super::parse::Arguments;
use super::printing::data;
use super::words::is;
use crate::Data;
use crate::decimal::decimal;
use crate::glob::Glob;
use crate::table::{Argument, COMMANDS, Categories, Kind, Op, Spec, Use, subcommands};
use crate::users::Id;

/// `COMMAND`, `COMMAND COUNT`, `DOCS`, `GETKEYS`, `GETKEYSANDFLAGS`, `INFO` and `LIST`.
pub(super) fn command(arguments: Arguments<'_>, replies: &mut Replies<'_>) {
    let Some(what) = arguments.iter().nth(1) else {
        return data(&Data::Array(COMMANDS.iter().map(info).collect()), replies);
    };
    let named = || arguments.from(2).iter().map(Spec::find);
    if is(what, "COUNT") {
        replies.count(COMMANDS.len() as u64);
    } else if is(what, "LIST") {
        data(&list(arguments.from(2)), replies);
    } else if is(what, "GETKEYS") {
        data(&keys(arguments.from(2), |_, key, _| text_of(key)), replies);
    } else if is(what, "GETKEYSANDFLAGS") {
        let of = |spec: &Spec, key: &[u8], number| {
            let uses = spec.use_of(number, &arguments.from(3).iter());
            Data::Array(vec![text_of(key), words(uses)])
        };
        data(&keys(arguments.from(2), of), replies);
    } else if is(what, "DOCS") {
        let of = |spec: &Spec| (Cow::from(spec.name.to_lowercase()), docs(spec));
        let all = if arguments.len() == 2 {
            COMMANDS.iter().map(of).collect()
        } else {
            named().flatten().map(of).collect()
        };
        data(&Data::Map(all), replies);
    } else {
        let all = if arguments.len() == 2 {
            COMMANDS.iter().map(info).collect()
        } else {
            arguments.from(2).iter().map(named_info).collect()
        };
        data(&Data::Array(all), replies);
    }
}

fn text_of(text: &[u8]) -> Data {
    Data::Bulk(Bytes::copy_from_slice(text))
}

fn words(words: &[&'static str]) -> Data {
    Data::Array(words.iter().copied().map(Data::Word).collect())
}

fn text(text: &str) -> Data {
    Data::Bulk(Bytes::copy_from_slice(text.as_bytes()))
}

/// About a command, or one of its subcommands, as in `config|get`.
fn named_info(name: &[u8]) -> Data {
    let (command, subcommand) = match name.iter().position(|byte| *byte == b'|') {
        Some(bar) => (&name[..bar], Some(&name[bar + 1..])),
        None => (name, None),
    };
    let Some(spec) = Spec::find(command) else { return Data::Null };
    match subcommand {
        None => info(spec),
        Some(asked) => subcommands(spec.name)
            .iter()
            .find(|((known, ..), _)| is(asked, known))
            .map_or(Data::Null, |(known, _)| subcommand_info(spec, *known)),
    }
}

/// Name, arity, flags, first key, last key, step, categories, an empty list of tips, details about keys, subcommands.
fn info(spec: &Spec) -> Data {
    let categories = Categories::of(spec);
    let mut flags = spec.flags().to_vec();
    if categories.are_fast() {
        flags.push("fast");
    }
    let within = subcommands(spec.name).iter().map(|(known, _)| subcommand_info(spec, *known));
    Data::Array(vec![
        text(&spec.name.to_lowercase()),
        Data::Integer(spec.arity.into()),
        words(&flags),
        Data::count(spec.keys.first),
        Data::Integer(spec.keys.last as i64),
        Data::count(spec.keys.step),
        category_names(categories),
        Data::Array(Vec::new()),
        Data::Array(key_places(spec)),
        Data::Array(within.collect()),
    ])
}

/// The same of a subcommand. Where a command's subcommands have keys, all but HELP have one.
fn subcommand_info(spec: &Spec, (name, least, most): (&'static str, usize, usize)) -> Data {
    let full = format!("{}|{name}", spec.name).to_lowercase();
    let arity = 2 + least as i64;
    let (first, step) = if spec.keys.first > 0 && least > 0 { (2, 1) } else { (0, 0) };
    Data::Array(vec![
        text(&full),
        Data::Integer(if least == most { arity } else { -arity }),
        words(spec.flags()),
        Data::count(first),
        Data::count(first),
        Data::count(step),
        category_names(Categories::of_subcommand(spec.name, name)),
        Data::Array(Vec::new()),
        Data::Array(if first > 0 { key_places(spec) } else { Vec::new() }),
        Data::Array(Vec::new()),
    ])
}

fn category_names(categories: Categories) -> Data {
    Data::Array(categories.names().map(|name| Data::Status(format!("@{name}").into())).collect())
}

/// Where a command's keys are, and what it does with them.
fn key_places(spec: &Spec) -> Vec<Data> {
    let uses = spec.key_uses();
    let keys = spec.keys;
    let range =
        |last: i64, step: usize| ("range", vec![("lastkey", last), ("keystep", step as i64), ("limit", 0)]);
    match *uses {
        [] => Vec::new(),
        // Scripts say how many keys they have.
        [all] if keys.first == 0 => {
            let number = vec![("keynumidx", 0), ("firstkey", 1), ("keystep", 1)];
            vec![key_place(all, 2, ("keynum", number))]
        }
        [all] => {
            let last = if keys.last < 0 { keys.last as i64 } else { keys.last as i64 - keys.first as i64 };
            vec![key_place(all, keys.first, range(last, keys.step))]
        }
        [first, rest, ..] => {
            let last = if keys.last < 0 { keys.last as i64 } else { 0 };
            let rest = key_place(rest, keys.first + 1, range(last, keys.step));
            vec![key_place(first, keys.first, range(0, 1)), rest]
        }
    }
}

fn key_place(uses: Use, begin: usize, (kind, find): (&'static str, Vec<(&'static str, i64)>)) -> Data {
    let map = |pairs: Vec<(&'static str, Data)>| {
        Data::Map(pairs.into_iter().map(|(name, data)| (name.into(), data)).collect())
    };
    let numbers = |pairs: Vec<(&'static str, i64)>| {
        map(pairs.into_iter().map(|(name, number)| (name, Data::Integer(number))).collect())
    };
    let place = |kind, spec| map(vec![("type", text(kind)), ("spec", spec)]);
    map(vec![
        ("flags", words(uses)),
        ("begin_search", place("index", numbers(vec![("index", begin as i64)]))),
        ("find_keys", place(kind, numbers(find))),
    ])
}

fn docs(spec: &Spec) -> Data {
    let mut docs = vec![
        ("summary".into(), text(spec.summary)),
        ("since".into(), text(spec.since)),
        ("group".into(), text(spec.group.name())),
    ];
    let arguments = Argument::parse(spec.syntax).expect("a test reads all of them");
    if !arguments.is_empty() {
        docs.push(("arguments".into(), Data::Array(arguments.iter().map(argument).collect())));
    }
    let within = subcommands(spec.name);
    if !within.is_empty() {
        let of = |(name, help): (&str, &str)| {
            let full = format!("{}|{name}", spec.name).to_lowercase();
            (full.into(), subcommand_docs(spec, help))
        };
        let all = within.iter().map(|((name, ..), help)| of((name, help))).collect();
        docs.push(("subcommands".into(), Data::Map(all)));
    }
    Data::Map(docs)
}

/// What a line of help says of a subcommand, behind its arguments.
fn subcommand_docs(spec: &Spec, help: &str) -> Data {
    let has_arguments = help.starts_with(['<', '[', '(']);
    let summary = help.split_once(": ").filter(|_| has_arguments).map_or(help, |(_, summary)| summary);
    let mut letters = summary.chars();
    let capital = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    Data::Map(vec![
        ("summary".into(), text(&format!("{capital}{}.", letters.as_str()))),
        ("since".into(), text(spec.since)),
        ("group".into(), text(spec.group.name())),
    ])
}

fn argument(argument: &Argument) -> Data {
    let name = argument.name();
    let kind = match &argument.kind {
        Kind::Value(name) if name.contains("key") => "key",
        Kind::Value(name) if ["index", "offset"].contains(&&**name) => "integer",
        Kind::Value(name) if name == "pattern" => "pattern",
        Kind::Value(_) => value_type(argument),
        Kind::Token(_) => "pure-token",
        Kind::Named(_, named) => return described(&name, value_type(named), argument),
        Kind::Block(_) => "block",
        Kind::OneOf(_) => "oneof",
    };
    described(&name, kind, argument)
}

fn value_type(argument: &Argument) -> &'static str {
    match &argument.kind {
        Kind::Value(name) if name.starts_with("unix-time") => "unix-time",
        Kind::Value(name) if ["seconds", "milliseconds", "count"].contains(&&**name) => "integer",
        _ => "string",
    }
}

fn described(name: &str, kind: &'static str, argument: &Argument) -> Data {
    let mut all: Vec<(Cow<'static, str>, Data)> =
        vec![("name".into(), text(name)), ("type".into(), text(kind))];
    if !matches!(kind, "pure-token" | "block" | "oneof") {
        all.push(("display_text".into(), text(name)));
    }
    if kind == "key" {
        all.push(("key_spec_index".into(), Data::Integer(0)));
    }
    if let Kind::Token(token) | Kind::Named(token, _) = &argument.kind {
        all.push(("token".into(), text(token)));
    }
    let flags = [("optional", argument.optional), ("multiple", argument.multiple)];
    let flags: Vec<Data> =
        flags.into_iter().filter(|(_, is)| *is).map(|(flag, _)| Data::Word(flag)).collect();
    if !flags.is_empty() {
        all.push(("flags".into(), Data::Array(flags)));
    }
    if let Kind::Block(within) | Kind::OneOf(within) = &argument.kind {
        all.push(("arguments".into(), Data::Array(within.iter().map(self::argument).collect())));
    }
    Data::Map(all)
}

/// `COMMAND LIST [FILTERBY (MODULE name | ACLCAT category | PATTERN pattern)]`: commands and their subcommands.
fn list(filter: Arguments<'_>) -> Data {
    let chosen: Vec<Id> = match filter.iter().collect::<Vec<_>>()[..] {
        [] => Id::all().collect(),
        [by, what, name] if is(by, "FILTERBY") => {
            if is(what, "MODULE") {
                Vec::new()
            } else if is(what, "ACLCAT") {
                let category = Categories::named(name);
                Id::all()
                    .filter(|id| category.is_some_and(|category| id.categories().meet(category)))
                    .collect()
            } else if is(what, "PATTERN") {
                let glob = Glob::new(&name.to_ascii_lowercase());
                Id::all()
                    .filter(|id| glob.as_ref().is_some_and(|glob| glob.matches(id.name().as_bytes())))
                    .collect()
            } else {
                return Data::Error("ERR syntax error".into());
            }
        }
        _ => return Data::Error("ERR syntax error".into()),
    };
    Data::Array(chosen.into_iter().map(|id| text(id.name())).collect())
}

/// The keys of a command, each shown by its number.
fn keys(arguments: Arguments<'_>, show: impl Fn(&Spec, &[u8], usize) -> Data) -> Data {
    let Some(spec) = Spec::find(arguments.get(0)) else {
        return Data::Error("ERR Invalid command specified".into());
    };
    if !spec.takes(arguments.len()) || spec.lacks_value(arguments.len()) {
        return Data::Error("ERR Invalid number of arguments specified for command".into());
    }
    let is_script = matches!(spec.op(), Some(Op::Eval | Op::EvalRo | Op::EvalSha | Op::EvalShaRo));
    let places: Vec<usize> = match is_script {
        true => (3..arguments.len())
            .take(decimal(arguments.get(2)).map_or(0, |keys| keys.max(0) as usize))
            .collect(),
        false => spec.keys.among(arguments.len()).collect(),
    };
    let keys: Vec<Data> =
        places.into_iter().enumerate().map(|(number, at)| show(spec, arguments.get(at), number)).collect();
    if keys.is_empty() && !is_script {
        Data::Error("ERR The command has no key arguments".into())
    } else {
        Data::Array(keys)
    }
}
