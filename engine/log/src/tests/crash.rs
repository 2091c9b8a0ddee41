//! Crashes, one by one. Each test takes the files of a log, changes them as a crash would, and starts again.

use super::*;

const STATE: HardState = HardState { term: 2, vote: 3, commit: 2 };

/// Three acknowledged batches and a last one, all in segment 1: entries 1 to 2, 3, 4 to 5 with a hard state, 6 to 7.
fn four_frames() -> (Image, Vec<LogEntry>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Fsync)).unwrap();
    put(&store, &mut writer, &entries(1..=2, 1, 30), None);
    put(&store, &mut writer, &entries(3..=3, 1, 50), None);
    put(&store, &mut writer, &entries(4..=5, 2, 9), Some(STATE));
    put(&store, &mut writer, &entries(6..=7, 2, 40), None);
    let all = all(&store);
    drop((store, writer));
    let mut image = Image::of(dir.path());
    assert_eq!(image.frames(1).len(), 4);
    (image, all)
}

fn is_corrupt_at(result: &Result<(Vec<LogEntry>, HardState), LogError>, name: &str, at: usize) -> bool {
    matches!(result, Err(LogError::Corrupt { path, offset, .. })
        if path.ends_with(name) && *offset == at as u64)
}

#[test]
fn a_write_cut_off_at_any_byte_leaves_what_was_before_and_nothing_else() {
    let (image, written) = four_frames();
    let last = image.clone().frames(1)[3].clone();
    for cut in last.clone() {
        // The power fails when only the first bytes have reached the zero-filled file ...
        let mut torn = image.clone();
        torn.segment(1)[cut..].fill(0);
        let whole = torn.segment(1)[last.clone()] == image.clone().segment(1)[last.clone()];
        let kept = if whole { &written[..] } else { &written[..5] };
        assert_eq!(torn.start().unwrap(), (kept.to_vec(), STATE), "zeros from {cut} on");
        // ... or only the last bytes, since a disk keeps no order ...
        let mut torn = image.clone();
        torn.segment(1)[last.start..=cut].fill(0);
        let whole = torn.segment(1)[last.clone()] == image.clone().segment(1)[last.clone()];
        let kept = if whole { &written[..] } else { &written[..5] };
        assert_eq!(torn.start().unwrap(), (kept.to_vec(), STATE), "zeros up to {cut}");
        // ... or the file itself is shorter. It can still be written to.
        let mut torn = image.clone();
        torn.segment(1).truncate(cut);
        let dir = torn.put_down();
        let config = config(dir.path(), Durability::Os);
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!(all(&store), written[..5], "{cut} bytes long");
        assert_eq!(store.hard_state(), STATE);
        for index in 6..=8 {
            put(&store, &mut writer, &entries(index..=index, 3, 1), None);
        }
        drop((store, writer));
        let now = [&written[..5], &entries(6..=8, 3, 1)].concat();
        assert_eq!(all(&reopen(&config).unwrap().0), now, "{cut} bytes long");
    }
}

#[test]
fn a_flipped_byte_in_the_last_frame_cuts_it_off() {
    let (image, written) = four_frames();
    for at in image.clone().frames(1)[3].clone() {
        let mut torn = image.clone();
        torn.segment(1)[at] ^= 0x10;
        assert_eq!(torn.start().unwrap(), (written[..5].to_vec(), STATE), "byte {at}");
    }
}

#[test]
fn a_flipped_byte_in_an_earlier_frame_is_refused() {
    let (image, _) = four_frames();
    for frame in &image.clone().frames(1)[..3] {
        for at in frame.clone() {
            let mut damaged = image.clone();
            damaged.segment(1)[at] ^= 0x10;
            let result = damaged.start();
            assert!(is_corrupt_at(&result, "0000000000000001.log", frame.start), "byte {at}: {result:?}");
        }
    }
}

#[test]
fn a_log_that_was_never_written_opens_again() {
    for durability in [Durability::Fsync, Durability::Os] {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            drop(reopen(&config(dir.path(), durability)).unwrap());
        }
        let (store, mut writer) = reopen(&config(dir.path(), durability)).unwrap();
        put(&store, &mut writer, &entries(1..=1, 1, 10), None);
    }
}

#[test]
fn a_flipped_byte_in_a_header_is_refused() {
    let (image, _) = four_frames();
    for at in 0..64 {
        let mut damaged = image.clone();
        damaged.segment(1)[at] ^= 0x10;
        let result = damaged.start();
        assert!(is_corrupt_at(&result, "0000000000000001.log", 0), "byte {at}: {result:?}");
    }
}

#[test]
fn a_page_that_never_reached_the_disk_cuts_off_the_last_frame_and_only_that() {
    let dir = tempfile::tempdir().unwrap();
    let config = one_segment(64 << 10, config(dir.path(), Durability::Fsync));
    let written = entries(1..=1, 1, 6000);
    {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &written, None);
        put(&store, &mut writer, &entries(2..=2, 1, 20_000), None);
    }
    let image = Image::of(dir.path());
    let (first, last) = (image.clone().frames(1)[0].clone(), image.clone().frames(1)[1].clone());
    for page in (0..last.end).step_by(4096).filter(|page| *page >= last.start) {
        let mut torn = image.clone();
        torn.segment(1)[page..(page + 4096).min(last.end)].fill(0);
        assert_eq!(torn.start().unwrap().0, written, "page at {page}");
    }
    let mut damaged = image.clone();
    damaged.segment(1)[4096..first.end].fill(0);
    assert!(is_corrupt_at(&damaged.start(), "0000000000000001.log", first.start));
}

