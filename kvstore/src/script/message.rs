//! The library `cmsgpack`: values as MessagePack.

use bytes::Buf;
use mlua::{BString, Error, Lua, LuaString, MultiValue, Table, Value, Variadic};

use super::limits::Limits;
use super::native::function;
use super::order::{indexes, number, sorted_keys};

/// The deepest nesting. What is deeper is packed as nil, as the library of Redis does.
const MOST_NESTED: usize = 16;
/// The deepest nesting that is read.
const MOST_READ: usize = 128;

pub(super) fn library(lua: &Lua, limits: &Limits) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    let spent = limits.clone();
    let pack = move |_: &Lua, values: Variadic<Value>| {
        if values.is_empty() {
            return Err(failure("bad argument #0 to 'pack' (MessagePack pack needs input.)"));
        }
        let mut out = Vec::new();
        values.iter().try_for_each(|value| write(value, 0, &mut out, &spent))?;
        Ok(BString::from(out))
    };
    library.raw_set("pack", function(lua, pack)?)?;
    let spent = limits.clone();
    let unpack = move |lua: &Lua, text: LuaString| {
        let (text, mut values) = (text.as_bytes(), MultiValue::new());
        let mut rest = &text[..];
        while !rest.is_empty() {
            values.push_back(read(lua, &mut rest, 0, &spent)?);
        }
        Ok(values)
    };
    library.raw_set("unpack", function(lua, unpack)?)?;
    let spent = limits.clone();
    let some = move |lua: &Lua, text: &[u8], (most, offset): (i64, i64)| {
        let (Ok(most), Ok(start)) = (usize::try_from(most), usize::try_from(offset)) else {
            let length = text.len();
            return Err(failure(&format!(
                "Invalid request to unpack with offset of {offset} and limit of {length}."
            )));
        };
        let beyond = || failure(&format!("Start offset {start} greater than input length {}.", text.len()));
        let mut rest = text.get(start..).ok_or_else(beyond)?;
        let mut values = MultiValue::new();
        while !rest.is_empty() && values.len() < most {
            values.push_back(read(lua, &mut rest, 0, &spent)?);
        }
        let next = if rest.is_empty() { -1.0 } else { (text.len() - rest.len()) as f64 };
        values.push_front(Value::Number(next));
        Ok(values)
    };
    let limited = some.clone();
    let one = move |lua: &Lua, (text, offset): (LuaString, Option<f64>)| {
        some(lua, &text.as_bytes(), (1, offset.unwrap_or(0.0) as i64))
    };
    library.raw_set("unpack_one", function(lua, one)?)?;
    let some = move |lua: &Lua, (text, most, offset): (LuaString, f64, Option<f64>)| {
        limited(lua, &text.as_bytes(), (most as i64, offset.unwrap_or(0.0) as i64))
    };
    library.raw_set("unpack_limit", function(lua, some)?)?;
    library.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    library.raw_set("_NAME", "cmsgpack")?;
    Ok(library)
}

fn failure(text: &str) -> Error {
    Error::RuntimeError(text.into())
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>, limits: &Limits) -> mlua::Result<()> {
    limits.spend(1)?;
    match value {
        Value::Boolean(is) => out.push(if *is { 0xc3 } else { 0xc2 }),
        Value::Integer(_) | Value::Number(_) => put_number(number(value).expect("it is one"), out),
        Value::String(text) => {
            let text = text.as_bytes();
            put_head(text.len(), (0xa0, 31), (Some(0xd9), 0xda, 0xdb), out);
            out.extend_from_slice(&text);
        }
        Value::Table(table) if depth < MOST_NESTED => match length(table)? {
            Some(length) => {
                put_head(length, (0x90, 15), (None, 0xdc, 0xdd), out);
                for at in 1..=length {
                    write(&table.raw_get(at)?, depth + 1, out, limits)?;
                }
            }
            None => {
                let keys = sorted_keys(table)?;
                put_head(keys.len(), (0x80, 15), (None, 0xde, 0xdf), out);
                for key in keys {
                    write(&key, depth + 1, out, limits)?;
                    write(&table.raw_get(key)?, depth + 1, out, limits)?;
                }
            }
        },
        _ => out.push(0xc0),
    }
    Ok(())
}

/// The length of a table whose keys are the numbers from 1 on.
fn length(table: &Table) -> mlua::Result<Option<usize>> {
    Ok(indexes(table)?.filter(|(count, most)| *most == *count as f64).map(|(count, _)| count))
}

