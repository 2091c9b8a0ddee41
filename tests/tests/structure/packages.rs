//! Packages depend on those below them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::sources::{manifest, members, workspace};

/// Packages, from the bottom up; none depends on another one in its own row or above it.
const ROWS: &[&[&str]] = &[
    &[
        "niagara-planted",
        "niagara-sequencer",
        "niagara-tls",
        "niagara-logging",
        "niagara-measure",
        "niagara-namespaces",
        "niagara-sbom",
    ],
    &["niagara-log", "niagara-etcd", "niagara-net"],
    &["niagara-group"],
    &["niagara-engine"],
    &["niagara-client", "niagara-kvstore", "niagara-testing", "niagara-axum-example"],
    &["niagara-load", "niagara-dorado-example"],
    &["niagara", "niagara-lab"],
    &["niagara-tests", "niagara-benches", "niagara-models"],
];

fn row(package: &str) -> usize {
    let row = ROWS.iter().position(|row| row.contains(&package));
    row.unwrap_or_else(|| panic!("{package} has no row here: give it one, and a place in ARCHITECTURE.md"))
}

/// Each package's dependencies of this project: those that users get, not those of its tests.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let of = |table: &toml::Table| {
        let dependencies = table.get("dependencies").and_then(toml::Value::as_table).into_iter().flatten();
        let names = dependencies.map(|(name, _)| name.clone());
        names.filter(|name| name.starts_with("niagara")).collect::<Vec<_>>()
    };
    let manifests = members().into_iter().map(|member| manifest(&member));
    manifests
        .map(|manifest| (manifest["package"]["name"].as_str().expect("a name").to_owned(), of(&manifest)))
        .collect()
}

#[test]
fn packages_depend_on_those_below_them() {
    let all = dependencies();
    assert!(all["niagara-kvstore"].contains(&"niagara-engine".to_owned()), "dependencies are read: {all:?}");
    for (package, dependencies) in all {
        for dependency in dependencies {
            assert!(row(&dependency) < row(&package), "{package} must not depend on {dependency}");
        }
    }
}

/// What users embed. It brings no command line, and nothing that only tools and tests need.
const LIBRARIES: &[&str] = &[
    "niagara-planted",
    "niagara-sequencer",
    "niagara-net",
    "niagara-tls",
    "niagara-log",
    "niagara-group",
    "niagara-engine",
    "niagara-testing",
    "niagara-kvstore",
    "niagara-client",
];

#[test]
fn libraries_bring_no_command_line() {
    let unwanted = ["clap", "hdrhistogram", "signal-hook", "indicatif", "plotters", "tokio", "h2"];
    for member in members() {
        let manifest = manifest(&member);
        let package = manifest["package"]["name"].as_str().expect("a name");
        if LIBRARIES.contains(&package) {
            let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
            let found = dependencies.into_iter().flat_map(toml::Table::keys);
            // That of tests uses what only tests need.
            let is_unwanted = |name: &&String| {
                unwanted.contains(&name.as_str()) || *name == "tempfile" && package != "niagara-testing"
            };
            let found: Vec<_> = found.filter(is_unwanted).collect();
            assert!(found.is_empty(), "{package} depends on {found:?}");
        }
    }
}

/// What a reader of one crate starts from. The examples in a README are tests, since the crate includes it.
#[test]
fn libraries_have_a_readme_and_an_example() {
    let mut seen = 0;
    for member in members() {
        let manifest = manifest(&member);
        let package = manifest["package"]["name"].as_str().expect("a name");
        if !LIBRARIES.contains(&package) {
            continue;
        }
        seen += 1;
        let text = |file: &str| fs::read_to_string(member.join(file)).unwrap_or_default();
        assert!(text("README.md").contains("```rust"), "{package} needs a README.md with an example");
        let included = text("src/lib.rs").contains(r#"#[doc = include_str!("../README.md")]"#);
        assert!(included, "{package} needs its README.md as a doctest");
        let examples = fs::read_dir(member.join("examples")).into_iter().flatten();
        let is_rust = |path: PathBuf| path.extension().is_some_and(|extension| extension == "rs");
        let found = examples.map(|entry| entry.expect("a readable folder").path()).any(is_rust);
        // Nobody uses that one but the others.
        assert!(found || package == "niagara-planted", "{package} needs an example in examples/");
    }
    assert_eq!(seen, LIBRARIES.len(), "each library is a package");
}

/// Libraries are packaged together, and nothing else is ready to be published.
#[test]
fn libraries_and_nothing_else_are_packaged() {
    let script = fs::read_to_string(workspace().join("tests/package.sh")).expect("a readable script");
    for member in members() {
        let manifest = manifest(&member);
        let package = manifest["package"]["name"].as_str().expect("a name");
        let library = LIBRARIES.contains(&package);
        let packaged = script.lines().any(|line| line == format!("  -p {package} \\"));
        assert_eq!(packaged, library, "tests/package.sh and {package}");
        let publishable = manifest["package"].get("publish").is_none();
        assert_eq!(publishable, library, "`publish` of {package}");
    }
}

/// Each library that another one of this project uses has a version beside its path, or it could not be packaged.
#[test]
fn versions_are_those_of_the_workspace() {
    let root = manifest(&workspace());
    let version = &root["workspace"]["package"]["version"];
    let dependencies = root["workspace"]["dependencies"].as_table().expect("a table");
    assert!(LIBRARIES.iter().all(|library| dependencies.contains_key(*library)));
    for (name, dependency) in dependencies.iter().filter(|(name, _)| name.starts_with("niagara-")) {
        assert_eq!(dependency.get("version"), Some(version), "the version of {name}");
    }
}
