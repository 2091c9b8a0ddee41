//! What the file `identity` says about epochs.
//!
//! ```text
//! epoch 1 = 0 4 1 1 2 3         last round of the epoch before, groups, level, members
//! epoch 2 = 971 8 1 1 2 3
//! contact 2 3 = 100 h:7303 {} h:7301,h:7302    of member 3 in epoch 2: weight, transfer, note, addresses; texts are quoted as in URLs
//! epochs = 2 2 0                created, started, closed
//! sealed 1 = 971 80 81 77 90    last round, and up to which index each group's log is committed
//! ```

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use niagara_sequencer::epoch::{Chain, Contact, Epoch, Link, Marks, Record, Sealed, Terms};

pub(super) fn put_epochs(text: &mut String, chain: &Chain, marks: &Marks) -> fmt::Result {
    for Link { record: Record { epoch, terms: Terms { groups, members, level, contacts }, .. }, .. } in
        chain.links()
    {
        let before = (*epoch > Epoch::FIRST).then(|| Epoch::new(epoch.get() - 1));
        let last_round = before.and_then(|before| chain.last_round(before)).unwrap_or(0);
        write!(text, "epoch {epoch} = {last_round} {groups} {level}")?;
        members.iter().try_for_each(|member| write!(text, " {member}"))?;
        text.push('\n');
        for Contact { server, addresses, transfer, weight, note } in contacts {
            write!(text, "contact {epoch} {server} = {weight} {} {} ", quoted(transfer), quoted(note))?;
            let addresses: Vec<String> = addresses.iter().map(|address| quoted(address)).collect();
            writeln!(text, "{}", addresses.join(","))?;
        }
    }
    let [created, started] =
        [marks.newest_created(), marks.newest_started()].map(|mark| mark.map_or(0, Epoch::get));
    writeln!(text, "epochs = {created} {started} {}", marks.first_open().get() - 1)?;
    for Sealed { epoch, last_round, committed } in marks.sealed() {
        write!(text, "sealed {epoch} = {last_round}")?;
        committed.iter().try_for_each(|index| write!(text, " {index}"))?;
        text.push('\n');
    }
    Ok(())
}

/// Parses what [`put_epochs`] wrote, if there is any.
pub(super) fn parse_epochs(fields: &BTreeMap<&str, &str>) -> Result<Option<(Chain, Marks)>, String> {
    let numbers = |key: &str| -> Result<Option<Vec<u64>>, String> {
        let Some(text) = fields.get(key) else { return Ok(None) };
        let parsed = text.split(' ').map(str::parse).collect::<Result<_, _>>();
        parsed.map(Some).map_err(|_| format!("`{key}` is not a list of numbers"))
    };
    let Some(marks) = numbers("epochs")? else { return Ok(None) };
    let mut chain: Option<Chain> = None;
    for number in 1.. {
        let key = format!("epoch {number}");
        let Some(epoch) = numbers(&key)? else { break };
        let wrong = || format!("`{key}` is no epoch that follows");
        let [last_round, groups, level, members @ ..] = &epoch[..] else { return Err(wrong()) };
        let (groups, level) = (u16::try_from(*groups), u32::try_from(*level));
        let (Ok(groups), Ok(level)) = (groups, level) else { return Err(wrong()) };
        let contact = |server: &u64| {
            let key = format!("contact {number} {server}");
            let text = fields.get(key.as_str())?;
            Some(parse_contact(*server, text).ok_or(format!("`{key}` is no contact")))
        };
        let contacts = members.iter().filter_map(contact).collect::<Result<_, _>>()?;
        let terms = Terms { groups, members: members.to_vec(), level, contacts };
        match &mut chain {
            None => chain = Some(Chain::genesis(terms).map_err(|_| wrong())?),
            Some(chain) => chain.extend(*last_round, terms).map_err(|_| wrong())?,
        }
    }
    let chain = chain.ok_or("`epoch 1` is missing")?;
    let mut sealed = Vec::new();
    for epoch in chain.links().iter().map(|link| link.record.epoch) {
        if let Some(numbers) = numbers(&format!("sealed {epoch}"))? {
            let (last_round, committed) = numbers.split_first().ok_or("`sealed` says nothing")?;
            sealed.push(Sealed { epoch, last_round: *last_round, committed: committed.to_vec() });
        }
    }
    let [created, started, closed] = marks[..] else { return Err("`epochs` has three numbers".into()) };
    let marks = Marks::read(created, started, closed, sealed);
    Ok(Some((chain, marks.ok_or("`epochs` contradicts itself")?)))
}

/// A text without spaces, commas and the like; `-` for an empty one.
fn quoted(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let mut quoted = String::new();
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !b"%,=-".contains(&byte) => quoted.push(byte.into()),
            _ => write!(quoted, "%{byte:02x}").expect("a string takes everything"),
        }
    }
    quoted
}

fn unquoted(text: &str) -> Option<String> {
    if text == "-" {
        return Some(String::new());
    }
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

fn parse_contact(server: u64, text: &str) -> Option<Contact> {
    let words: [&str; 4] = text.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let [weight, transfer, note, addresses] = words;
    Some(Contact {
        server,
        addresses: addresses.split(',').map(unquoted).collect::<Option<_>>()?,
        transfer: unquoted(transfer)?,
        weight: weight.parse().ok()?,
        note: unquoted(note)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_come_back_as_they_were() {
        let terms = |groups| Terms { groups, members: vec![1, 2, 3], level: 1, ..Terms::default() };
        let contact = Contact {
            server: 3,
            addresses: vec!["h-1:7301".into(), "[::1]:7302".into()],
            transfer: "h-1:7303".into(),
            weight: 100,
            note: "{\"http\": \"h-1 = ü%,\"}".into(),
        };
        let plain = Contact { server: 1, note: String::new(), ..contact.clone() };
        let mut chain = Chain::genesis(terms(4)).unwrap();
        chain.extend(971, Terms { contacts: vec![plain, contact], ..terms(2) }).unwrap();
        let mut marks = Marks::founder();
        marks.create(Epoch::new(2));
        marks.start(
            Epoch::new(2),
            vec![Sealed { epoch: Epoch::FIRST, last_round: 971, committed: vec![80, 81, 77, 90] }],
        );
        for closed in [false, true] {
            if closed {
                marks.close(Epoch::FIRST);
            }
            let mut text = String::new();
            put_epochs(&mut text, &chain, &marks).unwrap();
            let fields = text.lines().filter_map(|line| line.split_once(" = ")).collect();
            assert_eq!(parse_epochs(&fields), Ok(Some((chain.clone(), marks.clone()))), "{text}");
        }
        assert_eq!(parse_epochs(&BTreeMap::new()), Ok(None));
        assert!(parse_epochs(&BTreeMap::from([("epochs", "1 1 0")])).is_err());
    }
}