fn put_head(length: usize, fixed: (u8, usize), (one, two, four): (Option<u8>, u8, u8), out: &mut Vec<u8>) {
    match (length, one) {
        (0.., _) if length <= fixed.1 => out.push(fixed.0 | length as u8),
        (..0x100, Some(one)) => out.extend_from_slice(&[one, length as u8]),
        (..0x1_0000, _) => {
            out.push(two);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(four);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

fn put_number(number: f64, out: &mut Vec<u8>) {
    let whole = number as i64;
    // Beyond 63 bits, the conversion back shows that it is none.
    if whole as f64 != number || whole == i64::MAX {
        if f64::from(number as f32) == number {
            out.push(0xca);
            out.extend_from_slice(&(number as f32).to_be_bytes());
        } else {
            out.push(0xcb);
            out.extend_from_slice(&number.to_be_bytes());
        }
        return;
    }
    let (code, bytes) = match whole {
        -32..=127 => return out.push(whole as u8),
        128..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..-32 => (0xd0, 1),
        -0x8000..-0x80 => (0xd1, 2),
        -0x8000_0000..-0x8000 => (0xd2, 4),
        ..-0x8000_0000 => (0xd3, 8),
    };
    out.push(code);
    out.extend_from_slice(&whole.to_be_bytes()[8 - bytes..]);
}

fn read(lua: &Lua, rest: &mut &[u8], depth: usize, limits: &Limits) -> mlua::Result<Value> {
    limits.spend(1)?;
    let short = |_| failure("Missing bytes in input.");
    let mut length = |bytes: usize| rest.try_get_uint(bytes).map(|length| length as usize).map_err(short);
    let code = length(1)? as u8;
    Ok(match code {
        0x00..=0x7f => Value::Number(f64::from(code)),
        0xe0..=0xff => Value::Number(f64::from(code as i8)),
        0xc0 => Value::Nil,
        0xc2 | 0xc3 => Value::Boolean(code == 0xc3),
        0xca => Value::Number(f64::from(rest.try_get_f32().map_err(short)?)),
        0xcb => Value::Number(rest.try_get_f64().map_err(short)?),
        // The library of Redis takes the longest one for a number with a sign.
        0xcc..=0xcf => Value::Number(rest.try_get_uint(1 << (code - 0xcc)).map_err(short)? as i64 as f64),
        0xd0..=0xd3 => {
            let bytes = 1 << (code - 0xd0);
            let unused = 64 - 8 * bytes as u32;
            Value::Number((((length(bytes)? as i64) << unused) >> unused) as f64)
        }
        0xa0..=0xbf => text(lua, rest, usize::from(code & 31))?,
        0xc4..=0xc6 => {
            let length = length(1 << (code - 0xc4))?;
            text(lua, rest, length)?
        }
        0xd9..=0xdb => {
            let length = length(1 << (code - 0xd9))?;
            text(lua, rest, length)?
        }
        0x90..=0x9f => array(lua, rest, usize::from(code & 15), depth, limits)?,
        0xdc | 0xdd => {
            let length = length(2 << (code - 0xdc))?;
            array(lua, rest, length, depth, limits)?
        }
        0x80..=0x8f => map(lua, rest, usize::from(code & 15), depth, limits)?,
        0xde | 0xdf => {
            let length = length(2 << (code - 0xde))?;
            map(lua, rest, length, depth, limits)?
        }
        _ => return Err(failure("Bad data format in input.")),
    })
}

fn text(lua: &Lua, rest: &mut &[u8], length: usize) -> mlua::Result<Value> {
    let (text, after) = rest.split_at_checked(length).ok_or_else(|| failure("Missing bytes in input."))?;
    *rest = after;
    Ok(Value::String(lua.create_string(text)?))
}

fn array(lua: &Lua, rest: &mut &[u8], length: usize, depth: usize, limits: &Limits) -> mlua::Result<Value> {
    let table = nested(lua, depth)?;
    for at in 1..=length {
        table.raw_set(at, read(lua, rest, depth + 1, limits)?)?;
    }
    Ok(Value::Table(table))
}

fn map(lua: &Lua, rest: &mut &[u8], length: usize, depth: usize, limits: &Limits) -> mlua::Result<Value> {
    let table = nested(lua, depth)?;
    for _ in 0..length {
        let key = read(lua, rest, depth + 1, limits)?;
        table.raw_set(key, read(lua, rest, depth + 1, limits)?)?;
    }
    Ok(Value::Table(table))
}

fn nested(lua: &Lua, depth: usize) -> mlua::Result<Table> {
    if depth == MOST_READ { Err(failure("The input is nested too deeply.")) } else { lua.create_table() }
}
