//! Messages on the channel for snapshots. The receiver requests each piece, so a slow receiver is never
//! overrun, and an interrupted transfer resumes where it stopped.
//!
//! ```text
//! receiver                                   sender
//!    | -- Ask (cut) ----------------------->  |
//!    | <------------- Offer (id, cut, bytes)  |   or Nothing
//!    | -- Fetch (id, offset, length) ------>  |   a few of them ahead
//!    | <------------- Piece (id, offset, ..)  |   or Gone, and the receiver asks again
//! ```
//!
//! A body starts with one byte for the kind of message; integers are little-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use niagara_net::Frame;

use niagara_group::wire::MalformedMessage;
use niagara_sequencer::MAX_PLACE;
use niagara_sequencer::epoch::{Cut, Epoch};

use crate::config::TRANSFER_PIECE_BYTES;

const ASK: u8 = 1;
const OFFER: u8 = 2;
const NOTHING: u8 = 3;
const FETCH: u8 = 4;
const PIECE: u8 = 5;
const GONE: u8 = 6;
const OVER: u8 = 7;

/// A message about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Asks which snapshot of this cut or a later one the receiver of the message has.
    Ask {
        /// The least cut that helps.
        cut: Cut,
        /// Id of a partly received file; 0 for none.
        part: u128,
    },
    /// Offers a snapshot.
    Offer {
        /// Id of the file.
        id: u128,
        /// Where it cuts the global log.
        cut: Cut,
        /// Length of the file, in bytes.
        bytes: u64,
    },
    /// Answers that there is no such snapshot.
    Nothing,
    /// Requests a part of a file.
    Fetch {
        /// Id of the file.
        id: u128,
        /// Offset of the part, in bytes.
        offset: u64,
        /// Length of the part, at most 256 KiB.
        length: u32,
    },
    /// Delivers a part of a file.
    Piece {
        /// Id of the file.
        id: u128,
        /// Offset of the part, in bytes.
        offset: u64,
        /// Bytes of the part.
        bytes: Bytes,
    },
    /// The epochs before this cut are over. The sender has a snapshot there.
    Over {
        /// Where it cuts the global log.
        cut: Cut,
    },
    /// Answers that the sender no longer has that file.
    Gone {
        /// Id of the file.
        id: u128,
    },
}

impl Transfer {
    /// Encodes the message as a frame. A piece's bytes are sent without a copy.
    pub fn encode(&self) -> Frame {
        let mut head = BytesMut::with_capacity(37);
        match self {
            Transfer::Ask { cut, part } => {
                head.put_u8(ASK);
                put_cut(&mut head, *cut);
                head.put_u128_le(*part);
            }
            Transfer::Offer { id, cut, bytes } => {
                head.put_u8(OFFER);
                head.put_u128_le(*id);
                put_cut(&mut head, *cut);
                head.put_u64_le(*bytes);
            }
            Transfer::Over { cut } => {
                head.put_u8(OVER);
                put_cut(&mut head, *cut);
            }
            Transfer::Nothing => head.put_u8(NOTHING),
            Transfer::Fetch { id, offset, length } => {
                head.put_u8(FETCH);
                head.put_u128_le(*id);
                head.put_u64_le(*offset);
                head.put_u32_le(*length);
            }
            Transfer::Piece { id, offset, bytes } => {
                head.put_u8(PIECE);
                head.put_u128_le(*id);
                head.put_u64_le(*offset);
                return Frame::from_parts(vec![head.freeze(), bytes.clone()]);
            }
            Transfer::Gone { id } => {
                head.put_u8(GONE);
                head.put_u128_le(*id);
            }
        }
        Frame::from(head.freeze())
    }

