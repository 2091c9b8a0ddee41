//! Values of Lua as JSON.

use mlua::{Table, Value};

use super::{Settings, Unusual, failure};
use crate::script::limits::Limits;
use crate::script::order::{indexes, number, sorted_keys};

pub(super) fn encode(value: &Value, settings: &Settings, limits: &Limits) -> mlua::Result<Vec<u8>> {
    let mut writer = Writer { out: Vec::new(), settings, limits };
    writer.write(value, 0)?;
    Ok(writer.out)
}

fn cannot(value: &Value, why: &str) -> mlua::Error {
    let kind = match value {
        Value::Integer(_) => "number",
        Value::LightUserData(_) | Value::Error(_) => "userdata",
        other => other.type_name(),
    };
    failure(format!("Cannot serialise {kind}: {why}"))
}

struct Writer<'w> {
    out: Vec<u8>,
    settings: &'w Settings,
    limits: &'w Limits,
}

impl Writer<'_> {
    fn write(&mut self, value: &Value, depth: usize) -> mlua::Result<()> {
        self.limits.spend(1)?;
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Boolean(is) => self.out.extend_from_slice(if *is { b"true" } else { b"false" }),
            Value::Integer(_) | Value::Number(_) => self.put_number(value)?,
            Value::String(text) => put_text(&text.as_bytes(), &mut self.out),
            Value::Table(_) if depth >= self.settings.encode_depth.get() => {
                return Err(failure(format!("Cannot serialise, excessive nesting ({})", depth + 1)));
            }
            Value::Table(table) => match self.length(value, table)? {
                Some(length) => {
                    for at in 1..=length {
                        self.out.push(if at == 1 { b'[' } else { b',' });
                        self.write(&table.raw_get(at)?, depth + 1)?;
                    }
                    self.out.push(b']');
                }
                None => self.put_object(table, depth)?,
            },
            other => return Err(cannot(other, "type not supported")),
        }
        Ok(())
    }

    fn put_object(&mut self, table: &Table, depth: usize) -> mlua::Result<()> {
        self.out.push(b'{');
        for (at, key) in sorted_keys(table)?.into_iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.put_name(&key)?;
            self.out.push(b':');
            self.write(&table.raw_get(key)?, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The length of a table that is an array: it has no keys but whole numbers from 1 on. An empty one is an object.
    fn length(&self, value: &Value, table: &Table) -> mlua::Result<Option<usize>> {
        let Some((count, most)) = indexes(table)? else { return Ok(None) };
        let most = most as usize;
        let (ratio, safe) = (self.settings.sparse_ratio.get(), self.settings.sparse_safe.get());
        if ratio > 0 && most > safe && most > count.saturating_mul(ratio) {
            return if self.settings.sparse_is_object.get() {
                Ok(None)
            } else {
                Err(cannot(value, "excessively sparse array"))
            };
        }
        Ok((count > 0).then_some(most))
    }

    fn put_name(&mut self, key: &Value) -> mlua::Result<()> {
        match key {
            Value::String(text) => put_text(&text.as_bytes(), &mut self.out),
            Value::Integer(_) | Value::Number(_) => {
                self.out.push(b'"');
                self.put_number(key)?;
                self.out.push(b'"');
            }
            other => return Err(cannot(other, "table key must be a number or string")),
        }
        Ok(())
    }

    fn put_number(&mut self, value: &Value) -> mlua::Result<()> {
        let number = number(value).expect("the caller has a number");
        if number.is_finite() {
            self.out.extend_from_slice(significant(number, self.settings.precision.get()).as_bytes());
            return Ok(());
        }
        self.out.extend_from_slice(match self.settings.unusual.get() {
            Unusual::Refused => return Err(cannot(value, "must not be NaN or Inf")),
            Unusual::Null => b"null",
            Unusual::Written if number.is_nan() => b"nan",
            Unusual::Written if number > 0.0 => b"inf",
            Unusual::Written => b"-inf",
        });
        Ok(())
    }
}

/// With so many significant digits, as `%.14g` of C prints it with 14.
pub(in crate::script) fn significant(number: f64, digits: usize) -> String {
    let after = digits - 1;
    if number == 0.0 {
        return if number.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    let scientific = format!("{number:.after$e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("it has an exponent");
    let exponent: i32 = exponent.parse().expect("it is a number");
    let trim = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    if (-4..digits as i32).contains(&exponent) {
        let text = format!("{number:.*}", (after as i32 - exponent) as usize);
        return if text.contains('.') { trim(&text) } else { text };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
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
            assert_eq!(significant(number, 14), text);
        }
    }
}
