#!/usr/bin/env bash
# Runs the test suite of Redis 7.2 against Niagara, and compares what fails with what is expected to.
#
#     tools/redis-suite.sh DIR [UNIT ..]
#
# DIR holds the sources of Redis 7.2: `git clone --branch 7.2.6 https://github.com/redis/redis DIR`. A unit is named as there,
# such as `unit/type/string`; all units that Niagara answers for are run by default. The suite's own flags leave out what needs
# replication, DEBUG, or a disk's files (docs/testing.md). What is expected to fail stands in tools/redis-suite/expected.txt,
# each group under its reason; skipped.txt has those that would spoil the tests behind them.
#
# NIAGARA names another binary than the one of this tree, SERVERS how many servers run (1), BASE_PORT where they listen
# (17600), KEEP a directory for the suite's output. Needs tclsh and curl.
#
# Exit status: 0 if exactly what was expected has failed; 1 if anything else has failed, or passes by now; 2 if nothing ran.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
redis=${1:-}
[ -f "$redis/tests/test_helper.tcl" ] || { echo "usage: $0 DIR [UNIT ..]: DIR holds the sources of Redis 7.2" >&2; exit 2; }
for program in tclsh curl; do
    command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 2; }
done
shift
units=("$@")
[ ${#units[@]} -gt 0 ] || mapfile -t units <"$here/redis-suite/units.txt"

dir=$(mktemp -d "${TMPDIR:-/tmp}/niagara-redis-suite-XXXXXX")
keep=${KEEP:-$dir/output}
mkdir -p "$keep"
pids=()
end() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap end EXIT
trap "exit 2" INT TERM

niagara=${NIAGARA:-}
if [ -z "$niagara" ]; then
    (cd "$root" && cargo build --quiet --package niagara)
    niagara="$root/target/debug/niagara"
fi

# Functions do not exist here: none is left from the test before, and scripts are tested as EVAL only.
cp -r "$redis/tests" "$dir/tests"
sed -i 's/^    r function flush$/    catch {r function flush}/' "$dir/tests/support/server.tcl"
sed -i 's/^foreach is_eval {0 1} {$/foreach is_eval {1} {/' "$dir/tests/unit/scripting.tcl"

setting() { # SERVER KEY: a setting of a server's file
    sed -n "s/^$2 = \"\(.*\)\"$/\1/p" "$dir/cluster/server-$1.toml" | head -n 1
}

# Starts new servers, without data, and waits until all are ready.
start_servers() {
    rm -rf "$dir/cluster"
    "$niagara" new-cluster --servers "${SERVERS:-1}" --groups 2 --dir "$dir/cluster" --base-port "${BASE_PORT:-17600}" >/dev/null
    for server in $(seq "${SERVERS:-1}"); do
        "$niagara" serve --config "$dir/cluster/server-$server.toml" >>"$keep/server-$server.log" 2>&1 &
        pids+=($!)
        disown
    done
    for server in $(seq "${SERVERS:-1}"); do
        for _ in $(seq 300); do
            curl -sf -o /dev/null "http://$(setting "$server" http)/readyz" && continue 2
            sleep 0.1
        done
        echo "server $server does not become ready:" && tail -n 20 "$keep/server-$server.log" && exit 2
    done
}

# What the suite leaves out by itself: see `tests/README.md` there.
tags="-needs:debug -needs:repl -needs:save -needs:config-maxmemory -large-memory -external:skip -cli"

run_unit() { # UNIT
    local output="$keep/${1//\//-}.txt" redis
    start_servers
    redis=$(setting 1 redis)
    (cd "$dir" && timeout "${UNIT_SECONDS:-600}" tclsh tests/test_helper.tcl --host "${redis%:*}" --port "${redis##*:}" \
        --durable --clients 1 --dont-clean --no-latency --ignore-digest --tags "$tags" \
        --skipfile "$here/redis-suite/skipped.txt" --single "$1" >"$output" 2>&1) ||
        grep -q 'The End' "$output" || echo "[err]: the unit ends early" >>"$output"
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    pids=()
    # The name of each test, without what was seen, and without the list of failures at the end.
    sed -e 's/\x1b\[[0-9;]*m//g' -e '/^ *The End/q' "$output" | tr -d '\r' >"$output.plain"
    sed -n "s|^\[err\]: \(.*\)|$1: \1|p" "$output.plain" | sed -e "s| in tests/$1.tcl\$||" >>"$dir/failed"
    sed -n "s|^\[ok\]: \(.*\) ([0-9]* ms)\$|$1: \1|p" "$output.plain" >>"$dir/passed"
    printf '%-28s %4d passed  %4d failed\n' "$1" "$(grep -c '^\[ok\]' "$output.plain")" "$(grep -c '^\[err\]' "$output.plain")"
}

: >"$dir/failed" >"$dir/passed"
for unit in "${units[@]}"; do run_unit "$unit"; done

sort -u "$dir/failed" >"$dir/failed.sorted"
sort -u "$dir/passed" >"$dir/passed.sorted"
grep -v -e '^#' -e '^$' "$here/redis-suite/expected.txt" | sort -u >"$dir/expected"
unexpected=$(comm -23 "$dir/failed.sorted" "$dir/expected")
by_now=$(comm -12 "$dir/passed.sorted" "$dir/expected" | comm -23 - "$dir/failed.sorted")
[ -z "$unexpected" ] || printf '\nfailed, though not expected to:\n%s\n' "$unexpected"
[ -z "$by_now" ] || printf '\npassed, though expected to fail:\n%s\n' "$by_now"
printf '\n%d passed, %d failed, %d of these not expected to; %d passed though expected to fail\n' \
    "$(wc -l <"$dir/passed.sorted")" "$(wc -l <"$dir/failed.sorted")" \
    "$(grep -c . <<<"$unexpected" || true)" "$(grep -c . <<<"$by_now" || true)"
[ -z "$unexpected" ] && [ -z "$by_now" ]
