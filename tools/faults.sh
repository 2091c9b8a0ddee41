#!/usr/bin/env bash
# Runs five servers, each in a network namespace of its own, under faults: kills, pauses, cut, one-way and slow links.
# Keeps all histories, the servers' logs, what was done to them, and a verdict.
#
#   tools/faults.sh [MINUTES [DIRECTORY]]
#
# 3 minutes, and a new directory below target/faults, by default. SERVERS, RAFT_GROUPS and SEED change what runs, and
# PORCUPINE_SOURCE or a module proxy lets Porcupine judge the histories a second time (tests/porcupine/check.sh), if there is Go.
# Needs root, ip and tc; elsewhere it does nothing.
#
# Exit status: 0 if nothing was wrong, or nothing could be run; 1 if something was wrong; 2 if it could not run to its end.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-3}
keep=${2:-target/faults/$(date -u +%Y-%m-%dT%H-%M-%SZ)}

if [ "$(id -u)" -ne 0 ]; then
  echo "skipped: network namespaces need root"
  exit 0
fi
for program in ip tc; do
  command -v "$program" >/dev/null || { echo "skipped: $program is missing (Debian: iproute2)"; exit 0; }
done

cargo build --release --locked -p niagara
cargo build --release --locked -p niagara-tests --bin faults
mkdir -p "$keep"
arguments=(--minutes "$minutes" --servers "${SERVERS:-5}" --groups "${RAFT_GROUPS:-3}" --keep "$keep")
[ -z "${SEED:-}" ] || arguments+=(--seed "$SEED")

# Its own verdict, and what it says of files that are kept since something was wrong.
status=0
NIAGARA_BIN=target/release/niagara target/release/faults "${arguments[@]}" 2>&1 | tee "$keep/verdict.txt" || status=$?
if grep -q '^on loopback' "$keep/verdict.txt"; then
  echo "the network was not broken: see $keep/verdict.txt"
  exit 2
fi

# Another checker's verdict, where it can be had.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if tests/porcupine/check.sh --build "$work/judge" >"$keep/porcupine.txt" 2>&1; then
  # xargs fails where a history has no order, or none was found in time; what was found stands in the file.
  find "$keep" -name '*.jsonl' -print0 | sort -z | xargs -0 -r "$work/judge" >"$keep/porcupine.txt" 2>&1 || true
  grep '^Porcupine: ' "$keep/porcupine.txt" | tee -a "$keep/verdict.txt"
  if grep -q 'NOT linearizable$' "$keep/porcupine.txt"; then status=1; fi
else
  echo "Porcupine is not to be had here, so nothing was judged a second time: see porcupine.txt" | tee -a "$keep/verdict.txt"
fi
echo "kept: $keep ($(du -sh "$keep" | cut -f 1))"
exit "$status"
