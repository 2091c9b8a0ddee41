//! Contents of the file `identity`: lines of `key = value`, the last of which is a checksum.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use niagara_net::LIVES;

use niagara_log::{Durability, EntryId, HardState, Held};
use niagara_sequencer::epoch::{Chain, Marks};

use super::Past;
use super::epochs::{parse_epochs, put_epochs};
use crate::config::FIRST_LEVEL;

/// What a server remembers about itself and its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub cluster: u128,
    pub server: u64,
    pub groups: u16,
    pub store: u128,
    pub incarnation: u64,
    /// A random number for each of the last starts, the latest first; 0 if unknown.
    pub lives: [u64; LIVES],
    pub durability: Durability,
    /// The operating system's boot, and whether the server was stopped cleanly: together they tell whether
    /// unsynced writes may be lost.
    pub boot: String,
    pub clean: bool,
    /// Ids of all servers of the cluster; `None` in a file of an earlier release.
    pub members: Option<Vec<u64>>,
    /// Whether the server joins a cluster that runs, and has not started there: it must not begin a first epoch.
    pub joins: bool,
    /// Whether the server is a follower: it has no logs, and must never vote.
    pub follows: bool,
    /// The epoch from which on the server is no member, if it knows.
    pub removed: Option<u32>,
    /// The level that the first epoch has.
    pub first_level: u32,
    /// Whether another server has refused this one since it had met it in a later state.
    pub old_copy: bool,
    /// Snapshots received since the start, the latest last. Logs may be reset to their floors.
    pub received: Vec<u128>,
    pub peers: BTreeMap<u64, Met>,
    /// What the log of each group has held, by its channel; empty in a file of an earlier release.
    pub logs: BTreeMap<u32, Held>,
    /// The epochs that the server knows, and its marks; `None` while there is the first one only.
    pub epochs: Option<(Chain, Marks)>,
}

/// The latest start of a peer that this server has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Met {
    pub store: u128,
    /// 0 in a file of an earlier release.
    pub incarnation: u64,
    pub life: u64,
}

impl Record {
    /// Whether unsynced writes may have been lost, if this is the current run of the machine.
    pub fn lost_writes(&self, boot: &str) -> bool {
        self.durability == Durability::Os && !self.clean && self.boot != boot
    }

