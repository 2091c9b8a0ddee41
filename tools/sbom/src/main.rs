//! `niagara-sbom`: what the binary `niagara` is made of, as a bill of materials in the format CycloneDX 1.5.
//!
//! It takes what cargo says (`cargo metadata`) and the checksums in `Cargo.lock`, and nothing else, so the same sources give the
//! same bytes: there is no date in it, and its serial number follows from its content. cargo-cyclonedx would do as well, but has
//! to be installed, and puts the time in.

mod bill;
mod graph;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use serde_json::Value;

/// The package whose binary it is.
const ROOT: &str = "niagara";

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let target = arguments.next();
    let usage = arguments.next().is_some() || target.as_ref().is_some_and(|first| first == "--help");
    let target = target.and_then(|target| target.into_string().ok());
    if usage {
        eprintln!(
            "usage: niagara-sbom [TARGET]\nTARGET is x86_64-unknown-linux-gnu by default; run it in the workspace"
        );
        return ExitCode::from(2);
    }
    match make(target.as_deref().unwrap_or("x86_64-unknown-linux-gnu")) {
        Ok(bill) => {
            println!("{bill}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("no bill of materials: {why}");
            ExitCode::FAILURE
        }
    }
}

fn make(target: &str) -> Result<String, String> {
    let metadata = metadata(target)?;
    let root = PathBuf::from(metadata["workspace_root"].as_str().ok_or("cargo names no workspace")?);
    let lock = root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    let lock: toml::Table = lock.parse().map_err(|error| format!("Cargo.lock: {error}"))?;
    let parts = graph::parts_of(ROOT, &metadata)?;
    let bill = bill::bill(&parts, &graph::checksums(&lock))?;
    serde_json::to_string_pretty(&bill).map_err(|error| error.to_string())
}

/// What cargo says of all packages, for one target.
fn metadata(target: &str) -> Result<Value, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target])
        .output()
        .map_err(|error: io::Error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}
