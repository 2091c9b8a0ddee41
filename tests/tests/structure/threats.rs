//! The table of threats in docs/security.md: each row names tests, and these exist.

use std::collections::BTreeSet;
use std::fs;

use syn::visit::{self, Visit};

use super::sources::{members, parsed, rust_files, workspace};

/// The functions that are tests.
#[derive(Default)]
struct Tests(BTreeSet<String>);

impl<'a> Visit<'a> for Tests {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        let is_test = |attribute: &syn::Attribute| {
            attribute.path().segments.last().is_some_and(|last| last.ident == "test")
        };
        if item.attrs.iter().any(is_test) {
            self.0.insert(item.sig.ident.to_string());
        }
        visit::visit_item_fn(self, item);
    }

    /// Those of macros are written as other functions are, and so are the names that a macro makes tests of.
    fn visit_macro(&mut self, item: &'a syn::Macro) {
        let text = item.tokens.to_string();
        let is_of_tests = ["proptest", "targets"].iter().any(|name| item.path.is_ident(name));
        if is_of_tests {
            let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            self.0.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
}

/// The tests that a row names, in its last column.
fn named(row: &str) -> Vec<&str> {
    let last = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    last.split('`').skip(1).step_by(2).collect()
}

/// What is wrong with the rows of a table.
fn faults(rows: &[&str], tests: &BTreeSet<String>) -> Vec<String> {
    let fault = |row: &&str| {
        let names = named(row);
        let missing: Vec<&str> = names.iter().filter(|name| !tests.contains(**name)).copied().collect();
        match names.is_empty() {
            true => Some(format!("no test stands in {row}")),
            false => (!missing.is_empty()).then(|| format!("{missing:?} are no tests: {row}")),
        }
    };
    rows.iter().filter_map(fault).collect()
}

#[test]
fn each_threat_has_tests_that_exist() {
    let mut tests = Tests::default();
    for folder in members().iter().flat_map(|member| [member.join("src"), member.join("tests")]) {
        if folder.is_dir() {
            rust_files(&folder).iter().for_each(|file| tests.visit_file(&parsed(file)));
        }
    }
    let text = fs::read_to_string(workspace().join("docs/security.md")).expect("a readable file");
    let (_, section) = text.split_once("\n## Threats\n").expect("docs/security.md has this section");
    let section = section.split("\n## ").next().expect("a first part");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 20, "{rows:#?}");
    let faults = faults(&rows, &tests.0);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_row_without_a_test_is_noticed() {
    let tests = BTreeSet::from(["it_holds".to_owned()]);
    let rows = [
        "| keys | theft | locks | `it_holds` |",
        "| a | b | `c` | none |",
        "| a | b | c | `it_holds`, `gone` |",
    ];
    let faults = faults(&rows, &tests);
    assert_eq!(faults.len(), 2);
    assert!(faults[0].starts_with("no test") && faults[1].starts_with("[\"gone\"]"), "{faults:?}");
}
