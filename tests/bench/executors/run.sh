#!/usr/bin/env bash
# Our figures next to the peers', in one run on this machine. Needs Debian's parallel, gearman-job-server and gearman-tools (a
# peer that is not installed is left out; python3-distributed is optional). At most some 6 minutes.
#
#   run.sh [GROUP ...]      throughput latency faults memory (default: all)
#
# Every figure is a line of JSON in $OUT (default: a new directory); the table at the end has one line a measure. What other peers did
# on a machine like this is in measured.jsonl. Other load on the machine moves all rows: compare rows of one run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here" || exit 1
export MR_BUILD=${MR_BUILD:-$here/../../../build} PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore
OUT=${OUT:-$(mktemp -d)}
mkdir -p "$OUT"
gcc -O2 -o "$OUT/spawn_floor" spawn_floor.c || exit 1
(cd ../../.. && make -s BUILD="$MR_BUILD" "$MR_BUILD/bench/latency") || exit 1
has() { command -v "$1" >/dev/null; }
has gearman && has gearmand && gearman=1 || gearman=
python3 -c 'import distributed' 2>/dev/null && dask=1 || dask=
[ $# = 0 ] && set -- throughput latency faults memory

note() { tee -a "$OUT/results.jsonl"; }
mur() { timeout 120 ./murmuration_bench.py "$@" | note; }
gear() { [ -n "$gearman" ] && timeout 120 ./gearman_bench.py "$@" | note; }
floor() { "$OUT/spawn_floor" "$@" | sed 's/.*/{"tool":"floor","line":"&"}/' | note; }

for group; do
  case $group in
  throughput)
    floor 2000 2
    mur throughput 2 2000
    gear throughput 2 5000
    mur throughput 4 2000
    has parallel && timeout 60 ./parallel_bench.sh 400 | note
    [ -n "$dask" ] && timeout 120 ./dask_bench.py throughput 2 | note
    floor 2000 2
    ;;
  latency)
    floor -l 100
    mur latency 2
    gear latency 2
    [ -n "$dask" ] && timeout 60 ./dask_bench.py latency 2 | note
    ;;
  faults)
    for scenario in none worker node2 node3 submitter stop five two healthy straggler; do mur fault $scenario; done
    for mode in none worker; do gear fault $mode bg; done
    ;;
  memory)
    mur rss 4
    gear rss 4
    ;;
  *) echo "run.sh: no group $group" >&2; exit 2 ;;
  esac
done
echo
python3 - "$OUT/results.jsonl" <<'P'
import json, sys
faults = {}
for line in open(sys.argv[1]):
    try:
        row = json.loads(line)
    except ValueError:
        continue
    if row.get("tool") == "murmuration" and row.get("what") == "fault":
        faults[row["scenario"]] = row
    keys = ("tasks_per_s", "median", "p99", "makespan_s", "results", "distinct_finished", "executed_again", "executed_twice", "line")
    print(f'{row.get("tool", ""):12} {row.get("what", "")[:70]:70} {row.get("scenario", ""):10}', *(f"{k}={row[k]}" for k in keys if k in row))

# What a fault cost, as a part of the undisturbed run; beside it what the lost nodes' capacity explains.
def overhead(scenario, against, nodes=None, lost=0):
    if scenario not in faults or against not in faults:
        return
    row, calm = faults[scenario], faults[against]["makespan_s"]
    line = f'{"murmuration":12} {scenario + ": overhead over " + against:70} {"":10} {row["makespan_s"] / calm - 1:.2f}'
    if lost and "killed_at_s" in row:
        left = 1 - row["done_at_kill"] / row["jobs"]
        line += f' (lost capacity explains {row["killed_at_s"] / calm + left * nodes / (nodes - lost) - 1:.2f})'
    print(line)

for scenario in ("worker", "node2", "node3", "submitter", "stop"):
    overhead(scenario, "none", 4, 1)
overhead("two", "five", 5, 2)
overhead("straggler", "healthy")
P
echo "all rows: $OUT/results.jsonl"
