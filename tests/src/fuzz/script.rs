//! How targets read decisions and pieces out of a fuzzer's bytes.

use niagara_kvstore::fuzzing::Piece;

/// Reads a target's decisions off the front of its data. What is missing at the end counts as zeros, so that every
/// sequence of bytes means something and a shorter one means less.
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl<'a> Script<'a> {
    pub(super) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// A 16-bit number, little endian.
    pub(super) fn short(&mut self) -> usize {
        usize::from(self.byte()) | usize::from(self.byte()) << 8
    }

    /// The next `count` bytes, or what there is.
    pub(super) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind their number: a byte, or a 16-bit number if `long`.
    pub(super) fn sized(&mut self, long: bool) -> &'a [u8] {
        let count = if long { self.short() } else { usize::from(self.byte()) };
        self.take(count)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Into which pieces a stream is cut: a byte for each piece, used again from the first on. The lower seven bits say how
/// long the piece is, the uppermost whether the other side leaves it unanswered for now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cuts<'a>(pub(super) &'a [u8]);

impl Cuts<'_> {
    /// The stream in one piece.
    pub(super) const NONE: Cuts<'static> = Cuts(&[]);

    /// The stream byte by byte, or nearly so if it is long: turns cost time, and a longer stream repeats itself.
    pub(super) fn finest(stream: &[u8]) -> Cuts<'static> {
        match stream.len() {
            0..2048 => Cuts(&[0]),
            2048..16384 => Cuts(&[6, 1, 12]),
            _ => Cuts(&[127, 70, 6]),
        }
    }

    pub(super) fn pieces<'s>(self, stream: &'s [u8]) -> impl Iterator<Item = Piece<'s>> {
        let mut cuts = self.0.iter().cycle();
        let mut rest = stream;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (length, answered) = match cuts.next() {
                None => (rest.len(), true),
                Some(cut) => (length_of(cut & 0x7f), cut & 0x80 == 0),
            };
            let (bytes, tail) = rest.split_at(length.min(rest.len()));
            rest = tail;
            Some(Piece { bytes, answered })
        })
    }
}

/// 1 to 64 bytes one by one, beyond that in steps of 64.
fn length_of(code: u8) -> usize {
    let code = usize::from(code);
    if code < 64 { code + 1 } else { (code - 62) * 64 }
}
