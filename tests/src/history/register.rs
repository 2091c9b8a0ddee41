//! A key with one writer, which writes 1, 2, 3 and so on.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use super::{Violation, answered};
use crate::{Answer, Client};

/// A key with one writer.
///
/// The writer writes the next number only when it knows the outcome of the one before; after an unknown outcome the key
/// is [abandoned](Register::is_abandoned), since that write may still be executed, after any later one. So values never
/// go back, and a read is correct if, and only if, it returns at least what was acknowledged, or returned by another read,
/// before it began, and at most what the writer has tried to write.
///
/// ```
/// use niagara_tests::{Answer, History};
///
/// let history = History::default();
/// let register = history.register();
/// let (value, text) = register.begin_write();
/// register.end_write(value, &Answer::Done(()));
/// let began = register.begin_read();
/// assert_eq!(register.end_read(began, Some(text.as_bytes())), Ok(()));
/// assert!(register.end_read(began, None).is_err(), "it was acknowledged, so it cannot be absent");
/// ```
pub struct Register {
    key: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    attempted: u64,
    /// The highest value that some client was told: an acknowledged write, or a read's result.
    told: u64,
    acknowledged: u64,
    refused: HashSet<u64>,
    abandoned: bool,
}

impl Register {
    pub(super) fn new(key: String) -> Register {
        Register { key, known: Mutex::default() }
    }

    /// The key in the store.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The next value to write, and its text.
    ///
    /// # Panics
    /// When the key is abandoned.
    pub fn begin_write(&self) -> (u64, String) {
        let mut known = self.known();
        assert!(!known.abandoned, "{} may still change by a write with an unknown outcome", self.key);
        known.attempted += 1;
        (known.attempted, self.text(known.attempted))
    }

    /// How the write of a value ended.
    pub fn end_write(&self, value: u64, answer: &Answer<()>) {
        let mut known = self.known();
        match answer {
            Answer::Done(()) => {
                known.acknowledged += 1;
                known.told = known.told.max(value);
            }
            Answer::Refused => {
                known.refused.insert(value);
            }
            Answer::Unknown => known.abandoned = true,
        }
    }

    /// Writes the next value through a client.
    pub fn write(&self, client: &mut Client) -> Answer<()> {
        let (value, text) = self.begin_write();
        let answer = client.set(&self.key, text.as_bytes());
        self.end_write(value, &answer);
        answer
    }

    /// The least that a read which begins now must return.
    pub fn begin_read(&self) -> u64 {
        self.known().told
    }

    /// Checks what a read returned that began when [`begin_read`](Self::begin_read) gave `began`.
    pub fn end_read(&self, began: u64, found: Option<&[u8]>) -> Result<(), Violation> {
        let mut known = self.known();
        let value = match found {
            None => 0,
            Some(bytes) => self
                .parse(bytes)
                .filter(|value| (1..=known.attempted).contains(value) && !known.refused.contains(value))
                .ok_or_else(|| Violation::Invented {
                    key: self.key.clone(),
                    found: String::from_utf8_lossy(bytes).into_owned(),
                })?,
        };
        if value < began {
            return Err(Violation::Stale { key: self.key.clone(), found: value, known: began });
        }
        known.told = known.told.max(value);
        Ok(())
    }

    /// Reads through a client, strongly, and checks the result; `None` if there was no answer.
    pub fn read(&self, client: &mut Client) -> Option<Result<(), Violation>> {
        let began = self.begin_read();
        let found = answered(client.get(&self.key))?;
        Some(self.end_read(began, found.as_deref()))
    }

    /// Whether a write's outcome is unknown.
    pub fn is_abandoned(&self) -> bool {
        self.known().abandoned
    }

    /// Writes that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.known().acknowledged
    }

    /// Texts name their key, so that a value under another key is noticed.
    fn text(&self, value: u64) -> String {
        format!("{}={value}", self.key)
    }

    fn parse(&self, bytes: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(bytes).ok()?;
        text.strip_prefix(self.key.as_str())?.strip_prefix('=')?.parse().ok()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no thread panics while it holds this")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(outcomes: &[Answer<()>]) -> Register {
        let register = Register::new("r".into());
        for outcome in outcomes {
            let (value, _) = register.begin_write();
            register.end_write(value, outcome);
        }
        register
    }

    fn read(register: &Register, began: u64, text: &str) -> Result<(), Violation> {
        register.end_read(began, Some(text.as_bytes()))
    }

    #[test]
    fn an_acknowledged_write_must_be_there() {
        let register = written(&[Answer::Done(()), Answer::Done(())]);
        let began = register.begin_read();
        assert_eq!(read(&register, began, "r=2"), Ok(()));
        assert_eq!(
            read(&register, began, "r=1"),
            Err(Violation::Stale { key: "r".into(), found: 1, known: 2 })
        );
        assert_eq!(
            register.end_read(began, None),
            Err(Violation::Stale { key: "r".into(), found: 0, known: 2 })
        );
    }

    #[test]
    fn an_unknown_write_may_be_there_until_it_has_been_read() {
        let register = written(&[Answer::Done(()), Answer::Unknown]);
        assert!(register.is_abandoned());
        let began = register.begin_read();
        assert_eq!(read(&register, began, "r=1"), Ok(()));
        assert_eq!(read(&register, began, "r=2"), Ok(()));
        assert!(read(&register, register.begin_read(), "r=1").is_err(), "a later read goes back");
        assert_eq!(read(&register, began, "r=1"), Ok(()), "a read that began before may");
    }

    #[test]
    fn what_nobody_wrote_or_what_was_refused_must_not_be_there() {
        let register = written(&[Answer::Done(()), Answer::Refused]);
        for text in ["r=2", "r=3", "r=0", "s=1", "r=", "r=x", ""] {
            assert!(matches!(read(&register, 0, text), Err(Violation::Invented { .. })), "{text}");
        }
    }
}
