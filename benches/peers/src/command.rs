//! What is replicated: a number, and as many more bytes as were asked for.

use anyhow::{Context, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A command. It carries its number, by which replicas and completions are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command(pub Bytes);

impl Command {
    /// A command of so many bytes.
    pub fn new(number: u64, length: u32) -> Command {
        let mut bytes = vec![0xA5; length as usize];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Command(bytes.into())
    }

    /// What it was made with.
    ///
    /// # Errors
    /// When the bytes are not those of a command.
    pub fn number(&self) -> Result<u64> {
        number_in(&self.0)
    }
}

/// The number of the command that these bytes are.
///
/// # Errors
/// When there are too few of them.
pub fn number_in(bytes: &[u8]) -> Result<u64> {
    let number = bytes.first_chunk().context("a command arrived that is too short for its number")?;
    Ok(u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_carries_its_number_and_has_the_length_asked_for() {
        let command = Command::new(1 << 40, 16);
        assert_eq!((command.number().ok(), command.0.len()), (Some(1 << 40), 16));
        assert!(Command(Bytes::from_static(b"short")).number().is_err());
    }
}
