//! The library `bit`: operations on the 32 bits of a number.

use mlua::{Lua, Table, Variadic};

use super::native::function;

/// The 32 bits of a number, as LuaBitOp takes them: modulo 2^32, rounded.
fn bits(number: f64) -> i32 {
    number.round_ties_even().rem_euclid(4_294_967_296.0) as u32 as i32
}

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    let one =
        |name, of: fn(i32) -> i32| library.raw_set(name, function(lua, move |_, a: f64| Ok(of(bits(a))))?);
    one("tobit", |a| a)?;
    one("bnot", |a| !a)?;
    one("bswap", i32::swap_bytes)?;
    let two = |name, of: fn(i32, u32) -> i32| {
        let of = move |_: &Lua, (a, n): (f64, f64)| Ok(of(bits(a), bits(n) as u32 & 31));
        library.raw_set(name, function(lua, of)?)
    };
    two("lshift", |a, n| a << n)?;
    two("rshift", |a, n| ((a as u32) >> n) as i32)?;
    two("arshift", |a, n| a >> n)?;
    two("rol", i32::rotate_left)?;
    two("ror", i32::rotate_right)?;
    let many = |name, of: fn(i32, i32) -> i32| {
        let of = move |_: &Lua, (first, rest): (f64, Variadic<f64>)| {
            Ok(rest.iter().fold(bits(first), |all, next| of(all, bits(*next))))
        };
        library.raw_set(name, function(lua, of)?)
    };
    many("band", |a, b| a & b)?;
    many("bor", |a, b| a | b)?;
    many("bxor", |a, b| a ^ b)?;
    library
        .raw_set("tohex", function(lua, |_, (a, digits): (f64, Option<f64>)| Ok(hex(bits(a), digits)))?)?;
    Ok(library)
}

/// The last digits of a number, in capitals if the number of digits is negative.
fn hex(number: i32, digits: Option<f64>) -> String {
    let digits = digits.map_or(8, bits);
    let keep = digits.unsigned_abs().clamp(0, 8) as usize;
    let all = if digits < 0 { format!("{number:08X}") } else { format!("{number:08x}") };
    all[8 - keep..].to_owned()
}
