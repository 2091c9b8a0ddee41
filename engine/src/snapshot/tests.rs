//! Whole files, damaged files, and how a start treats them.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use niagara_log::{Files, MemoryFiles, SystemFiles};
use niagara_sequencer::epoch::{Chain, Cut, Epoch, Terms};

use super::fetch::{Fetch, FetchStep};
use super::header::tests::header;
use super::sender::SnapshotSender;
use super::store::{check_chain, check_level};
use super::*;

const CHUNKS: [&[u8]; 3] = [b"first", b"the second one", b"3"];

/// A store on a directory in memory.
fn store(files: &MemoryFiles) -> SnapshotStore {
    SnapshotStore::open(Arc::new(files.clone()), "snapshots".into()).unwrap()
}

/// Writes a snapshot of a round.
fn write(store: &mut SnapshotStore, round: u64) -> Arc<Header> {
    let header = Arc::new(Header { round, id: u128::from(round), ..header() });
    let mut writer = store.begin(&header).unwrap();
    for chunk in CHUNKS {
        writer.add_chunk(chunk).unwrap();
    }
    store.finish(writer, Arc::clone(&header)).unwrap();
    header
}

fn bytes_of(files: &MemoryFiles, path: &Path) -> Vec<u8> {
    let file = files.open(path).unwrap();
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn replace(files: &MemoryFiles, path: &Path, bytes: &[u8]) {
    files.create(path).unwrap().write_all_at(&mut [IoSlice::new(bytes)], 0).unwrap();
}

/// All chunks of a file, if it is whole.
fn read(files: &MemoryFiles, path: &Path) -> Result<Vec<Vec<u8>>, SnapshotError> {
    let mut reader = SnapshotReader::open(files, path)?;
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        chunks.push(chunk.to_vec());
    }
    Ok(chunks)
}

/// What a start finds: the round of the newest whole snapshot.
fn restore(files: &MemoryFiles) -> Result<(SnapshotStore, Option<u64>), SnapshotError> {
    let mut store = store(files);
    let found = store.restore_newest(0xc1, Some(2), |reader| {
        while reader.next_chunk()?.is_some() {}
        Ok(())
    })?;
    let round = found.map(|(kept, ())| kept.header.round);
    Ok((store, round))
}

/// The files of a state machine's own stay with the server that wrote them.
#[test]
fn a_snapshot_without_chunks_is_not_sent_and_not_taken_from_others() {
    let files = MemoryFiles::default();
    let mut store = store(&files);
    let header = Arc::new(Header { own_files: true, ..header() });
    let writer = store.begin(&header).unwrap();
    store.finish(writer, Arc::clone(&header)).unwrap();
    let sender = SnapshotSender::new(Arc::new(files.clone()), 1 << 20, Duration::from_secs(1));
    assert_eq!(sender.asked(header.cut(), header.id, &store), Transfer::Nothing);
    let reader = SnapshotReader::open(&files, &store.newest().unwrap().path).unwrap();
    assert!(matches!(reader.has_chunks(), Err(SnapshotError::Damaged { .. })));
}

#[test]
fn a_file_comes_back_as_it_was_written() {
    let files = MemoryFiles::default();
    let mut store = store(&files);
    let header = write(&mut store, 7);
    let kept = store.newest().unwrap();
    assert_eq!(kept.bytes, bytes_of(&files, &kept.path).len() as u64);
    assert_eq!(read(&files, &kept.path).unwrap(), CHUNKS);
    assert_eq!(SnapshotReader::open(&files, &kept.path).unwrap().header(), &header);
}

#[test]
fn any_changed_bit_and_any_missing_or_additional_byte_is_noticed() {
    let files = MemoryFiles::default();
    let mut store = store(&files);
    write(&mut store, 7);
    let path = store.newest().unwrap().path.clone();
    let whole = bytes_of(&files, &path);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        replace(&files, &path, &changed);
        assert!(matches!(read(&files, &path), Err(SnapshotError::Damaged { .. })), "byte {at} was changed");
        replace(&files, &path, &whole[..at]);
        assert!(matches!(read(&files, &path), Err(SnapshotError::Damaged { .. })), "cut at byte {at}");
    }
    replace(&files, &path, &[&whole[..], b"x"].concat());
    assert!(read(&files, &path).is_err());
}

