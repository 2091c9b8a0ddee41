//! Tokens of an epoll that watches several lobbies and channels.

use mio::Token;

/// The upper bits of the tokens of one lobby or channel: which one it is of those that its transport has ever opened.
/// Slots are never reused, so an event for what was closed finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u16);

const SHIFT: u32 = usize::BITS - u16::BITS;

/// The listener of a lobby.
pub(crate) const LISTENER: usize = 1;
/// The first connection. The others follow.
pub(crate) const FIRST_CONNECTION: usize = 2;

impl Slot {
    /// The slot that a token belongs to.
    pub(crate) fn of(token: Token) -> Slot {
        Slot((token.0 >> SHIFT) as u16)
    }

    /// One of its tokens.
    pub(crate) fn token(self, number: usize) -> Token {
        Token(usize::from(self.0) << SHIFT | number)
    }
}
