//! How many files a log keeps open.

use super::*;

/// Number of the process's open files in a directory.
fn open_in(dir: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    links.filter(|path| path.starts_with(dir)).count()
}

/// These are the one that is written, and the next one.
#[test]
fn a_long_log_has_as_few_files_open_as_a_short_one() {
    for (durability, block_bytes) in [(Durability::Fsync, 8), (Durability::Fsync, 4096), (Durability::Os, 8)]
    {
        let dir = tempfile::tempdir().unwrap();
        let config = LogConfig { prepare_beside: false, block_bytes, ..config(dir.path(), durability) };
        {
            let (store, mut writer) = log_of(&config, 300);
            assert!(store.size().segments >= 40, "{:?}", store.size());
            assert!(open_in(dir.path()) <= 2, "{} files are open", open_in(dir.path()));
            assert_eq!(all(&store), numbered(1..=300));
            assert!(open_in(dir.path()) <= 2, "{} files stay open", open_in(dir.path()));
            writer.sync().unwrap();
        }
        let (store, mut writer) = reopen(&config).unwrap();
        assert!(open_in(dir.path()) <= 2, "{} files are open after a start", open_in(dir.path()));
        assert_eq!(all(&store), numbered(1..=300));
        put(&store, &mut writer, &numbered(301..=302), None);
        let floor = store.compact_to(150);
        writer.compact(floor).unwrap();
        assert_eq!(all(&store), numbered(151..=302));
    }
}
