//! Appends entries to a log, makes them durable, opens the log again as a restarted server does, and reads
//! them back.
//!
//! `cargo run -p niagara-log --example reopen`

use std::error::Error;

use bytes::Bytes;
use niagara_log::{Durability, HardState, LogConfig, LogEntry, Replayed};

fn entry(index: u64, term: u64, text: &'static str) -> LogEntry {
    LogEntry { index, term, kind: 0, context: Bytes::new(), data: Bytes::from(text) }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let config = LogConfig::new(dir.path().join("group-1"), Durability::Fsync, 1);

    {
        let (store, mut writer) = niagara_log::open(&config, &mut |_| {})?;
        let batch = [entry(1, 1, "one"), entry(2, 1, "two"), entry(3, 1, "three")];
        store.append(&batch);
        println!("appended: entries 1 to {} are visible, and not durable yet", store.last_index());
        writer.write(&batch, Some(HardState { term: 1, vote: 1, commit: 2 }))?;
        println!("written and synced: they survive a loss of power");

        // A leader of a later term replaces what was never committed.
        let other = [entry(3, 2, "another three")];
        store.append(&other);
        writer.write(&other, Some(HardState { term: 2, vote: 0, commit: 3 }))?;
        println!("entry 3 of term 1 is replaced by one of term 2");
    }

    println!("reopened; on disk are:");
    let (store, _writer) = niagara_log::open(&config, &mut |replayed| match replayed {
        Replayed::Entry(LogEntry { index, term, data, .. }) => {
            println!("  index {index} of term {term}: {data:?}");
        }
        Replayed::Reset(floor) => println!("  a reset to {floor:?}"),
    })?;
    println!("{:?}", store.hard_state());

    let mut entries = Vec::new();
    store.read(store.first_index(), store.last_index(), usize::MAX, &mut entries)?;
    println!("the log holds:");
    for LogEntry { index, term, data, .. } in &entries {
        println!("  index {index} of term {term}: {data:?}");
    }
    assert_eq!(entries, [entry(1, 1, "one"), entry(2, 1, "two"), entry(3, 2, "another three")]);

    let size = store.size();
    println!("{} bytes in {} segment", size.disk_bytes, size.segments);
    Ok(())
}
