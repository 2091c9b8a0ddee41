#!/usr/bin/env bash
# Builds the release binary `niagara` from two clones of the committed sources at different paths, and compares the bytes.
# Takes as long as two cold release builds, and 3 GiB of disk.
#
#   tools/reproducible.sh [DIRECTORY]
#
# Two builds give the same bytes if they have the same sources (with Cargo.lock), toolchain, C compiler and target. Paths are left out
# of the binary by what this script sets, for Rust and for C: set the same to build what somebody else has built.
#
# Exit status: 0 if the binaries are equal, 1 if they differ.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=$PWD
work=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)

build() {
  local clone=$1
  rm -rf "$clone"
  mkdir -p "$(dirname "$clone")"
  git clone --quiet --local --no-hardlinks "$sources" "$clone"
  (
    cd "$clone"
    export RUSTFLAGS="--remap-path-prefix=$clone=/niagara --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$sysroot=/rust"
    export CFLAGS="-ffile-prefix-map=$clone=/niagara -ffile-prefix-map=$cargo_home=/cargo"
    export CARGO_TARGET_DIR="$clone/target" SOURCE_DATE_EPOCH=0
    unset CARGO_ENCODED_RUSTFLAGS
    cargo build --release --locked --quiet -p niagara
  )
  sha256sum "$clone/target/release/niagara"
}

build "$work/one/niagara"
build "$work/another/much/longer/path/to/niagara"
if cmp "$work/one/niagara/target/release/niagara" "$work/another/much/longer/path/to/niagara/target/release/niagara"; then
  echo "the binaries are equal"
else
  echo "the binaries differ"
  exit 1
fi
