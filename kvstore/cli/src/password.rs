//! Passwords in files.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use niagara_kvstore::Secret;

use super::failure::Failure;

/// Bytes of a random password: nobody guesses 192 bits.
const RANDOM_BYTES: usize = 24;

/// The password in the first line of a file. If there is no such file, it is made, for its owner's eyes only, with a
/// random one.
pub fn read_or_make(path: &Path) -> Result<Secret, Failure> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        read => read,
    };
    let text = text.map_err(|error| {
        let what = format!("cannot use {} for the password: {error}", path.display());
        Failure::new(what, "name a file that you can read, or a new one that you can write")
    })?;
    let password = text.lines().next().unwrap_or_default();
    password.parse().map_err(|why| {
        let what = format!("the first line of {} is no password: {why}", path.display());
        Failure::new(what, "write the password into the first line, or name a file that does not exist yet")
    })
}

fn make(path: &Path) -> io::Result<String> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let text = URL_SAFE_NO_PAD.encode(bytes) + "\n";
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let made = read_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.trim_end().len() >= 32 && made.is(text.trim_end().as_bytes()));
        assert!(read_or_make(&path).unwrap() == made);
        fs::write(&path, "secret\nand more\n").unwrap();
        assert!(read_or_make(&path).unwrap().is(b"secret"));
        fs::write(&path, "").unwrap();
        assert!(read_or_make(&path).is_err());
        assert!(read_or_make(dir.path()).is_err(), "a directory");
    }
}
