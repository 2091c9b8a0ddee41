#!/usr/bin/env bash
# Runs the tests with real processes once more, with servers that speak TLS with each other. Left out are those that speak to
# the servers' own ports themselves (`hostile`), or compare with releases that know no certificates (`upgrade`). Takes as long
# as the tests do.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build -p niagara
# Otherwise each test would look whether it has to be built, and wait for whoever builds something.
export NIAGARA_BIN=${NIAGARA_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/debug/niagara}
tests=(any_server attack catch_up drain faults group_changes idle_cpu idle_reads kill life members_replaced mixed paused
  redis_failover redis_messages refused rolling_upgrade stop vanished)
# shellcheck disable=SC2068
NIAGARA_TEST_PEER_TLS=1 cargo test --no-fail-fast -p niagara-tests ${tests[@]/#/--test=} "$@"
