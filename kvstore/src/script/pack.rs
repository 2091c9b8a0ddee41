//! The library `struct`: values as bytes in a described layout.

use mlua::{BString, Error, Lua, LuaString, MultiValue, Table, Value, Variadic};

use super::native::function;
use super::order::number;

/// The longest integer, in bytes.
const MOST_BYTES: usize = 8;
/// The most bytes that one item of a format may stand for.
const MOST_WIDTH: usize = 16 << 20;

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("pack", function(lua, pack)?)?;
    library.raw_set("unpack", function(lua, unpack)?)?;
    library.raw_set("size", function(lua, |_, format: LuaString| size(&format.as_bytes()))?)?;
    Ok(library)
}

/// What a letter of a format stands for.
enum Item {
    Padding,
    Integer {
        bytes: usize,
        signed: bool,
    },
    Float,
    Double,
    /// Up to a zero byte.
    Text,
    /// So many bytes; `None`: the whole text, or as many as the number before says.
    Bytes(Option<usize>),
}

/// Reads a format, item by item.
struct Format<'f> {
    rest: &'f [u8],
    big: bool,
    /// Integers begin at multiples of their size, or of this.
    align: usize,
}

impl<'f> Format<'f> {
    fn new(format: &'f [u8]) -> Format<'f> {
        Format { rest: format, big: cfg!(target_endian = "big"), align: 1 }
    }

    fn number(&mut self) -> mlua::Result<Option<usize>> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if number.is_empty() {
            return Ok(None);
        }
        let parsed = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        match parsed {
            Some(number @ 0..=MOST_WIDTH) => Ok(Some(number)),
            _ => Err(failure("integral size overflow")),
        }
    }

    fn next(&mut self) -> mlua::Result<Option<Item>> {
        while let Some((letter, rest)) = self.rest.split_first() {
            self.rest = rest;
            let integer = |bytes, signed| Ok(Some(Item::Integer { bytes, signed }));
            match letter {
                b' ' => {}
                b'<' => self.big = false,
                b'>' => self.big = true,
                b'!' => match self.number()?.unwrap_or(MOST_BYTES) {
                    align if align.is_power_of_two() => self.align = align,
                    _ => return Err(failure("alignment is not a power of 2")),
                },
                b'x' => return Ok(Some(Item::Padding)),
                b'b' | b'B' => return integer(1, *letter == b'b'),
                b'h' | b'H' => return integer(2, *letter == b'h'),
                b'l' | b'L' => return integer(8, *letter == b'l'),
                b'T' => return integer(8, false),
                b'i' | b'I' => match self.number()?.unwrap_or(4) {
                    bytes @ 1..=MOST_BYTES => return integer(bytes, *letter == b'i'),
                    _ => return Err(failure("integral size is larger than limit of 8")),
                },
                b'f' => return Ok(Some(Item::Float)),
                b'd' => return Ok(Some(Item::Double)),
                b's' => return Ok(Some(Item::Text)),
                b'c' => {
                    let width = self.number()?.unwrap_or(1);
                    return Ok(Some(Item::Bytes((width > 0).then_some(width))));
                }
                other => {
                    return Err(failure(&format!("invalid format option '{}'", char::from(*other))));
                }
            }
        }
        Ok(None)
    }

    /// Bytes before an item at this place.
    fn gap(&self, item: &Item, at: usize) -> usize {
        let bytes = match item {
            Item::Integer { bytes, .. } => *bytes,
            Item::Float => 4,
            Item::Double => 8,
            _ => 1,
        };
        let align = bytes.min(self.align);
        if align > 1 && align.is_power_of_two() { at.next_multiple_of(align) - at } else { 0 }
    }
}

fn failure(text: &str) -> Error {
    Error::RuntimeError(text.into())
}

fn ordered(mut bytes: Vec<u8>, big: bool) -> Vec<u8> {
    if !big {
        bytes.reverse();
    }
    bytes
}

