//! Where the `niagara` binary is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The binary that the tests run: what the environment variable `NIAGARA_BIN` names, or else a fresh build of the
/// workspace's, in the profile and the target directory that the running test was built in.
///
/// Cargo tells a test the path of its own package's binaries only, and does not build those of others for it.
///
/// # Panics
/// When there is none; the message says what to do.
pub fn niagara() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match env::var_os("NIAGARA_BIN") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_file(), "NIAGARA_BIN names {}, but there is no such file", path.display());
            path
        }
        None => build(),
    })
}

fn build() -> PathBuf {
    // A test runs from TARGET/PROFILE/deps, a binary from TARGET/PROFILE, where this one belongs too.
    let test = env::current_exe().expect("the system tells a process where its binary is");
    let folder = test.parent().expect("a file stands in a directory");
    let beside = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let profile = match beside.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "test",
        Some(name) => name,
        None => {
            panic!("{} is not in a target directory of cargo; name the binary by NIAGARA_BIN", test.display())
        }
    };
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells this test of its package is nothing to the build scripts, of which one looks for it: whatever depends on
    // that would be built again.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
        cargo.env_remove(name);
    }
    // What `cargo test --workspace` has built is found fresh: the binary's own tests need it, too. To build its package alone
    // would give dependencies other features, and so build most of them again.
    let built = cargo
        .args(["test", "--no-run", "--quiet", "--workspace", "--test", "cli", "--profile", profile])
        .arg("--target-dir")
        .arg(beside.parent().expect("a profile's directory stands in the target directory"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    let path = beside.join("niagara");
    match built {
        Ok(status) if status.success() && path.is_file() => path,
        Ok(status) => panic!(
            "cargo could not build the niagara binary ({status}, see above): correct what it complains of, or name a \
             binary by the environment variable NIAGARA_BIN"
        ),
        Err(error) => panic!(
            "cannot run {} to build the niagara binary ({error}): build it by `cargo build -p niagara`, and \
             name it by the environment variable NIAGARA_BIN",
            env!("CARGO")
        ),
    }
}
