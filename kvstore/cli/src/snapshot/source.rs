//! What can be imported: a snapshot file, or an export in either format. The first bytes decide which it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use niagara_kvstore::command::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use niagara_kvstore::{Database, Description};

use super::file::{Kept, Visit};
use super::rows::Described;
use super::{commands, file, rows};
use crate::failure::Failure;

const BUFFER_BYTES: usize = 256 << 10;
/// The longest line of JSON: each byte of the longest key and value may take six (`\u0000`).
const LINE_BYTES_MAX: u64 = 6 * (MAX_KEY_BYTES + MAX_VALUE_BYTES) as u64 + 1_024;

/// An input of any format.
pub enum Source<'p> {
    Stdin,
    File(&'p Path, File),
}

impl Source<'_> {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> Result<Source<'_>, Failure> {
        if path == Path::new("-") {
            return Ok(Source::Stdin);
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let hint = "name a snapshot file, an export of one, or - for standard input";
                Failure::new(format!("the file {name} does not exist"), hint)
            }
            _ => unreadable(&name, &error),
        })?;
        match file.metadata() {
            Ok(metadata) if metadata.is_dir() => Err(unreadable(&name, &ErrorKind::IsADirectory.into())),
            _ => Ok(Source::File(path, file)),
        }
    }

    pub fn each_pair(self, visit: &mut Visit<'_>) -> Result<(), Failure> {
        match self {
            Source::Stdin => each_pair_of(&mut io::stdin().lock(), "standard input", None, visit),
            Source::File(path, file) => {
                let mut input = BufReader::with_capacity(BUFFER_BYTES, file);
                each_pair_of(&mut input, &path.display().to_string(), Some(path), visit)
            }
        }
    }
}

fn each_pair_of(
    input: &mut impl BufRead,
    name: &str,
    path: Option<&Path>,
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    let first = input.fill_buf().map_err(|error| unreadable(name, &error))?.first().copied();
    match (first, path) {
        // The export of an empty state is empty.
        (None, _) => Ok(()),
        (Some(b'*'), _) => each_command(input, name, visit),
        (Some(b'{'), _) => each_row(input, name, visit),
        (Some(b'N'), Some(path)) => {
            let mut reader = file::open(path).map_err(|error| file::failure(&error))?;
            file::each_pair(&mut reader, visit)
        }
        (Some(b'N'), None) => {
            Err(Failure::new("cannot read a snapshot from standard input", "name its file instead of -"))
        }
        (Some(_), _) => {
            let what = format!("{name} is neither a snapshot nor an export of one");
            Err(Failure::new(what, "write an export with `niagara snapshot export FILE --json` or --resp"))
        }
    }
}

fn each_command(input: &mut impl BufRead, name: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
    let wrong = |number: u64, error: &io::Error| match error.kind() {
        ErrorKind::InvalidData => malformed(name, &format!("command {number}"), &error.to_string()),
        ErrorKind::UnexpectedEof => malformed(name, &format!("command {number}"), "the input ends within it"),
        _ => unreadable(name, error),
    };
    let mut database = Database::FIRST;
    for number in 1.. {
        let Some(((key, value), deadline)) =
            commands::read(input, &mut database).map_err(|error| wrong(number, &error))?
        else {
            break;
        };
        let row = Described::new(Kept {
            database,
            key: &key,
            value: &value,
            description: Description::NONE,
            deadline,
        });
        take(&row, visit, name, &format!("command {number}"))?;
    }
    Ok(())
}

fn each_row(input: &mut impl BufRead, name: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let place = format!("line {number}");
        let read = input.take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable(name, &error))? == 0 {
            break;
        }
        if line.len() as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            let what = format!("the line is longer than {LINE_BYTES_MAX} bytes, which no key and value need");
            return Err(malformed(name, &place, &what));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let row = rows::read(&line).map_err(|what| malformed(name, &place, &what))?;
        take(&row, visit, name, &place)?;
    }
    Ok(())
}

/// Hands over a pair, unless a server would refuse it.
fn take(row: &Described, visit: &mut Visit<'_>, name: &str, place: &str) -> Result<(), Failure> {
    let (key, value) = &row.pair;
    if key.len() > MAX_KEY_BYTES {
        let what = format!("the key has {} bytes, but the limit is {MAX_KEY_BYTES}", key.len());
        return Err(malformed(name, place, &what));
    }
    if value.len() > MAX_VALUE_BYTES {
        let what = format!("the value has {} bytes, but the limit is {MAX_VALUE_BYTES}", value.len());
        return Err(malformed(name, place, &what));
    }
    visit(Kept { database: row.database, key, value, description: row.description(), deadline: row.deadline })
}

fn malformed(name: &str, place: &str, what: &str) -> Failure {
    Failure::new(format!("{place} of {name}: {what}"), "correct it, and import again with --merge")
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(
        format!("cannot read {name}: {error}"),
        "name a snapshot file, an export of one, or - for standard input",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Pair;

    fn read(input: &[u8]) -> Result<Vec<Pair>, Failure> {
        let mut pairs = Vec::new();
        let read = each_pair_of(&mut &*input, "the input", None, &mut |Kept { key, value, .. }| {
            pairs.push((key.to_vec(), value.to_vec()));
            Ok(())
        });
        read.map(|()| pairs)
    }

    #[test]
    fn the_first_bytes_tell_the_format() {
        let expected = vec![(b"k".to_vec(), b"v".to_vec()), (b"\xff".to_vec(), b"".to_vec())];
        let rows = b"{\"key\":\"k\",\"value\":\"v\"}\n\n{\"key_base64\":\"/w==\",\"value\":\"\"}";
        assert_eq!(read(rows).unwrap(), expected);
        let commands =
            b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n*3\r\n$3\r\nSET\r\n$1\r\n\xff\r\n$0\r\n\r\n";
        assert_eq!(read(commands).unwrap(), expected);
        assert_eq!(read(b"").unwrap(), []);
        assert!(read(b"key,value\n").unwrap_err().what.contains("neither a snapshot nor an export"));
        assert!(read(b"NIAGSNP\0").unwrap_err().what.contains("standard input"));
    }

    #[test]
    fn an_endless_line_is_given_up() {
        let mut endless = BufReader::new(b"{".chain(io::repeat(b' ')));
        let failure = each_pair_of(&mut endless, "the input", None, &mut |_| Ok(())).unwrap_err();
        assert!(failure.what.contains("line 1 of the input: the line is longer than"), "{failure:?}");
    }

    #[test]
    fn what_cannot_be_loaded_is_named_with_its_place() {
        for (input, said) in [
            ("{\"key\":\"k\",\"value\":\"v\"}\n{\"key\":3}\n", "line 2 of the input"),
            (
                &format!("{{\"key\":\"{}\",\"value\":\"v\"}}", "k".repeat(MAX_KEY_BYTES + 1)),
                "line 1 of the input: the key has 65537 bytes, but the limit is 65536",
            ),
            ("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\nv\r\n", "command 1 of the input: the input ends within it"),
            ("*1\r\n$4\r\nPING\r\n", "command 1 of the input: a command other than SET"),
        ] {
            let failure = read(input.as_bytes()).unwrap_err();
            assert!(failure.what.contains(said), "{input}: {failure:?}");
        }
    }
}