fn pack(_: &Lua, (format, values): (LuaString, Variadic<Value>)) -> mlua::Result<BString> {
    let (text, mut out) = (format.as_bytes(), Vec::new());
    let (mut format, mut values) = (Format::new(&text), values.iter());
    while let Some(item) = format.next()? {
        let gap = format.gap(&item, out.len());
        out.resize(out.len() + gap, 0);
        if let Item::Padding = item {
            out.push(0);
            continue;
        }
        let value = values.next().ok_or_else(|| failure("too few values for the format"))?;
        let float = || number(value).ok_or_else(|| failure("a number is expected"));
        match item {
            Item::Integer { bytes, .. } => {
                let whole = float()?;
                let whole = if whole < 0.0 { whole as i64 as u64 } else { whole as u64 };
                out.extend(ordered(whole.to_be_bytes()[8 - bytes..].to_vec(), format.big));
            }
            Item::Float => out.extend(ordered((float()? as f32).to_be_bytes().to_vec(), format.big)),
            Item::Double => out.extend(ordered(float()?.to_be_bytes().to_vec(), format.big)),
            Item::Text | Item::Bytes(_) => {
                let Value::String(value) = value else { return Err(failure("a text is expected")) };
                let value = value.as_bytes();
                let width = if let Item::Bytes(Some(width)) = item { width } else { value.len() };
                out.extend_from_slice(value.get(..width).ok_or_else(|| failure("string too short"))?);
                if let Item::Text = item {
                    out.push(0);
                }
            }
            Item::Padding => unreachable!("it takes no value"),
        }
    }
    Ok(out.into())
}

/// Returns the values, and where the next ones begin, from 1.
fn unpack(
    lua: &Lua,
    (format, text, from): (LuaString, LuaString, Option<usize>),
) -> mlua::Result<MultiValue> {
    let (format, text) = (format.as_bytes(), text.as_bytes());
    let mut format = Format::new(&format);
    let mut at = from.unwrap_or(1).checked_sub(1).ok_or_else(|| failure("offset must be 1 or greater"))?;
    let mut values: Vec<Value> = Vec::new();
    let short = || failure("data string too short");
    while let Some(item) = format.next()? {
        at += format.gap(&item, at);
        let rest = text.get(at..).ok_or_else(short)?;
        let width = match item {
            Item::Padding => 1,
            Item::Integer { bytes, .. } => bytes,
            Item::Float => 4,
            Item::Double => 8,
            Item::Text => {
                rest.iter().position(|byte| *byte == 0).ok_or_else(|| failure("unfinished string in data"))?
            }
            Item::Bytes(Some(width)) => width,
            Item::Bytes(None) => match values.pop().as_ref().and_then(number) {
                Some(width) if width >= 0.0 => width as usize,
                _ => return Err(failure("format 'c0' needs a previous size")),
            },
        };
        let bytes = rest.get(..width).ok_or_else(short)?;
        at += width;
        match item {
            Item::Padding => {}
            Item::Integer { signed, .. } => values.push(Value::Number(integer(bytes, format.big, signed))),
            Item::Float => {
                let bytes = ordered(bytes.to_vec(), format.big).try_into().expect("it is as wide");
                values.push(Value::Number(f64::from(f32::from_be_bytes(bytes))));
            }
            Item::Double => {
                let bytes = ordered(bytes.to_vec(), format.big).try_into().expect("it is as wide");
                values.push(Value::Number(f64::from_be_bytes(bytes)));
            }
            Item::Text | Item::Bytes(_) => values.push(Value::String(lua.create_string(bytes)?)),
        }
        at += usize::from(matches!(item, Item::Text));
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(MultiValue::from_vec(values))
}

fn integer(bytes: &[u8], big: bool, signed: bool) -> f64 {
    let bytes = ordered(bytes.to_vec(), big);
    let fill = if signed && bytes[0] >= 0x80 { 0xff } else { 0 };
    let mut whole = [fill; 8];
    whole[8 - bytes.len()..].copy_from_slice(&bytes);
    if signed { i64::from_be_bytes(whole) as f64 } else { u64::from_be_bytes(whole) as f64 }
}

fn size(format: &[u8]) -> mlua::Result<f64> {
    let (mut format, mut at) = (Format::new(format), 0);
    while let Some(item) = format.next()? {
        at += format.gap(&item, at);
        at += match item {
            Item::Padding => 1,
            Item::Integer { bytes, .. } => bytes,
            Item::Float => 4,
            Item::Double => 8,
            Item::Bytes(Some(width)) => width,
            Item::Text => return Err(failure("variable-size format in `struct.size'")),
            Item::Bytes(None) => return Err(failure("variable-length format in `struct.size'")),
        };
    }
    Ok(at as f64)
}
