#!/usr/bin/env bash
# Runs the tests of pure code under Miri, an interpreter that notices undefined behaviour: the sequencer's rules, and the formats of
# entries, messages, logs, ledgers and snapshots in the engine. Niagara itself has no unsafe code; what it calls has.
# Needs a nightly toolchain with Miri, and installs it if it can. Takes about ten minutes.
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

cargo +nightly miri test --locked -p niagara-sequencer --lib
for module in batch:: wire:: log::format:: log::frame:: log::table:: log::tail:: apply:: snapshot::header:: lane:: read_gate::; do
  cargo +nightly miri test --locked -p niagara-engine --lib -- "$module"
done
cargo +nightly miri test --locked -p niagara-net --lib -- frame:: hello:: refusal:: reader::
