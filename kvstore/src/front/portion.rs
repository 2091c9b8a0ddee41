//! How much one connection moves in a turn of its thread: whoever sends or asks for megabytes must not hold up those who want
//! little, and neither must many such clients together.

use super::connection::{READ_BYTES, SENT_BYTES};

/// What the connections of a thread read in a turn, together, and what they are sent: copying it takes a fraction of a millisecond.
const TURN_BYTES: usize = 1 << 20;

/// One connection may always move this much. With less, system calls would cost more than the bytes.
const LEAST_BYTES: usize = 16 << 10;

/// Most bytes that one of so many connections with something to do reads in a turn.
pub(super) fn to_read(connections: usize) -> usize {
    (TURN_BYTES / connections.max(1)).clamp(LEAST_BYTES, READ_BYTES)
}

/// Most bytes that it is sent.
pub(super) fn to_send(connections: usize) -> usize {
    (TURN_BYTES / connections.max(1)).clamp(LEAST_BYTES, SENT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_move_much_and_many_a_part_each() {
        for portion in [to_read, to_send] {
            assert_eq!([0, 1, 8].map(portion), [READ_BYTES; 3]);
            for many in [9, 33, 64] {
                assert!((TURN_BYTES * 9 / 10..=TURN_BYTES).contains(&(many * portion(many))), "{many}");
            }
            assert_eq!([65, 10_000].map(portion), [LEAST_BYTES; 2]);
        }
    }
}
