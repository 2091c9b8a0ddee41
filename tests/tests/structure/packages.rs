//! Packages depend on those below them.

use std::collections::BTreeMap;

use super::sources::{manifest, members};

/// Packages, from the bottom up; none depends on another one in its own row or above it.
const ROWS: &[&[&str]] = &[
    &[
        "niagara-planted",
        "niagara-sequencer",
        "niagara-net",
        "niagara-logging",
        "niagara-measure",
        "niagara-namespaces",
    ],
    &["niagara-log", "niagara-etcd"],
    &["niagara-group"],
    &["niagara-engine"],
    &["niagara-client", "niagara-kvstore"],
    &["niagara-load"],
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
    "niagara-log",
    "niagara-group",
    "niagara-engine",
    "niagara-kvstore",
    "niagara-client",
];

#[test]
fn libraries_bring_no_command_line() {
    let unwanted =
        ["clap", "hdrhistogram", "signal-hook", "indicatif", "plotters", "tokio", "h2", "tempfile"];
    for member in members() {
        let manifest = manifest(&member);
        let package = manifest["package"]["name"].as_str().expect("a name");
        if LIBRARIES.contains(&package) {
            let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
            let found = dependencies.into_iter().flat_map(toml::Table::keys);
            let found: Vec<_> = found.filter(|name| unwanted.contains(&name.as_str())).collect();
            assert!(found.is_empty(), "{package} depends on {found:?}");
        }
    }
}
