//! Why a file or directory cannot be created. The system's error often concerns another path than the one
//! named.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What is in the way, and what to do, if more is known than the system's error says.
pub fn explain(path: &Path, error: &io::Error) -> Option<(String, &'static str)> {
    if let Some(found) = obstacle(path) {
        return Some(found);
    }
    let nearest = nearest_directory(path);
    let nearest = nearest.display();
    match error.kind() {
        ErrorKind::PermissionDenied => Some((
            format!("this user may not write in {nearest}"),
            "change the owner or the mode of that directory, or run as a user who may",
        )),
        ErrorKind::ReadOnlyFilesystem => Some((
            format!("{nearest} is on a read-only file system"),
            "choose a place on a writable file system",
        )),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some((
            format!("no space is left on the file system of {nearest}"),
            "free some space there, or choose another place",
        )),
        _ => None,
    }
}

/// The first part of a path that is not a directory.
fn obstacle(path: &Path) -> Option<(String, &'static str)> {
    let mut parts: Vec<_> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    parts.reverse();
    for part in parts {
        let Ok(found) = fs::symlink_metadata(part) else { return None };
        let shown = part.display();
        match fs::metadata(part) {
            Ok(meant) if meant.is_dir() => {}
            Ok(_) => {
                let hint = "choose another place, or move the file away";
                return Some((format!("{shown} is not a directory"), hint));
            }
            Err(_) if found.is_symlink() => {
                let to = fs::read_link(part).map_or("nowhere".into(), |to| to.display().to_string());
                let hint = "create what the link points to (is a disk not mounted?), or correct the link";
                return Some((format!("{shown} is a symbolic link to {to}, which cannot be reached"), hint));
            }
            Err(_) => return None,
        }
    }
    None
}

/// The nearest existing directory above.
fn nearest_directory(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|part| part.is_dir());
    there.filter(|part| !part.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn what_is_said(path: &Path) -> String {
        let error = fs::create_dir_all(path).expect_err("it cannot be made");
        explain(path, &error).expect("more is known").0
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        symlink(at("unmounted"), at("link")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        fs::write(at("file"), "").unwrap();
        for (path, said) in [
            (at("link"), "link is a symbolic link to "),
            (at("link/data"), "link is a symbolic link to "),
            (at("loop/data"), "loop is a symbolic link to "),
            (at("file"), "file is not a directory"),
            (at("file/data/deep"), "file is not a directory"),
        ] {
            let text = what_is_said(&path);
            assert!(text.contains(said), "{}: {text}", path.display());
        }
    }

    #[test]
    fn the_directory_that_refuses_is_named() {
        let path = Path::new("/nearly/here");
        for (kind, said) in [
            (ErrorKind::PermissionDenied, "may not write in /"),
            (ErrorKind::ReadOnlyFilesystem, "/ is on a read-only file system"),
            (ErrorKind::StorageFull, "no space is left on the file system of /"),
        ] {
            assert!(explain(path, &kind.into()).unwrap().0.contains(said), "{kind}");
        }
        assert_eq!(explain(path, &ErrorKind::Other.into()), None);
    }
}
