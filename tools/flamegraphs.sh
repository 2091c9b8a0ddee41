#!/usr/bin/env bash
# Draws docs/flamegraphs/*.svg: where the CPU time of each kind of thread goes.
# Needs perf (Debian: linux-perf) and the right to profile the whole machine; installs inferno if it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
groups=${1:-1}
durability=${2:-memory}

command -v perf >/dev/null || { echo "perf is missing: apt-get install linux-perf"; exit 1; }
command -v inferno-flamegraph >/dev/null || cargo install inferno --locked --quiet
# Frame pointers, and a directory of its own for what is built with them.
RUSTFLAGS="-C force-frame-pointers=yes" cargo build --release -p niagara-load --target-dir target/frame-pointers

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
load=target/frame-pointers/release/niagara-load
"$load" append --groups "$groups" --durability "$durability" --seconds 8 >"$work/report" &
sleep 4
perf record -o "$work/perf.data" -a -g -e cpu-clock -F 2000 -- sleep 4 >/dev/null 2>&1
wait
cat "$work/report"
perf script -i "$work/perf.data" 2>/dev/null | inferno-collapse-perf --all >"$work/stacks"
mkdir -p docs/flamegraphs
for kind in group log sequencer application origin; do
  # The name of a thread is the first frame of its stacks; groups are drawn together.
  grep -E "^$kind(-[0-9]+)?;" "$work/stacks" | sed -E "s/^$kind(-[0-9]+)?;(.*clone3;[^ ]*__rust_begin_short_backtrace[^;]*;)?/$kind;/" >"$work/$kind" || continue
  inferno-flamegraph --title "$kind threads, R = $groups, $durability" --minwidth 0.5 --hash <"$work/$kind" \
    >"docs/flamegraphs/$durability-r$groups-$kind.svg"
done
