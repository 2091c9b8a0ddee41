//! The password of a server.

use std::fmt;
use std::str::FromStr;

use crate::users::Password;

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
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Password);

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
        self.has(&Password::of(password))
    }

    pub(super) fn has(&self, given: &Password) -> bool {
        self.0 == *given
    }

    /// `sha256:` and the digest, to be parsed again.
    pub fn digest(&self) -> String {
        format!("{DIGEST_PREFIX}{}", self.0.digits())
    }
}

impl FromStr for Secret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Secret, NotASecret> {
        match text.strip_prefix(DIGEST_PREFIX) {
            Some(digits) => Password::of_digits(digits.as_bytes()).map(Secret).ok_or(NotASecret::NoDigest),
            None if text.is_empty() => Err(NotASecret::Empty),
            None if text.len() > MOST_BYTES => Err(NotASecret::TooLong),
            None => Ok(Secret(Password::of(text.as_bytes()))),
        }
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
