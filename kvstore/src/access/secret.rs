//! The password of a server.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What precedes a digest where a password could stand.
const DIGEST_PREFIX: &str = "sha256:";

/// Longer ones are mistakes.
const MOST_BYTES: usize = 512;

/// A password, kept as its SHA-256 digest, which nothing prints. It is parsed from the password itself, or from
/// `sha256:` and the digest as 64 hexadecimal digits.
///
/// ```
/// use niagara_kvstore::Secret;
///
/// let secret: Secret = "correct horse".parse()?;
/// assert!(secret.is(b"correct horse") && !secret.is(b"correct mule"));
/// assert_eq!(secret.digest().parse(), Ok(secret));
/// # Ok::<(), niagara_kvstore::NotASecret>(())
/// ```
#[derive(Clone, Eq)]
pub struct Secret([u8; 32]);

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASecret {
    /// It is empty.
    #[error("a password cannot be empty: choose a long one, or leave the setting out")]
    Empty,
    /// It is longer than 512 bytes.
    #[error("a password has at most 512 bytes")]
    TooLong,
    /// It begins like a digest, and is none.
    #[error("write the SHA-256 digest of the password behind `sha256:`, as 64 hexadecimal digits")]
    NoDigest,
}

impl Secret {
    /// Whether this is the password. That takes the same time however much of it is right.
    pub fn is(&self, password: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(password).into();
        digest.ct_eq(&self.0).into()
    }

    /// `sha256:` and the digest, to be parsed again.
    pub fn digest(&self) -> String {
        let mut text = String::from(DIGEST_PREFIX);
        self.0.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        text
    }
}

impl FromStr for Secret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Secret, NotASecret> {
        match text.strip_prefix(DIGEST_PREFIX) {
            Some(digits) => parse_digest(digits).map(Secret).ok_or(NotASecret::NoDigest),
            None if text.is_empty() => Err(NotASecret::Empty),
            None if text.len() > MOST_BYTES => Err(NotASecret::TooLong),
            None => Ok(Secret(Sha256::digest(text).into())),
        }
    }
}

fn parse_digest(digits: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if digits.len() != 2 * digest.len() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_and_its_digest_are_the_same_secret() {
        let digest = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let secret: Secret = "foo".parse().unwrap();
        assert_eq!(secret.digest(), digest);
        assert_eq!(digest.to_uppercase().replace("SHA256", "sha256").parse(), Ok(secret.clone()));
        assert!(secret.is(b"foo") && !secret.is(b"fo") && !secret.is(b"") && !secret.is(digest.as_bytes()));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn what_is_no_password_is_refused() {
        assert_eq!("".parse::<Secret>(), Err(NotASecret::Empty));
        assert_eq!("p".repeat(513).parse::<Secret>(), Err(NotASecret::TooLong));
        for text in [
            "sha256:",
            "sha256:12",
            &format!("sha256:{}", "g".repeat(64)),
            &format!("sha256:+{}", "1".repeat(63)),
        ] {
            assert_eq!(text.parse::<Secret>(), Err(NotASecret::NoDigest), "{text}");
        }
    }
}