    /// What it shows of the server's past.
    pub fn past(&self) -> Past {
        match (self.joins, &self.epochs, &self.members) {
            (true, None, _) => Past::None,
            (false, None, Some(members)) if *members == [self.server] => Past::Alone,
            _ => Past::Member,
        }
    }

    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(1 << 10);
        self.put_lines(&mut text).expect("a string takes everything");
        let sum = crc32fast::hash(text.as_bytes());
        writeln!(text, "checksum = {sum:08x}").expect("a string takes everything");
        text
    }

    fn put_lines(&self, text: &mut String) -> fmt::Result {
        let Record { cluster, server, groups, store, incarnation, durability, boot, clean, .. } = self;
        write!(
            text,
            "# Written by the server: do not edit.\ncluster = {cluster:032x}\nserver = {server}\ngroups = {groups}\n\
             store = {store:032x}\nincarnation = {incarnation}\nlives ="
        )?;
        self.lives.iter().try_for_each(|life| write!(text, " {life:016x}"))?;
        write!(text, "\ndurability = {durability}\nboot = {boot}\nclean = {clean}\n")?;
        if let Some(members) = &self.members {
            text.push_str("members =");
            members.iter().try_for_each(|member| write!(text, " {member}"))?;
            text.push('\n');
        }
        if self.joins {
            text.push_str("joins = true\n");
        }
        if self.follows {
            text.push_str("follows = true\n");
        }
        if let Some(epoch) = self.removed {
            writeln!(text, "removed = {epoch}")?;
        }
        if self.first_level != FIRST_LEVEL {
            writeln!(text, "first level = {}", self.first_level)?;
        }
        if self.old_copy {
            text.push_str("old copy = true\n");
        }
        if !self.received.is_empty() {
            text.push_str("received =");
            self.received.iter().try_for_each(|id| write!(text, " {id:032x}"))?;
            text.push('\n');
        }
        for (server, Met { store, incarnation, life }) in &self.peers {
            write!(text, "peer {server} = {store:032x}\nmet {server} = {incarnation} {life:016x}\n")?;
        }
        if let Some((chain, marks)) = &self.epochs {
            put_epochs(text, chain, marks)?;
        }
        for (channel, Held { segment, last: EntryId { index, term: of_last }, hard_state }) in &self.logs {
            let HardState { term, vote, commit } = hard_state;
            let log = log_key(*channel);
            writeln!(text, "log {log} = {segment} {index} {of_last} {term} {vote} {commit}")?;
        }
        Ok(())
    }

    /// Parses a file of this release or an earlier one. Ignores unknown keys.
    pub fn parse(text: &str) -> Result<Record, String> {
        let (body, sum) = text.rsplit_once("checksum = ").ok_or("it has no checksum")?;
        if u32::from_str_radix(sum.trim(), 16) != Ok(crc32fast::hash(body.as_bytes())) {
            return Err("its checksum is wrong".into());
        }
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        let fields: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once(" = ")).collect();
        let field = |key: &str| fields.get(key).copied().ok_or(format!("`{key}` is missing"));
        let number = |key: &str| field(key)?.parse::<u64>().map_err(|_| format!("`{key}` is not a number"));
        let numbers = |key: &str| match fields.get(key) {
            Some(text) => parse_all(text, 10).map(Some).ok_or(format!("`{key}` is not a list of numbers")),
            None => Ok(None),
        };
        let mut peers = BTreeMap::new();
        let mut logs = BTreeMap::new();
        for (key, value) in &fields {
            if let Some(server) = key.strip_prefix("peer ") {
                let id = server.parse().map_err(|_| format!("`{key}` does not name a server"))?;
                let met = fields.get(format!("met {server}").as_str()).copied();
                let (incarnation, life) = match met {
                    Some(met) => parse_met(met).ok_or(format!("`met {server}` is not a number and an id"))?,
                    None => (0, 0),
                };
                peers.insert(id, Met { store: parse_id(value)?, incarnation, life });
            } else if let Some(group) = key.strip_prefix("log ") {
                let channel = parse_log_key(group).ok_or(format!("`{key}` does not name a group"))?;
                logs.insert(channel, parse_held(value).ok_or(format!("`{key}` does not say what it held"))?);
            }
        }
        let lives = match fields.get("lives") {
            Some(text) => parse_all(text, 16).and_then(|lives| lives.try_into().ok()),
            None => Some([0; LIVES]),
        };
        let received = fields.get("received").into_iter().flat_map(|ids| ids.split(' ')).map(parse_id);
        Ok(Record {
            cluster: parse_id(field("cluster")?)?,
            server: number("server")?,
            groups: u16::try_from(number("groups")?).map_err(|_| "`groups` is too large")?,
            store: parse_id(field("store")?)?,
            incarnation: number("incarnation")?,
            lives: lives.ok_or("`lives` is not a list of ids")?,
            durability: field("durability")?.parse().map_err(|_| "`durability` is unknown")?,
            boot: field("boot")?.to_owned(),
            clean: field("clean")? == "true",
            members: numbers("members")?,
            joins: fields.get("joins") == Some(&"true"),
            follows: fields.get("follows") == Some(&"true"),
            removed: match fields.get("removed") {
                Some(epoch) => Some(epoch.parse().map_err(|_| "`removed` is not a number")?),
                None => None,
            },
            first_level: match fields.get("first level") {
                Some(level) => level.parse().map_err(|_| "`first level` is not a number")?,
                None => FIRST_LEVEL,
            },
            old_copy: fields.get("old copy") == Some(&"true"),
            received: received.collect::<Result<_, _>>()?,
            peers,
            logs,
            epochs: parse_epochs(&fields)?,
        })
    }
}