#[test]
fn a_chunk_of_another_file_does_not_check() {
    let files = MemoryFiles::default();
    let mut store = store(&files);
    write(&mut store, 7);
    write(&mut store, 8);
    let [a, b] = [0, 1].map(|at| store.kept()[at].path.clone());
    let (a, mixed) = (bytes_of(&files, &a), bytes_of(&files, &b));
    let from = mixed.len() - 40 - 17;
    replace(&files, &b, &[&mixed[..from], &a[from..]].concat());
    assert!(matches!(read(&files, &b), Err(SnapshotError::Damaged { .. })));
}

#[test]
fn two_are_kept_and_one_that_is_in_use() {
    let files = MemoryFiles::default();
    let mut store = store(&files);
    (1..=4).for_each(|round| drop(write(&mut store, round)));
    store.prune(|kept| kept.header.round == 1).unwrap();
    let rounds =
        |store: &SnapshotStore| store.kept().iter().map(|kept| kept.header.round).collect::<Vec<_>>();
    assert_eq!(rounds(&store), [1, 3, 4]);
    store.prune(|_| false).unwrap();
    assert_eq!(rounds(&store), [3, 4]);
    assert_eq!(files.list(Path::new("snapshots")).unwrap().len(), 2);
}

#[test]
fn a_start_passes_over_a_damaged_file_which_goes_when_there_is_a_newer_one() {
    let files = MemoryFiles::default();
    let mut before = store(&files);
    write(&mut before, 1);
    write(&mut before, 2);
    let newest = before.newest().unwrap().path.clone();
    let mut damaged = bytes_of(&files, &newest);
    *damaged.last_mut().unwrap() ^= 1;
    replace(&files, &newest, &damaged);

    let (mut after, round) = restore(&files).unwrap();
    assert_eq!((round, after.damaged()), (Some(1), &[newest.clone()][..]));
    write(&mut after, 3);
    assert!(files.open(&newest).is_err());
    assert_eq!(restore(&files).unwrap().1, Some(3));
}

#[test]
fn a_start_removes_what_is_half_written_and_keeps_what_is_half_received() {
    let files = MemoryFiles::default();
    let mut before = store(&files);
    write(&mut before, 1);
    let writer = before.begin(&Header { round: 2, ..header() }).unwrap();
    drop(writer);
    files.create(&before.part(0xabc)).unwrap();

    let (after, round) = restore(&files).unwrap();
    assert_eq!((round, after.part_id()), (Some(1), Some(0xabc)));
    assert_eq!(files.list(Path::new("snapshots")).unwrap().len(), 2);
}

#[test]
fn a_snapshot_of_another_cluster_or_number_of_groups_is_refused() {
    let files = MemoryFiles::default();
    write(&mut store(&files), 1);
    let mut store = store(&files);
    for (cluster, groups) in [(0xc2, 2), (0xc1, 3)] {
        let refused = store.restore_newest(cluster, Some(groups), |_| Ok(()));
        assert!(matches!(refused, Err(SnapshotError::Foreign { .. })), "{cluster:#x}, {groups}");
    }
}

#[test]
fn a_received_snapshot_is_of_a_cluster_with_the_same_past() {
    let files = MemoryFiles::default();
    let mut store = store(&files);
    write(&mut store, 1);
    let reader = SnapshotReader::open(&files, &store.newest().unwrap().path).unwrap();
    let terms =
        |members: &[u64]| Terms { groups: 2, members: members.to_vec(), level: 1, ..Terms::default() };
    let mut later = Chain::genesis(terms(&[1, 2])).unwrap();
    assert!(check_chain(&reader, &later).is_ok());
    later.extend(9, terms(&[1, 2, 3])).unwrap();
    assert!(check_chain(&reader, &later).is_ok(), "one that is behind");
    for others in [&[1, 2, 3][..], &[1], &[1, 3]] {
        let other = Chain::genesis(terms(others)).unwrap();
        assert!(matches!(check_chain(&reader, &other), Err(SnapshotError::Foreign { .. })), "{others:?}");
    }
}

