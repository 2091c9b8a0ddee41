//! One entry of a log, as text or JSON.

use niagara_group::batch::{EntryFill, SubBatch, decode_commands};
use niagara_group::epoch_end::{decode_end, is_end};
use niagara_log::{EntryId, LogEntry};
use serde::Serialize;

use crate::table::grouped;

/// What is shown of an entry.
#[derive(Debug, Serialize)]
pub struct EntryFindings {
    /// The log's directory.
    pub log: String,
    pub index: u64,
    pub term: u64,
    /// `normal`, or `membership` for a change of the group's members.
    pub kind: &'static str,
    #[serde(flatten)]
    pub fills: Fills,
    /// Of context and data together.
    pub bytes: u64,
}

/// What an entry means to the global log.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fills", rename_all = "snake_case")]
pub enum Fills {
    /// Raft's own entry; it fills no slot.
    Nothing,
    /// The slot of this place, with commands.
    Commands { place: u64, commands: u64, sub_batches: Vec<SubBatchFindings> },
    /// The slot of this place, with a wish to end the epoch, and to go on with so many groups.
    EndOfEpoch { place: u64, epoch: u32, groups: u16 },
    /// All slots up to this place, with no-ops.
    Skip { place: u64 },
    /// Unknown: not what this program writes.
    Malformed { reason: String },
}

/// Commands of one lane.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SubBatchFindings {
    /// The server that accepted the commands from its clients.
    pub server: u64,
    pub incarnation: u64,
    /// The group that the lane belongs to, from 1.
    pub lane: u64,
    pub attempt: u32,
    /// The number of the first command in its lane.
    pub first: u64,
    pub commands: u32,
    pub bytes: u64,
}

/// A log that continues above an entry, without what was before.
#[derive(Debug, Serialize)]
pub struct ResetFindings {
    pub log: String,
    /// The index above which it continues.
    pub reset_to: u64,
    pub term: u64,
}

impl EntryFindings {
    pub fn of(log: &str, entry: &LogEntry) -> EntryFindings {
        EntryFindings {
            log: log.to_owned(),
            index: entry.index,
            term: entry.term,
            kind: if entry.kind == 0 { "normal" } else { "membership" },
            fills: Fills::of(entry),
            bytes: (entry.context.len() + entry.data.len()) as u64,
        }
    }

    /// For people.
    pub fn line(&self) -> String {
        let EntryFindings { index, term, kind, bytes, .. } = self;
        let index = grouped(*index);
        format!(
            "{index:>12}  term {term:<5}  {kind:<10}  {:>12} bytes  {}",
            grouped(*bytes),
            self.fills.words()
        )
    }
}

impl Fills {
    fn of(entry: &LogEntry) -> Fills {
        match EntryFill::of(&entry.context) {
            Ok(EntryFill::Nothing) => Fills::Nothing,
            Ok(EntryFill::Skip { place }) => Fills::Skip { place },
            Ok(EntryFill::Commands { place }) if is_end(&entry.context) => match decode_end(&entry.data) {
                Some(end) => Fills::EndOfEpoch { place, epoch: end.epoch.get(), groups: end.next.groups },
                None => Fills::Malformed { reason: "malformed end of an epoch".into() },
            },
            Ok(EntryFill::Commands { place }) => match decode_commands(&entry.context, &entry.data) {
                Ok(batches) => {
                    let sub_batches: Vec<_> = batches.iter().map(SubBatchFindings::of).collect();
                    let commands = sub_batches.iter().map(|batch| u64::from(batch.commands)).sum();
                    Fills::Commands { place, commands, sub_batches }
                }
                Err(error) => Fills::Malformed { reason: error.to_string() },
            },
            Err(error) => Fills::Malformed { reason: error.to_string() },
        }
    }

