#!/usr/bin/env bash
# Runs the tests of net, engine and kvstore under ThreadSanitizer, which notices data races, with the standard library built
# for it too. Needs a nightly toolchain with the library's source, and installs it if it can. Takes about half an hour.
#
# tests/thread-sanitizer.sh [arguments of cargo test], for example -p niagara-engine --test no_ticks
set -euo pipefail
cd "$(dirname "$0")/.."

if ! { cargo +nightly --version && ls "$(rustc +nightly --print sysroot)/lib/rustlib/src/rust/library/std"; } >/dev/null 2>&1; then
  rustup toolchain install nightly --profile minimal --component rust-src >/dev/null 2>&1 || {
    echo "No nightly toolchain can be had here: it needs \`rustup toolchain install nightly --component rust-src\`. Nothing was tested."
    exit 1
  }
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${NIAGARA_TSAN_TARGET:-target/thread-sanitizer}
export RUSTFLAGS="-Zsanitizer=thread ${RUSTFLAGS:-}" RUSTDOCFLAGS="-Zsanitizer=thread ${RUSTDOCFLAGS:-}"
# ThreadSanitizer does not know fences alone: what only they order would be reported. Production code orders atomics with them,
# which are no data, and no atomic is ever reported.
export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"

if [ $# -eq 0 ]; then
  set -- -p niagara-net -p niagara-log -p niagara-group -p niagara-engine -p niagara-kvstore -p niagara-logging --lib --tests
fi
cargo +nightly test --locked -Zbuild-std --target "$host" "$@"
