#!/usr/bin/env bash
# Figures of the log: tests/bench/log/run.sh [BUILD] [DIR]. DIR is where the logs are written: the disk that is measured.
set -u
cd "$(dirname "$0")/../../.." || exit 1
build=${1:-build}
make -s -j2 BUILD="$build" "$build/bench/bench_log" || exit 1
base=${2:-$(mktemp -d)}
bench() { # what arguments...
  local directory
  directory=$(mktemp -d "$base/log.XXXXXX")
  "$build/bench/bench_log" "$1" "$directory" "${@:2}"
  rm -rf "$directory"
}
bench disk
bench flock 2 1 200000 1
bench flock 2 1 400000 20
bench flock 2 1 1000000 200
bench flock 4 4 200000 2
bench flock 4 4 400000 20
bench flock 4 4 1000000 100
bench newcomer 1000000
bench compact 2 1000000