#[test]
fn a_crash_while_the_torn_tail_is_erased_is_a_torn_tail() {
    let (image, written) = four_frames();
    let last = image.clone().frames(1)[3].clone();
    for erased in last.clone().step_by(8) {
        let mut torn = image.clone();
        torn.segment(1)[last.end - 1] ^= 1;
        torn.segment(1)[last.start..erased].fill(0);
        assert_eq!(torn.start().unwrap().0, written[..5]);
    }
}

/// The number of a torn frame is reused. If the torn frame were kept, a crash in the next write could combine
/// both into one.
#[test]
fn a_torn_tail_is_erased_before_anything_is_written() {
    let (mut image, written) = four_frames();
    let last = image.frames(1)[3].clone();
    image.segment(1)[last.start + 30] ^= 1;
    image.segment(1)[last.end..].fill(0xee);
    let dir = image.put_down();
    let config = config(dir.path(), Durability::Fsync);
    {
        let (store, _writer) = reopen(&config).unwrap();
        assert_eq!(store.last_index(), 5);
    }
    let mut image = Image::of(dir.path());
    assert!(image.segment(1)[last.start..].iter().all(|byte| *byte == 0));
    {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &entries(6..=6, 3, 10), None);
    }
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!(all(&store), [&written[..5], &entries(6..=6, 3, 10)].concat());
}

/// Two batches are written; the machine crashes during the second one, which was the first of a new segment.
#[test]
fn the_first_frame_of_a_new_segment_can_be_torn() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let (one, two) = (entries(1..=8, 1, 66), entries(9..=12, 1, 66));
    {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &one, None);
        put(&store, &mut writer, &two[..1], None);
    }
    let image = Image::of(dir.path());
    assert_eq!((image.clone().frames(1).len(), image.clone().frames(2).len()), (1, 1));
    for at in image.clone().frames(2)[0].clone() {
        let mut torn = image.clone();
        torn.segment(2)[at] ^= 4;
        let dir = torn.put_down();
        let config = LogConfig { dir: dir.path().to_owned(), ..config.clone() };
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!(all(&store), one, "byte {at}");
        if at % 16 == 0 {
            put(&store, &mut writer, &two, None);
            drop((store, writer));
            assert_eq!(all(&reopen(&config).unwrap().0), [&one[..], &two[..]].concat(), "byte {at}");
        }
    }
    // Damage in the segment before is not a torn tail, since that segment was synced first.
    let mut damaged = image.clone();
    damaged.segment(1)[100] ^= 4;
    assert!(is_corrupt_at(&damaged.start(), "0000000000000001.log", 64));
}

/// A batch that meets the end of a segment takes two frames. If the second is torn, the first part of the
/// batch remains; neither was acknowledged.
#[test]
fn a_batch_over_two_segments_may_lose_its_second_part() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, mut writer) = reopen(&config(dir.path(), Durability::Fsync)).unwrap();
        put(&store, &mut writer, &entries(1..=12, 1, 66), Some(STATE));
    }
    let mut image = Image::of(dir.path());
    let second = image.frames(2)[0].clone();
    image.segment(2)[second.end - 40..].fill(0);
    let (kept, state) = image.start().unwrap();
    assert_eq!(kept, entries(1..=8, 1, 66));
    assert_eq!(
        state,
        HardState { commit: 0, ..STATE },
        "the term comes with the first entries, the commit with the last"
    );
}

#[test]
fn a_crash_in_the_middle_of_preparing_or_recycling_leaves_names_that_a_start_removes() {
    let (mut image, written) = four_frames();
    let half = image.segment(1)[..500].to_vec();
    image.0.insert("0000000000000003.new.tmp".into(), half.clone());
    image.0.insert("0000000000000000.old.tmp".into(), half);
    for other in ["lost+found", "1.log", "notes.log"] {
        image.0.insert(other.into(), vec![]);
    }
    let dir = image.put_down();
    {
        let (store, _writer) = reopen(&config(dir.path(), Durability::Fsync)).unwrap();
        assert_eq!(all(&store), written);
    }
    let names: Vec<String> = Image::of(dir.path()).0.into_keys().collect();
    assert_eq!(names, ["0000000000000001.log", "0000000000000002.log", "1.log", "lost+found", "notes.log"]);
}

/// Old frames in a recycled segment are whole, and are right where a new frame ends and the next one will
/// begin.
#[test]
fn leftovers_of_an_old_life_behind_the_tail_are_never_accepted() {
    let mut right_behind = 0;
    for batches in 1..24 {
        let dir = tempfile::tempdir().unwrap();
        {
            let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
            for batch in entries(1..=36, 1, 66).chunks(1) {
                put(&store, &mut writer, batch, None);
            }
            writer.compact(store.compact_to(36)).unwrap();
            for batch in entries(37..=60, 1, 66).chunks(1).take(batches) {
                put(&store, &mut writer, batch, None);
            }
        }
        let mut image = Image::of(dir.path());
        image.0.retain(|name, _| name.ends_with(".log"));
        for number in 1..=10 {
            if image.0.contains_key(&format!("{number:016x}.log")) {
                let end = image.frames(number).last().map_or(64, |frame| frame.end);
                let behind = image.segment(number).get(end + 4..end + 8);
                right_behind += usize::from(end > 64 && behind == Some(b"FRAM"));
            }
        }
        let last = 36 + batches as u64;
        assert_eq!(image.start().unwrap().0, entries(37..=last, 1, 66));
    }
    assert!(right_behind > 0, "no old frame follows a new one: the test shows nothing");
}
