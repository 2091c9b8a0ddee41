//! One run of a script.

use std::cell::{Cell, RefCell};

use mlua::chunk::ChunkMode;
use mlua::{BString, Function, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value};

use super::convert::{Answers, line, to_lua};
use super::limits::Limits;
use super::order::{number, sorted_keys};
use super::random::Random;
use super::{bit, digest, json, message, native, numbers, pack, pattern};
use crate::Data;

/// A script, and what it is called with.
pub(crate) struct Script<'s> {
    pub(crate) source: &'s [u8],
    pub(crate) keys: &'s [&'s [u8]],
    pub(crate) arguments: &'s [&'s [u8]],
    /// The clock of the state, in milliseconds since 1970.
    pub(crate) clock: u64,
}

/// Executes the commands of a script.
pub(crate) trait Host {
    /// Executes a command. Its failure is an answer, too.
    fn call(&mut self, words: &[&[u8]]) -> Data;
}

const PRELUDE: &str = include_str!("prelude.lua");

/// What stands in front of errors, as in Redis.
const CHUNK: &str = "@user_script";

/// Runs a script, and returns its result, or why it has none. What it wrote before it failed stays written.
pub(crate) fn run(script: &Script<'_>, host: &mut dyn Host) -> Data {
    let limits = Limits::default();
    let ran = in_lua(script, &limits, host);
    if let Some(why) = limits.stopped() {
        return Data::Error(why.into());
    }
    ran.unwrap_or_else(|error| failed("ERR ", &native::text(&error), script.source))
}

/// Checks that a source is a script.
///
/// # Errors
/// If it is not, with the reason.
pub(crate) fn check(source: &[u8]) -> Result<(), String> {
    compile(&new_lua().map_err(|error| error.to_string())?, source).map(drop)
}

/// A Lua state with its own `pcall`: the one that mlua puts in its place, to pass on panics of Rust, can overrun the stack
/// where calls are deeply nested.
fn new_lua() -> mlua::Result<Lua> {
    Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::new().catch_rust_panics(false))
}

fn compile(lua: &Lua, source: &[u8]) -> Result<Function, String> {
    let chunk = lua.load(body(source)).set_name(CHUNK).set_mode(ChunkMode::Text);
    chunk.into_function().map_err(|error| {
        let text = match &error {
            mlua::Error::SyntaxError { message, .. } => message.clone(),
            other => other.to_string(),
        };
        format!("ERR Error compiling script (new function): {}", line(text.as_bytes()))
    })
}

/// The source without a first line that names the engine. The newline stays, so that lines keep their numbers.
fn body(source: &[u8]) -> &[u8] {
    if source.starts_with(b"#!") {
        &source[source.iter().position(|byte| *byte == b'\n').unwrap_or(source.len())..]
    } else {
        source
    }
}

/// An error of a script, in one line, behind a code if it has none of its own.
fn failed(code: &str, text: &str, source: &[u8]) -> Data {
    let name = digest(source);
    let name = std::str::from_utf8(&name).expect("it has hexadecimal digits");
    Data::Error(format!("{code}{} script: {name}, on {CHUNK}.", line(text.as_bytes())).into())
}

fn in_lua(script: &Script<'_>, limits: &Limits, host: &mut dyn Host) -> mlua::Result<Data> {
    let lua = new_lua()?;
    let function = match compile(&lua, script.source) {
        Ok(function) => function,
        Err(text) => return Ok(Data::Error(text.into())),
    };
    limits.set(&lua)?;
    let (host, three, random) = (RefCell::new(host), Cell::new(false), RefCell::new(Random::new(0)));
    lua.scope(|scope| {
        let api = library(&lua, script, limits)?;
        let call = scope.create_function(|lua, words: MultiValue| {
            let words = match texts(&words) {
                Ok(words) => words,
                Err(text) => return to_lua(lua, &Data::Error(text.into()), false),
            };
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let data = host.borrow_mut().call(&words);
            to_lua(lua, &data, three.get())
        })?;
        api.raw_set("call", call)?;
        let setresp = scope.create_function(|_, version: f64| {
            three.set(version == 3.0);
            Ok(())
        })?;
        api.raw_set("setresp", setresp)?;
        api.raw_set("random", scope.create_function(|_, ()| Ok(random.borrow_mut().next()))?)?;
        let seed = scope.create_function(|_, seed: f64| {
            *random.borrow_mut() = Random::new(seed as i64 as u32);
            Ok(())
        })?;
        api.raw_set("seed", seed)?;
        lua.load(PRELUDE).set_name(native::PRELUDE_CHUNK).call::<()>(&api)?;
        let guard: Function = api.raw_get("guard")?;
        let (ok, result): (bool, Value) = guard.call(function)?;
        if ok { Answers::new().of(&result) } else { Ok(error(&result, script.source)?) }
    })
}