#[test]
fn a_snapshot_of_a_level_that_is_not_known_is_refused() {
    let files = MemoryFiles::default();
    let mut store = store(&files);
    write(&mut store, 1);
    let reader = SnapshotReader::open(&files, &store.newest().unwrap().path).unwrap();
    assert!(check_level(&reader, 1).is_ok());
    let refused = check_level(&reader, 0).unwrap_err();
    assert!(matches!(refused, SnapshotError::Level { level: 1, known: 0, .. }), "{refused}");
    assert!(refused.to_string().contains("start a newer release"), "{refused}");
}

/// A server that offers more than there can be fills no disk.
#[test]
fn a_file_that_there_is_no_room_for_is_not_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let snapshots = dir.path().join("snapshots");
    std::fs::create_dir(&snapshots).unwrap();
    let store = SnapshotStore::open(Arc::new(SystemFiles), snapshots).unwrap();
    let (now, cut) = (Instant::now(), Cut { epoch: Epoch::FIRST, round: 7 });
    let (mut fetch, _) = Fetch::new(now, (1, cut), 0, (Duration::from_secs(1), 100));
    let offered = fetch.offered(now, (9, cut, u64::MAX >> 1), &store, &SystemFiles);
    let Err(SnapshotError::Io { source, .. }) = offered else { panic!("{offered:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    let mut asked = Vec::new();
    fetch.requests(now, &mut asked);
    assert!(asked.is_empty(), "{asked:?}");
}

/// A file travels in pieces, whatever is lost on the way, and the transfer resumes when the receiver
/// restarts.
#[test]
fn a_transfer_goes_on_where_it_stood() {
    let (at_sender, at_receiver) = (MemoryFiles::default(), MemoryFiles::default());
    let mut from = store(&at_sender);
    let id = write(&mut from, 7).id;
    let to = store(&at_receiver);
    let second = Duration::from_secs(1);
    let mut source = SnapshotSender::new(Arc::new(at_sender.clone()), 1 << 30, second);
    let mut now = Instant::now();
    let mut lost = 0;
    let mut pieces = 0;
    for life in 0..2 {
        let part = to.part_id().unwrap_or(0);
        let (mut fetch, ask) =
            Fetch::new(now, (1, Cut { epoch: Epoch::FIRST, round: 7 }), part, (second, 100));
        let Transfer::Ask { cut, part } = ask else { unreachable!() };
        let Transfer::Offer { id, cut, bytes } = source.asked(cut, part, &from) else { unreachable!() };
        let mut progress = fetch.offered(now, (id, cut, bytes), &to, &at_receiver).unwrap();
        let before = fetch.extent().0;
        assert_eq!(before > 0, life == 1, "the second life begins with what the first one had");
        while progress == FetchStep::UnderWay {
            let mut asked = Vec::new();
            fetch.requests(now, &mut asked);
            for (_, request) in asked {
                let Transfer::Fetch { id, offset, length } = request else { continue };
                lost += 1;
                if lost % 3 == 0 {
                    continue;
                }
                assert_eq!(source.fetch(now, 2, (id, offset, length), &from).unwrap(), None);
            }
            now += second;
            while let Some((_, Transfer::Piece { id, offset, bytes })) = source.next_piece(now).unwrap() {
                pieces += 1;
                // A piece of another file of the same length intervenes.
                let other: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
                fetch.received(now, (id ^ 1, offset), &other.into()).unwrap();
                progress = fetch.received(now, (id, offset), &bytes).unwrap();
            }
            if life == 0 && fetch.extent().0 > 200 {
                break;
            }
        }
    }
    assert!(pieces > 5, "there were {pieces} pieces");
    assert_eq!(bytes_of(&at_receiver, &to.part(id)), bytes_of(&at_sender, &from.newest().unwrap().path));
}
