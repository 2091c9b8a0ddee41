//! Patterns of Lua, in place of Lua's own functions: those may take for ever, and overrun the stack. Here each step counts.

use std::cell::Cell;

use memchr::memmem;
use mlua::{BString, Error, Function, Lua, LuaString, MultiValue, Table, Value};

use super::limits::Limits;
use super::native::function;

/// The most captures of a pattern.
const MOST_CAPTURES: usize = 32;
/// How deeply items of a pattern may wait for those behind them.
const MOST_NESTED: usize = 200;
/// So many steps are counted at a time.
const COUNTED: u64 = 256;

/// Replaces the functions of the table `string` that take patterns.
pub(super) fn replace(lua: &Lua, string: &Table, limits: &Limits) -> mlua::Result<()> {
    let spent = limits.clone();
    let find = move |lua: &Lua, (text, pattern, from, plain): (LuaString, LuaString, Option<f64>, Value)| {
        let plain = !matches!(plain, Value::Nil | Value::Boolean(false));
        search(lua, (&text.as_bytes(), &pattern.as_bytes()), from, &spent, Some(plain))
    };
    string.raw_set("find", function(lua, find)?)?;
    let spent = limits.clone();
    let matched = move |lua: &Lua, (text, pattern, from): (LuaString, LuaString, Option<f64>)| {
        search(lua, (&text.as_bytes(), &pattern.as_bytes()), from, &spent, None)
    };
    string.raw_set("match", function(lua, matched)?)?;
    let spent = limits.clone();
    string.raw_set("gmatch", function(lua, move |lua, of| all_matches(lua, of, &spent))?)?;
    string.raw_set("gfind", Value::Nil)?;
    let spent = limits.clone();
    string.raw_set("gsub", function(lua, move |lua, of| substitute(lua, of, &spent))?)
}

fn failure(text: impl Into<String>) -> Error {
    Error::RuntimeError(text.into())
}

/// Where a search begins: counted from 1, or from the end if below zero.
fn start(from: Option<f64>, length: usize) -> usize {
    let from = from.unwrap_or(1.0) as i64;
    let from = if from < 0 { from + length as i64 + 1 } else { from };
    usize::try_from(from - 1).unwrap_or(0).min(length)
}

/// `string.find` if `plain` says whether the pattern is a mere text, else `string.match`.
fn search(
    lua: &Lua,
    (text, pattern): (&[u8], &[u8]),
    from: Option<f64>,
    limits: &Limits,
    plain: Option<bool>,
) -> mlua::Result<MultiValue> {
    let from = start(from, text.len());
    limits.spend((text.len() - from) as u64 / 64)?;
    let is_text = |pattern: &[u8]| !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte));
    if plain == Some(true) || plain.is_some() && is_text(pattern) {
        let found = memmem::find(&text[from..], pattern).map(|at| from + at);
        return Ok(found.map_or(nothing(), |at| places(at, at + pattern.len())));
    }
    let (pattern, anchored) = anchored(pattern);
    let mut matcher = Matcher::new(text, pattern, limits);
    for at in from..=text.len() {
        if let Some(end) = matcher.begin(at)? {
            let mut values = if plain.is_some() { places(at, end) } else { MultiValue::new() };
            values.extend(matcher.captured(lua, at, end, plain.is_none())?);
            return Ok(values);
        }
        if anchored {
            break;
        }
    }
    Ok(nothing())
}

fn anchored(pattern: &[u8]) -> (&[u8], bool) {
    pattern.strip_prefix(b"^").map_or((pattern, false), |rest| (rest, true))
}

fn nothing() -> MultiValue {
    MultiValue::from_vec(vec![Value::Nil])
}

fn places(begin: usize, end: usize) -> MultiValue {
    MultiValue::from_vec(vec![Value::Number((begin + 1) as f64), Value::Number(end as f64)])
}

fn all_matches(
    lua: &Lua,
    (text, pattern): (LuaString, LuaString),
    limits: &Limits,
) -> mlua::Result<Function> {
    let (next, limits) = (Cell::new(0), limits.clone());
    function(lua, move |lua, ()| {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let mut matcher = Matcher::new(&text, &pattern, &limits);
        for at in next.get()..=text.len() {
            if let Some(end) = matcher.begin(at)? {
                next.set(if end == at { end + 1 } else { end });
                return matcher.captured(lua, at, end, true).map(MultiValue::from_vec);
            }
        }
        next.set(text.len() + 1);
        Ok(nothing())
    })
}

