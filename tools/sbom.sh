#!/usr/bin/env bash
# Writes what the binary `niagara` is made of: a bill of materials in the format CycloneDX 1.5, with the checksum of each crate.
# The same sources give the same bytes. Needs no network once the dependencies are in cargo's cache.
#
#   tools/sbom.sh [FILE [TARGET]]
#
# target/niagara.cdx.json and x86_64-unknown-linux-gnu by default.
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:-target/niagara.cdx.json}
mkdir -p "$(dirname "$file")"
cargo run --quiet --locked -p niagara-sbom -- "${2:-x86_64-unknown-linux-gnu}" >"$file.new"
mv "$file.new" "$file"
echo "$file: $(grep -c '"bom-ref"' "$file") components, sha256 $(sha256sum "$file" | cut -d ' ' -f 1)"
