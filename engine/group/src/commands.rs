//! Iterates over the commands of a sub-batch without copying them.

use bytes::Bytes;

use crate::batch::{SubBatch, command_bounds};

/// The commands of one sub-batch, in order.
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    body: &'a Bytes,
    lone: bool,
    cursor: usize,
    left: u32,
}

/// One command, and the buffer that its bytes are part of.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    bytes: &'a [u8],
    body: &'a Bytes,
}

impl SubBatch {
    /// The commands of a body that has passed [`check`](Self::check).
    pub fn commands(&self) -> Commands<'_> {
        Commands::new(self, 0)
    }
}

impl<'a> Commands<'a> {
    /// The commands of a checked sub-batch, without the first `skip`, which have been executed already.
    pub fn new(batch: &'a SubBatch, skip: u32) -> Self {
        let mut commands =
            Commands { body: &batch.body, lone: batch.lone, cursor: 0, left: batch.span.count };
        for _ in 0..skip {
            commands.next();
        }
        commands
    }
}

impl<'a> Iterator for Commands<'a> {
    type Item = Command<'a>;

    #[inline]
    fn next(&mut self) -> Option<Command<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        if self.lone {
            return Some(Command { bytes: self.body, body: self.body });
        }
        let (start, end) = command_bounds(self.body, self.cursor);
        self.cursor = end;
        Some(Command { bytes: &self.body[start..end], body: self.body })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Commands<'_> {}

impl<'a> Command<'a> {
    /// The command's bytes.
    #[inline]
    pub fn as_slice(&self) -> &'a [u8] {
        self.bytes
    }

    /// Part of this command as shared [`Bytes`], without a copy. It keeps the whole batch's buffer alive
    /// (tens of KiB), so use it for large parts only and copy small ones.
    ///
    /// # Panics
    /// If `part` is not a part of [`as_slice`](Self::as_slice).
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.body.slice_ref(part)
    }
}