type Substitution = (LuaString, LuaString, Value, Option<f64>);

fn substitute(
    lua: &Lua,
    (text, pattern, by, most): Substitution,
    limits: &Limits,
) -> mlua::Result<(BString, f64)> {
    let by = match by {
        Value::Integer(_) | Value::Number(_) => {
            Value::String(lua.coerce_string(by)?.expect("a number is a text"))
        }
        Value::String(_) | Value::Table(_) | Value::Function(_) => by,
        other => {
            let kind = other.type_name();
            return Err(failure(format!(
                "bad argument #3 to 'gsub' (string/function/table expected, got {kind})"
            )));
        }
    };
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (pattern, anchored) = anchored(&pattern);
    let mut matcher = Matcher::new(&text, pattern, limits);
    let (mut out, mut at, mut count) = (Vec::new(), 0, 0.0);
    while most.is_none_or(|most| count < most) {
        let end = matcher.begin(at)?;
        if let Some(end) = end {
            count += 1.0;
            matcher.put_replacement(lua, &by, (at, end), &mut out)?;
            limits.spend((end - at) as u64 / 64 + 1)?;
        }
        match end {
            Some(end) if end > at => at = end,
            _ if at < text.len() => {
                out.push(text[at]);
                at += 1;
            }
            _ => break,
        }
        if out.len() > super::limits::MOST_BYTES {
            return Err(failure("not enough memory"));
        }
        if anchored {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
    Ok((out.into(), count))
}

/// A part of the text that a pattern captures.
#[derive(Clone, Copy)]
enum Capture {
    Open(usize),
    /// Nothing but where it is.
    Place(usize),
    Closed(usize, usize),
}

/// Matches a pattern at places of a text.
struct Matcher<'m> {
    text: &'m [u8],
    pattern: &'m [u8],
    captures: Vec<Capture>,
    limits: &'m Limits,
    steps: u64,
    nested: usize,
}

impl<'m> Matcher<'m> {
    fn new(text: &'m [u8], pattern: &'m [u8], limits: &'m Limits) -> Matcher<'m> {
        Matcher { text, pattern, captures: Vec::new(), limits, steps: 0, nested: 0 }
    }

    /// Where a match that begins here ends, if there is one.
    fn begin(&mut self, at: usize) -> mlua::Result<Option<usize>> {
        self.captures.clear();
        self.nested = 0;
        self.at(at, 0)
    }

    fn step(&mut self) -> mlua::Result<()> {
        self.steps += 1;
        if self.steps == COUNTED {
            self.steps = 0;
            self.limits.spend(COUNTED)?;
        }
        Ok(())
    }

    /// Matches the pattern from an item on, as what an earlier item waits for.
    fn behind(&mut self, s: usize, p: usize) -> mlua::Result<Option<usize>> {
        if self.nested == MOST_NESTED {
            return Err(failure("pattern too complex"));
        }
        self.nested += 1;
        let end = self.at(s, p)?;
        self.nested -= 1;
        Ok(end)
    }

    /// Matches the pattern from an item on.
    fn at(&mut self, mut s: usize, mut p: usize) -> mlua::Result<Option<usize>> {
        loop {
            self.step()?;
            match self.pattern.get(p) {
                None => return Ok(Some(s)),
                Some(b'(') if self.pattern.get(p + 1) == Some(&b')') => {
                    return self.open(Capture::Place(s), s, p + 2);
                }
                Some(b'(') => return self.open(Capture::Open(s), s, p + 1),
                Some(b')') => return self.close(s, p + 1),
                Some(b'$') if p + 1 == self.pattern.len() => return Ok((s == self.text.len()).then_some(s)),
                Some(b'%') => match self.pattern.get(p + 1) {
                    Some(b'b') => match self.balanced(s, p + 2)? {
                        Some(end) => (s, p) = (end, p + 4),
                        None => return Ok(None),
                    },
                    Some(b'f') => {
                        let set = p + 2;
                        if self.pattern.get(set) != Some(&b'[') {
                            return Err(failure("missing '[' after '%f' in pattern"));
                        }
                        let end = self.item_end(set)?;
                        let before = if s == 0 { 0 } else { self.text[s - 1] };
                        let here = self.text.get(s).copied().unwrap_or(0);
                        if self.in_set(before, set, end) || !self.in_set(here, set, end) {
                            return Ok(None);
                        }
                        p = end;
                    }
                    Some(digit @ b'0'..=b'9') => match self.repeated(s, *digit)? {
                        Some(end) => (s, p) = (end, p + 2),
                        None => return Ok(None),
                    },
                    _ => match self.item(s, p)? {
                        Item::Done(end) => return Ok(end),
                        Item::Next(next) => (s, p) = next,
                    },
                },
                Some(_) => match self.item(s, p)? {
                    Item::Done(end) => return Ok(end),
                    Item::Next(next) => (s, p) = next,
                },
            }
        }
    }

    /// Matches an item for one byte, and how often it may occur.
    fn item(&mut self, s: usize, p: usize) -> mlua::Result<Item> {
        let end = self.item_end(p)?;
        Ok(match self.pattern.get(end) {
            Some(b'?') => {
                if self.is_one(s, p, end)
                    && let Some(found) = self.behind(s + 1, end + 1)?
                {
                    return Ok(Item::Done(Some(found)));
                }
                Item::Next((s, end + 1))
            }
            Some(b'*') => Item::Done(self.most(s, s, p, end)?),
            Some(b'+') if self.is_one(s, p, end) => Item::Done(self.most(s + 1, s + 1, p, end)?),
            Some(b'+') => Item::Done(None),
            Some(b'-') => Item::Done(self.least(s, p, end)?),
            _ if self.is_one(s, p, end) => Item::Next((s + 1, end)),
            _ => Item::Done(None),
        })
    }

    /// As many as there are, and fewer if what is behind does not match then.
    fn most(&mut self, least: usize, mut s: usize, p: usize, end: usize) -> mlua::Result<Option<usize>> {
        while self.is_one(s, p, end) {
            self.step()?;
            s += 1;
        }
        loop {
            if let Some(found) = self.behind(s, end + 1)? {
                return Ok(Some(found));
            }
            if s == least {
                return Ok(None);
            }
            s -= 1;
        }
    }

    /// As few as suffice for what is behind.
    fn least(&mut self, mut s: usize, p: usize, end: usize) -> mlua::Result<Option<usize>> {
        loop {
            if let Some(found) = self.behind(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.is_one(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, capture: Capture, s: usize, p: usize) -> mlua::Result<Option<usize>> {
        if self.captures.len() == MOST_CAPTURES {
            return Err(failure("too many captures"));
        }
        self.captures.push(capture);
        let kept = self.captures.len();
        let end = self.behind(s, p)?;
        if end.is_none() {
            self.captures.truncate(kept - 1);
        }
        Ok(end)
    }

    fn close(&mut self, s: usize, p: usize) -> mlua::Result<Option<usize>> {
        let open = self.captures.iter().rposition(|capture| matches!(capture, Capture::Open(_)));
        let open = open.ok_or_else(|| failure("invalid pattern capture"))?;
        let Capture::Open(begin) = self.captures[open] else { unreachable!("it was looked for") };
        self.captures[open] = Capture::Closed(begin, s);
        let end = self.behind(s, p)?;
        if end.is_none() {
            self.captures[open] = Capture::Open(begin);
        }
        Ok(end)
    }

    fn balanced(&mut self, s: usize, p: usize) -> mlua::Result<Option<usize>> {
        let (Some(open), Some(close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(failure("unbalanced pattern"));
        };
        if self.text.get(s) != Some(open) {
            return Ok(None);
        }
        let mut depth = 1;
        for at in s + 1..self.text.len() {
            self.step()?;
            if self.text[at] == *close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if self.text[at] == *open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// The same text as an earlier capture.
    fn repeated(&mut self, s: usize, digit: u8) -> mlua::Result<Option<usize>> {
        let capture = usize::from(digit).checked_sub(usize::from(b'1')).and_then(|at| self.captures.get(at));
        let Some(Capture::Closed(begin, end)) = capture.copied() else {
            return Err(failure("invalid capture index"));
        };
        self.limits.spend((end - begin) as u64 / 64)?;
        let is_same = self.text[s..].starts_with(&self.text[begin..end]);
        Ok(is_same.then_some(s + end - begin))
    }

    /// Where the item that begins here ends.
    fn item_end(&self, p: usize) -> mlua::Result<usize> {
        let ends = || failure("malformed pattern (ends with '%')");
        match self.pattern[p] {
            b'%' => self.pattern.get(p + 1).map(|_| p + 2).ok_or_else(ends),
            b'[' => {
                let missing = || failure("malformed pattern (missing ']')");
                let mut at = if self.pattern.get(p + 1) == Some(&b'^') { p + 2 } else { p + 1 };
                // The first one stands for itself.
                loop {
                    let byte = self.pattern.get(at).ok_or_else(missing)?;
                    at += if *byte == b'%' { 2 } else { 1 };
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    fn is_one(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else { return false };
        match self.pattern[p] {
            b'.' => true,
            b'%' => is_of_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, end),
            literal => literal == byte,
        }
    }

    /// Whether a byte is in the set from `p` to `end`, both of its brackets among them.
    fn in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let (mut at, last) = (p + 1, end - 1);
        let negated = self.pattern[at] == b'^';
        at += usize::from(negated);
        while at < last {
            let here = self.pattern[at];
            if here == b'%' {
                at += 2;
                if is_of_class(byte, self.pattern[at - 1]) {
                    return !negated;
                }
            } else if self.pattern[at + 1] == b'-' && at + 2 < last {
                if (here..=self.pattern[at + 2]).contains(&byte) {
                    return !negated;
                }
                at += 3;
            } else {
                at += 1;
                if here == byte {
                    return !negated;
                }
            }
        }
        negated
    }

    /// What was captured, or the whole match if nothing and `whole`.
    fn captured(&self, lua: &Lua, begin: usize, end: usize, whole: bool) -> mlua::Result<Vec<Value>> {
        if self.captures.is_empty() && whole {
            return Ok(vec![Value::String(lua.create_string(&self.text[begin..end])?)]);
        }
        self.captures.iter().map(|capture| self.value(lua, *capture)).collect()
    }

    fn value(&self, lua: &Lua, capture: Capture) -> mlua::Result<Value> {
        match capture {
            Capture::Open(_) => Err(failure("unfinished capture")),
            Capture::Place(at) => Ok(Value::Number((at + 1) as f64)),
            Capture::Closed(begin, end) => Ok(Value::String(lua.create_string(&self.text[begin..end])?)),
        }
    }

    /// Appends what stands in the place of a match.
    fn put_replacement(
        &self,
        lua: &Lua,
        by: &Value,
        (begin, end): (usize, usize),
        out: &mut Vec<u8>,
    ) -> mlua::Result<()> {
        let whole = &self.text[begin..end];
        let value = match by {
            Value::String(text) => return self.put_text(lua, &text.as_bytes(), whole, out),
            Value::Table(table) => {
                let first = self.captured(lua, begin, end, true)?.swap_remove(0);
                table.get::<Value>(first)?
            }
            Value::Function(function) => {
                function.call::<Value>(MultiValue::from_vec(self.captured(lua, begin, end, true)?))?
            }
            _ => unreachable!("the caller has looked"),
        };
        match value {
            Value::Nil | Value::Boolean(false) => out.extend_from_slice(whole),
            value => {
                let kind = value.type_name();
                let text = lua.coerce_string(value)?;
                let text = text.ok_or_else(|| failure(format!("invalid replacement value (a {kind})")))?;
                out.extend_from_slice(&text.as_bytes());
            }
        }
        Ok(())
    }

    fn put_text(&self, lua: &Lua, by: &[u8], whole: &[u8], out: &mut Vec<u8>) -> mlua::Result<()> {
        let mut rest = by.iter();
        while let Some(byte) = rest.next() {
            if *byte != b'%' {
                out.push(*byte);
                continue;
            }
            match rest.next() {
                Some(b'0') => out.extend_from_slice(whole),
                Some(b'1') if self.captures.is_empty() => out.extend_from_slice(whole),
                Some(digit @ b'1'..=b'9') => {
                    let capture = self.captures.get(usize::from(digit - b'1'));
                    let capture = capture.ok_or_else(|| failure("invalid capture index"))?;
                    let text =
                        lua.coerce_string(self.value(lua, *capture)?)?.expect("it is a text or a number");
                    out.extend_from_slice(&text.as_bytes());
                }
                Some(other) => out.push(*other),
                // Lua 5.1 takes the zero byte behind its texts then.
                None => out.push(0),
            }
        }
        Ok(())
    }
}

/// What is known after an item.
enum Item {
    /// Whether and where the whole match ends.
    Done(Option<usize>),
    /// Where to go on in text and pattern.
    Next((usize, usize)),
}

fn is_of_class(byte: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | 9..=13),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is != class.is_ascii_uppercase()
}
