//! A password, as its digest.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 digest of a password, which nothing prints by accident.
#[derive(Clone, Copy, Eq)]
pub(crate) struct Password([u8; 32]);

impl Password {
    /// Of the password itself.
    pub(crate) fn of(password: &[u8]) -> Password {
        Password(Sha256::digest(password).into())
    }

    /// Of its digest, as 64 hexadecimal digits in either case.
    pub(crate) fn of_digits(digits: &[u8]) -> Option<Password> {
        let mut digest = [0; 32];
        if digits.len() != 2 * digest.len() {
            return None;
        }
        let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Password(digest))
    }

    /// Its digest, as 64 hexadecimal digits.
    pub(crate) fn digits(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// It takes the same time however much of them is alike.
impl PartialEq for Password {
    fn eq(&self, other: &Password) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}