    fn words(&self) -> String {
        match self {
            Fills::Nothing => "fills nothing".into(),
            Fills::Skip { place } => format!("no-ops up to place {}", grouped(*place)),
            Fills::Malformed { reason } => reason.clone(),
            Fills::EndOfEpoch { place, epoch, groups } => {
                format!("place {}: the end of epoch {epoch}; {groups} groups go on", grouped(*place))
            }
            Fills::Commands { place, commands, sub_batches } => {
                let parts: Vec<_> = sub_batches.iter().map(SubBatchFindings::words).collect();
                format!("place {}: {} commands ({})", grouped(*place), grouped(*commands), parts.join("; "))
            }
        }
    }
}

impl SubBatchFindings {
    fn of(batch: &SubBatch) -> SubBatchFindings {
        let span = &batch.span;
        SubBatchFindings {
            server: span.server,
            incarnation: span.incarnation,
            lane: u64::from(span.lane) + 1,
            attempt: span.attempt,
            first: span.first,
            commands: span.count,
            bytes: batch.body.len() as u64,
        }
    }

    fn words(&self) -> String {
        let SubBatchFindings { server, incarnation, lane, attempt, first, commands, .. } = self;
        let last = first.saturating_add(u64::from(*commands) - 1);
        let numbers = match commands {
            1 => grouped(*first),
            _ => format!("{} to {}", grouped(*first), grouped(last)),
        };
        let again = if *attempt > 0 { format!(", attempt {attempt}") } else { String::new() };
        format!("{numbers} of server {server}, life {incarnation}, lane {lane}{again}")
    }
}

impl ResetFindings {
    pub fn of(log: &str, floor: EntryId) -> ResetFindings {
        ResetFindings { log: log.to_owned(), reset_to: floor.index, term: floor.term }
    }

    /// For people.
    pub fn line(&self) -> String {
        let index = grouped(self.reset_to);
        format!(
            "{index:>12}  term {:<5}  reset: all entries so far are dropped, and the log continues above this one",
            self.term
        )
    }
}

#[cfg(test)]
mod tests {
    use niagara_group::batch::{Span, encode_commands, encode_skip};

    use super::*;

    fn entry(kind: u8, context: impl Into<bytes::Bytes>, data: impl Into<bytes::Bytes>) -> EntryFindings {
        let entry = LogEntry { index: 1_005, term: 2, kind, context: context.into(), data: data.into() };
        EntryFindings::of("group-1", &entry)
    }

    #[test]
    fn an_entry_says_what_it_fills() {
        let span = |first, count, attempt| Span { server: 2, incarnation: 3, lane: 0, attempt, first, count };
        let batch = |span| SubBatch { span, lone: false, body: vec![7; 10].into() };
        let (context, data) = encode_commands(9, &[batch(span(1_000, 2, 0)), batch(span(7, 1, 4))]);
        let commands = entry(0, context, data);
        assert_eq!(
            commands.line(),
            "       1,005  term 2      normal               113 bytes  place 9: 3 commands (1,000 to 1,001 of server 2, \
             life 3, lane 1; 7 of server 2, life 3, lane 1, attempt 4)"
        );
        let json = serde_json::to_value(&commands).unwrap();
        assert_eq!((&json["fills"], &json["place"]), (&"commands".into(), &9.into()));
        assert_eq!(json["sub_batches"][1]["attempt"], 4);

        let context = [&[4][..], &12u64.to_le_bytes()].concat();
        // Of epoch 1, asked for by a request; 8 groups, at level 1, without members.
        let data =
            [&1u32.to_le_bytes()[..], &[5; 16], &8u16.to_le_bytes(), &1u32.to_le_bytes(), &[0; 2]].concat();
        assert!(entry(0, context, data).line().ends_with("place 12: the end of epoch 1; 8 groups go on"));
        assert!(entry(0, encode_skip(1_234), "").line().ends_with("no-ops up to place 1,234"));
        assert!(
            entry(1, "", "x").line().contains("membership")
                && entry(0, "", "").line().ends_with("fills nothing")
        );
        assert!(entry(0, "\x07", "").line().ends_with("malformed batch: context is too short"));
    }

    #[test]
    fn a_reset_says_where_the_log_goes_on() {
        let reset = ResetFindings::of("group-1", EntryId { index: 40, term: 3 });
        assert!(reset.line().contains("40  term 3      reset:"), "{}", reset.line());
    }
}