/// What a script is given that needs neither a host nor a random number.
fn library(lua: &Lua, script: &Script<'_>, limits: &Limits) -> mlua::Result<Table> {
    let api = lua.create_table()?;
    for (name, words) in [("KEYS", script.keys), ("ARGV", script.arguments)] {
        let words = words.iter().map(|word| lua.create_string(word)).collect::<mlua::Result<Vec<_>>>()?;
        api.raw_set(name, lua.create_sequence_from(words)?)?;
    }
    let stopped = limits.clone();
    let stopped = move |_: &Lua, error: Value| {
        // Lua says so if it is denied memory.
        let is_out_of_memory = match &error {
            Value::String(text) => text.as_bytes().ends_with(b"not enough memory"),
            Value::Error(error) => error.to_string().contains("not enough memory"),
            _ => false,
        };
        if is_out_of_memory {
            stopped.stop("it has taken all the memory that a script may have");
        }
        Ok(stopped.stopped())
    };
    api.raw_set("stopped", lua.create_function(stopped)?)?;
    let text = |lua: &Lua, error: Value| match error {
        Value::Error(error) => lua.create_string(native::text(&error)).map(Value::String),
        Value::String(text) => lua.create_string(native::placed(&text.as_bytes())).map(Value::String),
        other => Ok(other),
    };
    api.raw_set("text", lua.create_function(text)?)?;
    let spent = limits.clone();
    let keys = move |lua: &Lua, table: Table| {
        let keys = sorted_keys(&table)?;
        spent.spend(keys.len() as u64)?;
        lua.create_sequence_from(keys)
    };
    api.raw_set("keys", lua.create_function(keys)?)?;
    let seconds = script.clock as f64 / 1e3;
    api.raw_set("clock", lua.create_function(move |_, ()| Ok(seconds))?)?;
    let sha1hex = |_: &Lua, text: LuaString| Ok(BString::from(digest(&text.as_bytes()).to_vec()));
    api.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    let log = |_: &Lua, (level, text): (f64, LuaString)| {
        log(level, &line(&text.as_bytes()));
        Ok(())
    };
    api.raw_set("log", lua.create_function(log)?)?;
    pattern::replace(lua, &lua.globals().raw_get("string")?, limits)?;
    let spent = limits.clone();
    api.raw_set("spend", lua.create_function(move |_, steps: f64| spent.spend(steps as u64))?)?;
    api.raw_set("bit", bit::library(lua)?)?;
    api.raw_set("cjson", json::library(lua, limits)?)?;
    api.raw_set("cmsgpack", message::library(lua, limits)?)?;
    api.raw_set("struct", pack::library(lua)?)?;
    Ok(api)
}

/// Writes a line into the log of each server that executes the script.
fn log(level: f64, text: &str) {
    match level {
        3.0 => tracing::warn!("a script says: {text}"),
        2.0 => tracing::info!("a script says: {text}"),
        _ => tracing::debug!("a script says: {text}"),
    }
}

/// The words of a command.
fn texts(words: &MultiValue) -> Result<Vec<Vec<u8>>, &'static str> {
    if words.is_empty() {
        return Err("ERR Please specify at least one argument for this redis lib call");
    }
    let text = |word: &Value| match word {
        Value::String(text) => Ok(text.as_bytes().to_vec()),
        word => number(word)
            .map(|number| numbers::word(number).into_bytes())
            .ok_or("ERR Lua redis lib command arguments must be strings or integers"),
    };
    words.iter().map(text).collect()
}

/// What a script ended with, as an answer. The failure of a command has a code in front.
fn error(value: &Value, source: &[u8]) -> mlua::Result<Data> {
    let uncoded = |text: &str| failed("ERR ", text, source);
    Ok(match value {
        Value::Table(table) => match table.raw_get::<Value>("err")? {
            Value::String(text) => failed("", &text.to_string_lossy(), source),
            _ => uncoded("unknown error"),
        },
        Value::String(text) => uncoded(&String::from_utf8_lossy(native::placed(&text.as_bytes()))),
        Value::Error(error) => uncoded(&native::text(error)),
        Value::Nil => uncoded("nil"),
        Value::Boolean(is) => uncoded(if *is { "true" } else { "false" }),
        other => match number(other) {
            Some(number) => uncoded(&json::significant(number, 14)),
            None => uncoded(other.type_name()),
        },
    })
}
