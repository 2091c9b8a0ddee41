//! JSON as values of Lua. Texts may hold any bytes but zero, and what follows a number is up to the next token, as in Redis.

use mlua::{Lua, Table, Value};

use super::{Settings, failure};
use crate::script::limits::Limits;

pub(super) fn decode(lua: &Lua, text: &[u8], settings: &Settings, limits: &Limits) -> mlua::Result<Value> {
    limits.spend(text.len() as u64)?;
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(failure("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut reader = Reader { lua, text, at: 0, depth: 0, settings };
    let first = reader.next();
    let value = reader.value(first)?;
    match reader.next() {
        (Token::End, _) => Ok(value),
        other => Err(unexpected("the end", &other)),
    }
}

enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Colon,
    Comma,
    End,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    /// There is none, for this reason.
    Wrong(&'static str),
}

/// A token, and where it begins.
type Placed = (Token, usize);

fn unexpected(expected: &str, (token, at): &Placed) -> mlua::Error {
    let found = match token {
        Token::ObjectBegin => "T_OBJ_BEGIN",
        Token::ObjectEnd => "T_OBJ_END",
        Token::ArrayBegin => "T_ARR_BEGIN",
        Token::ArrayEnd => "T_ARR_END",
        Token::Colon => "T_COLON",
        Token::Comma => "T_COMMA",
        Token::End => "T_END",
        Token::Text(_) => "T_STRING",
        Token::Number(_) => "T_NUMBER",
        Token::Boolean(_) => "T_BOOLEAN",
        Token::Null => "T_NULL",
        Token::Wrong(why) => why,
    };
    failure(format!("Expected {expected} but found {found} at character {}", at + 1))
}

struct Reader<'r> {
    lua: &'r Lua,
    text: &'r [u8],
    at: usize,
    depth: usize,
    settings: &'r Settings,
}

impl Reader<'_> {
    /// A byte; 0 behind the end.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Placed {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let begin = self.at;
        let single = match self.byte(begin) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            0 => return (Token::End, begin),
            b'"' => return self.text(),
            b'-' | b'0'..=b'9' => return (self.number(), begin),
            _ => return (self.word(), begin),
        };
        self.at += 1;
        (single, begin)
    }

    fn word(&mut self) -> Token {
        let words = [("true", Token::Boolean(true)), ("false", Token::Boolean(false)), ("null", Token::Null)];
        for (word, token) in words {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return token;
            }
        }
        let is_number = is_unusual(&self.text[self.at..]) && self.settings.reads_unusual.get();
        if is_number { self.number() } else { Token::Wrong("invalid token") }
    }

    fn number(&mut self) -> Token {
        let rest = &self.text[self.at..];
        if !self.settings.reads_unusual.get() && is_unusual(rest) {
            return Token::Wrong("invalid number");
        }
        let (number, length) = leading_number(rest);
        self.at += length;
        if length == 0 { Token::Wrong("invalid number") } else { Token::Number(number) }
    }

    fn text(&mut self) -> Placed {
        let begin = self.at;
        let mut text = Vec::new();
        self.at += 1;
        loop {
            let wrong = |why| (Token::Wrong(why), self.at);
            match self.byte(self.at) {
                b'"' => break,
                0 => return wrong("unexpected end of string"),
                b'\\' => match self.byte(self.at + 1) {
                    b'u' => match self.unicode() {
                        Some((code, length)) => {
                            text.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
                            self.at += length;
                        }
                        None => return wrong("invalid unicode escape code"),
                    },
                    escape => {
                        let Some(byte) = unescaped(escape) else { return wrong("invalid escape code") };
                        text.push(byte);
                        self.at += 2;
                    }
                },
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        (Token::Text(text), begin)
    }

    /// The character of `\uXXXX`, or of two of them, and their length.
    fn unicode(&self) -> Option<(char, usize)> {
        let four = |at: usize| {
            let digits = std::str::from_utf8(self.text.get(at..at + 4)?).ok()?;
            let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u16::from_str_radix(digits, 16).ok().filter(|_| are_digits)
        };
        let first = four(self.at + 2)?;
        if let Some(code) = char::from_u32(first.into()) {
            return Some((code, 6));
        }
        let is_escape = self.byte(self.at + 6) == b'\\' && self.byte(self.at + 7) == b'u';
        let second = four(self.at + 8).filter(|_| is_escape)?;
        let code = char::decode_utf16([first, second]).next()?.ok()?;
        Some((code, 12))
    }

    fn value(&mut self, token: Placed) -> mlua::Result<Value> {
        Ok(match token.0 {
            Token::Text(text) => Value::String(self.lua.create_string(text)?),
            Token::Number(number) => Value::Number(number),
            Token::Boolean(is) => Value::Boolean(is),
            Token::Null => Value::NULL,
            Token::ObjectBegin => Value::Table(self.nested(Reader::object)?),
            Token::ArrayBegin => Value::Table(self.nested(Reader::array)?),
            _ => return Err(unexpected("value", &token)),
        })
    }

    fn nested(&mut self, read: fn(&mut Self, &Table) -> mlua::Result<()>) -> mlua::Result<Table> {
        self.depth += 1;
        if self.depth > self.settings.decode_depth.get() {
            let text = "Found too many nested data structures";
            return Err(failure(format!("{text} ({}) at character {}", self.depth, self.at)));
        }
        let table = self.lua.create_table()?;
        read(self, &table)?;
        self.depth -= 1;
        Ok(table)
    }

    fn object(&mut self, into: &Table) -> mlua::Result<()> {
        let mut token = self.next();
        if matches!(token.0, Token::ObjectEnd) {
            return Ok(());
        }
        loop {
            let Token::Text(name) = token.0 else { return Err(unexpected("object key string", &token)) };
            match self.next() {
                (Token::Colon, _) => {}
                other => return Err(unexpected("colon", &other)),
            }
            let first = self.next();
            let value = self.value(first)?;
            into.raw_set(self.lua.create_string(name)?, value)?;
            match self.next() {
                (Token::ObjectEnd, _) => return Ok(()),
                (Token::Comma, _) => token = self.next(),
                other => return Err(unexpected("comma or object end", &other)),
            }
        }
    }

    fn array(&mut self, into: &Table) -> mlua::Result<()> {
        let mut token = self.next();
        if matches!(token.0, Token::ArrayEnd) {
            return Ok(());
        }
        for at in 1.. {
            let value = self.value(token)?;
            into.raw_set(at, value)?;
            match self.next() {
                (Token::ArrayEnd, _) => break,
                (Token::Comma, _) => token = self.next(),
                other => return Err(unexpected("comma or array end", &other)),
            }
        }
        Ok(())
    }
}

fn unescaped(escape: u8) -> Option<u8> {
    Some(match escape {
        b'"' | b'\\' | b'/' => escape,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'f' => 12,
        b'r' => b'\r',
        _ => return None,
    })
}

/// Whether what a text begins with is a number of C, and none of JSON.
fn is_unusual(text: &[u8]) -> bool {
    let begins =
        |text: &[u8], word: &[u8]| text.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    match text {
        [b'+', ..] => true,
        [b'-', rest @ ..] | rest => match rest {
            [b'0', b'x' | b'X' | b'0'..=b'9', ..] => true,
            [b'0'..=b'9', ..] => false,
            rest => begins(rest, b"inf") || begins(rest, b"nan"),
        },
    }
}

/// The number that a text begins with, as `strtod` of C reads it, and its length; 0 if there is none.
fn leading_number(text: &[u8]) -> (f64, usize) {
    let signs = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let sign = if text.first() == Some(&b'-') { -1.0 } else { 1.0 };
    let rest = &text[signs..];
    let begins =
        |word: &str| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()));
    for (word, number) in [("infinity", f64::INFINITY), ("inf", f64::INFINITY), ("nan", f64::NAN)] {
        if begins(word) {
            return (sign * number, signs + word.len());
        }
    }
    let digits = |from: usize, radix: u32| {
        rest.get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| char::from(**byte).is_digit(radix))
            .count()
    };
    if begins("0x") && digits(2, 16) > 0 {
        let end = 2 + digits(2, 16);
        let number = rest[2..end].iter().fold(0.0, |number, digit| {
            number * 16.0 + f64::from(char::from(*digit).to_digit(16).unwrap_or(0))
        });
        return (sign * number, signs + end);
    }
    let whole = digits(0, 10);
    let mut end = whole;
    let mut count = whole;
    if rest.get(end) == Some(&b'.') {
        count += digits(end + 1, 10);
        end += 1 + digits(end + 1, 10);
    }
    if count == 0 {
        return (0.0, 0);
    }
    if matches!(rest.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + signed, 10);
        if exponent > 0 {
            end += 1 + signed + exponent;
        }
    }
    let number = std::str::from_utf8(&rest[..end]).ok().and_then(|text| text.parse::<f64>().ok());
    (sign * number.unwrap_or(0.0), signs + end)
}

#[cfg(test)]
mod tests {
    use super::leading_number;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, number, length) in [
            ("0", 0.0, 1),
            ("-1.5e3,", -1500.0, 6),
            ("01", 1.0, 2),
            ("0x10]", 16.0, 4),
            ("0x", 0.0, 1),
            ("1e", 1.0, 1),
            ("1e+", 1.0, 1),
            ("5.", 5.0, 2),
            (".5", 0.5, 2),
            ("1e400", f64::INFINITY, 5),
            ("-Infinity", f64::NEG_INFINITY, 9),
            ("infx", f64::INFINITY, 3),
            ("-", 0.0, 0),
            (".", 0.0, 0),
            ("12345678901234567890", 12_345_678_901_234_567_890.0, 20),
        ] {
            assert_eq!(leading_number(text.as_bytes()), (number, length), "{text}");
        }
        assert!(leading_number(b"NaN").0.is_nan());
    }
}