/// How the log of a channel is called: the group's number, behind that of the epoch if it is a later one.
fn log_key(channel: u32) -> String {
    match (channel >> 16, channel & 0xffff) {
        (0, group) => group.to_string(),
        (before, group) => format!("{}/{group}", before + 1),
    }
}

fn parse_log_key(key: &str) -> Option<u32> {
    match key.split_once('/') {
        None => key.parse::<u16>().ok().map(u32::from),
        Some((epoch, group)) => {
            let before = epoch.parse::<u16>().ok()?.checked_sub(1)?;
            Some(u32::from(before) << 16 | u32::from(group.parse::<u16>().ok()?))
        }
    }
}

fn parse_all(text: &str, radix: u32) -> Option<Vec<u64>> {
    text.split(' ').map(|word| u64::from_str_radix(word, radix).ok()).collect()
}

fn parse_id(text: &str) -> Result<u128, String> {
    u128::from_str_radix(text, 16).map_err(|_| format!("`{text}` is not an id"))
}

fn parse_met(text: &str) -> Option<(u64, u64)> {
    let (incarnation, life) = text.split_once(' ')?;
    Some((incarnation.parse().ok()?, u64::from_str_radix(life, 16).ok()?))
}

fn parse_held(text: &str) -> Option<Held> {
    let numbers: [u64; 6] = parse_all(text, 10)?.try_into().ok()?;
    let [segment, index, last_term, term, vote, commit] = numbers;
    let (last, hard_state) = (EntryId { index, term: last_term }, HardState { term, vote, commit });
    Some(Held { segment, last, hard_state })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let last = EntryId { index: 20, term: 3 };
        let held = Held { segment: 2, last, hard_state: HardState { term: 4, vote: 1, commit: 19 } };
        Record {
            cluster: 0xc1,
            server: 2,
            groups: 2,
            store: 0x57,
            incarnation: 7,
            lives: [9, 8, 7, 6, 0, 0, 0, 0],
            durability: Durability::Os,
            boot: "a-b".into(),
            clean: false,
            members: Some(vec![1, 2, 3]),
            joins: true,
            follows: true,
            removed: Some(9),
            first_level: 2,
            old_copy: true,
            received: vec![0xf1, 0xf2],
            peers: BTreeMap::from([(1, Met { store: 5, incarnation: 3, life: 0xabc })]),
            logs: BTreeMap::from([(1, held), (2, Held::default())]),
            epochs: None,
        }
    }

    #[test]
    fn a_record_survives_its_text() {
        let plain = Record {
            members: None,
            joins: false,
            follows: false,
            removed: None,
            first_level: FIRST_LEVEL,
            old_copy: false,
            received: Vec::new(),
            logs: BTreeMap::new(),
            ..record()
        };
        for record in [record(), plain] {
            assert_eq!(Record::parse(&record.to_text()), Ok(record));
        }
    }

    #[test]
    fn the_file_of_a_release_without_marks_is_read() {
        let body = "# Written by the server: do not edit.\ncluster = 000000000000000000000000000000c1\nserver = 2\ngroups = 2\n\
                    store = 00000000000000000000000000000057\nincarnation = 7\ndurability = os\nboot = a-b\nclean = false\n\
                    peer 1 = 00000000000000000000000000000005\n";
        let text = format!("{body}checksum = {:08x}\n", crc32fast::hash(body.as_bytes()));
        let met = Met { store: 5, incarnation: 0, life: 0 };
        let expected = Record {
            lives: [0; LIVES],
            members: None,
            joins: false,
            follows: false,
            removed: None,
            first_level: FIRST_LEVEL,
            old_copy: false,
            received: Vec::new(),
            peers: BTreeMap::from([(1, met)]),
            logs: BTreeMap::new(),
            ..record()
        };
        assert_eq!(Record::parse(&text), Ok(expected));
    }

    #[test]
    fn a_part_of_a_file_is_none() {
        let text = record().to_text();
        for end in 0..text.len() - 1 {
            assert!(Record::parse(&text[..end]).is_err(), "{end} bytes");
        }
    }
}
