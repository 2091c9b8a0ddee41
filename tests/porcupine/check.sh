#!/usr/bin/env bash
# Has exported histories judged by Porcupine, a checker of linearizability that shares no code with this project's own.
#
#   tests/porcupine/check.sh FILE.jsonl...     judges them
#   tests/porcupine/check.sh --build PROGRAM   leaves the program that does, for NIAGARA_PORCUPINE
#
# Needs Go (Debian: golang-go). Porcupine is fetched into a temporary directory, or taken from a copy of its source that
# PORCUPINE_SOURCE names, where no module proxy can be reached.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=v1.0.3

[ $# -gt 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
command -v go >/dev/null || { echo "Go is missing: apt-get install golang-go"; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/main.go" "$work"
(
  cd "$work"
  go mod init judge
  if [ -n "${PORCUPINE_SOURCE:-}" ]; then
    go mod edit -require "github.com/anishathalye/porcupine@$version" \
      -replace "github.com/anishathalye/porcupine=$(realpath "$PORCUPINE_SOURCE")"
  else
    go get "github.com/anishathalye/porcupine@$version"
  fi
  go build -o judge .
) >"$work/log" 2>&1 || { cat "$work/log"; exit 2; }
if [ "$1" = --build ]; then
  cp "$work/judge" "$2"
else
  "$work/judge" "$@"
fi
