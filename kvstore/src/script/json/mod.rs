//! The library `cjson`, with the settings, limits and errors of the one in Redis.

mod decode;
mod encode;

use std::cell::Cell;
use std::rc::Rc;

use mlua::{BString, Error, Lua, MultiValue, Table, Value};

use super::limits::Limits;
use super::native::function;
use super::order::number;

pub(super) use encode::significant;

/// The deepest nesting. Redis lets scripts raise it; here the stack would not hold more.
const MOST_NESTED: usize = 1000;

/// What a script may set.
#[derive(Clone)]
struct Settings {
    /// A table whose greatest index is so many times the number of its elements is no array; 0: any other one is.
    sparse_ratio: Cell<usize>,
    /// Unless its greatest index is at most this.
    sparse_safe: Cell<usize>,
    /// Such a table is an object, rather than an error.
    sparse_is_object: Cell<bool>,
    encode_depth: Cell<usize>,
    decode_depth: Cell<usize>,
    /// Significant digits of numbers.
    precision: Cell<usize>,
    /// What becomes of NaN and infinity.
    unusual: Cell<Unusual>,
    /// NaN, infinity, and numbers with leading zeros or in hexadecimal are read.
    reads_unusual: Cell<bool>,
    keeps_buffer: Cell<bool>,
}

/// What is written for a number that JSON cannot write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unusual {
    Refused,
    Written,
    Null,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_ratio: Cell::new(2),
            sparse_safe: Cell::new(10),
            sparse_is_object: Cell::new(false),
            encode_depth: Cell::new(MOST_NESTED),
            decode_depth: Cell::new(MOST_NESTED),
            precision: Cell::new(14),
            unusual: Cell::new(Unusual::Refused),
            reads_unusual: Cell::new(true),
            keeps_buffer: Cell::new(true),
        }
    }
}

/// A library with settings of its own.
pub(super) fn library(lua: &Lua, limits: &Limits) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    let settings = Rc::new(Settings::default());
    let (set, spent) = (settings.clone(), limits.clone());
    let encode = move |_: &Lua, values: MultiValue| {
        let [value] = &values.into_vec()[..] else { return Err(one_argument("encode")) };
        encode::encode(value, &set, &spent).map(BString::from)
    };
    library.raw_set("encode", function(lua, encode)?)?;
    let (set, spent) = (settings.clone(), limits.clone());
    let decode = move |lua: &Lua, values: MultiValue| {
        let [value] = &values.into_vec()[..] else { return Err(one_argument("decode")) };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(_) | Value::Number(_) => {
                lua.create_string(significant(number(value).unwrap_or_default(), 14))?
            }
            other => {
                let text =
                    format!("bad argument #1 to 'decode' (string expected, got {})", other.type_name());
                return Err(failure(text));
            }
        };
        decode::decode(lua, &text.as_bytes(), &set, &spent)
    };
    library.raw_set("decode", function(lua, decode)?)?;
    add_settings(lua, &library, &settings)?;
    let limits = limits.clone();
    library.raw_set("new", function(lua, move |lua, ()| self::library(lua, &limits))?)?;
    library.raw_set("null", Value::NULL)?;
    library.raw_set("_NAME", "cjson")?;
    library.raw_set("_VERSION", "2.1.0").map(|()| library)
}

fn failure(text: impl Into<String>) -> Error {
    Error::RuntimeError(text.into())
}

fn one_argument(name: &str) -> Error {
    failure(format!("bad argument #1 to '{name}' (expected 1 argument)"))
}

/// The functions that change a setting, and return what it is.
fn add_settings(lua: &Lua, library: &Table, settings: &Rc<Settings>) -> mlua::Result<()> {
    let whole = |name: &'static str, least, most, of: fn(&Settings) -> &Cell<usize>| {
        let settings = settings.clone();
        let set =
            move |_: &Lua, wanted: Option<f64>| set_whole(name, 1, wanted, (least, most), of(&settings));
        library.raw_set(name, function(lua, set)?)
    };
    whole("encode_max_depth", 1, MOST_NESTED, |settings| &settings.encode_depth)?;
    whole("decode_max_depth", 1, MOST_NESTED, |settings| &settings.decode_depth)?;
    whole("encode_number_precision", 1, 14, |settings| &settings.precision)?;
    let flag = |name: &'static str, of: fn(&Settings) -> &Cell<bool>| {
        let settings = settings.clone();
        let set = move |_: &Lua, wanted: Value| set_flag(name, &wanted, of(&settings));
        library.raw_set(name, function(lua, set)?)
    };
    flag("encode_keep_buffer", |settings| &settings.keeps_buffer)?;
    flag("decode_invalid_numbers", |settings| &settings.reads_unusual)?;
    let set = settings.clone();
    let sparse = move |_: &Lua, (convert, ratio, safe): (Value, Option<f64>, Option<f64>)| {
        let (name, any) = ("encode_sparse_array", (0, i32::MAX as usize));
        let convert = set_flag(name, &convert, &set.sparse_is_object)?;
        let ratio = set_whole(name, 2, ratio, any, &set.sparse_ratio)?;
        Ok((convert, ratio, set_whole(name, 3, safe, any, &set.sparse_safe)?))
    };
    library.raw_set("encode_sparse_array", function(lua, sparse)?)?;
    let set = settings.clone();
    let unusual = move |lua: &Lua, wanted: Value| {
        match &wanted {
            Value::String(text) if text.as_bytes() == b"null" => set.unusual.set(Unusual::Null),
            wanted => {
                let is_written = Cell::new(set.unusual.get() == Unusual::Written);
                if !wanted.is_nil() {
                    let written = set_flag("encode_invalid_numbers", wanted, &is_written)?;
                    set.unusual.set(if written { Unusual::Written } else { Unusual::Refused });
                }
            }
        }
        Ok(match set.unusual.get() {
            Unusual::Null => Value::String(lua.create_string("null")?),
            unusual => Value::Boolean(unusual == Unusual::Written),
        })
    };
    library.raw_set("encode_invalid_numbers", function(lua, unusual)?)
}

fn set_whole(
    name: &str,
    place: usize,
    wanted: Option<f64>,
    (least, most): (usize, usize),
    setting: &Cell<usize>,
) -> mlua::Result<usize> {
    if let Some(wanted) = wanted {
        if !(least as f64..=most as f64).contains(&wanted.trunc()) {
            let range = format!("expected integer between {least} and {most}");
            return Err(failure(format!("bad argument #{place} to '{name}' ({range})")));
        }
        setting.set(wanted as usize);
    }
    Ok(setting.get())
}

fn set_flag(name: &str, wanted: &Value, setting: &Cell<bool>) -> mlua::Result<bool> {
    match wanted {
        Value::Nil => {}
        Value::Boolean(wanted) => setting.set(*wanted),
        Value::String(text) if text.as_bytes() == b"on" => setting.set(true),
        Value::String(text) if text.as_bytes() == b"off" => setting.set(false),
        Value::String(text) => {
            let text = text.to_string_lossy();
            return Err(failure(format!("bad argument #1 to '{name}' (invalid option '{text}')")));
        }
        other => {
            let kind = other.type_name();
            return Err(failure(format!("bad argument #1 to '{name}' (string expected, got {kind})")));
        }
    }
    Ok(setting.get())
}
