//! Where members are, as entries and snapshots say it.
//!
//! ```text
//! number of contacts u16 | for each: server u64 | weight u16 | transfer | note | number of addresses u16 | addresses
//! a text: its length u16 | UTF-8
//! ```

use bytes::{Buf, BufMut};
use niagara_sequencer::epoch::Contact;

/// Writes contacts.
pub fn put_contacts(out: &mut impl BufMut, contacts: &[Contact]) {
    out.put_u16_le(count(contacts.len()));
    for Contact { server, addresses, transfer, weight, note } in contacts {
        out.put_u64_le(*server);
        out.put_u16_le(*weight);
        put_text(out, transfer);
        put_text(out, note);
        out.put_u16_le(count(addresses.len()));
        addresses.iter().for_each(|address| put_text(out, address));
    }
}

/// Reads what [`put_contacts`] wrote; `None` if it is something else.
pub fn get_contacts(input: &mut &[u8]) -> Option<Vec<Contact>> {
    let contacts = input.try_get_u16_le().ok()?;
    (0..contacts).map(|_| get_contact(input)).collect()
}

fn get_contact(input: &mut &[u8]) -> Option<Contact> {
    let (server, weight) = (input.try_get_u64_le().ok()?, input.try_get_u16_le().ok()?);
    let (transfer, note) = (get_text(input)?, get_text(input)?);
    let addresses = input.try_get_u16_le().ok()?;
    let addresses = (0..addresses).map(|_| get_text(input)).collect::<Option<_>>()?;
    Some(Contact { server, addresses, transfer, weight, note })
}

fn put_text(out: &mut impl BufMut, text: &str) {
    out.put_u16_le(count(text.len()));
    out.put_slice(text.as_bytes());
}

fn get_text(input: &mut &[u8]) -> Option<String> {
    let length = usize::from(input.try_get_u16_le().ok()?);
    let (text, rest) = input.split_at_checked(length)?;
    *input = rest;
    str::from_utf8(text).ok().map(str::to_owned)
}

fn count(number: usize) -> u16 {
    u16::try_from(number).expect("the terms of an epoch are checked: no contact is that long")
}
