//! Segment files that were written, and then damaged.

use std::fs;
use std::ops::Range;
use std::path::Path;

use niagara_log::{self, HardState, LogEntry};

use super::log_on_disk::{Contents, config, contents, directory, segment_name, start, write_on};
use super::script::Script;

/// Most writes of a script: enough for several segments.
const WRITES: u8 = 16;
/// Damage touches the first segments, by their numbers.
const SEGMENTS: u8 = 4;
/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// **However a log's files are damaged, a start refuses them, or it finds what stood there after some number of writes: never
/// anything else.** Without damage it finds all of it. Changes of one byte lose the last write at most.
///
/// ```text
/// count of writes u8 | count x (what u8, size u8) | damage: (segment u8, kind u8, offset u16, value u8), repeated
/// what: 3 bits number of entries, 3 bits how many are replaced, 1 hard state, 1 compaction
/// ```
///
/// # Panics
/// When the property does not hold.
pub fn log_damage(data: &[u8]) {
    let mut script = Script(data);
    let dir = directory();
    let history = History::write(dir.path(), &mut script);
    let damage = damage(dir.path(), &mut script);

    match start(dir.path()) {
        Ok((store, writer, found)) => {
            let from = match damage {
                Damage::None => history.states.len() - 1,
                Damage::OneByte => history.last_write.start,
                Damage::More => 0,
            };
            let known = history.states[from..].contains(&found);
            assert!(known, "{damage:?}: found {found:?}, which is none of {:#?}", &history.states[from..]);
            write_on(dir.path(), &store, writer, &found);
        }
        Err(error) => assert!(damage != Damage::None, "nothing is damaged: {error}"),
    }
}

/// What was written.
struct History {
    /// What the log held at first, and after each record.
    states: Vec<Contents>,
    /// From the state before the last write that changed anything to the one behind it.
    last_write: Range<usize>,
}

impl History {
    fn write(dir: &Path, script: &mut Script<'_>) -> History {
        let (store, mut writer) =
            niagara_log::open(&config(dir), &mut |_| {}).expect("a new log can be opened");
        let mut history = History { states: vec![Contents::default()], last_write: 0..0 };
        for write in 1..=u64::from(script.byte() % (WRITES + 1)) {
            let (what, size) = (script.byte(), script.byte());
            let before = history.states.len() - 1;
            let (entries, hard_state) = history.plan(write, what, size);
            store.append(&entries);
            writer.write(&entries, hard_state).expect("a log can be written");
            if what & 0x80 != 0 {
                let floor = store.compact_to(history.now().hard_state.commit);
                writer.compact(floor).expect("a log can be compacted");
                history.compacted();
            }
            if history.states.len() - 1 > before {
                history.last_write = before..history.states.len() - 1;
            }
        }
        assert_eq!(contents(&store, history.now().hard_state), *history.now());
        history
    }

    fn now(&self) -> &Contents {
        self.states.last().expect("there is a state from the beginning")
    }

    /// What is to be written, noted as if it were.
    fn plan(&mut self, write: u64, what: u8, size: u8) -> (Vec<LogEntry>, Option<HardState>) {
        let mut now = self.now().clone();
        let committed = now.hard_state.commit.max(now.floor.index);
        let replaced = u64::from(what >> 3 & 7).min(now.last().index - committed);
        let from = now.last().index - replaced + 1;
        let entry = |index: u64| LogEntry {
            index,
            term: write,
            kind: what,
            context: vec![index as u8; usize::from(what & 3)].into(),
            data: vec![write as u8; usize::from(size) * 2].into(),
        };
        let entries: Vec<LogEntry> = (from..from + u64::from(what & 7)).map(entry).collect();
        let has_hard_state = what & 0x40 != 0;
        // A write that meets the end of a segment has the new term beside its first entries.
        let ahead = HardState { term: write, vote: size.into(), ..now.hard_state };
        for entry in &entries {
            now.entries.retain(|earlier| earlier.index < entry.index);
            now.entries.push(entry.clone());
            self.states.push(now.clone());
            if has_hard_state {
                self.states.push(Contents { hard_state: ahead, ..now.clone() });
            }
        }
        let commit = committed + (now.last().index - committed) / 2;
        let hard_state = has_hard_state.then_some(HardState { commit, ..ahead });
        if let Some(hard_state) = hard_state {
            now.hard_state = hard_state;
            self.states.push(now);
        }
        (entries, hard_state)
    }

    /// Notes a compaction up to what is committed.
    fn compacted(&mut self) {
        let mut now = self.now().clone();
        let commit = now.hard_state.commit;
        if let Some(floor) = now.entries.iter().find(|entry| entry.index == commit) {
            now.floor = floor.id();
            now.entries.retain(|entry| entry.index > commit);
            self.states.push(now);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    None,
    OneByte,
    More,
}

/// Damages the files as the rest of the script says, and says how much.
fn damage(dir: &Path, script: &mut Script<'_>) -> Damage {
    let mut done = Damage::None;
    while !script.is_empty() {
        let path = dir.join(segment_name(u64::from(script.byte() % SEGMENTS) + 1));
        let (kind, offset, value) = (script.byte(), script.short(), script.byte());
        let Ok(before) = fs::read(&path) else { continue };
        let mut bytes = before.clone();
        if offset >= bytes.len() {
            continue;
        }
        match kind % 5 {
            0 | 1 => bytes[offset] ^= value,
            2 => {
                let end = (offset + 1).next_multiple_of(SECTOR).min(bytes.len());
                bytes[offset..end].fill(if value & 1 == 0 { 0 } else { value });
            }
            3 => bytes.truncate(offset),
            _ => bytes.copy_within(offset.., usize::from(value).min(offset)),
        }
        if bytes == before {
            continue;
        }
        done = if done == Damage::None && kind % 5 < 2 { Damage::OneByte } else { Damage::More };
        fs::write(&path, bytes).expect("a file can be written");
    }
    done
}
