#!/usr/bin/env bash
# Builds the libraries with the least Rust version that their manifests name. Clippy's lint `incompatible_msrv`, which .ci/run
# runs, knows when the standard library's parts became stable; only a build knows the language and the dependencies. Installs
# that toolchain with rustup if it is missing. Run it before a release.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
rustup toolchain install "$version.0" --profile minimal --no-self-update
CARGO_TARGET_DIR=target/least-rust cargo "+$version.0" check --locked -p niagara-engine -p niagara-client -p niagara-kvstore
