//! A bill of materials in the format CycloneDX 1.5 (<https://cyclonedx.org/docs/1.5/json/>).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::graph::{Part, Parts};

/// The bill of these parts. `checksums` are those that their archives have to have.
///
/// # Errors
/// If a package lacks its name or version, or one of a registry its checksum.
pub fn bill(parts: &Parts<'_>, checksums: &BTreeMap<(String, String), String>) -> Result<Value, String> {
    let root = &parts.all[parts.root];
    let others = parts.all.iter().filter(|(id, _)| **id != parts.root);
    let components = others.map(|(_, part)| component(part, "library", checksums));
    let components = components.collect::<Result<Vec<_>, _>>()?;
    let mut dependencies = Vec::new();
    for part in parts.all.values() {
        let needs = part.needs.iter().map(|id| reference(&parts.all[id]));
        let mut needs = needs.collect::<Result<Vec<_>, _>>()?;
        needs.sort();
        dependencies.push(json!({ "ref": reference(part)?, "dependsOn": needs }));
    }
    let mut bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(root, "application", checksums)? },
        "components": components,
        "dependencies": dependencies,
    });
    let digest = Sha256::digest(bill.to_string());
    bill["serialNumber"] = json!(format!("urn:uuid:{}", uuid(&digest)));
    Ok(bill)
}

fn component(
    part: &Part<'_>,
    kind: &str,
    checksums: &BTreeMap<(String, String), String>,
) -> Result<Value, String> {
    let (name, version) = named(part)?;
    let mut component = Map::new();
    let mut set = |field: &str, value: Value| component.insert(field.to_owned(), value);
    set("type", json!(kind));
    set("bom-ref", json!(reference(part)?));
    set("name", json!(name));
    set("version", json!(version));
    if let Some(description) = part.package["description"].as_str() {
        set("description", json!(description.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    if let Some(license) = part.package["license"].as_str() {
        // Crates of before 2015 write a slash for OR.
        set("licenses", json!([{ "expression": license.replace('/', " OR ").replace("  ", " ") }]));
    }
    if let Some(source) = part.package["source"].as_str() {
        let checksum = checksums.get(&(name.to_owned(), version.to_owned()));
        let checksum =
            checksum.ok_or_else(|| format!("{name} {version} of {source} has no checksum in Cargo.lock"))?;
        set("hashes", json!([{ "alg": "SHA-256", "content": checksum }]));
        set("purl", json!(reference(part)?));
    }
    if let Some(repository) = part.package["repository"].as_str() {
        set("externalReferences", json!([{ "type": "vcs", "url": repository }]));
    }
    if part.builds {
        set("scope", json!("excluded"));
        set(
            "properties",
            json!([{ "name": "niagara:role", "value": "builds the binary, and is no part of it, unless it brings sources of its own" }]),
        );
    }
    Ok(Value::Object(component))
}

/// What names a part in the bill.
fn reference(part: &Part<'_>) -> Result<String, String> {
    let (name, version) = named(part)?;
    Ok(format!("pkg:cargo/{name}@{version}"))
}

fn named<'m>(part: &Part<'m>) -> Result<(&'m str, &'m str), String> {
    let of = |field| part.package[field].as_str().ok_or_else(|| format!("a package has no {field}"));
    Ok((of("name")?, of("version")?))
}

/// A UUID of version 8: sixteen bytes of a digest of our own.
fn uuid(digest: &[u8]) -> String {
    let mut bytes: [u8; 16] = digest[..16].try_into().expect("a digest is longer");
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn package(name: &str, source: Option<&str>) -> Value {
        json!({ "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0", "source": source })
    }

    #[test]
    fn a_bill_names_each_part_with_its_checksum_and_what_it_needs() {
        let (app, lib) = (package("app", None), package("lib", Some("registry+x")));
        let part = |package, needs: &[&'static str], builds| Part {
            package,
            needs: needs.iter().copied().collect::<BTreeSet<_>>(),
            builds,
        };
        let all = BTreeMap::from([("a", part(&app, &["l"], false)), ("l", part(&lib, &[], true))]);
        let parts = Parts { root: "a", all };
        let checksums = BTreeMap::from([(("lib".to_owned(), "1.0.0".to_owned()), "00ff".to_owned())]);
        let made = bill(&parts, &checksums).unwrap();
        assert_eq!(made, bill(&parts, &checksums).unwrap(), "nothing in it depends on when it is made");
        assert_eq!(made["metadata"]["component"]["name"], "app");
        let lib = &made["components"][0];
        assert_eq!(lib["purl"], "pkg:cargo/lib@1.0.0");
        assert_eq!(lib["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!((&lib["hashes"][0]["content"], &lib["scope"]), (&json!("00ff"), &json!("excluded")));
        assert_eq!(made["dependencies"][0]["dependsOn"], json!(["pkg:cargo/lib@1.0.0"]));
        assert!(bill(&parts, &BTreeMap::new()).unwrap_err().contains("no checksum"));
    }
}
