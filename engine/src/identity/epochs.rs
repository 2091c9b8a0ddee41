//! What the file `identity` says about epochs.
//!
//! ```text
//! epoch 1 = 0 4 1 1 2 3         last round of the epoch before, groups, level, members
//! epoch 2 = 971 8 1 1 2 3
//! epochs = 2 2 0                created, started, closed
//! sealed 1 = 971 80 81 77 90    last round, and up to which index each group's log is committed
//! ```

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use niagara_sequencer::epoch::{Chain, Epoch, Link, Marks, Record, Sealed, Terms};

pub(super) fn put_epochs(text: &mut String, chain: &Chain, marks: &Marks) -> fmt::Result {
    for Link { record: Record { epoch, terms: Terms { groups, members, level }, .. }, .. } in chain.links() {
        let before = (*epoch > Epoch::FIRST).then(|| Epoch::new(epoch.get() - 1));
        let last_round = before.and_then(|before| chain.last_round(before)).unwrap_or(0);
        write!(text, "epoch {epoch} = {last_round} {groups} {level}")?;
        members.iter().try_for_each(|member| write!(text, " {member}"))?;
        text.push('\n');
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
        let terms = Terms { groups, members: members.to_vec(), level };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_come_back_as_they_were() {
        let terms = |groups| Terms { groups, members: vec![1, 2, 3], level: 1 };
        let mut chain = Chain::genesis(terms(4)).unwrap();
        chain.extend(971, terms(2)).unwrap();
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
