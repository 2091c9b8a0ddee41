#!/usr/bin/env bash
# Packages the libraries as a registry would get them, and builds each from its package alone: a file that the package lacks, a
# dependency without a version or a path that leads out of the crate fails here and nowhere else. Publishes nothing, and needs no
# network once the dependencies are in cargo's cache. Run it before a release, and when you have changed a library's manifest or
# its `include_str!`. Takes two minutes and 1 GiB of disk.
#
# tests/package.sh [arguments of cargo package], for example --no-verify
set -euo pipefail
cd "$(dirname "$0")/.."

# Cargo takes a package of one version for unchangeable, and would build later ones of these libraries against their first: what it
# unpacks and builds goes into a folder of this run. The rest of its home is that of every day.
home=${CARGO_HOME:-$HOME/.cargo}
mkdir -p target
scratch=$(mktemp -d "$PWD/target/packages-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/home/registry/src"
for part in "$home"/config.toml "$home"/registry/{index,cache} "$home"/registry/src/index.crates.io-*; do
  if [ -e "$part" ]; then ln -s "$part" "$scratch/home/${part#"$home"/}"; fi
done
export CARGO_HOME=$scratch/home CARGO_TARGET_DIR=$scratch/target CARGO_INCREMENTAL=0

# Libraries of one version depend on each other, so they are packaged together.
cargo package --offline --allow-dirty \
  -p niagara-planted \
  -p niagara-sequencer \
  -p niagara-net \
  -p niagara-tls \
  -p niagara-log \
  -p niagara-group \
  -p niagara-engine \
  -p niagara-testing \
  -p niagara-client \
  -p niagara-kvstore \
  "$@"