    /// Parses a frame's body. A piece shares its buffer.
    ///
    /// # Errors
    /// If the body is none of these messages.
    pub fn decode(body: &Bytes) -> Result<Transfer, MalformedMessage> {
        let mut input = body.clone();
        let length = |wanted: usize| {
            if body.len() == wanted {
                Ok(())
            } else {
                Err(MalformedMessage("a message has the wrong length"))
            }
        };
        if input.is_empty() {
            return Err(MalformedMessage("an empty message"));
        }
        let message = match input.get_u8() {
            ASK => {
                length(29)?;
                Transfer::Ask { cut: get_cut(&mut input)?, part: input.get_u128_le() }
            }
            OFFER => {
                length(37)?;
                let (id, cut) = (input.get_u128_le(), get_cut(&mut input)?);
                Transfer::Offer { id, cut, bytes: input.get_u64_le() }
            }
            OVER => {
                length(13)?;
                Transfer::Over { cut: get_cut(&mut input)? }
            }
            NOTHING => {
                length(1)?;
                Transfer::Nothing
            }
            FETCH => {
                length(29)?;
                let (id, offset, length) = (input.get_u128_le(), input.get_u64_le(), input.get_u32_le());
                if !(1..=TRANSFER_PIECE_BYTES).contains(&length)
                    || offset.checked_add(length.into()).is_none()
                {
                    return Err(MalformedMessage("a piece has impossible bounds"));
                }
                Transfer::Fetch { id, offset, length }
            }
            PIECE => {
                if !(26..=25 + TRANSFER_PIECE_BYTES as usize).contains(&body.len()) {
                    return Err(MalformedMessage("a piece has an impossible length"));
                }
                let (id, offset) = (input.get_u128_le(), input.get_u64_le());
                if offset.checked_add(input.len() as u64).is_none() {
                    return Err(MalformedMessage("a piece has impossible bounds"));
                }
                Transfer::Piece { id, offset, bytes: input }
            }
            GONE => {
                length(17)?;
                Transfer::Gone { id: input.get_u128_le() }
            }
            _ => return Err(MalformedMessage("unknown tag")),
        };
        Ok(message)
    }
}

fn put_cut(out: &mut BytesMut, Cut { epoch, round }: Cut) {
    out.put_u32_le(epoch.get());
    out.put_u64_le(round);
}

fn get_cut(input: &mut Bytes) -> Result<Cut, MalformedMessage> {
    match (input.get_u32_le(), input.get_u64_le()) {
        (1.., MAX_PLACE..) | (0, _) => Err(MalformedMessage("there is no such cut")),
        (epoch, round) => Ok(Cut { epoch: Epoch::new(epoch), round }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut() -> impl Strategy<Value = Cut> {
        (1..u32::MAX, 0..MAX_PLACE).prop_map(|(epoch, round)| Cut { epoch: Epoch::new(epoch), round })
    }

    fn message() -> impl Strategy<Value = Transfer> {
        prop_oneof![
            cut().prop_map(|cut| Transfer::Over { cut }),
            (cut(), any::<u128>()).prop_map(|(cut, part)| Transfer::Ask { cut, part }),
            (any::<(u128, u64)>(), cut()).prop_map(|((id, bytes), cut)| Transfer::Offer { id, cut, bytes }),
            Just(Transfer::Nothing),
            (any::<u128>(), 0..u64::MAX / 2, 1..=TRANSFER_PIECE_BYTES)
                .prop_map(|(id, offset, length)| Transfer::Fetch { id, offset, length }),
            (any::<u128>(), 0..u64::MAX / 2, prop::collection::vec(any::<u8>(), 1..100))
                .prop_map(|(id, offset, bytes)| Transfer::Piece { id, offset, bytes: bytes.into() }),
            any::<u128>().prop_map(|id| Transfer::Gone { id }),
        ]
    }

    fn body(message: &Transfer) -> Bytes {
        message.encode().parts().concat().into()
    }

    proptest! {
        #[test]
        fn messages_come_back_as_they_were(message in message()) {
            prop_assert_eq!(Transfer::decode(&body(&message)), Ok(message));
        }

        #[test]
        fn cut_and_foreign_bytes_never_panic(message in message(), cut in 0usize..200, noise in prop::collection::vec(any::<u8>(), 0..60)) {
            let body = body(&message);
            if cut < body.len() && !matches!(message, Transfer::Piece { .. }) {
                prop_assert!(Transfer::decode(&body.slice(..cut)).is_err());
            }
            let _ = Transfer::decode(&noise.into());
        }
    }
}
