//! Keys and values as a sequence of SET commands of the Redis protocol, which `redis-cli --pipe` reads. Keys that expire
//! have the option PXAT. A SELECT precedes keys of another database.

use std::io::{self, BufRead, Read, Write};

use niagara_kvstore::Database;
use niagara_kvstore::command::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

use super::Pair;
use super::file::Kept;

/// The longest line with a length: a sign and a number.
const LINE_BYTES_MAX: u64 = 32;

/// Writes a key; `selected` is the database that was selected before.
pub fn write(output: &mut impl Write, selected: &mut Database, kept: Kept<'_>) -> io::Result<()> {
    let Kept { database, key, value, deadline, .. } = kept;
    if database != *selected {
        *selected = database;
        let number = database.number().to_string();
        write!(output, "*2\r\n$6\r\nSELECT\r\n${}\r\n{number}\r\n", number.len())?;
    }
    let words = if deadline.is_some() { 5 } else { 3 };
    write!(output, "*{words}\r\n$3\r\nSET\r\n${}\r\n", key.len())?;
    output.write_all(key)?;
    write!(output, "\r\n${}\r\n", value.len())?;
    output.write_all(value)?;
    output.write_all(b"\r\n")?;
    if let Some(deadline) = deadline.map(|deadline| deadline.to_string()) {
        write!(output, "$4\r\nPXAT\r\n${}\r\n{deadline}\r\n", deadline.len())?;
    }
    Ok(())
}

/// Reads the next SET, and what is selected before it; `None` at the end of the input. Malformed input is an error of the kind
/// `InvalidData`, with a text for people.
pub fn read(input: &mut impl BufRead, selected: &mut Database) -> io::Result<Option<(Pair, Option<u64>)>> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let words = number(input, b'*')?;
    if words == 2 {
        *selected = select(input)?;
        return read(input, selected);
    }
    if words != 3 && words != 5 {
        return Err(wrong("a command other than SET with a key and a value, or PXAT, too"));
    }
    if !bulk(input, "SET".len())?.eq_ignore_ascii_case(b"SET") {
        return Err(wrong("a command other than SET"));
    }
    let pair = (bulk(input, MAX_KEY_BYTES)?, bulk(input, MAX_VALUE_BYTES)?);
    if words == 3 {
        return Ok(Some((pair, None)));
    }
    if !bulk(input, "PXAT".len())?.eq_ignore_ascii_case(b"PXAT") {
        return Err(wrong("an option other than PXAT"));
    }
    let deadline = bulk(input, LINE_BYTES_MAX as usize)?;
    let deadline = std::str::from_utf8(&deadline).ok().and_then(|digits| digits.parse().ok());
    Ok(Some((pair, Some(deadline.ok_or_else(|| wrong("a time that is not a number"))?))))
}

fn select(input: &mut impl BufRead) -> io::Result<Database> {
    if !bulk(input, "SELECT".len())?.eq_ignore_ascii_case(b"SELECT") {
        return Err(wrong("a command other than SET or SELECT"));
    }
    let digits = bulk(input, LINE_BYTES_MAX as usize)?;
    let number = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
    number.and_then(Database::new).ok_or_else(|| wrong("a database that does not exist"))
}

/// A bulk string of at most `most` bytes.
fn bulk(input: &mut impl BufRead, most: usize) -> io::Result<Vec<u8>> {
    let length = number(input, b'$')?;
    if length > most {
        return Err(wrong(&format!("{length} bytes where the limit is {most}")));
    }
    let mut bytes = vec![0; length + 2];
    input.read_exact(&mut bytes)?;
    if !bytes.ends_with(b"\r\n") {
        return Err(wrong("a string that is longer than announced"));
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// The number on a line that starts with a sign.
fn number(input: &mut impl BufRead, sign: u8) -> io::Result<usize> {
    let mut line = Vec::new();
    input.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\n") && (line.len() as u64) < LINE_BYTES_MAX {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.strip_suffix(b"\r\n")
        .and_then(|line| line.strip_prefix(&[sign]))
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(|| wrong(&format!("expected a line of `{}` and a number", sign as char)))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use niagara_kvstore::Description;
    use proptest::prelude::*;

    use super::*;

    /// The database of a pair, and its deadline, follow from its value.
    fn database(value: &[u8]) -> Database {
        Database::new(value.len() as u64 % 2 * 11).unwrap()
    }

    fn written(pairs: &[Pair]) -> Vec<u8> {
        let (mut out, mut selected) = (Vec::new(), Database::FIRST);
        let deadline = |value: &[u8]| (value.len() % 3 == 1).then_some(value.len() as u64);
        for (key, value) in pairs {
            let (database, deadline) = (database(value), deadline(value));
            let kept = Kept { database, key, value, description: Description::NONE, deadline };
            write(&mut out, &mut selected, kept).unwrap();
        }
        out
    }

    #[test]
    fn a_command_is_an_array_of_three_texts() {
        let out = written(&[(b"k\r\n".to_vec(), b"".to_vec())]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n");
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for (input, said) in [
            ("*2\r\n$6\r\nSELECT\r\n$2\r\n16\r\n", "a database that does not exist"),
            ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "other than SET"),
            ("*3\r\n$3\r\nDEL\r\n$1\r\nk\r\n$1\r\nv\r\n", "other than SET"),
            ("*3\r\n$6\r\nAPPEND\r\n", "6 bytes where the limit is 3"),
            ("*3\r\n$3\r\nSET\r\n$99999\r\n", "99999 bytes where the limit is 65536"),
            ("*3\r\n$3\r\nSET\r\n$1\r\nkey\r\n", "longer than announced"),
            ("SET k v\r\n", "expected a line of `*`"),
            ("*+3\r\n", "expected a line of `*`"),
            ("*33333333333333333333333333333333333\r\n", "expected a line of `*`"),
        ] {
            let error = read(&mut input.as_bytes(), &mut Database::default()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{input}");
            assert!(error.to_string().contains(said), "{input}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_a_cut_is_noticed(
            pairs in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), prop::collection::vec(any::<u8>(), 0..99)), 1..5),
            cut in 1usize..20,
        ) {
            let bytes = written(&pairs);
            let (mut input, mut selected) = (&bytes[..], Database::FIRST);
            for pair in &pairs {
                let deadline = (pair.1.len() % 3 == 1).then_some(pair.1.len() as u64);
                prop_assert_eq!(read(&mut input, &mut selected).unwrap(), Some((pair.clone(), deadline)));
                prop_assert_eq!(selected, database(&pair.1));
            }
            prop_assert_eq!(read(&mut input, &mut selected).unwrap(), None);
            let mut input = &bytes[..bytes.len() - cut];
            let cut = pairs.iter().find_map(|_| read(&mut input, &mut selected).err());
            prop_assert_eq!(cut.map(|error| error.kind()), Some(io::ErrorKind::UnexpectedEof));
        }
    }
}
