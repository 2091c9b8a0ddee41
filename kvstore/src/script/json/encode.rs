//! The library `cjson`.

use mlua::{Error, Lua, LuaString, Table, Value};
use serde_json::Value as Json;

use super::limits::Limits;
use super::order::{indexes, number, sorted_keys};

/// The deepest nesting.
const MOST_NESTED: usize = 128;
/// An array with so many elements may lack half of them; a larger key makes an error of a shorter one.
const SAFE: usize = 10;
const RATIO: usize = 2;

pub(super) fn library(lua: &Lua, limits: &Limits) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    let spent = limits.clone();
    let encode = move |_: &Lua, value: Value| {
        let mut out = Vec::new();
        write(&value, 0, &mut out, &spent)?;
        Ok(mlua::BString::from(out))
    };
    library.raw_set("encode", lua.create_function(encode)?)?;
    let spent = limits.clone();
    let decode = move |lua: &Lua, text: LuaString| {
        spent.spend(text.as_bytes().len() as u64)?;
        let json = serde_json::from_slice(&text.as_bytes());
        read(lua, &json.map_err(|error| failure(&error.to_string()))?)
    };
    library.raw_set("decode", lua.create_function(decode)?)?;
    library.raw_set("null", Value::NULL)?;
    library.raw_set("_NAME", "cjson")?;
    Ok(library)
}

fn failure(text: &str) -> Error {
    Error::RuntimeError(format!("cjson: {text}"))
}

fn read(lua: &Lua, json: &Json) -> mlua::Result<Value> {
    Ok(match json {
        Json::Null => Value::NULL,
        Json::Bool(is) => Value::Boolean(*is),
        Json::Number(number) => {
            Value::Number(number.as_f64().ok_or_else(|| failure("a number is too large"))?)
        }
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(all) => {
            let table = lua.create_table_with_capacity(all.len(), 0)?;
            for (at, json) in (1..).zip(all) {
                table.raw_set(at, read(lua, json)?)?;
            }
            Value::Table(table)
        }
        Json::Object(pairs) => {
            let table = lua.create_table()?;
            for (name, json) in pairs {
                table.raw_set(name.as_str(), read(lua, json)?)?;
            }
            Value::Table(table)
        }
    })
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>, limits: &Limits) -> mlua::Result<()> {
    limits.spend(1)?;
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::LightUserData(pointer) if pointer.0.is_null() => out.extend_from_slice(b"null"),
        Value::Boolean(is) => out.extend_from_slice(if *is { b"true" } else { b"false" }),
        Value::Integer(_) | Value::Number(_) => put_number(value, out)?,
        Value::String(text) => put_text(&text.as_bytes(), out),
        Value::Table(_) if depth == MOST_NESTED => return Err(failure("Cannot serialise, excessive depth")),
        Value::Table(table) => match length(table)? {
            Some(length) => {
                for at in 1..=length {
                    out.push(if at == 1 { b'[' } else { b',' });
                    write(&table.raw_get(at)?, depth + 1, out, limits)?;
                }
                out.push(b']');
            }
            None => {
                let keys = sorted_keys(table)?;
                out.push(b'{');
                for (at, key) in keys.into_iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    put_name(&key, out)?;
                    out.push(b':');
                    write(&table.raw_get(key)?, depth + 1, out, limits)?;
                }
                out.push(b'}');
            }
        },
        other => return Err(failure(&format!("Cannot serialise {}: type not supported", other.type_name()))),
    }
    Ok(())
}

/// The length of a table that is an array: it has no keys but whole numbers from 1 on. An empty one is an object.
fn length(table: &Table) -> mlua::Result<Option<usize>> {
    let Some((count, most)) = indexes(table)? else { return Ok(None) };
    let most = most as usize;
    if most > SAFE && most > count * RATIO {
        return Err(failure("Cannot serialise table: excessively sparse array"));
    }
    Ok((count > 0).then_some(most))
}

fn put_name(key: &Value, out: &mut Vec<u8>) -> mlua::Result<()> {
    match key {
        Value::String(text) => put_text(&text.as_bytes(), out),
        Value::Integer(_) | Value::Number(_) => {
            out.push(b'"');
            put_number(key, out)?;
            out.push(b'"');
        }
        _ => return Err(failure("Cannot serialise table: table key must be a number or string")),
    }
    Ok(())
}

/// A number with 14 significant digits, as `cjson` writes them.
fn put_number(value: &Value, out: &mut Vec<u8>) -> mlua::Result<()> {
    let number = number(value).expect("the caller has a number");
    if !number.is_finite() {
        return Err(failure("Cannot serialise number: must not be NaN or Inf"));
    }
    out.extend_from_slice(significant(number).as_bytes());
    Ok(())
}

/// As `%.14g` of C prints it.
pub(super) fn significant(number: f64) -> String {
    if number == 0.0 {
        return if number.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    let scientific = format!("{number:.13e}");
    let (digits, exponent) = scientific.split_once('e').expect("it has an exponent");
    let exponent: i32 = exponent.parse().expect("it is a number");
    let trim = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    if (-4..14).contains(&exponent) {
        let text = format!("{number:.*}", (13 - exponent) as usize);
        return if text.contains('.') { trim(&text) } else { text };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' | b'/' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            0..32 | 127 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn numbers_have_fourteen_significant_digits() {
        for (number, text) in [
            (1.0, "1"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.33333333333333"),
            (1e14, "1e+14"),
            (99_999_999_999_999.0, "99999999999999"),
            (1e-5, "1e-05"),
            (123_456.789, "123456.789"),
            (0.0001, "0.0001"),
            (1.5e300, "1.5e+300"),
            (0.0, "0"),
            (9_007_199_254_740_993.0, "9.007199254741e+15"),
        ] {
            assert_eq!(significant(number), text);
        }
    }
}
