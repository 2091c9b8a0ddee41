//! Digests of bytes, block by block, so that a growing value is not read again.

/// Bytes that are digested together.
const BLOCK: usize = 32;

/// Odd numbers without a pattern: the first digits of pi's fraction, in hexadecimal.
pub(super) const KEYS: [u64; 8] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7345,
    0xa409_3822_299f_31d1,
    0x082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377,
    0xbe54_66cf_34e9_0c6d,
    0xc0ac_29b7_c97c_50dd,
    0x3f84_d5b5_b547_0917,
];

/// The digest of a value's whole blocks, which can be continued when the value grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks(u64);

impl Blocks {
    /// Of a value.
    pub(super) fn of(value: &[u8]) -> Blocks {
        Blocks::default().and(value)
    }

    /// Of a value whose first `before` bytes had these blocks, and that has grown since.
    pub(super) fn grown(self, before: usize, value: &[u8]) -> Blocks {
        self.and(&value[before / BLOCK * BLOCK..])
    }

    fn and(self, bytes: &[u8]) -> Blocks {
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        Blocks(
            blocks
                .iter()
                .fold(self.0, |state, block| (state ^ of_block(block)).wrapping_mul(KEYS[4]).rotate_left(27)),
        )
    }

    /// The digest of the whole value.
    pub(super) fn finish(self, value: &[u8]) -> u64 {
        let (_, rest) = value.as_chunks::<BLOCK>();
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        product(self.0 ^ of_block(&last), KEYS[5] ^ value.len() as u64)
    }
}

fn of_block(block: &[u8; BLOCK]) -> u64 {
    let word = |at: usize| u64::from_le_bytes(*block[at..].first_chunk().expect("a block has four words"));
    product(word(0) ^ KEYS[0], word(8) ^ KEYS[1])
        ^ product(word(16) ^ KEYS[2], word(24) ^ KEYS[3]).rotate_left(29)
}

/// Both halves of a product, XORed: each bit of the factors changes about half of them.
pub(super) fn product(one: u64, other: u64) -> u64 {
    let wide = u128::from(one) * u128::from(other);
    wide as u64 ^ (wide >> 64) as u64
}
