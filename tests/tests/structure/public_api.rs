//! What each library offers is on a list beside it, so that no change of it goes unnoticed: not a method that somebody removed,
//! and not a type that became public by chance.

use std::fs;
use std::path::PathBuf;

use super::public_items::{PublicItem, of};
use super::sources::{manifest, members, workspace};

const LIST: &str = "public-api.txt";

/// The folders of the packages that may be published: the libraries.
fn libraries() -> Vec<PathBuf> {
    let is_published = |folder: &PathBuf| manifest(folder)["package"].get("publish").is_none();
    members().into_iter().filter(is_published).collect()
}

fn list(items: &[PublicItem]) -> String {
    let lines = items.iter().map(|item| item.lines.join("\n    ") + "\n");
    lines.collect()
}

/// What changed between two lists.
fn difference(was: &str, is: &str) -> String {
    let missing = was.lines().filter(|line| !is.lines().any(|other| other == *line));
    let new = is.lines().filter(|line| !was.lines().any(|other| other == *line));
    missing.map(|line| format!("- {line}\n")).chain(new.map(|line| format!("+ {line}\n"))).collect()
}

#[test]
fn the_public_api_is_what_its_list_says() {
    let libraries = libraries();
    assert!(libraries.len() >= 8, "{libraries:?}");
    for folder in libraries {
        let path = folder.join(LIST);
        let is = list(&of(&folder.join("src")));
        assert!(is.lines().count() > 3, "{}: the list is empty", folder.display());
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &is).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        let was = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            was == is,
            "the public API differs from {}:\n{}\nIf that is meant, run `UPDATE=1 cargo test -p niagara-tests --test \
             structure public_api`, and say in CHANGELOG.md what users have to change",
            path.display(),
            difference(&was, &is)
        );
    }
}

/// What does something, but has no example of its own, and why.
const NEED_NO_EXAMPLE: [(&str, &str); 12] = [
    ("AppMachine", "`Node` makes it, and shows how an `App` runs"),
    ("Call", "what `NodeHandle::call` returns, as `Node` shows"),
    ("CallThenQuery", "what `NodeHandle::call_then_query` returns, which shows it"),
    ("Frozen", "`Encoded` implements it for small states, and shows that"),
    ("OpenSession", "`Session` shows how one is opened"),
    ("Query", "what `NodeHandle::query` returns, as `Node` shows"),
    ("ReadTicket", "what `Client::read` returns, as `Engine` shows"),
    ("Ready", "`Client::ready` shows it"),
    ("Restoring", "`Encoded` implements it for small states, and shows that"),
    ("ThenTicket", "what `Client::propose_then_query` returns, which shows it"),
    ("Wake", "`Port` shows one"),
    ("agreement::Agreement", "`agreement::compare_all` returns it, and shows how to read it"),
];

#[test]
fn what_an_embedding_program_uses_has_an_example() {
    let items = of(&workspace().join("engine/src"));
    let has_one = |item: &&PublicItem| {
        let said = &item.docs.text;
        said.contains("```") || said.contains("for an example") || said.contains("for a complete example")
    };
    let lacking = items.iter().filter(|item| item.docs.acts && !has_one(item));
    let lacking: Vec<&str> = lacking.map(|item| item.path.as_str()).collect();
    let reasons: Vec<&str> = NEED_NO_EXAMPLE.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        lacking, reasons,
        "what does something needs an example in its documentation, or in that of a method, or a reason in NEED_NO_EXAMPLE"
    );
}

/// The list of a crate that is written here.
fn list_of(source: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("lib.rs"), source).expect("a written file");
    fs::write(
        folder.path().join("inner.rs"),
        "pub struct Seen { pub at: u64, own: u8 }\nimpl Seen { pub fn at(&self) -> u64 { 1 } }",
    )
    .expect("a written file");
    list(&of(folder.path()))
}

#[test]
fn a_planted_change_of_the_api_is_noticed() {
    let base = "mod inner;\npub use inner::Seen;\npub enum Word { Short, Long(u8) }\npub fn say(word: Word) {}\n\
                pub trait Speak { fn speak(&self); }\nimpl Word { pub fn len(&self) -> usize { 1 } fn own(&self) {} }\n\
                impl Speak for Word {}\n#[doc(hidden)] pub fn hidden() {}\npub(crate) fn inside() {}\n";
    let was = list_of(base);
    for expected in
        ["Seen: fn at(&self) -> u64", "field Seen::at: u64", "impl Speak for Word", "variant Word::Long"]
    {
        assert!(was.contains(expected), "{expected} is missing:\n{was}");
    }
    for (what, from, to) in [
        ("a variant is gone", "Short, ", ""),
        ("a variant holds something else", "Long(u8)", "Long(u16)"),
        ("a function takes something else", "word: Word", "word: &Word"),
        ("a method is gone", "pub fn len(&self) -> usize { 1 }", ""),
        ("a method returns something else", "-> usize { 1 }", "-> u32 { 1 }"),
        ("a type is no longer exported", "pub use inner::Seen;", ""),
        ("a trait asks for more", "fn speak(&self);", "fn speak(&self); fn shout(&self);"),
        ("a trait is not implemented", "impl Speak for Word {}", ""),
        ("an enum may grow", "pub enum", "#[non_exhaustive] pub enum"),
        ("a hidden function is shown", "#[doc(hidden)] ", ""),
    ] {
        assert!(base.contains(from), "{what}");
        assert_ne!(list_of(&base.replace(from, to)), was, "{what}");
    }
    for (what, from, to) in [
        ("a private method", "fn own(&self) {}", ""),
        ("a body", "{ 1 }", "{ 2 }"),
        ("a function of the crate's own", "inside()", "within()"),
    ] {
        assert!(base.contains(from), "{what}");
        assert_eq!(list_of(&base.replace(from, to)), was, "{what}");
    }
}
