//! The sources of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the package is a folder of the workspace").to_owned()
}

/// A manifest.
pub fn manifest(dir: &Path) -> toml::Table {
    let path = dir.join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of all packages of the workspace.
pub fn members() -> Vec<PathBuf> {
    let root = workspace();
    let manifest = manifest(&root);
    let members = manifest["workspace"]["members"].as_array().expect("a list of folders");
    members.iter().map(|member| root.join(member.as_str().expect("a folder"))).collect()
}

/// Folders with a crate's root in each package: its library or its program, and programs beside that.
pub fn crate_roots() -> Vec<PathBuf> {
    let src = members().into_iter().map(|member| member.join("src"));
    src.flat_map(|src| {
        let programs = fs::read_dir(src.join("bin")).into_iter().flatten();
        let programs =
            programs.map(|entry| entry.expect("a readable folder").path()).filter(|path| path.is_dir());
        let programs: Vec<PathBuf> = programs.collect();
        [src].into_iter().chain(programs)
    })
    .filter(|root| ["lib.rs", "main.rs"].iter().any(|file| root.join(file).is_file()))
    .collect()
}

/// All Rust files in a folder and below it, sorted; other crates' in `bin` are not among them.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "bin") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A file's syntax.
pub fn parsed(path: &Path) -> syn::File {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A section of ARCHITECTURE.md, from its heading up to the next.
pub fn architecture(heading: &str) -> String {
    let text = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("a readable file");
    let (_, section) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("ARCHITECTURE.md has no section {heading:?}"));
    section.split("\n## ").next().expect("a first part").to_owned()
}
