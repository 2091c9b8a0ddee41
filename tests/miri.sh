#!/usr/bin/env bash
# Runs tests of pure code under Miri, an interpreter that notices undefined behaviour: the sequencer's rules, the formats of entries,
# messages, logs, lane sessions, identities and snapshots in the engine, what reads frames from the network, and the store's parsers and
# digests. Niagara itself has no unsafe code; what it calls has. Tests that take too long here say so: `cfg_attr(miri, ignore)`.
# Needs a nightly toolchain with Miri, and installs it if it can.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly miri --version >/dev/null 2>&1; then
  rustup toolchain install nightly --profile minimal --component miri,rust-src >/dev/null 2>&1 || {
    echo "Miri cannot be had here: it needs \`rustup toolchain install nightly --component miri,rust-src\`. Nothing was tested."
    exit 1
  }
fi
# Built things of its own. Hashing with the processor's instructions and reading the clock are no matter of Miri's.
export CARGO_TARGET_DIR=${NIAGARA_MIRI_TARGET:-target/miri} MIRIFLAGS="-Zmiri-disable-isolation ${MIRIFLAGS:-}"
# A case of a property takes thousands of times as long.
export PROPTEST_CASES=${PROPTEST_CASES:-4} PROPTEST_DISABLE_FAILURE_PERSISTENCE=1

# The tests of a package whose names have any of these in them. One that no name has is an error, so that nothing is left out
# unnoticed when a module moves.
run() {
  local package=$1 tests filter
  shift
  tests=$(cargo +nightly miri test --locked -p "$package" --lib -- --list)
  for filter in "$@"; do
    grep -q -F -- "$filter" <<<"$tests" || {
      echo "$package has no test with $filter in its name."
      exit 1
    }
  done
  cargo +nightly miri test --locked -p "$package" --lib -- "$@"
}

run niagara-sequencer ::
run niagara-net frame:: hello:: reader::
run niagara-log tests::bytes_on_disk tests::model::in_memory
run niagara-group batch:: wire::
run niagara-engine agreement:: apply:: identity::record:: lane:: progress::bounds:: read_gate:: snapshot::header::
run niagara-kvstore decimal:: http::parse:: resp:: state::digest:: tag:: version::
