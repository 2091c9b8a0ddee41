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
    awaited: bool,
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
        let (SubBatch { body, lone, .. }, left) = (batch, batch.span.count);
        let mut commands = Commands { body, lone: *lone, cursor: 0, left, awaited: true };
        for _ in 0..skip {
            commands.next();
        }
        commands
    }

    /// Whether anybody on this server waits for replies. If not, they need not be built: callers wait only on
    /// the server that they have sent their commands to. What commands do must not depend on it.
    pub fn are_awaited(&self) -> bool {
        self.awaited
    }

    /// The same commands, with replies that somebody waits for, or nobody.
    #[must_use]
    pub fn awaited(self, awaited: bool) -> Commands<'a> {
        Commands { awaited, ..self }
    }

    /// The first `count` of these commands, or all if there are fewer, and those after them.
    pub fn split_at(self, count: usize) -> (Commands<'a>, Commands<'a>) {
        let left = self.left.min(u32::try_from(count).unwrap_or(u32::MAX));
        let front = Commands { left, ..self.clone() };
        let mut back = self;
        for _ in 0..left {
            back.next();
        }
        (front, back)
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

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::batch::{Span, put_command};

    #[test]
    fn both_parts_together_are_all_commands() {
        let mut body = BytesMut::new();
        let all: [&[u8]; 4] = [b"a", b"", b"long enough", b"d"];
        all.iter().for_each(|command| put_command(&mut body, command));
        let span = Span { server: 1, incarnation: 1, lane: 0, attempt: 0, first: 1, count: 4 };
        let batch = SubBatch { span, lone: false, body: body.freeze() };
        for count in 0..=5 {
            let (front, back) = batch.commands().split_at(count);
            assert_eq!((front.len(), back.len()), (count.min(4), 4 - count.min(4)));
            let both: Vec<&[u8]> = front.chain(back).map(|command| command.as_slice()).collect();
            assert_eq!(both, all);
        }
    }
}
