//! A command's arguments, read from one line such as `key value [NX | XX] [EX seconds | PERSIST]`.
//!
//! Words in capitals stand for themselves, others for what the client sends. `[..]` may be left out, `(a | b)`
//! is one of several, and `..` after a word says that it may be repeated.

/// An argument, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    pub(crate) multiple: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the client sends, by its name.
    Value(String),
    /// A word that stands for itself.
    Token(String),
    /// A word, and what follows it.
    Named(String, Box<Argument>),
    Block(Vec<Argument>),
    OneOf(Vec<Argument>),
}

impl Argument {
    /// Reads a line.
    pub(crate) fn parse(line: &str) -> Result<Vec<Argument>, String> {
        let spaced = line.replace('[', " [ ").replace(']', " ] ").replace('(', " ( ").replace(')', " ) ");
        let mut words = spaced.split_whitespace().peekable();
        let all = sequence(&mut words)?;
        match words.next() {
            None => Ok(all),
            Some(word) => Err(format!("unexpected {word}")),
        }
    }

    /// The least number of words that it takes.
    #[cfg(test)]
    pub(crate) fn least(&self) -> usize {
        if self.optional {
            return 0;
        }
        match &self.kind {
            Kind::Value(_) | Kind::Token(_) => 1,
            Kind::Named(_, argument) => 1 + argument.least(),
            Kind::Block(all) => all.iter().map(Argument::least).sum(),
            Kind::OneOf(all) => all.iter().map(Argument::least).min().unwrap_or(0),
        }
    }

    /// What it is called in `COMMAND DOCS`.
    pub(crate) fn name(&self) -> String {
        match &self.kind {
            Kind::Value(name) => name.clone(),
            Kind::Token(word) => word.to_lowercase(),
            Kind::Named(_, argument) => argument.name(),
            Kind::Block(_) => "block".into(),
            Kind::OneOf(_) => "one-of".into(),
        }
    }
}

type Words<'w> = std::iter::Peekable<std::str::SplitWhitespace<'w>>;

/// Arguments up to a closing bracket; alternatives are one argument.
fn sequence(words: &mut Words<'_>) -> Result<Vec<Argument>, String> {
    let mut alternatives = vec![Vec::new()];
    while let Some(&word) = words.peek() {
        match word {
            "]" | ")" => break,
            "|" => {
                words.next();
                alternatives.push(Vec::new());
            }
            _ => {
                let argument = argument(words)?;
                alternatives.last_mut().expect("there is always one").push(argument);
            }
        }
    }
    if alternatives.len() == 1 {
        return Ok(alternatives.remove(0));
    }
    let all = alternatives.into_iter().map(|mut all| match all.len() {
        1 => all.remove(0),
        _ => plain(Kind::Block(all)),
    });
    Ok(vec![plain(Kind::OneOf(all.collect()))])
}

fn argument(words: &mut Words<'_>) -> Result<Argument, String> {
    let word = words.next().ok_or("it ends too early")?;
    let mut argument = match word {
        "[" => Argument { optional: true, ..bracketed("]", words)? },
        "(" => bracketed(")", words)?,
        word if is_token(word) => {
            let follows = words.peek().is_some_and(|next| next.starts_with(|c: char| c.is_ascii_lowercase()));
            if follows {
                plain(Kind::Named(word.into(), Box::new(self::argument(words)?)))
            } else {
                plain(Kind::Token(word.into()))
            }
        }
        word => plain(Kind::Value(word.into())),
    };
    if words.peek() == Some(&"..") {
        words.next();
        argument.multiple = true;
    }
    Ok(argument)
}

fn bracketed(end: &str, words: &mut Words<'_>) -> Result<Argument, String> {
    let mut all = sequence(words)?;
    if words.next() != Some(end) {
        return Err(format!("a bracket is not closed by {end}"));
    }
    Ok(if all.len() == 1 { all.remove(0) } else { plain(Kind::Block(all)) })
}

fn is_token(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_uppercase()) || word == "*" || word == "\"\""
}

fn plain(kind: Kind) -> Argument {
    Argument { kind, optional: false, multiple: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_arguments() {
        let value = |name: &str| plain(Kind::Value(name.into()));
        let token = |word: &str| plain(Kind::Token(word.into()));
        let named = |word: &str, name| plain(Kind::Named(word.into(), Box::new(value(name))));
        let all = Argument::parse("key [NX | XX] [EX seconds | KEEPTTL] (field value) ..").unwrap();
        assert_eq!(
            all,
            [
                value("key"),
                Argument { optional: true, ..plain(Kind::OneOf(vec![token("NX"), token("XX")])) },
                Argument {
                    optional: true,
                    ..plain(Kind::OneOf(vec![named("EX", "seconds"), token("KEEPTTL")]))
                },
                Argument { multiple: true, ..plain(Kind::Block(vec![value("field"), value("value")])) },
            ]
        );
        assert_eq!(all.iter().map(Argument::least).sum::<usize>(), 3);
        assert!(Argument::parse("[key").is_err());
        assert!(Argument::parse("key ]").is_err());
    }
}
