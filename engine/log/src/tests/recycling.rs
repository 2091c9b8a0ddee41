//! Files are reused, so that a log which is written for ever takes neither more disk nor new files.

use super::unsteady::Unsteady;
use super::*;

/// A log with the least segments, on a disk that counts created files.
fn counted(dir: &Path) -> (LogConfig, Unsteady) {
    let disk = Unsteady::default();
    let mut config = config(dir, Durability::Fsync);
    config.files = Arc::new(disk.clone());
    config.prepare_beside = false;
    (config, disk)
}

/// Number and bytes of all files, including those in preparation and spares.
fn files(dir: &Path) -> (usize, u64) {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    files.fold((0, 0), |(count, bytes), length| (count + 1, bytes + length))
}

#[test]
fn endless_writes_with_compaction_take_a_bounded_number_of_files_which_are_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = counted(dir.path());
    let (store, mut writer) = reopen(&config).unwrap();
    for index in 1..=6000 {
        put(&store, &mut writer, &entries(index..=index, 1, 66), None);
        // About once per full segment, so that files are freed just when they are needed.
        if index % 6 == 0 {
            writer.compact(store.compact_to(index.saturating_sub(18).max(1))).unwrap();
        }
        let (count, bytes) = files(dir.path());
        // At most 24 entries are kept, six to a segment: up to five segments, one prepared, and two spares.
        assert!(count <= 8 && bytes <= 8 * SEGMENT, "{count} files, {bytes} bytes after entry {index}");
    }
    let segments = 6000 / 6;
    assert!(disk.created() < 10, "{} files were created for {segments} segments", disk.created());
    drop((store, writer));
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!(all(&store), entries(store.first_index()..=6000, 1, 66));
}

#[test]
fn endless_resets_take_a_bounded_number_of_files_which_are_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (config, disk) = counted(dir.path());
    let (store, mut writer) = reopen(&config).unwrap();
    let mut floor = EntryId::default();
    for term in 1..=300 {
        for batch in entries(floor.index + 1..=floor.index + 12, term, 66).chunks(1) {
            put(&store, &mut writer, batch, None);
        }
        floor = EntryId { index: floor.index + 7, term };
        store.reset(floor);
        writer.reset(floor, None).unwrap();
        let (count, bytes) = files(dir.path());
        assert!(
            count <= 4 && bytes <= 4 * SEGMENT,
            "{count} files, {bytes} bytes: one written, one prepared"
        );
    }
    assert!(disk.created() < 10, "{} files were created", disk.created());
    drop((store, writer));
    assert_eq!(reopen(&config).unwrap().0.floor(), floor);
}

/// Whole frames of a former life follow those of the present one.
#[test]
fn frames_of_a_former_life_in_a_segment_recycled_by_a_reset_do_not_count() {
    let mut right_behind = 0;
    for batches in 1..24u64 {
        let dir = tempfile::tempdir().unwrap();
        let (config, _) = counted(dir.path());
        let after = entries(51..51 + batches, 9, 66);
        {
            let (store, mut writer) = log_of(&config, 36);
            store.reset(EntryId { index: 50, term: 8 });
            writer.reset(EntryId { index: 50, term: 8 }, None).unwrap();
            for batch in after.chunks(1) {
                put(&store, &mut writer, batch, None);
            }
        }
        let mut image = Image::of(dir.path());
        image.0.retain(|name, _| name.ends_with(".log"));
        let names: Vec<String> = image.0.keys().cloned().collect();
        for number in (6..=11).filter(|number| names.contains(&format!("{number:016x}.log"))) {
            let end = image.frames(number).last().map_or(64, |frame| frame.end);
            let behind = image.segment(number).get(end + 4..end + 8);
            right_behind += usize::from(end > 64 && behind == Some(b"FRAM"));
        }
        assert_eq!(image.start().unwrap().0, after);
    }
    assert!(right_behind > 0, "no old frame follows a new one: the test shows nothing");
}
