//! Replays the stories in `tests/golden/*.txt`.
//!
//! A file holds a script with its trace, as in a terminal. Lines that start with `> ` are commands; `# `
//! starts the narrator's. A command's answer follows it, indented. After a change of the rules,
//! `NIAGARA_BLESS=1 cargo test -p niagara-sequencer golden` rewrites the traces, to be read as a diff.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::story::Story;

/// Set to write the traces instead of comparing them.
const BLESS: &str = "NIAGARA_BLESS";

#[test]
fn golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<PathBuf> = folder
        .read_dir()
        .expect("the folder of stories is there")
        .map(|entry| entry.expect("a story can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are stories");
    for path in paths {
        let told = std::fs::read_to_string(&path).expect("a story can be read");
        let traced = replay(&told);
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&path, traced).expect("a story can be written");
        } else {
            compare(&path, &told, &traced);
        }
    }
}

/// The file as it should be: commands and narrator, with every command's answer after it.
fn replay(told: &str) -> String {
    let mut story = Story::default();
    let mut traced = String::new();
    for line in told.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(traced, "{line}").expect("a string takes any text");
            for answer in story.tell(command) {
                writeln!(traced, "  {}", answer.trim_end()).expect("a string takes any text");
            }
        } else if line.is_empty() || line.starts_with('#') {
            writeln!(traced, "{line}").expect("a string takes any text");
        } else {
            assert!(line.starts_with("  "), "neither a command, nor the narrator, nor an answer: {line:?}");
        }
    }
    traced
}

fn compare(path: &Path, told: &str, traced: &str) {
    let (mut told_lines, mut traced_lines) = (told.lines(), traced.lines());
    for number in 1.. {
        let (expected, found) = (told_lines.next(), traced_lines.next());
        assert!(
            expected == found,
            "{}:{number} says\n  {}\nbut the rules give\n  {}\nIf that is intended, rewrite it with {BLESS}=1.",
            path.display(),
            expected.unwrap_or("(the end)"),
            found.unwrap_or("(the end)"),
        );
        if expected.is_none() {
            break;
        }
    }
    assert_eq!(told, traced, "{} differs in its line ends", path.display());
}
