//! Answers of commands as values of Lua, and results of scripts as answers.

use std::borrow::Cow;

use bytes::Bytes;
use mlua::{Lua, Table, Value};

use super::numbers;
use super::order::{number, sorted_keys};
use crate::Data;

/// The deepest nesting of a result.
const MOST_NESTED: usize = 128;
/// The most elements of a result, and its most bytes.
const MOST_ELEMENTS: usize = 1 << 20;
const MOST_BYTES: usize = 64 << 20;

/// An answer as a value. `three`: as version 3 of the protocol has it.
pub(super) fn to_lua(lua: &Lua, data: &Data, three: bool) -> mlua::Result<Value> {
    Ok(match data {
        Data::Null if three => Value::Nil,
        Data::Null => Value::Boolean(false),
        Data::Integer(number) => Value::Number(*number as f64),
        Data::Bulk(bytes) => Value::String(lua.create_string(bytes)?),
        Data::Word(word) => single(lua, "ok", word.as_bytes())?,
        Data::Status(text) => single(lua, "ok", text)?,
        Data::Error(text) => single(lua, "err", text.as_bytes())?,
        Data::Array(all) => {
            let table = lua.create_table_with_capacity(all.len(), 0)?;
            for (at, data) in (1..).zip(all) {
                table.raw_set(at, to_lua(lua, data, three)?)?;
            }
            Value::Table(table)
        }
        Data::Map(pairs) => {
            let table = lua.create_table()?;
            for (at, (name, data)) in pairs.iter().enumerate() {
                let value = to_lua(lua, data, three)?;
                if three {
                    table.raw_set(&**name, value)?;
                } else {
                    table.raw_set(2 * at + 1, &**name)?;
                    table.raw_set(2 * at + 2, value)?;
                }
            }
            if three { Value::Table(lua.create_table_from([("map", table)])?) } else { Value::Table(table) }
        }
    })
}

fn single(lua: &Lua, name: &str, text: &[u8]) -> mlua::Result<Value> {
    Ok(Value::Table(lua.create_table_from([(name, lua.create_string(text)?)])?))
}

/// Turns a script's result into an answer. What it may still hold becomes less with each element.
pub(super) struct Answers {
    elements: usize,
    bytes: usize,
}

const TOO_LARGE: Data = Data::Error(Cow::Borrowed("ERR the result of the script is too large"));

impl Answers {
    pub(super) fn new() -> Answers {
        Answers { elements: MOST_ELEMENTS, bytes: MOST_BYTES }
    }

    /// The answer for a value.
    pub(super) fn of(&mut self, value: &Value) -> mlua::Result<Data> {
        match self.nested(value, 0)? {
            Some(data) => Ok(data),
            None => Ok(TOO_LARGE),
        }
    }

    /// `None`: it is too large.
    fn nested(&mut self, value: &Value, depth: usize) -> mlua::Result<Option<Data>> {
        let Some(elements) = self.elements.checked_sub(1) else { return Ok(None) };
        self.elements = elements;
        Ok(Some(match value {
            Value::Boolean(true) => Data::Integer(1),
            Value::Integer(number) => Data::Integer(*number),
            Value::Number(number) => Data::Integer(whole(*number)),
            Value::String(text) => match self.take(&text.as_bytes()) {
                Some(bytes) => Data::Bulk(bytes),
                None => return Ok(None),
            },
            Value::Table(_) if depth == MOST_NESTED => Data::Error("ERR reached lua stack limit".into()),
            Value::Table(table) => return self.table(table, depth),
            _ => Data::Null,
        }))
    }

    fn table(&mut self, table: &Table, depth: usize) -> mlua::Result<Option<Data>> {
        if let Value::String(text) = table.raw_get::<Value>("err")? {
            return Ok(Some(Data::Error(line(&text.as_bytes()).into())));
        }
        if let Value::String(text) = table.raw_get::<Value>("ok")? {
            return Ok(self.take(line(&text.as_bytes()).as_bytes()).map(Data::Status));
        }
        if let Some(double) = number(&table.raw_get::<Value>("double")?) {
            return Ok(Some(Data::Bulk(numbers::word(double).into_bytes().into())));
        }
        if let Value::String(text) = table.raw_get::<Value>("big_number")? {
            return Ok(self.take(line(&text.as_bytes()).as_bytes()).map(Data::Bulk));
        }
        if let Value::Table(text) = table.raw_get::<Value>("verbatim_string")?
            && text.raw_get::<Value>("format")?.is_string()
        {
            return self.nested(&text.raw_get::<Value>("string")?, depth + 1);
        }
        if let Value::Table(map) = table.raw_get::<Value>("map")? {
            return self.keys(&map, depth, true);
        }
        if let Value::Table(set) = table.raw_get::<Value>("set")? {
            return self.keys(&set, depth, false);
        }
        let mut all = Vec::new();
        for at in 1.. {
            let value: Value = table.raw_get(at)?;
            if value.is_nil() {
                break;
            }
            let Some(data) = self.nested(&value, depth + 1)? else { return Ok(None) };
            all.push(data);
        }
        Ok(Some(Data::Array(all)))
    }

    /// The keys of a table, with or without their values, one after the other.
    fn keys(&mut self, table: &Table, depth: usize, values: bool) -> mlua::Result<Option<Data>> {
        let mut all = Vec::new();
        for key in sorted_keys(table)? {
            let Some(data) = self.nested(&key, depth + 1)? else { return Ok(None) };
            all.push(data);
            if values {
                let value: Value = table.raw_get(key)?;
                let Some(data) = self.nested(&value, depth + 1)? else { return Ok(None) };
                all.push(data);
            }
        }
        Ok(Some(Data::Array(all)))
    }

    fn take(&mut self, text: &[u8]) -> Option<Bytes> {
        self.bytes = self.bytes.checked_sub(text.len())?;
        Some(Bytes::copy_from_slice(text))
    }
}

/// A number without its fraction; the least one for what is none, or too large, as in Redis.
fn whole(number: f64) -> i64 {
    // The greatest integer is no double; the next one is.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

/// A text as one line: the protocol ends a status or an error with it.
pub(super) fn line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
