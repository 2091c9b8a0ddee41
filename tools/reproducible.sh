#!/usr/bin/env bash
# Builds the release binaries `niagara`, `niagara-load` and `niagara-lab` from two clones of the committed sources at different
# paths, and compares the bytes. Takes as long as two cold release builds, and 4 GiB of disk.
#
#   tools/reproducible.sh [DIRECTORY]
#
# Two builds give the same bytes if they have the same sources (with Cargo.lock), toolchain, C compiler and target. Paths are left out
# of the binary by what this script sets, for Rust and for C: set the same to build what somebody else has built.
#
# Exit status: 0 if the binaries are equal, 1 if they differ.
set -euo pipefail
cd "$(dirname "$0")/.."
binaries=(niagara niagara-load niagara-lab)
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
    # The packages have the names of their binaries.
    cargo build --release --locked --quiet "${binaries[@]/#/--package=}"
  )
}

one=$work/one/niagara
other=$work/another/much/longer/path/to/niagara
build "$one"
build "$other"
differ=()
for binary in "${binaries[@]}"; do
  (cd "$one/target/release" && sha256sum "$binary")
  cmp "$one/target/release/$binary" "$other/target/release/$binary" || differ+=("$binary")
done
if [ ${#differ[@]} -gt 0 ]; then
  echo "these binaries differ: ${differ[*]}"
  exit 1
fi
echo "the binaries are equal"
