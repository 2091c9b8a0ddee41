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
use crate::table::{Argument, COMMANDS, Categories, Kind, Op, Spec};
use crate::users::Id;

/// `COMMAND`, `COMMAND COUNT`, `DOCS`, `GETKEYS`, `INFO` and `LIST`.
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
        data(&keys(arguments.from(2)), replies);
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
            named().map(|spec| spec.map_or(Data::Null, info)).collect()
        };
        data(&Data::Array(all), replies);
    }
}

fn text(text: &str) -> Data {
    Data::Bulk(Bytes::copy_from_slice(text.as_bytes()))
}

/// Name, arity, flags, first key, last key, step, categories, and three lists that are empty: tips, details about keys,
/// subcommands.
fn info(spec: &Spec) -> Data {
    let words = |words: &mut dyn Iterator<Item = &'static str>| Data::Array(words.map(Data::Word).collect());
    Data::Array(vec![
        text(&spec.name.to_lowercase()),
        Data::Integer(spec.arity.into()),
        words(&mut spec.flags().iter().copied()),
        Data::count(spec.keys.first),
        Data::Integer(spec.keys.last as i64),
        Data::count(spec.keys.step),
        Data::Array(
            Categories::of(spec).names().map(|name| Data::Status(format!("@{name}").into())).collect(),
        ),
        Data::Array(Vec::new()),
        Data::Array(Vec::new()),
        Data::Array(Vec::new()),
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
    Data::Map(docs)
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

/// The keys of a command.
fn keys(arguments: Arguments<'_>) -> Data {
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
        places.into_iter().map(|at| Data::Bulk(Bytes::copy_from_slice(arguments.get(at)))).collect();
    if keys.is_empty() && !is_script {
        Data::Error("ERR The command has no key arguments".into())
    } else {
        Data::Array(keys)
    }
}
