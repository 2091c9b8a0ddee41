//! The bytes of SET commands that differ in their key only, made without formatting each anew.

use crate::filling::key;
use crate::resp::encode;

/// SET of any key to one value.
#[derive(Clone, Debug)]
pub struct SetCommand {
    bytes: Vec<u8>,
    /// Where the key's digits end.
    digits_end: usize,
}

impl SetCommand {
    /// With a value of so many bytes.
    pub fn new(value_bytes: usize) -> SetCommand {
        let name = key(0);
        let bytes = encode(&[b"SET", name.as_bytes(), &vec![b'v'; value_bytes]]);
        let at = bytes.windows(name.len()).position(|window| window == name.as_bytes());
        let digits_end = at.expect("the command holds its key") + name.len();
        SetCommand { bytes, digits_end }
    }

    /// Appends the command for the n-th key.
    ///
    /// ```
    /// use niagara_tests::filling::key;
    /// use niagara_tests::measuring::SetCommand;
    ///
    /// let mut bytes = Vec::new();
    /// SetCommand::new(3).append(1_234_567, &mut bytes);
    /// let expected = format!("*3\r\n$3\r\nSET\r\n$14\r\n{}\r\n$3\r\nvvv\r\n", key(1_234_567));
    /// assert_eq!(bytes, expected.as_bytes());
    /// ```
    pub fn append(&self, n: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let mut rest = n;
        let mut at = start + self.digits_end;
        while rest > 0 {
            at -= 1;
            out[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}
