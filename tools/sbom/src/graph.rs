//! Which packages a binary is made of, and what each needs, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A package that is part of the binary, or builds it.
#[derive(Clone, Debug)]
pub struct Part<'m> {
    /// As `cargo metadata` describes it.
    pub package: &'m Value,
    /// Ids of what it needs.
    pub needs: BTreeSet<&'m str>,
    /// Only building takes it: nothing but build scripts and procedural macros need it.
    pub builds: bool,
}

/// All parts, by the ids that cargo gives them; the root first.
#[derive(Debug)]
pub struct Parts<'m> {
    /// The id of the package whose binary it is.
    pub root: &'m str,
    /// All of them.
    pub all: BTreeMap<&'m str, Part<'m>>,
}

/// What a package's binary is made of. Dependencies of tests are left out.
///
/// # Errors
/// If the description lacks something.
pub fn parts_of<'m>(name: &str, metadata: &'m Value) -> Result<Parts<'m>, String> {
    let packages: BTreeMap<&str, &Value> = list(&metadata["packages"])?
        .iter()
        .filter_map(|package| Some((text(package, "id")?, package)))
        .collect();
    let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"]["nodes"])?
        .iter()
        .filter_map(|node| Some((text(node, "id")?, node)))
        .collect();
    let root = packages.iter().find(|(_, package)| package["name"] == name);
    let (root, _) = root.ok_or_else(|| format!("there is no package {name}"))?;
    let mut all: BTreeMap<&str, Part<'_>> = BTreeMap::new();
    let mut open = vec![(*root, false)];
    while let Some((id, builds)) = open.pop() {
        let package = packages.get(id).ok_or_else(|| format!("cargo does not describe {id}"))?;
        let builds = builds || is_macro(package);
        if all.get(id).is_some_and(|known| !known.builds || builds) {
            continue;
        }
        let node = nodes.get(id).ok_or_else(|| format!("cargo does not say what {id} needs"))?;
        let mut needs = BTreeSet::new();
        for need in list(&node["deps"])? {
            let kinds = list(&need["dep_kinds"])?.iter().map(|kind| kind["kind"].as_str());
            let kinds: BTreeSet<Option<&str>> = kinds.filter(|kind| *kind != Some("dev")).collect();
            if kinds.is_empty() {
                continue;
            }
            let needed = text(need, "pkg").ok_or("a dependency has no id")?;
            needs.insert(needed);
            open.push((needed, builds || !kinds.contains(&None)));
        }
        all.insert(id, Part { package, needs, builds });
    }
    Ok(Parts { root, all })
}

/// Checksums of packages, by name and version.
pub fn checksums(lock: &toml::Table) -> BTreeMap<(String, String), String> {
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let checksum = |package: &toml::Value| {
        let of = |field| Some(package.get(field)?.as_str()?.to_owned());
        Some(((of("name")?, of("version")?), of("checksum")?))
    };
    packages.filter_map(checksum).collect()
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    let mut kinds = targets.flat_map(|target| target["kind"].as_array().into_iter().flatten());
    kinds.any(|kind| kind == "proc-macro")
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "cargo metadata lacks a list".to_owned())
}

fn text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value[field].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, kind: &str) -> Value {
        json!({ "id": name, "name": name, "targets": [{ "kind": [kind] }] })
    }

    fn node(id: &str, needs: &[(&str, &[Option<&str>])]) -> Value {
        let deps = needs.iter().map(|(pkg, kinds)| {
            let kinds: Vec<Value> = kinds.iter().map(|kind| json!({ "kind": kind })).collect();
            json!({ "pkg": pkg, "dep_kinds": kinds })
        });
        json!({ "id": id, "deps": deps.collect::<Vec<_>>() })
    }

    #[test]
    fn what_only_builds_or_tests_is_told_apart() {
        let metadata = json!({
            "packages": [
                package("app", "bin"), package("lib", "lib"), package("script", "lib"), package("macro", "proc-macro"),
                package("quote", "lib"), package("both", "lib"), package("test", "lib"),
            ],
            "resolve": { "nodes": [
                node("app", &[("lib", &[None]), ("script", &[Some("build")]), ("macro", &[None]), ("test", &[Some("dev")])]),
                node("lib", &[("both", &[None, Some("dev")])]),
                node("script", &[("both", &[None])]),
                node("macro", &[("quote", &[None])]),
                node("quote", &[]), node("both", &[]), node("test", &[]),
            ] },
        });
        let parts = parts_of("app", &metadata).expect("it is complete");
        let of = |builds| {
            let of_kind = parts.all.iter().filter(move |(_, part)| part.builds == builds);
            of_kind.map(|(id, _)| *id).collect::<Vec<_>>()
        };
        assert_eq!((of(false), of(true)), (vec!["app", "both", "lib"], vec!["macro", "quote", "script"]));
        assert!(parts_of("other", &metadata).is_err());
    }
}
