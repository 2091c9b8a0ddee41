//! The keys of a table in an order that all servers share: Lua's own depends on addresses.

use std::cmp::Ordering;

use mlua::{Error, Table, Value};

/// The keys of a table: numbers first, then texts, then false and true.
///
/// # Errors
/// If a key is a table, a function or the like, of which nobody knows which comes first.
pub(super) fn sorted_keys(table: &Table) -> mlua::Result<Vec<Value>> {
    let mut keys = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        if rank(&key).is_none() {
            let text = "tables, functions and the like as keys have no order: use texts or numbers";
            return Err(Error::RuntimeError(text.into()));
        }
        keys.push(key);
    }
    keys.sort_by(compare);
    Ok(keys)
}

/// How many keys a table has that are whole numbers from 1 on, and the greatest of them; `None` if it has others, too.
pub(super) fn indexes(table: &Table) -> mlua::Result<Option<(usize, f64)>> {
    let (mut count, mut most) = (0, 0.0f64);
    for pair in table.pairs::<Value, Value>() {
        match number(&pair?.0) {
            Some(key) if key >= 1.0 && key.fract() == 0.0 => (count, most) = (count + 1, most.max(key)),
            _ => return Ok(None),
        }
    }
    Ok(Some((count, most)))
}

fn rank(key: &Value) -> Option<u8> {
    match key {
        Value::Integer(_) | Value::Number(_) => Some(0),
        Value::String(_) => Some(1),
        Value::Boolean(_) => Some(2),
        _ => None,
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.as_bytes()[..].cmp(&b.as_bytes()[..]),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => rank(a).cmp(&rank(b)),
        },
    }
}

/// A number of Lua.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}
