//! The entry that ends an epoch. It fills a slot as commands do, and has no sub-batches.
//!
//! ```text
//! context  kind u8 (4) | slot u64
//! data     epoch u32 | request u128 | groups u16 | level u32 | number of members u16 | their ids u64
//!          | contacts, if there are any
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use niagara_sequencer::epoch::{Epoch, EpochEnd, Terms};

use crate::contacts::{get_contacts, put_contacts};

/// Kind of the entry, the first byte of its context.
pub(crate) const KIND: u8 = 4;

const HEAD: usize = 4 + 16 + 2 + 4 + 2;

/// Context and data of an entry that holds `end` in the slot of `place`.
pub fn encode_end(place: u64, end: &EpochEnd) -> (Bytes, Bytes) {
    let EpochEnd { epoch, next: Terms { groups, members, level, contacts }, request } = end;
    let mut data = BytesMut::with_capacity(HEAD + 8 * members.len());
    data.put_u32_le(epoch.get());
    data.put_u128_le(*request);
    data.put_u16_le(*groups);
    data.put_u32_le(*level);
    data.put_u16_le(u16::try_from(members.len()).expect("a cluster has fewer members than 65,536"));
    members.iter().for_each(|member| data.put_u64_le(*member));
    if !contacts.is_empty() {
        put_contacts(&mut data, contacts);
    }
    let mut context = BytesMut::with_capacity(1 + 8);
    context.put_u8(KIND);
    context.put_u64_le(place);
    (context.freeze(), data.freeze())
}

/// Whether an entry with this context is one that ends an epoch.
pub fn is_end(context: &[u8]) -> bool {
    context.first() == Some(&KIND)
}

/// Parses the data of such an entry; `None` if it is none. Whether it may end the epoch is decided where it is merged.
pub fn decode_end(mut data: &[u8]) -> Option<EpochEnd> {
    if data.len() < HEAD {
        return None;
    }
    let (epoch, request) = (data.get_u32_le(), data.get_u128_le());
    let (groups, level, count) = (data.get_u16_le(), data.get_u32_le(), data.get_u16_le());
    if epoch == 0 || data.len() < 8 * usize::from(count) {
        return None;
    }
    let members = (0..count).map(|_| data.get_u64_le()).collect();
    let says_contacts = !data.is_empty();
    let contacts = if says_contacts { get_contacts(&mut data)? } else { Vec::new() };
    if !data.is_empty() || says_contacts == contacts.is_empty() {
        return None;
    }
    Some(EpochEnd { epoch: Epoch::new(epoch), next: Terms { groups, members, level, contacts }, request })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use niagara_sequencer::epoch::Contact;

    use super::*;
    use crate::batch::{EntryFill, check_entry, decode_commands};

    fn contact() -> impl Strategy<Value = Contact> {
        let texts = prop::collection::vec(".{0,9}", 0..4);
        (any::<(u64, u16)>(), texts, ".{0,9}", ".{0,9}").prop_map(
            |((server, weight), addresses, transfer, note)| Contact {
                server,
                addresses,
                transfer,
                weight,
                note,
            },
        )
    }

    proptest! {
        #[test]
        fn an_end_comes_back_as_it_was(
            (epoch, request) in (1..u32::MAX, any::<u128>()),
            (groups, level) in any::<(u16, u32)>(),
            members in prop::collection::vec(any::<u64>(), 0..9),
            place in 1..1_000_000u64,
            contacts in prop::collection::vec(contact(), 0..4),
        ) {
            let end = EpochEnd { epoch: Epoch::new(epoch), next: Terms { groups, members, level, contacts }, request };
            let (context, data) = encode_end(place, &end);
            prop_assert!(is_end(&context));
            prop_assert_eq!(check_entry(&context, &data, |_| ()), Ok(EntryFill::Commands { place }));
            prop_assert_eq!(decode_commands(&context, &data), Ok(Vec::new()));
            prop_assert_eq!(decode_end(&data), Some(end.clone()));
            let without_contacts = HEAD + 8 * end.next.members.len();
            for cut in (0..data.len()).filter(|cut| *cut != without_contacts) {
                prop_assert!(decode_end(&data[..cut]).is_none());
            }
            prop_assert_eq!(decode_commands(&[&context[..], b"1"].concat(), &data).ok(), None);
            prop_assert!(decode_commands(&context, &data.slice(1..)).is_err());
        }

        #[test]
        fn hostile_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode_end(&data);
        }
    }
}
